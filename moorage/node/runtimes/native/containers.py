"""The shim's view of its containers: starting, streams, logs, attached readers, ends written to files."""

import contextlib
import json
import os
import select
import selectors
import signal
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

from moorage.node.runtimes.native import cgroups, container, syscalls
from moorage.node.runtimes.native.logs import Log

#: How long a container's set-up may take (a mount of a dead server, say) before it is given up, in seconds.
SETUP_SECONDS_MAX = 30
#: What an attached reader may be behind before it is let go.
ATTACHED_BYTES_MAX = 4 << 20
#: Processes of one container, as a fork bomb must not take the machine.
NO_STREAM = -1

Spec = dict[str, Any]


class Refused(Exception):
    """A verb that the shim cannot do; `reason` is the word for the pod's status."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


_NEVER_STARTED = {
    "state": "created",
    "started_at": 0.0,
    "finished_at": 0.0,
    "exit_code": 0,
    "signal": 0,
    "oom_killed": False,
    "message": "",
}


class Attached:
    """Someone who reads a container's output through a pipe of their own."""

    def __init__(self, descriptor: int, stream: str) -> None:
        self.descriptor = descriptor
        self.stream = stream
        self.waiting = bytearray()


class Container:
    """One attempt. `state` is what ContainerState shows; the rest is only here.

    Plain classes: the dataclasses module would more than double what a zygote loads and every fork copies.
    """

    def __init__(self, spec: Spec, state: dict[str, Any]) -> None:
        self.spec = spec
        self.state = state
        self.pid = 0
        #: The process whose pid namespace it joins, 0 for one of its own.
        self.beside = 0
        self.group = cgroups.NO_GROUP
        self.log: Log | None = None
        self.stdin = NO_STREAM
        self.open_streams: set[int] = set()
        self.attached: list[Attached] = []

    @property
    def is_running(self) -> bool:
        """Whether its process has not been waited for."""
        return bool(self.state["state"] == "running")


def write_json(path: str, value: Mapping[str, Any]) -> None:
    """Write a small file so that a reader sees the old or the new text."""
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump(value, file)
    os.replace(f"{path}.new", path)


def new_container(spec: Spec) -> Container:
    """Return an attempt that has not started."""
    known = {name: spec[name] for name in ("name", "attempt", "id", "image")}
    return Container(spec, {**known, **_NEVER_STARTED})


def make_directories(spec: Spec) -> None:
    """Make the attempt's directories; when that fails its start will tell."""
    with contextlib.suppress(OSError):
        for name in ("upper", "work"):
            os.makedirs(f"{spec['directory']}/{name}", exist_ok=True)


def save(made: Container) -> None:
    """Write the state for an agent that comes later."""
    write_json(f"{made.spec['directory']}/state.json", made.state)


def now() -> float:
    """Return the wall time in seconds; the shim is a process of its own, without the agent's clock."""
    return time.time_ns() / 1e9


class Starter:
    """Starts containers and commands of one pod and copies their output."""

    def __init__(self, pod: Spec, hierarchy: cgroups.Hierarchy, selector: selectors.BaseSelector) -> None:
        self.pod = pod
        self.hierarchy = hierarchy
        self.selector = selector
        #: The process that holds the pod's shared pid namespace, if there is one.
        self.pause = 0

    def start(self, made: Container) -> None:
        """Start the container. Raises Refused with the failing step."""
        spec = made.spec
        limits = cgroups.Limits(spec["memory"], spec["cpu"], spec["pids"])
        try:
            path = f"{self.pod['uid']}/{spec['name']}_{spec['attempt']}"
            made.group = cgroups.make_group(self.hierarchy, path, limits)
            entrances = cgroups.open_entrances(made.group)
        except OSError as error:
            raise Refused("RunContainerError", f"{error.filename}: {error.strerror}") from error
        inner, outer = _streams(spec)
        try:
            made.pid, master = self._spawn(made, inner, entrances)
        except Refused as error:
            _close(outer.values())
            made.state.update(state="exited", exit_code=128, finished_at=now(), message=str(error))
            self._finish_log(made)
            save(made)
            raise
        finally:
            _close([*inner, *entrances])
        made.state.update(state="running", started_at=now())
        save(made)
        if master != NO_STREAM:
            outer = {"stdin": os.dup(master), "stdout": master}
        made.stdin = outer.pop("stdin", NO_STREAM)
        for stream, descriptor in outer.items():
            os.set_blocking(descriptor, False)
            made.open_streams.add(descriptor)
            self.selector.register(descriptor, selectors.EVENT_READ, self._copier(made, stream, descriptor))

    def _spawn(self, made: Container, inner: tuple[int, ...], entrances: list[int]) -> tuple[int, int]:
        spec = made.spec
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with ours, theirs:
            if beside := made.beside or self.pause:
                pid = clone_into(beside, ("pid",), syscalls.NEWNS)
            else:
                pid = syscalls.clone(syscalls.NEWPID | syscalls.NEWNS)
            if pid == 0:
                ours.close()
                container.run(spec, self.pod, container.Doors(inner, theirs.fileno(), entrances))
            theirs.close()
            try:
                made.log = Log(spec["log"])  # while the child is at work
            except OSError as error:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                raise Refused("RunContainerError", f"{error.filename}: {error.strerror}") from error
            return pid, await_execution(ours, pid)

    def _copier(self, made: Container, stream: str, descriptor: int) -> Callable[[int], None]:
        def copy(_: int) -> None:
            try:
                data = os.read(descriptor, 65536)
            except BlockingIOError:
                return
            except OSError:  # a terminal whose last user has gone
                data = b""
            if data:
                if made.log is not None:
                    made.log.feed(stream, data)
                for reader in list(made.attached):
                    if reader.stream == stream:
                        self._give(made, reader, data)
                return
            self.selector.unregister(descriptor)
            os.close(descriptor)
            made.open_streams.discard(descriptor)
            self.let_readers_go(made, stream)
            self._finish_log(made)

        return copy

    def drain(self, made: Container) -> None:
        """Copy what an ended container has left in its pipes, so that its log is whole before its end is told."""
        for key in [k for k in self.selector.get_map().values() if k.fd in made.open_streams]:
            for _ in range(64):
                if key.fd not in made.open_streams:
                    break
                with contextlib.suppress(OSError):
                    before = made.log
                    key.data(selectors.EVENT_READ)
                    if made.log is before and not _readable(key.fd):
                        break

    def _finish_log(self, made: Container) -> None:
        if not made.open_streams and made.log is not None:
            made.log.close()
            made.log = None

    def _give(self, made: Container, reader: Attached, data: bytes) -> None:
        reader.waiting += data
        if len(reader.waiting) > ATTACHED_BYTES_MAX:
            self._let_go(made, reader)
            return
        self._push(made, reader)

    def _push(self, made: Container, reader: Attached) -> None:
        try:
            while reader.waiting:
                del reader.waiting[: os.write(reader.descriptor, reader.waiting[:65536])]
        except BlockingIOError:
            with contextlib.suppress(KeyError):
                self.selector.register(
                    reader.descriptor, selectors.EVENT_WRITE, lambda _: self._push_more(made, reader)
                )
            return
        except OSError:
            self._let_go(made, reader)

    def _push_more(self, made: Container, reader: Attached) -> None:
        self.selector.unregister(reader.descriptor)
        self._push(made, reader)

    def let_readers_go(self, made: Container, stream: str) -> None:
        """End the attached readers of a stream."""
        for reader in [one for one in made.attached if one.stream == stream]:
            self._let_go(made, reader)

    def _let_go(self, made: Container, reader: Attached) -> None:
        made.attached.remove(reader)
        with contextlib.suppress(KeyError, ValueError):
            self.selector.unregister(reader.descriptor)
        os.close(reader.descriptor)


def _readable(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])


def _streams(spec: Spec) -> tuple[tuple[int, ...], dict[str, int]]:
    """Return the container's ends and ours."""
    if spec["tty"]:
        return (), {}
    outer: dict[str, int] = {}
    if spec["stdin"]:
        read, outer["stdin"] = os.pipe()
    else:
        read = os.open("/dev/null", os.O_RDONLY)
    outer["stdout"], out = os.pipe()
    outer["stderr"], err = os.pipe()
    return (read, out, err), outer


def _close(descriptors: Any) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def clone_into(target: int, kinds: tuple[str, ...], flags: int) -> int:
    """Clone a child of ours that starts inside namespaces of the process `target`; returns 0 in that child.

    A process in between enters them (only its children are moved into a pid namespace) and clones with our own parent
    as parent, which makes the result our child.
    """
    names = {"pid": syscalls.NEWPID, "mnt": syscalls.NEWNS}
    read, write = os.pipe()
    between = os.fork()
    if between:
        os.close(write)
        with open(read, "rb") as file:
            pid = file.read()
        os.waitpid(between, 0)
        if not pid:
            raise Refused("RunContainerError", "cannot enter the container's namespaces: it has ended")
        return int(pid)
    try:
        os.close(read)
        entries = [(os.open(f"/proc/{target}/ns/{kind}", os.O_RDONLY), names[kind]) for kind in kinds]
        for descriptor, kind in entries:
            syscalls.setns(descriptor, kind)
        child = syscalls.clone(syscalls.CLONE_PARENT | flags)
    except BaseException:  # noqa: BLE001 - a process of its own; its silence is the answer
        os._exit(1)
    if child == 0:
        os.close(write)
        return 0
    os.write(write, str(child).encode())
    os._exit(0)


def await_execution(status: socket.socket, pid: int) -> int:
    """Wait until the child has executed its command. Returns a terminal's master or -1. Raises Refused and reaps it."""
    master = NO_STREAM
    status.settimeout(SETUP_SECONDS_MAX)
    report = b""
    try:
        while True:
            data, descriptors, _, _ = socket.recv_fds(status, 65536, 1, socket.MSG_CMSG_CLOEXEC)
            if descriptors:
                master = descriptors[0]
                data = data[1:]
            elif not data:
                break
            report += data
    except OSError as error:
        report = report or json.dumps({"reason": "RunContainerError", "message": f"set-up: {error}"}).encode()
    if not report:
        return master
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    if master != NO_STREAM:
        os.close(master)
    failure = json.loads(report)
    raise Refused(failure["reason"], failure["message"])
