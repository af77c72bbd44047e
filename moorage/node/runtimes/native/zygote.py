"""The small processes that others are forked from: one host zygote a cluster, one zygote a node.

Started as a file, `python -S -E -B .../zygote.py moorage-zygote <state directory> <listening descriptor>`, so that
neither site-packages nor the agent's modules are loaded; everything below is a plain fork of it. Without root the host
zygote makes one user namespace for the whole cluster. Its network namespace is the hub: it routes between the nodes,
each of which has a network namespace of its own.
"""

import contextlib
import gc
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable

if __name__ == "__main__":  # started as a file: its folder must not shadow the standard library
    sys.path[:] = [*sys.path[1:], __file__.rsplit("/", 5)[0]]

from moorage.node.runtimes.native import cgroups, syscalls, tree, userns
from moorage.node.runtimes.native.frames import Connection, Message, listen_in
from moorage.node.runtimes.native.identity import group_name_for, write_identity
from moorage.node.runtimes.native.netlink import LOOPBACK, Netlink
from moorage.node.runtimes.native.shim import Shim, make_sandbox

#: The hub's address on each node's link.
HUB = "172.30.255.254"


class Zygote:
    """Answers one question after another; `serve` never returns."""

    def __init__(self, listener: socket.socket, mode: str, hierarchy: cgroups.Hierarchy, refusal: str = "") -> None:
        self.listener = listener
        self.mode = mode
        #: Why overlay cannot be mounted here, if so.
        self.refusal = refusal
        self.hierarchy = hierarchy
        self.netlink = Netlink()
        self.selector = selectors.DefaultSelector()
        self.connections: list[Connection] = []
        #: user, hub's net, node's net: what a successor needs to take over.
        self.namespaces = [os.open("/proc/self/ns/user", os.O_RDONLY), os.open("/proc/self/ns/net", os.O_RDONLY)]

    def serve(self, first: Connection | None = None) -> None:
        """Answer for ever."""
        self.selector.register(self.listener, selectors.EVENT_READ, None)
        if first is not None:
            self._welcome(first)
            first.send({"id": 0, **self.describe()})
        gc.freeze()
        while True:
            for key, _ in self.selector.select():
                if key.data is None:
                    self._welcome(Connection(self.listener.accept()[0]))
                else:
                    self._hear(key.data)

    def _welcome(self, connection: Connection) -> None:
        self.connections.append(connection)
        self.selector.register(connection, selectors.EVENT_READ, connection)

    def _hear(self, connection: Connection) -> None:
        there = connection.receive()
        while (item := connection.next()) is not None:
            self._answer(connection, *item)
        if not there:
            self.selector.unregister(connection)
            self.connections.remove(connection)
            connection.close()

    def _answer(self, connection: Connection, message: Message, descriptors: list[int]) -> None:
        give: list[int] = []
        if message["do"] == "remove_tree":
            self._fork(lambda: self._remove_tree(connection, message), connection)
            return
        try:
            answer, give = self._do(message, descriptors)
        except OSError as error:
            answer = {"reason": "RuntimeError", "error": f"{error.filename or message['do']}: {error.strerror}"}
        except (KeyError, ValueError, TypeError) as error:  # a question of another version of the agent
            answer = {"reason": "RuntimeError", "error": f"{message.get('do')}: {type(error).__name__}: {error}"}
        connection.send({"id": message["id"], **answer}, give)
        for descriptor in [*descriptors, *give]:
            os.close(descriptor)

    def _do(self, message: Message, descriptors: list[int]) -> tuple[Message, list[int]]:
        match message["do"]:
            case "node":
                self._fork(lambda: self._become_node(message, descriptors))
            case "sandbox":
                self._fork(lambda: self._become_shim(message, descriptors))
            case "socket":
                return {}, [open_socket(message, self.netlink)]
            case "namespaces":
                return {}, [os.dup(one) for one in self.namespaces]
            case "describe":
                return self.describe(), []
            case "quit":
                os._exit(0)
        return {}, []

    def describe(self) -> Message:
        """Return what an agent must know of this place."""
        return {"pid": os.getpid(), "mode": self.mode, "cgroups": self.hierarchy.kind, "refusal": self.refusal}

    def _fork(self, become: Callable[[], None], asker: Connection | None = None) -> None:
        if os.fork():
            return
        try:
            os.setsid()
            self.listener.close()
            for connection in self.connections:
                if connection is not asker:
                    connection.socket.close()
            self.selector.close()
            become()
        finally:
            os._exit(1)

    def _remove_tree(self, connection: Connection, message: Message) -> None:
        """Remove files in a process of its own, which answers: there may be many."""
        answer = {}
        try:
            tree.remove(message["path"])
        except OSError as error:
            answer = {"reason": "RuntimeError", "error": f"removing {error.filename}: {error.strerror}"}
        connection.send({"id": message["id"], **answer})

    def _become_shim(self, message: Message, descriptors: list[int]) -> None:
        first = Connection(socket.socket(fileno=descriptors[0]))
        pod = message["pod"]
        syscalls.prctl_name("moorage-shim")
        try:
            os.makedirs(pod["directory"], exist_ok=True)
            keep = Netlink()
            make_sandbox(pod, keep)
            self.netlink.close()
            shim = Shim(pod, self.hierarchy, self.namespaces, keep)
        except OSError as error:
            first.send({"id": 0, "reason": "CreatePodSandboxError", "error": f"{error.filename}: {error.strerror}"})
            return
        shim.serve(first)

    def _become_node(self, message: Message, descriptors: list[int]) -> None:
        first = Connection(socket.socket(fileno=descriptors[0]))
        syscalls.prctl_name("moorage-node")
        try:
            if len(descriptors) > 1:  # a successor: the node's network is still there
                syscalls.setns(descriptors[-1], syscalls.NEWNET)
            else:
                syscalls.unshare(syscalls.NEWNET)
                join_hub(self.netlink, message)
            self.netlink.close()
            directory = message["directory"]
            self.listener = listen_in(directory, "zygote.sock")
            write_identity(f"{directory}/zygote.pid", os.getpid())
            node = Zygote(self.listener, self.mode, self.hierarchy)
            node.namespaces = [self.namespaces[0], self.namespaces[1], node.namespaces[1]]
        except OSError as error:
            first.send({"id": 0, "reason": "NodeNetworkError", "error": f"{error.filename}: {error.strerror}"})
            return
        node.serve(first)


def join_hub(hub: Netlink, node_network: Message) -> None:
    """Connect this new network namespace, the node's, with the hub's.

    node_network: `interface` (its name in the hub), `address` (the node's), `network` (its pods', a /24), `gateway`.
    """
    address, interface = node_network["address"], node_network["interface"]
    hub.remove_link(interface)
    hub.add_veth(interface, "eth0", os.getpid())
    outside = hub.index_of(interface)
    hub.add_device_route(outside, address)
    hub.add_gateway_route(outside, address, node_network["network"].removesuffix("/24"), 24)
    node = Netlink()
    node.set_up(LOOPBACK)
    node.add_address(LOOPBACK, node_network["gateway"])
    inside = node.index_of("eth0")
    node.add_address(inside, address)
    node.set_up(inside)
    node.add_gateway_route(inside, HUB)
    node.close()
    forward()


def forward() -> None:
    """Let packets through from one link to another."""
    with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="utf-8") as file:
        file.write("1")


def open_socket(message: Message, netlink: Netlink) -> int:
    """Open a socket in this network namespace: {"udp", "address": make it ours first, "bind": [host, port], "listen"}."""
    if message.get("address"):
        netlink.add_address(LOOPBACK, message["address"])
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if message.get("udp") else socket.SOCK_STREAM)
    try:
        if message.get("bind"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((message["bind"][0], message["bind"][1]))
        if message.get("listen"):
            sock.listen(message["listen"])
    except OSError:
        sock.close()
        raise
    return sock.detach()


def try_overlay(directory: str, *, user_xattr: bool) -> str:
    """Try to mount an overlay in this directory; returns why it cannot be, or "". Raises OSError when nothing can be made."""
    tree.remove(directory)
    for name in ("lower", "upper", "work", "root"):
        os.makedirs(f"{directory}/{name}")
    options = f"lowerdir={directory}/lower,upperdir={directory}/upper,workdir={directory}/work"
    try:
        syscalls.mount("overlay", f"{directory}/root", "overlay", 0, options + (",userxattr" if user_xattr else ""))
    except OSError as error:
        return error.strerror or str(error)
    else:
        syscalls.unmount(f"{directory}/root")
    finally:
        tree.remove(directory)
    return ""


def main(arguments: list[str]) -> None:
    """Become the cluster's host zygote.

    arguments: the marker, the state directory, the listener, then (for a successor) descriptors of the user and network
    namespaces of a former one.
    """
    _, directory, descriptor, *former = arguments
    listener = socket.socket(fileno=int(descriptor))
    if os.fork():
        os._exit(0)  # whoever started us need not wait for us
    os.setsid()
    os.umask(0o022)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    for codec in ("ascii", "latin-1"):
        b"".decode(codec)  # load it now: after pivot_root there is nothing to load from
    try:
        mode = userns.enter([int(one) for one in former])
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # pods' processes need no one to wait for them
        hierarchy = cgroups.find_hierarchy(group_name_for(directory))
        hub = Netlink()
        if not former:
            hub.set_up(LOOPBACK)
            hub.add_address(LOOPBACK, HUB)
            forward()
        hub.close()
        refusal = try_overlay(f"{directory}/probe", user_xattr=mode != "root")
    except OSError as error:
        Connection(listener.accept()[0]).send(
            {"id": 0, "reason": "NamespacesUnavailable", "error": f"{error.filename}: {error.strerror}"}
        )
        return
    write_identity(f"{directory}/host.pid", os.getpid())
    Zygote(listener, mode, hierarchy, refusal).serve(Connection(listener.accept()[0]))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main(sys.argv[1:])
