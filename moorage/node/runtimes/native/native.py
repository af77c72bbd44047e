"""NativeRuntime: the Runtime Protocol over one zygote a node and one shim a pod. Knows processes, decides nothing."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from moorage import __version__
from moorage.aio.clock import Clock
from moorage.aio.signal import Signal
from moorage.node.images.store import Image, ImageStore
from moorage.node.network.pods import PodAddresses, gateway_for
from moorage.node.runtimes.native import sandboxes, tree
from moorage.node.runtimes.native.channel import Channel
from moorage.node.runtimes.native.frames import Message, connect_in
from moorage.node.runtimes.native.host import NativeHost, interface_for
from moorage.node.runtimes.native.identity import living_pid
from moorage.node.runtimes.native.process import NativeProcess, Pipes, kill_through
from moorage.node.runtimes.native.sandboxes import Sandbox
from moorage.node.runtimes.runtime import (
    ContainerConfig,
    ContainerState,
    ImageStatus,
    RuntimeFailure,
    SandboxConfig,
    SandboxState,
)

#: What waits for a killed process before it is called stuck (a process in the kernel's hands cannot be killed), seconds.
KILL_SECONDS_MAX = 30.0
#: How many sandboxes are adopted at once after a restart.
ADOPTIONS_AT_ONCE = 64


class NativeRuntime:
    """Pods of one node as Linux namespaces. node_index (1-254) gives the node its pod network, 10.124.<index>.0/24."""

    version = f"native://{__version__}"

    def __init__(self, host: NativeHost, images: ImageStore, node_name: str, node_index: int, clock: Clock) -> None:
        self.images = images
        self.node_name = node_name
        self.node_index = node_index
        self.addresses = PodAddresses(node_index)
        self._host = host
        self._clock = clock
        self._directory = host.directory / "nodes" / node_name / "sandboxes"
        self._zygote: Channel | None = None
        self._getting_zygote = asyncio.Lock()
        self._sandboxes: dict[str, Sandbox] = {}
        self._listeners: list[asyncio.Queue[str]] = []
        self._changed = Signal()
        #: Fired when the node's network may have been made anew, because its zygote was killed.
        self.renewed = Signal()
        images.count_users(self._images_in_use)

    @property
    def has_limits(self) -> bool:
        """Whether memory and CPU limits are enforced here; known after start."""
        return self._host.cgroups not in ("", "none")

    async def start(self) -> None:
        """Get ready and take over what a former agent left running. Raises RuntimeFailure with what to do."""
        await self._node()
        paths = sorted(path for path in self._directory.iterdir() if (path / "sandbox.json").exists())
        for first in range(0, len(paths), ADOPTIONS_AT_ONCE):
            await asyncio.gather(*(self._adopt(str(path)) for path in paths[first : first + ADOPTIONS_AT_ONCE]))

    async def close(self) -> None:
        """Let go; what runs goes on running."""
        for sandbox in self._sandboxes.values():
            if sandbox.channel is not None:
                sandbox.channel.on_close = None
                sandbox.channel.close()
        self._sandboxes.clear()
        if self._zygote is not None:
            self._zygote.close()

    async def _node(self) -> Channel:
        """Return the node's zygote, a new one if it was killed."""
        async with self._getting_zygote:
            if self._zygote is None or not self._zygote.is_open:
                is_successor = self._zygote is not None
                self._zygote = await self._host.node(self.node_name, self.node_index)
                if is_successor:
                    self.renewed.fire()
            return self._zygote

    async def _adopt(self, directory: str) -> None:
        pod = sandboxes.read_json(f"{directory}/sandbox.json")
        if pod is None or pod["uid"] in self._sandboxes:
            return
        sandbox = self._sandboxes[pod["uid"]] = Sandbox(pod)
        self.addresses.adopt(pod["uid"], pod["ip"])
        known: list[Message] = []
        if living_pid(f"{directory}/shim.pid"):
            with contextlib.suppress(OSError, RuntimeFailure):
                channel = Channel(connect_in(directory, "shim.sock"), peer=f"shim of pod {pod['name']}")
                known = (await channel.ask("state"))["containers"]
                self._attach_channel(sandbox, channel)
        for state in known:
            sandbox.note(state)
        sandboxes.read_states(sandbox, self._now())

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _attach_channel(self, sandbox: Sandbox, channel: Channel) -> None:
        sandbox.channel = channel
        channel.on_event = lambda message: self._hear(sandbox, message)
        channel.on_close = lambda: self._lost(sandbox, channel)

    def _hear(self, sandbox: Sandbox, message: Message) -> None:
        if message["event"] == "exited":
            sandbox.note(message["state"])
            self._tell(sandbox.uid)
        elif message["event"] == "exec-ended":
            ended = sandbox.commands.pop(message["exec"], None)
            if ended is not None and not ended.done():
                ended.set_result(message["exit_code"])

    def _lost(self, sandbox: Sandbox, channel: Channel) -> None:
        """The shim has ended: so have its containers."""
        if sandbox.channel is not channel:
            return
        sandbox.channel = None
        for ended in sandbox.commands.values():
            if not ended.done():
                ended.set_result(128 + signal.SIGKILL)
        sandbox.commands.clear()
        sandboxes.end_all(sandbox, self._now())
        self._tell(sandbox.uid)

    def _tell(self, uid: str) -> None:
        self._changed.fire()
        for queue in self._listeners:
            queue.put_nowait(uid)

    async def list_sandboxes(self) -> Sequence[SandboxState]:
        """Return every sandbox with its containers, also those a former agent started."""
        return [sandbox.state() for sandbox in self._sandboxes.values()]

    async def sandbox_state(self, uid: str) -> SandboxState | None:
        """Return one sandbox with its containers, None if there is none."""
        sandbox = self._sandboxes.get(uid)
        return sandbox.state() if sandbox is not None else None

    async def run_sandbox(self, config: SandboxConfig) -> SandboxState:
        """Make the pod's namespaces and its address (from the node's own when config.ip is "")."""
        sandbox = self._sandboxes.get(config.uid)
        if sandbox is not None and sandbox.channel is not None:
            return sandbox.state()
        sandboxes.check_sandbox(config)
        zygote = await self._node()
        ip = "" if config.host_network else config.ip or self.addresses.take(config.uid)
        self.addresses.adopt(config.uid, ip)
        pod = sandboxes.pod_for(config, ip, str(self._directory / config.uid))
        pod |= {"mode": self._host.mode, "user_xattr": self._host.mode != "root"}
        pod |= {"gateway": gateway_for(self.node_index), "interface": interface_for(config.uid)}
        pod["layer"] = str(self._directory.parent / "layer")  # as is the shim's, with what the pod adds to /etc
        pod["root"] = str(self._directory.parent / "root")  # each container mounts there, in a namespace of its own
        if sandbox is None:
            sandbox = self._sandboxes[config.uid] = Sandbox(pod)
        sandbox.pod = pod
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        channel = Channel(mine, peer=f"shim of pod {config.name}")
        try:
            with theirs:
                await zygote.ask("sandbox", [theirs.fileno()], pod=pod)
            await channel.ready()
        except RuntimeFailure:
            channel.close()
            if not sandbox.containers:
                del self._sandboxes[config.uid]
            self.addresses.release(config.uid)
            raise
        self._attach_channel(sandbox, channel)
        return sandbox.state()

    async def stop_sandbox(self, uid: str) -> None:
        """End all of its containers at once and free its address and mounts."""
        sandbox = self._sandboxes.get(uid)
        if sandbox is None or sandbox.channel is None:
            return
        try:
            await sandbox.channel.ask("stop")
        except RuntimeFailure:
            if sandbox.channel is not None:
                raise
        if sandbox.channel is not None:
            sandbox.channel.close()
        self.addresses.release(uid)

    async def remove_sandbox(self, uid: str) -> None:
        """Forget the stopped sandbox and remove its files (not its volumes, not its logs)."""
        await self.stop_sandbox(uid)
        sandbox = self._sandboxes.get(uid)
        if sandbox is not None:
            await self._remove_tree(sandbox.directory)
            self._sandboxes.pop(uid, None)

    async def _remove_tree(self, path: str) -> None:
        if self._host.mode == "range":  # files of other ids: only the user namespace's root may
            await (await self._node()).ask("remove_tree", path=path)
        else:
            await asyncio.to_thread(tree.remove, path)

    async def create_container(self, uid: str, config: ContainerConfig) -> str:
        """Prepare the root filesystem; returns the container's id."""
        sandbox = self._sandbox(uid)
        identity = sandboxes.container_id_for(uid, config.name, config.attempt)
        if identity in sandbox.containers:
            return identity
        image = self.images.resolve(config.image)
        if image is None:
            raise RuntimeFailure("ErrImageNeverPull", f'image "{config.image}" is not present on this node')
        spec = self._spec_for(sandbox, identity, config, image)
        await self._shim(sandbox).ask("create", spec=spec)
        sandbox.containers[identity] = ContainerState(
            config.name, config.attempt, identity, "created", image=config.image
        )
        return identity

    def _spec_for(self, sandbox: Sandbox, identity: str, config: ContainerConfig, image: Image) -> dict[str, Any]:
        try:
            return sandboxes.spec_for(sandbox, identity, config, image)
        except ValueError as error:
            raise RuntimeFailure("CreateContainerError", str(error)) from error

    async def start_container(self, uid: str, container: str) -> None:
        """Start it. Raises RuntimeFailure("StartError" or "RunContainerError") when the command cannot be executed."""
        sandbox = self._sandbox(uid)
        self._known(sandbox, container)
        answer = await self._shim(sandbox).ask("start", container=container)
        if sandbox.containers[container].state != "exited":
            sandbox.note(answer["state"])

    async def stop_container(self, uid: str, container: str, grace_seconds: float, stop_signal: str = "") -> None:
        """Send the signal ("": the image's own, else SIGTERM), wait up to grace_seconds for the end, then kill."""
        sandbox = self._sandboxes.get(uid)
        if sandbox is None or sandbox.channel is None:
            return
        if grace_seconds > 0 and self._is_running(sandbox, container):
            named = stop_signal or self._stop_signal_of(sandbox.containers[container].image)
            await self._signal(sandbox, container, sandboxes.signal_number(named))
            if await self._ends_within(sandbox, container, grace_seconds):
                return
        if self._is_running(sandbox, container):
            await self._signal(sandbox, container, signal.SIGKILL)
            if not await self._ends_within(sandbox, container, KILL_SECONDS_MAX):
                raise RuntimeFailure("KillContainerError", f"container {container} does not end after SIGKILL")

    def _stop_signal_of(self, image: str) -> str:
        found = self.images.resolve(image)
        return str((found.config.get("StopSignal") if found else "") or "SIGTERM")

    async def _signal(self, sandbox: Sandbox, container: str, number: int) -> None:
        with contextlib.suppress(RuntimeFailure):  # it, or its shim, has just ended
            if sandbox.channel is not None:
                await sandbox.channel.ask("signal", container=container, signal=number)

    def _is_running(self, sandbox: Sandbox, container: str) -> bool:
        state = sandbox.containers.get(container)
        return state is not None and state.state == "running"

    async def _ends_within(self, sandbox: Sandbox, container: str, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                while True:
                    count = self._changed.count
                    if not self._is_running(sandbox, container):
                        return True
                    await self._changed.wait_beyond(count)
        except TimeoutError:
            return not self._is_running(sandbox, container)

    async def remove_container(self, uid: str, container: str) -> None:
        """Remove an exited container's files (not its logs). Raises RuntimeFailure while it runs."""
        sandbox = self._sandboxes.get(uid)
        state = sandbox.containers.get(container) if sandbox else None
        if sandbox is None or state is None:
            return
        if sandbox.channel is not None:
            await sandbox.channel.ask("remove", container=container)
        sandbox.containers.pop(container, None)
        await self._remove_tree(sandboxes.container_directory(sandbox, state.name, state.attempt))

    async def exec(self, uid: str, container: str, command: Sequence[str], *, tty: bool, stdin: bool) -> NativeProcess:
        """Run a command beside the container's own. Raises RuntimeFailure when it cannot be executed."""
        sandbox = self._sandbox(uid)
        self._known(sandbox, container)
        channel = self._shim(sandbox)
        pipes = None if tty else Pipes(stdin=stdin)
        descriptors = pipes.theirs if pipes else []
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        number, answer = channel.put("exec", descriptors, container=container, argv=list(command), tty=tty)
        sandbox.commands[number] = ended
        try:
            _, given = await channel.take(answer)
        except BaseException:
            sandbox.commands.pop(number, None)
            if pipes:
                pipes.close()
            raise
        if pipes is None:
            streams = [given[0], os.dup(given[0]), -1]
        else:
            pipes.close_theirs()
            streams = pipes.mine
        return NativeProcess(streams, ended, kill_through(channel, number), tty=tty)

    async def attach(self, uid: str, container: str) -> NativeProcess:
        """Join the container's own standard streams."""
        sandbox = self._sandbox(uid)
        self._known(sandbox, container)
        pipes = Pipes(stdin=False)
        try:
            message, given = await self._shim(sandbox).ask_for_descriptors(
                "attach", pipes.theirs[1:], container=container
            )
        except BaseException:
            pipes.close()
            raise
        pipes.close_theirs()
        if message["tty"]:
            os.close(pipes.mine[2])
            pipes.mine[2] = -1
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        sandbox.watch_end(container, ended)
        stdin = given[0] if given else -1
        return NativeProcess([stdin, *pipes.mine[1:]], ended, self._killer(sandbox, container), tty=message["tty"])

    def _killer(self, sandbox: Sandbox, container: str) -> Callable[[], None]:
        def kill() -> None:
            if sandbox.channel is not None:
                sandbox.channel.put("signal", container=container, signal=int(signal.SIGKILL))

        return kill

    async def reopen_log(self, uid: str, container: str) -> None:
        """Write the container's log anew at its path, after someone has moved the old file away (log rotation)."""
        await self._shim(self._sandbox(uid)).ask("reopen", container=container)

    async def dial(self, uid: str, port: int) -> socket.socket:
        """Return a connection to a TCP port inside the pod, non-blocking. Raises OSError.

        The pod's address is tried first, then its loopback, where a server may listen that only the pod itself may reach.
        """
        sandbox = self._sandboxes.get(uid)
        if sandbox is None or sandbox.channel is None:
            raise ConnectionRefusedError(f"pod {uid} does not run here")
        addresses = dict.fromkeys([sandbox.pod["ip"] or "127.0.0.1", "127.0.0.1"])
        refused: OSError = ConnectionRefusedError(f"port {port}")
        for address in addresses:
            try:
                return await self._connect(sandbox.channel, address, port)
            except ConnectionRefusedError as error:
                refused = error
        raise refused

    async def _connect(self, channel: Channel, address: str, port: int) -> socket.socket:
        try:
            _, (descriptor,) = await channel.ask_for_descriptors("socket")
        except RuntimeFailure as error:
            raise ConnectionRefusedError(str(error)) from error
        sock = socket.socket(fileno=descriptor)
        sock.setblocking(False)  # noqa: FBT003
        try:
            await asyncio.get_running_loop().sock_connect(sock, (address, port))
        except BaseException:
            sock.close()
            raise
        return sock

    async def node_socket(
        self, *, udp: bool = False, address: str = "", bind: tuple[str, int] | None = None, listen: int = 0
    ) -> socket.socket:
        """Return a non-blocking socket in the node's network: for service addresses, DNS, node ports. Raises RuntimeFailure.

        address: made the node's own first; bind, listen: done there, since only the node's network has that address.
        """
        zygote = await self._node()
        _, (descriptor,) = await zygote.ask_for_descriptors(
            "socket", udp=udp, address=address, bind=bind, listen=listen
        )
        sock = socket.socket(fileno=descriptor)
        sock.setblocking(False)  # noqa: FBT003
        return sock

    def events(self) -> AsyncIterator[str]:
        """Yield the uid of each sandbox in which something ended, as it happens, from this call on."""
        queue: asyncio.Queue[str] = asyncio.Queue()
        self._listeners.append(queue)
        return self._follow(queue)

    async def _follow(self, queue: asyncio.Queue[str]) -> AsyncIterator[str]:
        try:
            while True:
                yield await queue.get()
        finally:
            self._listeners.remove(queue)

    async def image_status(self, reference: str) -> ImageStatus | None:
        """Return the image if it is here."""
        image = self.images.resolve(reference)
        return image.status() if image else None

    async def pull_image(self, reference: str, credentials: Mapping[str, tuple[str, str]] | None = None) -> ImageStatus:
        """Fetch the image. Raises RuntimeFailure("ErrImagePull", "InvalidImageName", "RegistryUnavailable", …)."""
        return (await self.images.pull(reference, credentials)).status()

    async def list_images(self) -> Sequence[ImageStatus]:
        """Return every image that is here."""
        return [image.status() for image in self.images.list()]

    async def remove_image(self, reference: str) -> None:
        """Remove the image; layers that no other image uses go too."""
        await self.images.remove(reference)

    def _images_in_use(self) -> set[str]:
        return {state.image for one in self._sandboxes.values() for state in one.containers.values()}

    def _sandbox(self, uid: str) -> Sandbox:
        sandbox = self._sandboxes.get(uid)
        if sandbox is None:
            raise RuntimeFailure("SandboxNotFound", f"sandbox of pod {uid} is not here", temporary=False)
        return sandbox

    def _known(self, sandbox: Sandbox, container: str) -> ContainerState:
        state = sandbox.containers.get(container)
        if state is None:
            raise RuntimeFailure("ContainerNotFound", f"container {container} is not in pod {sandbox.uid}")
        return state

    def _shim(self, sandbox: Sandbox) -> Channel:
        if sandbox.channel is None:
            raise RuntimeFailure("SandboxNotReady", f"the sandbox of pod {sandbox.uid} has ended")
        return sandbox.channel
