"""SimulatedRuntime: pods without processes, for thousands of nodes on a laptop and for runs in virtual time.

What an image does is said by a table of Behaviours; by default everything succeeds at once and runs until it is
stopped. Waiting goes through the event loop and times come from the Clock, so a virtual-time loop runs it unchanged.
What "runs" is kept in this object: hand the same one to the next agent to simulate an agent's restart.
"""

import asyncio
import hashlib
import os
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final

from moorage.aio.clock import Clock
from moorage.aio.signal import Signal
from moorage.node.images.reference import Reference, parse_reference
from moorage.node.network.pods import PodAddresses
from moorage.node.runtimes.runtime import (
    ContainerConfig,
    ContainerState,
    ImageStatus,
    RuntimeFailure,
    SandboxConfig,
    SandboxState,
)

_SIGNAL_NUMBERS = {"SIGTERM": 15, "SIGINT": 2, "SIGKILL": 9, "SIGQUIT": 3, "SIGHUP": 1}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What containers of an image do; times in seconds.

    present: here without a pull. pull_failure: the reason a pull fails with, as "ErrImagePull". start_failure: the
    reason that the command cannot be executed with, as "StartError". exits_after: ends by itself with exit_code; None
    runs on. stops_in: how long it takes to obey its stop signal; None ignores it. ready_after: since its start, when
    ports begin to answer and commands to succeed; None never.
    """

    pull_seconds: float = 0.0
    start_seconds: float = 0.0
    ready_after: float | None = 0.0
    exits_after: float | None = None
    exit_code: int = 0
    stops_in: float | None = 0.0
    stop_exit_code: int = 0
    present: bool = False
    pull_failure: str = ""
    start_failure: str = ""
    oom_killed: bool = False
    exec_exit_code: int = 0
    http_status: int = 200


#: What KWOK's nodes do with pods of Jobs: they become ready, then they succeed. The time lets others see the first.
FINISHING: Final = Behaviour(exits_after=0.1)

#: The label by which the pods of Jobs are known.
JOB_LABEL: Final = "batch.kubernetes.io/job-name"


class SimulatedProcess:
    """A command that has ended before it is looked at; its output is empty."""

    def __init__(self, exit_code: "asyncio.Future[int]", *, stdin: bool, tty: bool) -> None:
        self.stdin, self.stdout, self.stderr = -1, -1, -1
        if stdin:
            read, self.stdin = os.pipe()
            os.close(read)
        self.stdout, write = os.pipe()
        os.close(write)
        if not tty:
            self.stderr, write = os.pipe()
            os.close(write)
        self._exit_code = exit_code

    def resize(self, width: int, height: int) -> None:
        """Do nothing: there is no terminal."""

    async def wait(self) -> int:
        """Return the exit code."""
        return await asyncio.shield(self._exit_code)

    def kill(self) -> None:
        """End it as killed, if it has not ended."""
        if not self._exit_code.done():
            self._exit_code.set_result(137)


@dataclass(slots=True)
class _Container:
    config: ContainerConfig
    behaviour: Behaviour
    state: ContainerState
    ready_at: float = 0.0
    timers: list[asyncio.TimerHandle] = field(default_factory=list)
    attached: list["asyncio.Future[int]"] = field(default_factory=list)


@dataclass(slots=True)
class _Sandbox:
    config: SandboxConfig
    ip: str
    ready: bool = True
    containers: dict[str, _Container] = field(default_factory=dict)

    def state(self) -> SandboxState:
        config = self.config
        states = tuple(one.state for one in self.containers.values())
        return SandboxState(config.uid, config.name, config.namespace, self.ip, self.ready, states)


class SimulatedRuntime:
    """One node's pods.

    behaviours: a pattern of normalised image names (`*/crash:*`) → Behaviour; the first that fits.
    of_jobs:    what containers of Jobs' pods do whose image fits no pattern.
    """

    version = "simulated://1"

    def __init__(
        self,
        clock: Clock,
        node_index: int = 1,
        behaviours: Mapping[str, Behaviour] | None = None,
        of_jobs: Behaviour = Behaviour(),
    ) -> None:
        self.behaviours: dict[str, Behaviour] = dict(behaviours or {})
        self._of_jobs = of_jobs
        self.addresses = PodAddresses(node_index)
        self._clock = clock
        self._images: dict[str, ImageStatus] = {}
        self._sandboxes: dict[str, _Sandbox] = {}
        self._listeners: list[asyncio.Queue[str]] = []
        self._changed = Signal()

    def behaviour_of(self, image: str, labels: Mapping[str, str] = MappingProxyType({})) -> Behaviour:
        """Return what containers of the image (an id or a reference) do, in a pod with these labels."""
        known = next((one for one in self._images.values() if one.id == image), None)
        name = known.reference if known else str(parse_reference(image))
        for pattern, behaviour in self.behaviours.items():
            if fnmatchcase(name, pattern):
                return behaviour
        return self._of_jobs if JOB_LABEL in labels else Behaviour()

    async def start(self) -> None:
        """Get ready: nothing to do."""

    async def close(self) -> None:
        """Let go; what runs goes on running."""

    async def list_sandboxes(self) -> Sequence[SandboxState]:
        """Return every sandbox with its containers."""
        return [one.state() for one in self._sandboxes.values()]

    async def sandbox_state(self, uid: str) -> SandboxState | None:
        """Return one sandbox with its containers, None if there is none."""
        sandbox = self._sandboxes.get(uid)
        return sandbox.state() if sandbox is not None else None

    async def run_sandbox(self, config: SandboxConfig) -> SandboxState:
        """Give the pod its address."""
        sandbox = self._sandboxes.get(config.uid)
        if sandbox is None or not sandbox.ready:
            ip = "" if config.host_network else config.ip or self.addresses.take(config.uid)
            self.addresses.adopt(config.uid, ip)
            former = sandbox.containers if sandbox else {}
            sandbox = self._sandboxes[config.uid] = _Sandbox(config, ip, containers=former)
        return sandbox.state()

    async def stop_sandbox(self, uid: str) -> None:
        """End all of its containers at once and free its address."""
        sandbox = self._sandboxes.get(uid)
        if sandbox is None or not sandbox.ready:
            return
        sandbox.ready = False
        for one in sandbox.containers.values():
            if one.state.state == "running":
                self._end(sandbox, one, 137, 9)
        self.addresses.release(uid)

    async def remove_sandbox(self, uid: str) -> None:
        """Forget the sandbox."""
        await self.stop_sandbox(uid)
        self._sandboxes.pop(uid, None)

    async def create_container(self, uid: str, config: ContainerConfig) -> str:
        """Note the attempt; returns its id."""
        sandbox = self._sandbox(uid)
        if not sandbox.ready:
            raise RuntimeFailure("SandboxNotReady", f"the sandbox of pod {uid} has ended")
        identity = hashlib.sha256(f"{uid}/{config.name}/{config.attempt}".encode()).hexdigest()
        if identity not in sandbox.containers:
            if await self.image_status(config.image) is None:
                raise RuntimeFailure("ErrImageNeverPull", f'image "{config.image}" is not present on this node')
            state = ContainerState(config.name, config.attempt, identity, "created", image=config.image)
            behaviour = self.behaviour_of(config.image, sandbox.config.labels)
            sandbox.containers[identity] = _Container(config, behaviour, state)
        return identity

    async def start_container(self, uid: str, container: str) -> None:
        """Start it, after start_seconds. Raises RuntimeFailure(start_failure)."""
        sandbox = self._sandbox(uid)
        one = self._container(sandbox, container)
        if one.state.state != "created":
            return
        behaviour = one.behaviour
        if behaviour.start_seconds:
            await asyncio.sleep(behaviour.start_seconds)
        if one.state.state != "created" or not sandbox.ready:
            return
        if behaviour.start_failure:
            message = f'exec: "{(*one.config.command, "?")[0]}": executable file not found in $PATH'
            one.state = replace(one.state, message=message)
            self._end(sandbox, one, 128, 0)
            raise RuntimeFailure(behaviour.start_failure, message)
        one.state = replace(one.state, state="running", started_at=self._now())
        one.ready_at = self._clock.monotonic() + (behaviour.ready_after or 0.0)
        if behaviour.exits_after is not None:
            self._end_later(sandbox, one, behaviour.exits_after, behaviour.exit_code, oom=behaviour.oom_killed)

    async def stop_container(self, uid: str, container: str, grace_seconds: float, stop_signal: str = "") -> None:
        """Obey the signal in stops_in seconds, or be killed after grace_seconds."""
        sandbox = self._sandboxes.get(uid)
        one = sandbox.containers.get(container) if sandbox else None
        if sandbox is None or one is None or one.state.state != "running":
            return
        obeys = one.behaviour.stops_in
        if obeys is not None and obeys <= grace_seconds and grace_seconds > 0:
            await self._end_in(sandbox, one, obeys, one.behaviour.stop_exit_code, 0)
        else:
            await self._end_in(sandbox, one, max(0.0, grace_seconds), 137, _SIGNAL_NUMBERS["SIGKILL"])

    async def _end_in(self, sandbox: _Sandbox, one: _Container, seconds: float, code: int, number: int) -> None:
        if seconds:
            await asyncio.sleep(seconds)
        if one.state.state == "running":
            self._end(sandbox, one, code, number)

    async def remove_container(self, uid: str, container: str) -> None:
        """Forget an exited attempt."""
        sandbox = self._sandboxes.get(uid)
        one = sandbox.containers.get(container) if sandbox else None
        if sandbox is None or one is None:
            return
        if one.state.state == "running":
            raise RuntimeFailure("ContainerRunning", f"container {one.config.name} is running: stop it first")
        del sandbox.containers[container]

    async def exec(
        self, uid: str, container: str, command: Sequence[str], *, tty: bool, stdin: bool
    ) -> SimulatedProcess:
        """Return a command that ends at once: with exec_exit_code when the container is ready, else with 1."""
        one = self._running(uid, container)
        code: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        code.set_result(one.behaviour.exec_exit_code if self._is_ready(one) else 1)
        return SimulatedProcess(code, stdin=stdin, tty=tty)

    async def attach(self, uid: str, container: str) -> SimulatedProcess:
        """Return streams that say nothing until the container ends."""
        one = self._running(uid, container)
        code: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        one.attached.append(code)
        return SimulatedProcess(code, stdin=one.config.stdin, tty=one.config.tty)

    async def dial(self, uid: str, port: int) -> socket.socket:
        """Return a connection that answers HTTP with http_status once a container is ready. Raises OSError before."""
        sandbox = self._sandboxes.get(uid)
        ready = [one for one in sandbox.containers.values() if self._is_ready(one)] if sandbox else []
        if not ready:
            raise ConnectionRefusedError(f"port {port} of pod {uid}: nobody listens")
        status = next((one.behaviour.http_status for one in ready if one.behaviour.http_status != 200), 200)
        return _answering(f"HTTP/1.1 {status} Simulated\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())

    def events(self) -> AsyncIterator[str]:
        """Yield the uid of each sandbox in which something ended, as it happens, from this call on."""
        queue: asyncio.Queue[str] = asyncio.Queue()
        self._listeners.append(queue)
        return self._follow(queue)

    async def _follow(self, queue: "asyncio.Queue[str]") -> AsyncIterator[str]:
        try:
            while True:
                yield await queue.get()
        finally:
            self._listeners.remove(queue)

    async def image_status(self, reference: str) -> ImageStatus | None:
        """Return the image if it was pulled or its behaviour says it is here."""
        if reference in self._images:
            return self._images[reference]
        by_id = next((one for one in self._images.values() if one.id == reference), None)
        if by_id is not None or reference.startswith("sha256:"):
            return by_id
        parsed = parse_reference(reference)
        if str(parsed) not in self._images and self.behaviour_of(reference).present:
            self._images[str(parsed)] = _image(parsed)
        return self._images.get(str(parsed))

    async def pull_image(
        self,
        reference: str,
        credentials: Mapping[str, tuple[str, str]] | None = None,
    ) -> ImageStatus:
        """Be here after pull_seconds. Raises RuntimeFailure(pull_failure)."""
        parsed = parse_reference(reference)
        behaviour = self.behaviour_of(reference)
        if behaviour.pull_seconds:
            await asyncio.sleep(behaviour.pull_seconds)
        if behaviour.pull_failure:
            message = f'failed to pull and unpack image "{parsed}": {parsed}: not found'
            raise RuntimeFailure(behaviour.pull_failure, message)
        return self._images.setdefault(str(parsed), _image(parsed))

    async def list_images(self) -> Sequence[ImageStatus]:
        """Return every image that was pulled."""
        return list(self._images.values())

    async def remove_image(self, reference: str) -> None:
        """Forget the image."""
        image = await self.image_status(reference)
        if image is not None:
            self._images.pop(image.reference, None)

    def end_container(self, uid: str, container: str, exit_code: int, *, oom_killed: bool = False) -> None:
        """Let a running container end by itself, now: a fault that a test injects."""
        sandbox = self._sandbox(uid)
        one = self._container(sandbox, container)
        if one.state.state == "running":
            self._end(sandbox, one, exit_code, exit_code - 128 if exit_code > 128 else 0, oom=oom_killed)

    def lose_everything(self) -> None:
        """Forget all that runs, as a machine does that is switched off: no event tells of it."""
        for sandbox in self._sandboxes.values():
            for one in sandbox.containers.values():
                self._cancel(one)
        self._sandboxes.clear()

    def _end_later(self, sandbox: _Sandbox, one: _Container, seconds: float, code: int, *, oom: bool) -> None:
        def end() -> None:
            if one.state.state == "running":
                self._end(sandbox, one, code, code - 128 if code > 128 else 0, oom=oom)

        one.timers.append(asyncio.get_running_loop().call_later(seconds, end))

    def _end(self, sandbox: _Sandbox, one: _Container, code: int, number: int, *, oom: bool = False) -> None:
        self._cancel(one)
        one.state = replace(
            one.state, state="exited", exit_code=code, signal=number, finished_at=self._now(), oom_killed=oom
        )
        for attached in one.attached:
            if not attached.done():
                attached.set_result(code)
        self._changed.fire()
        for queue in self._listeners:
            queue.put_nowait(sandbox.config.uid)

    def _cancel(self, one: _Container) -> None:
        for timer in one.timers:
            timer.cancel()
        one.timers.clear()

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _is_ready(self, one: _Container) -> bool:
        is_set = one.state.state == "running" and one.behaviour.ready_after is not None
        return is_set and self._clock.monotonic() >= one.ready_at

    def _sandbox(self, uid: str) -> _Sandbox:
        sandbox = self._sandboxes.get(uid)
        if sandbox is None:
            raise RuntimeFailure("SandboxNotFound", f"sandbox of pod {uid} is not here", temporary=False)
        return sandbox

    def _container(self, sandbox: _Sandbox, container: str) -> _Container:
        one = sandbox.containers.get(container)
        if one is None:
            uid = sandbox.config.uid
            raise RuntimeFailure("ContainerNotFound", f"container {container} is not in pod {uid}")
        return one

    def _running(self, uid: str, container: str) -> _Container:
        one = self._container(self._sandbox(uid), container)
        if one.state.state != "running":
            name = one.config.name
            raise RuntimeFailure("ContainerNotRunning", f"container {name} is {one.state.state}", temporary=False)
        return one


def _image(reference: Reference) -> ImageStatus:
    """Return a made-up image: its digests follow from its name."""
    identity = hashlib.sha256(str(reference).encode()).hexdigest()
    digest = reference.digest or "sha256:" + hashlib.sha256(identity.encode()).hexdigest()
    return ImageStatus(
        f"sha256:{identity}", str(reference), f"{reference.name}@{digest}", 1 << 20, "", (str(reference),)
    )


def _answering(answer: bytes) -> socket.socket:
    """Return a non-blocking connection to someone who says `answer` and listens until the caller has closed."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)  # noqa: FBT003
    theirs.setblocking(False)  # noqa: FBT003
    theirs.send(answer)
    theirs.shutdown(socket.SHUT_WR)
    loop = asyncio.get_running_loop()

    def listen() -> None:
        try:
            heard = theirs.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            heard = b""
        if not heard:
            loop.remove_reader(theirs)
            theirs.close()

    loop.add_reader(theirs, listen)
    return ours
