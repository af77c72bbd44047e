"""The cluster's DNS on a node: answers from a Zone, asks the machine's own resolvers for the rest.

`answer` is pure; DnsServer owns the sockets, which live in the node's network (10.96.0.10 port 53).
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from moorage.aio.tasks import Tasks
from moorage.node.network.names import Records, Zone
from moorage.node.network.services import NodeSockets

log = logging.getLogger(__name__)

ADDRESS, PORT = "10.96.0.10", 53
#: CoreDNS's default for the kubernetes plugin, in seconds.
TTL = 30
DATAGRAM_BYTES_MAX = 4096
#: What an answer by UDP may have when the client does not say otherwise (RFC 1035).
PLAIN_BYTES_MAX = 512
UPSTREAM_SECONDS_MAX = 2.0
TCP_SECONDS_MAX = 10.0
ALIASES_MAX = 8
QUESTIONS_AT_ONCE = 256


def answer(question: bytes, zone: Zone, turn: int = 0, *, udp: bool = True) -> bytes | None:
    """Return the packed answer, or None when the question is for another resolver.

    turn: rotates several addresses, so that clients that take the first one are spread. A packet that is no question
    gives b"".
    """
    import dnslib

    try:
        asked = dnslib.DNSRecord.parse(question)
    except (dnslib.DNSError, ValueError, IndexError):
        return b""
    if asked.header.qr or len(asked.questions) != 1:
        return b""
    name = str(asked.q.qname).rstrip(".").lower()
    if not zone.covers(name):
        return None
    reply = asked.reply(ra=1, aa=1)
    records = zone.find(name)
    if records is None:
        reply.header.rcode = dnslib.RCODE.NXDOMAIN
    else:
        _add_records(reply, name, records, zone, turn)
    if not reply.rr:
        reply.add_auth(_authority(zone))
    packed = bytes(reply.pack())
    if udp and len(packed) > _bytes_max(asked):
        return bytes(reply.truncate().pack())
    return packed


def _bytes_max(asked: "dnslib.DNSRecord") -> int:  # type: ignore[name-defined]  # noqa: F821
    sizes = [extra.edns_len for extra in asked.ar if extra.rtype == 41]
    return max(PLAIN_BYTES_MAX, *sizes) if sizes else PLAIN_BYTES_MAX


def _add_records(
    reply: "dnslib.DNSRecord",  # type: ignore[name-defined]  # noqa: F821
    name: str,
    records: Records,
    zone: Zone,
    turn: int,
) -> None:
    import dnslib

    kind = reply.q.qtype
    for _ in range(ALIASES_MAX):
        if not records.alias:
            break
        reply.add_answer(dnslib.RR(name, 5, rdata=dnslib.CNAME(records.alias), ttl=TTL))
        following = zone.find(records.alias)
        if following is None:
            return
        name, records = records.alias, following
    if kind in (1, 255):
        for address in _rotated(records.addresses, turn):
            reply.add_answer(dnslib.RR(name, 1, rdata=dnslib.A(address), ttl=TTL))
    if kind in (33, 255):
        weight = 100 // max(1, len(records.services))
        for target in records.services:
            reply.add_answer(dnslib.RR(name, 33, rdata=dnslib.SRV(0, weight, target.port, target.name), ttl=TTL))
            host = zone.find(target.name)
            for address in host.addresses if host else ():
                reply.add_ar(dnslib.RR(target.name, 1, rdata=dnslib.A(address), ttl=TTL))
    if kind in (12, 255):
        for pointer in records.pointers:
            reply.add_answer(dnslib.RR(name, 12, rdata=dnslib.PTR(pointer), ttl=TTL))


def _rotated(values: Sequence[str], turn: int) -> Sequence[str]:
    start = turn % len(values) if values else 0
    return [*values[start:], *values[:start]]


def _authority(zone: Zone) -> "dnslib.RR":  # type: ignore[name-defined]  # noqa: F821
    import dnslib

    times = (1, 7200, 1800, 86400, TTL)
    data = dnslib.SOA(f"ns.dns.{zone.domain}", f"hostmaster.{zone.domain}", times)
    return dnslib.RR(zone.domain, 6, rdata=data, ttl=TTL)


def failure(question: bytes) -> bytes:
    """Return the answer that says we could not find out."""
    return question[:2] + b"\x81\x82" + question[4:6] + b"\0\0\0\0\0\0" + question[12:]


def read_resolvers(path: Path = Path("/etc/resolv.conf")) -> list[str]:
    """Return the IPv4 resolvers of this machine."""
    with contextlib.suppress(OSError):
        lines = [line.split() for line in path.read_text().splitlines()]
        return [one[1] for one in lines if len(one) > 1 and one[0] == "nameserver" and ":" not in one[1]]
    return []


class DnsServer:
    """One node's DNS. Set `zone` to a new one whenever services or slices change."""

    def __init__(self, sockets: NodeSockets, tasks: Tasks, zone: Zone, resolvers: Sequence[str] = ()) -> None:
        self.zone = zone
        self._sockets = sockets
        self._tasks = tasks
        self._resolvers = list(resolvers)
        self._turn = 0
        self._gate = asyncio.Semaphore(QUESTIONS_AT_ONCE)

    async def start(self, address: str = ADDRESS, port: int = PORT) -> None:
        """Listen with UDP and TCP. Raises RuntimeFailure."""
        datagrams = await self._sockets.node_socket(udp=True, address=address, bind=(address, port))
        streams = await self._sockets.node_socket(address=address, bind=(address, port), listen=64)
        self._tasks.start("dns/udp", self._serve_datagrams(datagrams))
        self._tasks.start("dns/tcp", self._serve_streams(streams))

    async def _serve_datagrams(self, sock: socket.socket) -> None:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: _Datagrams(self), sock=sock)
        try:
            await asyncio.get_running_loop().create_future()  # until cancelled
        finally:
            transport.close()

    def take(self, transport: asyncio.DatagramTransport, question: bytes, client: tuple[str, int]) -> None:
        """Answer one datagram, or have others answer it; too many of the latter at once are dropped, and asked again."""
        self._turn += 1
        known = answer(question, self.zone, self._turn)
        if known:
            transport.sendto(known, client)
        elif known is None and not self._gate.locked():
            self._tasks.start("dns/question", self._forward_datagram(transport, question, client))

    async def _forward_datagram(
        self, transport: asyncio.DatagramTransport, question: bytes, client: tuple[str, int]
    ) -> None:
        async with self._gate:
            found = await self._ask_upstream(question)
        if not transport.is_closing():
            transport.sendto(found, client)

    async def _ask_upstream(self, question: bytes) -> bytes:
        """Return the first resolver's answer, SERVFAIL when none gives one."""
        loop = asyncio.get_running_loop()
        for resolver in self._resolvers:
            with contextlib.suppress(OSError, TimeoutError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)  # noqa: FBT003
                async with asyncio.timeout(UPSTREAM_SECONDS_MAX):
                    await loop.sock_connect(sock, (resolver, PORT))
                    await loop.sock_sendall(sock, question)
                    while True:
                        found = await loop.sock_recv(sock, DATAGRAM_BYTES_MAX)
                        if found[:2] == question[:2]:
                            return found
        return failure(question)

    async def _serve_streams(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with listener:
            while True:
                client, _ = await loop.sock_accept(listener)
                self._tasks.start("dns/connection", self._serve_stream(client))

    async def _serve_stream(self, client: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=client)
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(TCP_SECONDS_MAX):
                while True:
                    length = int.from_bytes(await reader.readexactly(2), "big")
                    question = await reader.readexactly(length)
                    known = answer(question, self.zone, udp=False)
                    found = await self._ask_upstream(question) if known is None else known
                    writer.write(len(found).to_bytes(2, "big") + found)
                    await writer.drain()
        writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    """Hands datagrams to the server; not every event loop can receive from a plain socket."""

    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember what answers are sent with."""
        self._transport = cast("asyncio.DatagramTransport", transport)  # uvloop's is none by its class

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take a question."""
        if self._transport is not None:
            self._server.take(self._transport, data, addr)
