"""One pod's own process: holds its namespaces, owns its containers, outlives agent and zygote.

Single-threaded, forked from the node's zygote. It answers on `shim.sock` of the sandbox's directory (see `Shim.VERBS`)
and tells every connected agent what ends. When it dies, its containers die with it.
"""

import contextlib
import os
import selectors
import signal
import socket
from typing import TYPE_CHECKING

from moorage.node.runtimes.native import cgroups, container, syscalls
from moorage.node.runtimes.native.containers import (
    NO_STREAM,
    Attached,
    Container,
    Refused,
    Spec,
    Starter,
    await_execution,
    clone_into,
    make_directories,
    new_container,
    now,
    save,
    write_json,
)
from moorage.node.runtimes.native.frames import Connection, Message, listen_in
from moorage.node.runtimes.native.identity import write_identity
from moorage.node.runtimes.native.netlink import LOOPBACK, Netlink

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = tuple[Message, list[int]]


def make_sandbox(pod: Spec, node: Netlink) -> None:
    """Leave the node's namespaces for the pod's own and give it its address. Raises OSError."""
    flags = syscalls.NEWNS | syscalls.NEWUTS | syscalls.NEWIPC
    if not pod["host_network"]:
        flags |= syscalls.NEWNET
    syscalls.unshare(flags)
    syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_SLAVE)
    syscalls.sethostname(pod["hostname"][:64])
    _make_layer(pod["layer"], pod["files"])
    if not pod["host_network"]:
        _connect(pod, node)
    for name, value in pod["sysctls"].items():
        with open("/proc/sys/" + name.replace(".", "/"), "w", encoding="utf-8") as file:
            file.write(value)


def _make_layer(directory: str, files: dict[str, str]) -> None:
    """Make the layer that lies above each image of the pod: /etc/hosts and the like, in memory, for this pod alone."""
    syscalls.mount("tmpfs", directory, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=755,size=4m")
    os.mkdir(f"{directory}/etc", 0o755)
    for name, text in files.items():
        descriptor = os.open(f"{directory}/etc/{name}", os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(descriptor, text.encode())
        os.close(descriptor)


def _connect(pod: Spec, node: Netlink) -> None:
    outside = pod["interface"]
    try:
        node.add_veth(outside, "eth0", os.getpid())
    except FileExistsError:  # of a shim that was killed a moment ago
        node.remove_link(outside)
        node.add_veth(outside, "eth0", os.getpid())
    node.add_device_route(node.index_of(outside), pod["ip"])
    inside = Netlink()
    inside.set_up(LOOPBACK)
    index = inside.index_of("eth0")
    inside.add_address(index, pod["ip"])
    inside.set_up(index)
    inside.add_gateway_route(index, pod["gateway"])
    inside.close()
    for name, value in (("ip_unprivileged_port_start", "0"), ("ping_group_range", "0 2147483647")):
        with contextlib.suppress(OSError), open(f"/proc/sys/net/ipv4/{name}", "w", encoding="utf-8") as file:
            file.write(value)


class Shim:
    """The pod's process. `keep` holds what keeps the node's and the cluster's namespaces alive."""

    def __init__(self, pod: Spec, hierarchy: cgroups.Hierarchy, namespaces: list[int], keep: Netlink) -> None:
        self.pod = pod
        self.selector = selectors.DefaultSelector()
        self.starter = Starter(pod, hierarchy, self.selector)
        self.containers: dict[str, Container] = {}
        #: pid of a command that runs beside a container → (who asked, its number).
        self.commands: dict[int, tuple[Connection, int]] = {}
        self.connections: list[Connection] = []
        self.namespaces = namespaces
        self._keep = keep
        #: What is done once the answer is sent.
        self._afterwards: list[Callable[[], None]] = []
        self.verbs: dict[str, Callable[[Message, list[int], Connection], Answer]] = {
            "state": self._state,
            "create": self._create,
            "start": self._start,
            "signal": self._signal,
            "remove": self._remove,
            "exec": self._exec,
            "kill_exec": self._kill_exec,
            "attach": self._attach,
            "socket": self._socket,
            "reopen": self._reopen,
            "namespaces": self._namespaces,
            "stop": self._stop,
        }

    def serve(self, first: Connection) -> None:
        """Announce the sandbox on the first connection, then answer until stopped. Never returns."""
        first.send({"id": 0, "pid": os.getpid()})  # the agent goes on while we write down who we are
        directory = self.pod["directory"]
        write_json(f"{directory}/sandbox.json", self.pod)
        write_identity(f"{directory}/shim.pid", os.getpid())
        listener = listen_in(directory, "shim.sock", 16)
        self.selector.register(
            listener, selectors.EVENT_READ, lambda _: self._welcome(Connection(listener.accept()[0]))
        )
        self._watch_children()
        if self.pod["share_pid"]:
            self.starter.pause = _start_pause()
        self._welcome(first)
        while True:
            for key, events in self.selector.select():
                with contextlib.suppress(KeyError):
                    if self.selector.get_key(key.fd) is key:
                        key.data(events)

    def _watch_children(self) -> None:
        read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        self.selector.register(read, selectors.EVENT_READ, lambda _: self._reap(read))

    def _welcome(self, connection: Connection) -> None:
        self.connections.append(connection)
        self.selector.register(connection, selectors.EVENT_READ, lambda _: self._hear(connection))

    def _hear(self, connection: Connection) -> None:
        there = connection.receive()
        while True:
            try:
                item = connection.next()
            except ValueError:
                there, item = False, None
            if item is None:
                break
            self._answer(connection, *item)
        if not there:
            self._part(connection)

    def _part(self, connection: Connection) -> None:
        """The agent has gone: what it was running in a terminal goes too, containers stay."""
        self.selector.unregister(connection)
        self.connections.remove(connection)
        connection.close()
        for pid, (owner, _) in self.commands.items():
            if owner is connection:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _answer(self, connection: Connection, message: Message, descriptors: list[int]) -> None:
        give: list[int] = []
        try:
            answer, give = self.verbs[message["do"]](message, descriptors, connection)
        except Refused as error:
            answer = {"reason": error.reason, "error": str(error)}
        except Exception as error:  # noqa: BLE001 - one bad question must not end a pod
            answer = {"reason": "RuntimeError", "error": f"{type(error).__name__}: {error}"}
        connection.send({"id": message["id"], **answer}, give)
        while self._afterwards:
            self._afterwards.pop()()
        for descriptor in [*descriptors, *give]:
            os.close(descriptor)

    def _tell(self, message: Message) -> None:
        for connection in self.connections:
            connection.send(message)

    def _find(self, message: Message) -> Container:
        found = self.containers.get(message["container"])
        if found is None:
            raise Refused("ContainerNotFound", f"container {message['container']} is not in pod {self.pod['name']}")
        return found

    def _running(self, message: Message) -> Container:
        found = self._find(message)
        if not found.is_running:
            raise Refused("ContainerNotRunning", f"container {found.spec['name']} is {found.state['state']}")
        return found

    def _state(self, _: Message, __: list[int], ___: Connection) -> Answer:
        return {"pod": self.pod, "containers": [one.state for one in self.containers.values()]}, []

    def _create(self, message: Message, _: list[int], __: Connection) -> Answer:
        spec = message["spec"]
        if spec["id"] not in self.containers:
            self.containers[spec["id"]] = new_container(spec)
            self._afterwards.append(lambda: make_directories(spec))
        return {}, []

    def _start(self, message: Message, _: list[int], __: Connection) -> Answer:
        found = self._find(message)
        if found.state["state"] == "created":
            if target := found.spec.get("pid_target"):
                found.beside = self._pid_of(target)
            try:
                self.starter.start(found)
            except Refused:
                cgroups.remove(found.group.directories)
                self._tell({"event": "exited", "state": found.state})
                raise
        return {"state": found.state}, []

    def _pid_of(self, name: str) -> int:
        running = [one.pid for one in self.containers.values() if one.is_running and one.spec["name"] == name]
        if not running:
            raise Refused("RunContainerError", f"target container {name} does not run")
        return running[-1]

    def _signal(self, message: Message, _: list[int], __: Connection) -> Answer:
        found = self._find(message)
        if found.is_running:
            self._kill(found, message["signal"])
        return {"state": found.state}, []

    def _kill(self, found: Container, number: int) -> None:
        """Signal the first process; with a shared pid namespace SIGKILL must reach each by itself."""
        pids = {found.pid}
        if number == signal.SIGKILL and self.starter.pause:
            pids.update(cgroups.processes(found.group))
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _remove(self, message: Message, _: list[int], __: Connection) -> Answer:
        found = self.containers.get(message["container"])
        if found is not None:
            if found.is_running:
                raise Refused("ContainerRunning", f"container {found.spec['name']} is running: stop it first")
            del self.containers[message["container"]]
        return {}, []

    def _reopen(self, message: Message, _: list[int], __: Connection) -> Answer:
        found = self._running(message)
        if found.log is not None:
            found.log.reopen()
        return {}, []

    def _exec(self, message: Message, descriptors: list[int], connection: Connection) -> Answer:
        found = self._running(message)
        spec = {**found.spec, "argv": message["argv"], "tty": message["tty"]}
        entrances = cgroups.open_entrances(found.group)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with ours, theirs:
            pid = clone_into(found.pid, ("pid", "mnt"), 0)
            if pid == 0:
                ours.close()
                os.chdir("/")
                container.run_beside(spec, self.pod, container.Doors(descriptors, theirs.fileno(), entrances))
            theirs.close()
            for entrance in entrances:
                os.close(entrance)
            master = await_execution(ours, pid)
        self.commands[pid] = (connection, message["id"])
        return {"pid": pid}, [] if master == NO_STREAM else [master]

    def _kill_exec(self, message: Message, _: list[int], connection: Connection) -> Answer:
        for pid, owner in self.commands.items():
            if owner == (connection, message["exec"]):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        return {}, []

    def _attach(self, message: Message, descriptors: list[int], _: Connection) -> Answer:
        """Descriptors: where to write standard output and error. Gives back the standard input, if there is one."""
        found = self._running(message)
        for stream, descriptor in zip(("stdout", "stderr"), descriptors, strict=False):
            if stream == "stderr" and found.spec["tty"]:
                continue
            copy = os.dup(descriptor)
            os.set_blocking(copy, False)
            found.attached.append(Attached(copy, stream))
        give = []
        if found.stdin != NO_STREAM:
            give.append(os.dup(found.stdin))
            if found.spec["stdin_once"]:
                os.close(found.stdin)
                found.stdin = NO_STREAM
        return {"tty": found.spec["tty"]}, give

    def _socket(self, _: Message, __: list[int], ___: Connection) -> Answer:
        """Give a TCP socket that lives in the pod's network namespace."""
        return {}, [socket.socket(socket.AF_INET, socket.SOCK_STREAM).detach()]

    def _namespaces(self, _: Message, __: list[int], ___: Connection) -> Answer:
        return {}, [os.dup(one) for one in self.namespaces]

    def _stop(self, message: Message, _: list[int], connection: Connection) -> Answer:
        """Kill all, remove what the kernel holds for them, answer and end."""
        running = [one for one in self.containers.values() if one.is_running]
        for one in running:
            self._kill(one, signal.SIGKILL)
        if self.starter.pause:
            os.kill(self.starter.pause, signal.SIGKILL)
        for one in running:
            self._ended(one, os.waitpid(one.pid, 0)[1])
        for root in self.starter.hierarchy.roots.values():
            cgroups.remove({"": f"{root}/{self.pod['uid']}"})
        self.pod["stopped"] = True
        directory = self.pod["directory"]
        write_json(f"{directory}/sandbox.json", self.pod)
        for name in ("shim.sock", "shim.pid"):
            os.unlink(f"{directory}/{name}")
        connection.send({"id": message["id"]})
        os._exit(0)

    def _reap(self, wakeups: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(wakeups, 4096)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            command = self.commands.pop(pid, None)
            if command is not None:
                command[0].send({"event": "exec-ended", "exec": command[1], "exit_code": exit_code_of(status)[0]})
            for one in self.containers.values():
                if one.pid == pid and one.is_running:
                    self._ended(one, status)

    def _ended(self, one: Container, status: int) -> None:
        code, number = exit_code_of(status)
        killed = code == 137 and cgroups.was_out_of_memory(one.group)
        if self.starter.pause:
            self._kill(one, signal.SIGKILL)
        one.state.update(state="exited", exit_code=code, signal=number, finished_at=now(), oom_killed=killed)
        self.starter.drain(one)
        save(one)
        if one.stdin != NO_STREAM:
            os.close(one.stdin)
            one.stdin = NO_STREAM
        for stream in ("stdout", "stderr"):
            self.starter.let_readers_go(one, stream)
        cgroups.remove(one.group.directories)
        self._tell({"event": "exited", "state": one.state})


def exit_code_of(status: int) -> tuple[int, int]:
    """Return (exit code, signal) of a wait status; a signal shows as 128 and its number."""
    if os.WIFSIGNALED(status):
        return 128 + os.WTERMSIG(status), os.WTERMSIG(status)
    return os.WEXITSTATUS(status), 0


def _start_pause() -> int:
    """Start the first process of a shared pid namespace: it does nothing and lets the kernel reap orphans."""
    pid = syscalls.clone(syscalls.NEWPID)
    if pid:
        return pid
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    os.closerange(0, 1 << 20)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        signal.pause()
