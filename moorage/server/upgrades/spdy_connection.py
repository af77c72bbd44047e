"""A SPDY connection with its streams, over a TCP connection that was upgraded or tunnelled through a WebSocket."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, Protocol

from moorage.objects.errors import Forbidden
from moorage.server.replies import header_lines
from moorage.server.requests import Call
from moorage.server.upgrades.spdy import (
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    Data,
    Opened,
    Pinged,
    Reset,
    Session,
    SpdyFault,
    data_frames,
    goaway_frame,
    reset_frame,
)

#: How much may wait in all streams of a connection before the client is made to wait.
WAITING_BYTES_MOST: Final = 1024 * 1024


class Carrier(Protocol):
    """What a connection goes over."""

    def write(self, data: bytes) -> None:
        """Send. Raises ConnectionError when the client is gone."""

    async def drain(self) -> None:
        """Wait until the client has taken most of what was sent."""

    def hold(self, *, held: bool) -> None:
        """Stop or go on reading from the client."""

    def close(self) -> None:
        """End the connection."""


class SpdyStream:
    """One stream: `read` until it gives nothing, `write`, `end`."""

    def __init__(self, connection: "SpdyConnection", number: int, headers: Mapping[str, str]) -> None:
        self.headers = headers
        self.number = number
        self._connection = connection
        self._waiting: deque[bytes] = deque()
        self._arrived = asyncio.Event()
        self._has_ended = False
        self._is_written = False
        #: Whether the client gave it up, or went away.
        self.is_broken = False

    async def read(self) -> bytes:
        """Return what came, b"" at the end."""
        while not self._waiting:
            if self._has_ended:
                return b""
            self._arrived.clear()
            await self._arrived.wait()
        data = self._waiting.popleft()
        self._connection.took(len(data))
        return data

    async def write(self, data: bytes) -> None:
        """Send data. Raises ConnectionError when the client is gone or gave the stream up."""
        if self.is_broken:
            raise ConnectionResetError("the client gave the stream up")
        if data and not self._is_written:
            await self._connection.send(data_frames(self.number, data))

    async def end(self) -> None:
        """Say that no more data comes, once."""
        if not self._is_written and not self.is_broken:
            self._is_written = True
            await self._connection.send(data_frames(self.number, b"", fin=True))
            self._forget()

    def put(self, data: bytes, *, fin: bool) -> None:
        """Take what the client sent."""
        if data:
            self._waiting.append(data)
        self._has_ended = self._has_ended or fin
        self._arrived.set()
        self._forget()

    def lose(self) -> None:
        """Note that the client will neither send nor take anything more."""
        self.is_broken = True
        self.put(b"", fin=True)

    def _forget(self) -> None:
        if self._has_ended and (self._is_written or self.is_broken):
            self._connection.forget(self.number)


class SpdyConnection:
    """The server's side of a connection: `accept` gives the streams that the client opens, in order."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self._session = Session()
        self._streams: dict[int, SpdyStream] = {}
        self._accepted: asyncio.Queue[SpdyStream | None] = asyncio.Queue()
        self._waiting_bytes = 0
        self._is_held = False
        self._last_stream = 0
        self.is_lost = False
        #: Done as soon as the client is gone.
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def accept(self) -> SpdyStream | None:
        """Return the next stream that the client opens, None when it is gone."""
        if self.is_lost and self._accepted.empty():
            return None
        return await self._accepted.get()

    def feed(self, data: bytes) -> None:
        """Take bytes from the client. A broken protocol ends the connection."""
        if self.is_lost:
            return
        try:
            for event in self._session.feed(data):
                self._happened(event)
        except SpdyFault:
            self.close(PROTOCOL_ERROR)
        except ConnectionError:
            self.lose()

    def _happened(self, event: Any) -> None:
        if isinstance(event, Data):
            stream = self._streams.get(event.stream)
            if stream is not None:
                self._waiting_bytes += len(event.data)
                stream.put(event.data, fin=event.fin)
                self._hold_if_full()
            elif event.data:
                self._carrier.write(reset_frame(event.stream, REFUSED_STREAM))
        elif isinstance(event, Opened):
            self._open(event)
        elif isinstance(event, Reset):
            lost = self._streams.pop(event.stream, None)
            if lost is not None:
                lost.lose()
        elif isinstance(event, Pinged):
            self._carrier.write(event.frame)

    def _open(self, event: Opened) -> None:
        self._last_stream = event.stream
        stream = self._streams[event.stream] = SpdyStream(self, event.stream, event.headers)
        self._carrier.write(self._session.reply(event.stream))
        if event.fin:
            stream.put(b"", fin=True)
        self._accepted.put_nowait(stream)

    async def send(self, frames: bytes) -> None:
        """Send frames and wait until the client has taken most of what was sent."""
        if self.is_lost:
            raise ConnectionResetError("the client is gone")
        self._carrier.write(frames)
        await self._carrier.drain()

    def took(self, size: int) -> None:
        """Note that somebody read what had come."""
        self._waiting_bytes -= size
        if self._is_held and self._waiting_bytes < WAITING_BYTES_MOST // 2:
            self._is_held = False
            self._carrier.hold(held=False)

    def _hold_if_full(self) -> None:
        if not self._is_held and self._waiting_bytes > WAITING_BYTES_MOST:
            self._is_held = True
            self._carrier.hold(held=True)

    def forget(self, number: int) -> None:
        """Forget a stream that both sides have ended."""
        self._streams.pop(number, None)
        self._session.closed(number)

    def close(self, reason: int = 0) -> None:
        """Say goodbye and end the connection."""
        if not self.is_lost:
            with contextlib.suppress(ConnectionError):
                self._carrier.write(goaway_frame(self._last_stream, reason))
            self.lose()
        self._carrier.close()

    def lose(self) -> None:
        """Note that the client is gone."""
        if self.is_lost:
            return
        self.is_lost = True
        for stream in tuple(self._streams.values()):
            stream.lose()
        self._accepted.put_nowait(None)
        if not self.gone.done():
            self.gone.set_result(None)


class RawCarrier(asyncio.Protocol):
    """The TCP connection of an HTTP request, after its upgrade."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._can_write = asyncio.Event()
        self._can_write.set()
        self.connection: SpdyConnection | None = None

    def write(self, data: bytes) -> None:
        """Send."""
        if self._transport.is_closing():
            raise ConnectionResetError("the client is gone")
        self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the client has taken most of what was sent."""
        await self._can_write.wait()

    def hold(self, *, held: bool) -> None:
        """Stop or go on reading."""
        if self._transport.is_closing():
            return
        if held:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def close(self) -> None:
        """End the connection after what was sent."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client."""
        if self.connection is not None:
            self.connection.feed(data)

    def pause_writing(self) -> None:
        """Note that the client takes nothing at the moment."""
        self._can_write.clear()

    def resume_writing(self) -> None:
        """Note that it does again."""
        self._can_write.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the client is gone."""
        self._can_write.set()
        if self.connection is not None:
            self.connection.lose()


def negotiated(call: Call, spoken: tuple[str, ...]) -> str:
    """Return the protocol for an upgrade to SPDY: the first that the client offers and that is spoken here.

    A client that offers none gets "". Raises Forbidden. Source: streaming/pkg/httpstream/httpstream.go Handshake.
    """
    headers = call.http.headers.getall("X-Stream-Protocol-Version", [])
    offered: list[str] = [each.strip() for header in headers for each in header.split(",") if each.strip()]
    if not offered:
        return ""
    for each in offered:
        if each in spoken:
            return each
    shown, known = " ".join(offered), " ".join(spoken)
    raise Forbidden(
        f"unable to upgrade: unable to negotiate protocol: client supports [{shown}], server accepts [{known}]"
    )


def upgrade(call: Call, protocol: str) -> SpdyConnection:
    """Answer 101 and take the TCP connection over. Raises ConnectionError when the client is gone."""
    http = call.http
    transport = http.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client is gone")
    chosen = (("X-Stream-Protocol-Version", protocol),) if protocol else ()
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\nConnection: Upgrade\r\n"
    transport.write(head + call.common + header_lines(chosen) + b"\r\n")
    carrier = RawCarrier(transport)
    carrier.connection = SpdyConnection(carrier)
    transport.set_protocol(carrier)
    return carrier.connection


def finish(call: Call) -> None:
    """Tell aiohttp, which no longer hears from the connection, that it is over."""
    asyncio.get_running_loop().call_soon(call.http.protocol.connection_lost, None)
