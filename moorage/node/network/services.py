"""Service addresses on a node: a TCP proxy in the agent whose sockets live in the node's network.

A front listens as long as it has backends, so that a service without any refuses connections as it should.
Differs from Kubernetes: a pod sees its node's address as the client's; UDP ports other than DNS are not proxied.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Protocol

from moorage.aio.tasks import Tasks
from moorage.node.network.endpoints import Backend, Front
from moorage.node.runtimes.runtime import RuntimeFailure

log = logging.getLogger(__name__)

BACKLOG = 128
PIECE_BYTES = 1 << 16
CONNECT_SECONDS_MAX = 5.0
#: Networks that exist only between nodes and pods: what lies elsewhere is reached from the machine itself.
INSIDE = (ip_network("10.124.0.0/14"), ip_network("10.128.0.0/9"), ip_network("172.30.0.0/16"))


class NodeSockets(Protocol):
    """What makes sockets in a node's network; NativeRuntime does."""

    async def node_socket(
        self, *, udp: bool = False, address: str = "", bind: tuple[str, int] | None = None, listen: int = 0
    ) -> socket.socket:
        """Return a non-blocking socket there. Raises RuntimeFailure."""


def is_inside(address: str) -> bool:
    """Tell whether only the nodes' own network reaches this address."""
    value = ip_address(address)
    return any(value in network for network in INSIDE)


class ServiceProxy:
    """One node's service addresses. overrides: a front's (address, port) → where it leads from the machine itself."""

    def __init__(
        self, sockets: NodeSockets, tasks: Tasks, overrides: Mapping[tuple[str, int], tuple[str, int]] | None = None
    ) -> None:
        self._sockets = sockets
        self._tasks = tasks
        self._overrides = dict(overrides or {})
        self._backends: dict[Front, tuple[Backend, ...]] = {}
        self._listeners: dict[Front, asyncio.Task[None]] = {}
        self._turns: dict[Front, int] = {}

    async def update(self, fronts: Mapping[Front, tuple[Backend, ...]]) -> None:
        """Serve these fronts and no others; connections that exist go on."""
        wanted = {front: ends for front, ends in fronts.items() if front.protocol == "TCP" and ends}
        for address, port in self._overrides:
            wanted.setdefault(Front(address, port, "TCP"), ())
        for front in self._listeners.keys() - wanted.keys():
            self._listeners.pop(front).cancel()
            self._turns.pop(front, None)
        self._backends = wanted
        for front in wanted.keys() - self._listeners.keys():
            try:
                listener = await self._sockets.node_socket(
                    address=front.address, bind=(front.address, front.port), listen=BACKLOG
                )
            except RuntimeFailure as failure:
                log.warning("service_not_served address=%s port=%d reason=%s", front.address, front.port, failure)
                continue
            name = f"service/{front.address}:{front.port}"
            self._listeners[front] = self._tasks.start(name, self._accept(front, listener))

    async def _accept(self, front: Front, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with listener:
            while True:
                client, _ = await loop.sock_accept(listener)
                self._tasks.start(f"connection/{front.address}:{front.port}", self._serve(front, client))

    async def _serve(self, front: Front, client: socket.socket) -> None:
        with contextlib.ExitStack() as open_sockets, contextlib.suppress(OSError, TimeoutError, RuntimeFailure):
            open_sockets.enter_context(client)
            server = open_sockets.enter_context(await self._connect(front))
            async with asyncio.TaskGroup() as group:
                group.create_task(_copy(client, server), name="up")
                group.create_task(_copy(server, client), name="down")

    async def _connect(self, front: Front) -> socket.socket:
        """Connect to the next backend that answers. Raises OSError of the last one."""
        loop = asyncio.get_running_loop()
        ends = self._ends_of(front)
        refused: OSError = ConnectionRefusedError(f"{front.address}:{front.port} has no endpoints")
        for address, port in ends:
            server = await self._open(address)
            try:
                async with asyncio.timeout(CONNECT_SECONDS_MAX):
                    await loop.sock_connect(server, (address, port))
            except OSError as error:
                server.close()
                refused = error
            except BaseException:
                server.close()
                raise
            else:
                return server
        raise refused

    def _ends_of(self, front: Front) -> list[tuple[str, int]]:
        override = self._overrides.get((front.address, front.port))
        if override is not None:
            return [override]
        backends = self._backends.get(front, ())
        turn = self._turns[front] = (self._turns.get(front, -1) + 1) % max(1, len(backends))
        return [*backends[turn:], *backends[:turn]]

    async def _open(self, address: str) -> socket.socket:
        if is_inside(address):
            return await self._sockets.node_socket()
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        server.setblocking(False)  # noqa: FBT003
        return server


async def _copy(source: socket.socket, target: socket.socket) -> None:
    """Copy until the source ends, then tell the target so; the other direction may go on."""
    loop = asyncio.get_running_loop()
    buffer = bytearray(PIECE_BYTES)
    view = memoryview(buffer)
    try:
        while count := await loop.sock_recv_into(source, buffer):
            await loop.sock_sendall(target, view[:count])
    except OSError:
        pass
    finally:
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)
