"""Passes a request on to another server and its answer back: bodies as streams, upgrades as bytes both ways.

Differs from Kubernetes: links in compressed pages are not rewritten.
Source: apimachinery/pkg/util/proxy/{upgradeaware,transport}.go (v1.37).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from moorage.aio.tasks import Tasks
from moorage.client.http1 import PIECE_BYTES, BrokenAnswer, Exchange, Head, TooLargeAnswer
from moorage.objects.errors import BadRequest, ServiceUnavailable, StatusError
from moorage.server.links import joined_path, rewritten_html, rewritten_url
from moorage.server.plain_requests import PlainRequest
from moorage.server.replies import Done, Header, Reply, header_lines
from moorage.server.requests import Call
from moorage.server.streams import Stopping

if TYPE_CHECKING:
    from moorage.server.front import Front

#: The largest page whose links are rewritten.
PAGE_BYTES_MOST: Final = 16 * 1024 * 1024

#: Headers of one connection, which no proxy passes on. Source: RFC 9110, 7.6.1.
HOP_BY_HOP: Final = frozenset(
    "connection proxy-connection keep-alive proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade".split()
)

#: What is ours to know and nobody's behind us.
_OURS: Final = frozenset({"authorization", "host", "content-length", "x-forwarded-uri"})

#: How headers begin by which a caller claims to be somebody: nobody behind us may believe them.
_CLAIMS: Final = ("impersonate-", "x-remote-user", "x-remote-uid", "x-remote-group", "x-remote-extra-")

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Streams]]


@dataclass(frozen=True, slots=True)
class Backend:
    """Where a request goes.

    connect: opens a connection; raises OSError, StatusError.
    host:    `address:port`, as its own links may name it.
    target:  the path with its query, escaped.
    prefix:  the path of the proxy, before which links are put.
    identity: headers that say who asks, for a server that is told: it gets its own host instead of ours, too.
    """

    connect: Connect
    host: str
    target: str
    prefix: str
    identity: tuple[Header, ...] = ()


async def forward(front: "Front", call: Call, backend: Backend) -> Any:
    """Serve a request by a backend. Raises ServiceUnavailable when it cannot be reached, ConnectionError."""
    try:
        reader, writer = await backend.connect()
    except OSError as error:
        raise unreachable(f"dial tcp {backend.host}: {error.strerror or error}") from error
    except StatusError as error:
        raise unreachable(f"dial tcp {backend.host}: {error}") from error
    try:
        with front.streams.open(call.http.protocol):
            return await _exchanged(call, backend, reader, writer)
    except Stopping:
        return Done()
    finally:
        writer.transport.abort()


def unreachable(why: str) -> ServiceUnavailable:
    """Return the refusal for a backend that cannot be reached or makes no sense."""
    return ServiceUnavailable(f"error trying to reach service: {why}")


async def _exchanged(call: Call, backend: Backend, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Any:
    exchange = Exchange(reader, writer)
    async with Tasks("proxy") as tasks:
        try:
            headers = _headers_for(call, backend)
            await exchange.send(call.http.method, backend.target, headers, b"" if call.is_upgrade else None)
            if not call.is_upgrade:
                tasks.start("send", _send_body(call, exchange))
            head = await exchange.head()
        except ValueError as error:
            raise BadRequest(f"the request cannot be passed on: {error}") from error
        except (EOFError, OSError, BrokenAnswer) as error:
            why = str(error) if isinstance(error, BrokenAnswer) else "EOF"
            raise unreachable(why) from error
        if head.code == 101:
            await _switched(call, head, exchange, (reader, writer), tasks)
            return Done()
        answer = _answer_for(call, backend, head)
        if _is_page(head):
            return await _page(call, backend, head, exchange, answer)
        return await _passed(call, head, exchange, answer)


def end_to_end(headers: Iterable[Header]) -> list[Header]:
    """Return the headers that are not about one connection."""
    headers = list(headers)
    named = {
        each.strip().lower() for name, value in headers if name.lower() == "connection" for each in value.split(",")
    }
    dropped = HOP_BY_HOP | named
    return [(name, value) for name, value in headers if name.lower() not in dropped]


def length_of(head: Head, method: str) -> int | None:
    """Return how many bytes the body of an answer has, None if only its end tells."""
    if method == "HEAD" or head.code in (204, 304):
        return 0
    if "chunked" in head.get("Transfer-Encoding").lower():
        return None
    text = head.get("Content-Length")
    return int(text) if text.isdigit() else None


def _headers_for(call: Call, backend: Backend) -> list[Header]:
    http = call.http
    headers = [
        ("Host", backend.host if backend.identity else http.headers.get("Host", backend.host)),
        *(
            (name, value)
            for name, value in end_to_end(http.headers.items())
            if name.lower() not in _OURS and not name.lower().startswith(_CLAIMS)
        ),
        *backend.identity,
    ]
    headers.append(("X-Forwarded-Uri", joined_path(backend.prefix, backend.target.partition("?")[0])))
    peer = http.transport.get_extra_info("peername") if http.transport is not None else None
    if peer:
        before = http.headers.get("X-Forwarded-For")
        headers = [each for each in headers if each[0].lower() != "x-forwarded-for"]
        headers.append(("X-Forwarded-For", f"{before}, {peer[0]}" if before else str(peer[0])))
    if call.is_upgrade:
        headers += [("Connection", "Upgrade"), ("Upgrade", http.headers["Upgrade"])]
    else:
        headers += [("Connection", "close"), *_framing(call)]
    return headers


def _framing(call: Call) -> list[Header]:
    """Return how the end of the body is told."""
    http: Any = call.http
    if isinstance(http, PlainRequest):
        return [("Content-Length", str(len(http.body)))] if http.body or http.method not in ("GET", "HEAD") else []
    if http.content.is_eof() and "Content-Length" not in http.headers:
        return []
    return [("Transfer-Encoding", "chunked")]


async def _send_body(call: Call, exchange: Exchange) -> None:
    """Send the body while it comes. A backend that answers before it has read all of it is not waited for."""
    http: Any = call.http
    with contextlib.suppress(OSError):
        if isinstance(http, PlainRequest):
            await exchange.send_data(http.body)
        elif _framing(call):
            if http.headers.get("Expect", "").lower() == "100-continue":
                http.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            while piece := await http.content.readany():
                await exchange.send_data(piece)
        await exchange.send_end()


def _answer_for(call: Call, backend: Backend, head: Head) -> list[Header]:
    """Return the headers of the answer, led back through the proxy."""
    asked_host = call.http.headers.get("Host", "")
    return [
        (name, rewritten_url(value, backend.prefix, backend.host, asked_host) if name.lower() == "location" else value)
        for name, value in end_to_end(head.headers)
        if name.lower() != "content-length"
    ]


def _is_page(head: Head) -> bool:
    kind = head.get("Content-Type").partition(";")[0].strip().lower()
    return kind == "text/html" and not head.get("Location") and not head.get("Content-Encoding")


async def _page(call: Call, backend: Backend, head: Head, exchange: Exchange, headers: list[Header]) -> Reply:
    try:
        body = await exchange.whole_body(PAGE_BYTES_MOST)
    except TooLargeAnswer:
        raise unreachable(f"the page is larger than {PAGE_BYTES_MOST} bytes") from None
    asked_host = call.http.headers.get("Host", "")
    text = body.decode("utf-8", "surrogateescape")
    page = rewritten_html(text, lambda url: rewritten_url(url, backend.prefix, backend.host, asked_host))
    reply = Reply(head.code, page.encode("utf-8", "surrogateescape"), "")
    reply.headers = headers
    return reply


class Passed:
    """An answer that was written while it came. `write_eof` is its end in order."""

    def __init__(self, call: Call, code: int, length: int | None) -> None:
        self._http = call.http
        self._is_chunked = length is None and call.http.version >= (1, 1) and call.http.method != "HEAD"
        self.status = code
        self.body_length = 0
        self.keep_alive: bool | None = call.http.keep_alive and (self._is_chunked or length is not None)

    async def prepare(self, http: Any) -> None:
        """Nothing is to be done: the head is written already."""

    def start(self, common: bytes, headers: list[Header], length: int | None) -> None:
        """Write the head. Raises ConnectionError."""
        if self._is_chunked:
            headers = [*headers, ("Transfer-Encoding", "chunked")]
        elif length is not None and self.status not in (204, 304):
            headers = [*headers, ("Content-Length", str(length))]
        if not self.keep_alive:
            headers = [*headers, ("Connection", "close")]
        self._put(b"HTTP/1.1 %d \r\n" % self.status + common + header_lines(headers) + b"\r\n")

    async def write(self, data: bytes) -> None:
        """Write a piece, and wait while the client is behind. Raises ConnectionError."""
        self.body_length += len(data)
        self._put(b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked else data)
        if self._http.protocol.writing_paused:
            await self._http.writer.drain()

    async def write_eof(self) -> None:
        """Write the end."""
        if self._is_chunked:
            self._is_chunked = False
            self._put(b"0\r\n\r\n")

    def abort(self) -> None:
        """End the connection: the client sees that something is missing."""
        self._is_chunked, self.keep_alive = False, False
        if self._http.transport is not None:
            self._http.transport.abort()

    def _put(self, data: bytes) -> None:
        transport = self._http.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client is gone")
        transport.write(data)


async def _passed(call: Call, head: Head, exchange: Exchange, headers: list[Header]) -> Passed:
    method = call.http.method
    length = length_of(head, method)
    passed = Passed(call, head.code, length)
    told = length
    if method == "HEAD":
        told = int(head.get("Content-Length")) if head.get("Content-Length").isdigit() else None
    common = b"" if head.get("Date") else call.common
    passed.start(common, headers, told)
    try:
        async for piece in exchange.body():
            await passed.write(piece)
    except (EOFError, BrokenAnswer, OSError):
        passed.abort()
    return passed


class _Client(asyncio.Protocol):
    """The client's connection after an upgrade: what it sends is kept until it is passed on."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._pending = bytearray()
        self._came = asyncio.Event()
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._is_lost = False

    def data_received(self, data: bytes) -> None:
        """Keep bytes; what is too much waits outside."""
        self._pending += data
        self._came.set()
        if len(self._pending) > PIECE_BYTES:
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that nothing more comes."""
        self._is_lost = True
        self._came.set()
        self._may_write.set()

    def pause_writing(self) -> None:
        """Note that the client is behind."""
        self._may_write.clear()

    def resume_writing(self) -> None:
        """Note that it is not any more."""
        self._may_write.set()

    async def read(self) -> bytes:
        """Return what came, b"" at the end."""
        while not self._pending and not self._is_lost:
            self._came.clear()
            await self._came.wait()
        data = bytes(self._pending)
        self._pending.clear()
        if not self._transport.is_closing():
            self._transport.resume_reading()
        return data

    async def write(self, data: bytes) -> None:
        """Send, and wait while the client is behind."""
        if not self._transport.is_closing():
            self._transport.write(data)
            await self._may_write.wait()

    def close(self) -> None:
        """End the connection after what was sent."""
        self._transport.close()


async def _switched(
    call: Call,
    head: Head,
    exchange: Exchange,
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    tasks: Tasks,
) -> None:
    """Answer 101 and copy both ways until either side ends."""
    reader, writer = streams
    transport: Any = call.http.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client is gone")
    client = _Client(transport)
    transport.write(b"HTTP/1.1 101 Switching Protocols\r\n" + header_lines(head.headers) + b"\r\n")
    general = call.http.protocol
    transport.set_protocol(client)

    async def out() -> None:
        with contextlib.suppress(OSError):
            while data := await client.read():
                writer.write(data)
                await writer.drain()

    async def back() -> None:
        with contextlib.suppress(OSError):
            data = exchange.take_rest() or await reader.read(PIECE_BYTES)
            while data:
                await client.write(data)
                data = await reader.read(PIECE_BYTES)

    try:
        copying = tasks.start("out", out()), tasks.start("back", back())
        await asyncio.wait(copying, return_when=asyncio.FIRST_COMPLETED)
    finally:
        client.close()
        asyncio.get_running_loop().call_soon(general.connection_lost, None)
