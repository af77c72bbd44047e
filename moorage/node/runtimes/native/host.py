"""NativeHost: the privileged (or user-namespaced) parent of all native nodes of one cluster.

The state directory:

    host.sock host.pid host.log            the host zygote
    nodes/<node>/zygote.sock zygote.pid    a node's zygote
    nodes/<node>/root/ layer/              where containers and shims mount, each in a namespace of its own
    nodes/<node>/sandboxes/<uid>/          a pod: sandbox.json shim.sock shim.pid containers/<name>_<attempt>/
"""

import asyncio
import contextlib
import hashlib
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from moorage.node.network.pods import gateway_for, node_address_for, pod_network_for
from moorage.node.runtimes.native import sweep
from moorage.node.runtimes.native.channel import Channel
from moorage.node.runtimes.native.frames import connect_in, listen_in
from moorage.node.runtimes.native.identity import MARKER, living_pid
from moorage.node.runtimes.runtime import RuntimeFailure

#: How long the host zygote may take to get ready, in seconds.
START_SECONDS_MAX = 20

WHAT_TO_DO = (
    "the native runtime needs Linux namespaces, and this machine refuses them ({error}). What helps: run as root "
    "(sudo); or allow user namespaces: `sysctl kernel.apparmor_restrict_unprivileged_userns=0` (Ubuntu), "
    "`sysctl user.max_user_namespaces=10000`; inside a container start that container with --privileged. "
    "Or choose the simulated runtime, which runs no processes."
)

NO_OVERLAY = (
    "the native runtime needs overlay mounts, and the file system of {0} refuses them ({1}). What helps: a state "
    "directory on ext4, xfs, btrfs or tmpfs rather than on an overlay of a container or on a network."
)


class NativeHost:
    """One a cluster. `start` may be repeated; nodes are made by `node` and live until `destroy`."""

    def __init__(self, state_directory: Path) -> None:
        self.directory = state_directory.resolve()
        self._channel: Channel | None = None
        self._starting = asyncio.Lock()
        #: "root", "range" or "single"; known after start.
        self.mode = ""
        #: "v1", "v2" or "none" (no limits can be set); known after start.
        self.cgroups = ""

    async def start(self) -> None:
        """Connect to the cluster's host zygote, or start it. Raises RuntimeFailure("NamespacesUnavailable")."""
        async with self._starting:
            if self._channel is not None and self._channel.is_open:
                return
            self._check_directory()
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            (self.directory / "nodes").mkdir(exist_ok=True)
            if living_pid(str(self.directory / "host.pid")):
                self._channel = Channel(connect_in(str(self.directory), "host.sock"), peer="host zygote")
                greeting = await self._channel.ask("describe")
            else:
                self._channel = await self._start_zygote()
                greeting = await self._channel.ask("describe")
            self.mode, self.cgroups = greeting["mode"], greeting["cgroups"]
            if greeting["refusal"]:
                raise RuntimeFailure(
                    "OverlayUnavailable", NO_OVERLAY.format(self.directory, greeting["refusal"]), temporary=False
                )

    def _check_directory(self) -> None:
        if sys.platform != "linux":
            raise RuntimeFailure(
                "NamespacesUnavailable", f"the native runtime needs Linux; this is {sys.platform}", temporary=False
            )
        if any(mark in str(self.directory) for mark in ":,\\\n"):
            raise RuntimeFailure(
                "InvalidStateDirectory",
                f"the path {self.directory} contains one of : , \\ which overlay mounts cannot name",
                temporary=False,
            )

    async def _start_zygote(self) -> Channel:
        listener = listen_in(str(self.directory), "host.sock")
        former = await self._former_namespaces()
        command = [sys.executable, "-S", "-E", "-B", str(Path(__file__).with_name("zygote.py")), MARKER]
        command += [str(self.directory), str(listener.fileno()), *map(str, former)]
        try:
            with (self.directory / "host.log").open("ab") as log:
                code = await asyncio.to_thread(_run_detached, command, log.fileno(), [listener.fileno(), *former])
            channel = Channel(connect_in(str(self.directory), "host.sock"), peer=f"host zygote (ended with {code})")
        except OSError as error:
            raise RuntimeFailure("RuntimeUnavailable", f"cannot start {command[0]}: {error}") from error
        finally:
            listener.close()
            for descriptor in former:
                os.close(descriptor)
        try:
            async with asyncio.timeout(START_SECONDS_MAX):
                await channel.ready()
        except (RuntimeFailure, TimeoutError) as error:
            channel.close()
            raise self._failure(error) from error
        return channel

    def _failure(self, error: Exception) -> RuntimeFailure:
        text = str(error) or "it does not answer"
        if not (isinstance(error, RuntimeFailure) and error.reason == "NamespacesUnavailable"):
            with contextlib.suppress(OSError):
                text += ": " + (self.directory / "host.log").read_text(errors="replace").strip()[-400:]
        return RuntimeFailure("NamespacesUnavailable", WHAT_TO_DO.format(error=text), temporary=False)

    async def _former_namespaces(self) -> list[int]:
        """Return descriptors of the user and hub namespaces if nodes or pods of a killed host zygote still hold them."""
        found = await self._namespaces("nodes/*/zygote.sock", "nodes/*/sandboxes/*/shim.sock")
        for node in found[2:]:
            os.close(node)
        return found[:2]

    async def _namespaces(self, *patterns: str) -> list[int]:
        """Return descriptors of the user, hub and node namespaces from the first process that answers, or nothing."""
        for path in [path for pattern in patterns for path in self.directory.glob(pattern)]:
            with contextlib.suppress(OSError, RuntimeFailure):
                channel = Channel(connect_in(str(path.parent), path.name))
                try:
                    return (await channel.ask_for_descriptors("namespaces"))[1]
                finally:
                    channel.close()
        return []

    async def node(self, name: str, index: int) -> Channel:
        """Return a connection to the node's zygote, made if need be. index: 1-254, its place in the addresses."""
        await self.start()
        directory = self.directory / "nodes" / name
        (directory / "sandboxes").mkdir(parents=True, exist_ok=True)
        for name_of_mountpoint in ("root", "layer"):
            (directory / name_of_mountpoint).mkdir(exist_ok=True)
        if living_pid(str(directory / "zygote.pid")):
            return Channel(connect_in(str(directory), "zygote.sock"), peer=f"zygote of node {name}")
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        former = await self._namespaces(f"nodes/{name}/sandboxes/*/shim.sock")
        channel = Channel(mine, peer=f"zygote of node {name}")
        network = {
            "interface": f"n{index}",
            "address": node_address_for(index),
            "network": pod_network_for(index),
            "gateway": gateway_for(index),
        }
        with theirs:
            await self._ask("node", [theirs.fileno(), *former[2:]], directory=str(directory), **network)
        for descriptor in former:
            os.close(descriptor)
        await channel.ready()
        return channel

    async def _ask(self, verb: str, descriptors: list[int], **arguments: object) -> None:
        assert self._channel is not None  # noqa: S101 - start() has run
        await self._channel.ask(verb, descriptors, **arguments)

    async def close(self) -> None:
        """Let go; nodes and pods go on running."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    async def end_node(self, name: str) -> None:
        """End a node's pods and its zygote at once, as if its machine lost power; its files stay for the next start."""
        await asyncio.to_thread(sweep.end_nodes, self.directory, name)

    async def destroy(self) -> None:
        """End every process of the cluster's native nodes and remove their files (not volumes, not logs, not images)."""
        if living_pid(str(self.directory / "host.pid")):
            with contextlib.suppress(RuntimeFailure):
                await self.start()
            await asyncio.to_thread(sweep.end_nodes, self.directory)
            with contextlib.suppress(RuntimeFailure):  # what other ids own only the user namespace's root may remove
                await self._ask("remove_tree", [], path=str(self.directory / "nodes"))
        await self.close()
        await asyncio.to_thread(sweep.sweep, self.directory)
        await asyncio.to_thread(shutil.rmtree, self.directory / "nodes", ignore_errors=True)


def interface_for(uid: str) -> str:
    """Return the name of a pod's link on its node (15 characters at most)."""
    return "v" + hashlib.sha256(uid.encode()).hexdigest()[:12]


def _run_detached(command: list[str], log: int, descriptors: list[int]) -> int:
    """Run the command that puts itself into the background; returns its exit code."""
    process = subprocess.Popen(  # noqa: S603 - our own file
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=descriptors,
        start_new_session=True,
        cwd="/",
    )
    return process.wait()
