"""Port-forward: TCP connections into a pod, over SPDY, SPDY in a WebSocket, or a WebSocket's channels.

Source: kubelet cri-streaming/pkg/streaming/portforward/{httpstream,websocket}.go (v1.37).
"""

import asyncio
import socket as sockets
import struct
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from moorage.aio.tasks import Tasks
from moorage.objects.errors import BadRequest, StatusError
from moorage.objects.metadata import Object, name_of, uid_of
from moorage.server.gateway import PodGateway
from moorage.server.pod_options import ports_of
from moorage.server.replies import Done
from moorage.server.requests import Call
from moorage.server.routes import all_values
from moorage.server.streams import Stopping, Streams
from moorage.server.upgrades import spdy_connection, websocket
from moorage.server.upgrades.spdy_connection import SpdyConnection, SpdyStream
from moorage.server.upgrades.websocket import Channels

if TYPE_CHECKING:
    from aiohttp.web_ws import WebSocketResponse

SPDY_PROTOCOL: Final = "portforward.k8s.io"
TUNNEL_PROTOCOL: Final = "SPDY/3.1+portforward.k8s.io"
CHANNEL_PROTOCOLS: Final = ("v4.channel.k8s.io", "v5.channel.k8s.io", "v4.base64.channel.k8s.io", "portforward.k8s.io")

#: How much is copied at a time.
PIECE_BYTES: Final = 32 * 1024

#: How many connections one client may have through one port-forward.
PAIRS_MOST: Final = 500

Read = Callable[[], Awaitable[bytes]]
Write = Callable[[bytes], Awaitable[None]]


async def serve(call: Call, pod: Object, gateway: PodGateway, streams: Streams) -> Any:
    """Forward until the client goes. Raises StatusError before the upgrade."""
    forward = _Forward(pod, gateway)
    if not call.is_websocket:
        if call.http.headers.get("Upgrade", "").strip().lower() != "spdy/3.1":
            raise BadRequest("Upgrade request required")
        return await _over_spdy(call, forward, streams)
    offered = websocket.offered_protocols(call.http.headers.get("Sec-WebSocket-Protocol", ""))
    if TUNNEL_PROTOCOL in offered:
        websocket.check_handshake(call, (TUNNEL_PROTOCOL,))
        return await _over_tunnel(call, forward, streams)
    ports = ports_of(all_values(call.pairs, "ports"))
    websocket.check_handshake(call, CHANNEL_PROTOCOLS)
    return await _over_channels(call, forward, ports, streams)


class _Forward:
    """Connections into one pod."""

    def __init__(self, pod: Object, gateway: PodGateway) -> None:
        self._pod = pod
        self._gateway = gateway

    async def connect(self, port: int, read: Read, write: Write) -> str:
        """Copy both ways between a client and a port of the pod until both have ended; returns what went wrong, or ""."""
        try:
            peer = await self._gateway.dial(self._pod, port)
        except (StatusError, OSError) as error:
            return f"error forwarding port {port} to pod {name_of(self._pod)}, uid {uid_of(self._pod)}: {error}"
        try:
            peer.settimeout(0)
            async with Tasks("port-forward") as tasks:
                sending = tasks.start("send", _send(read, peer))
                receiving = tasks.start("receive", _receive(peer, write))
                await asyncio.wait((sending, receiving), return_when=asyncio.FIRST_COMPLETED)
                if not receiving.done():
                    await receiving  # the client has said all; the answer may still come
        except ConnectionError:
            pass
        finally:
            peer.close()
        return ""


async def _send(read: Read, peer: sockets.socket) -> None:
    """Copy from the client; its end closes that direction."""
    loop = asyncio.get_running_loop()
    try:
        while data := await read():
            await loop.sock_sendall(peer, data)
        peer.shutdown(sockets.SHUT_WR)
    except OSError:
        pass


async def _receive(peer: sockets.socket, write: Write) -> None:
    """Copy to the client until the pod closes, or the client is gone."""
    loop = asyncio.get_running_loop()
    try:
        while data := await loop.sock_recv(peer, PIECE_BYTES):
            await write(data)
    except OSError:
        pass


async def _over_spdy(call: Call, forward: _Forward, streams: Streams) -> Done:
    protocol = spdy_connection.negotiated(call, (SPDY_PROTOCOL,))
    connection = spdy_connection.upgrade(call, protocol)
    try:
        with streams.open(call.http.protocol):
            await _serve_pairs(connection, forward)
    except (Stopping, ConnectionError):
        pass
    finally:
        connection.close()
        spdy_connection.finish(call)
    return Done()


async def _serve_pairs(connection: SpdyConnection, forward: _Forward) -> None:
    """Serve each pair of an error and a data stream, until the client is gone."""
    halves: dict[str, dict[str, SpdyStream]] = {}
    async with Tasks("port-forward") as tasks:
        while (stream := await connection.accept()) is not None:
            kind, request = stream.headers.get("streamtype", "").lower(), request_of(stream)
            if kind not in ("error", "data") or len(halves) > PAIRS_MOST:
                await stream.end()
                continue
            pair = halves.setdefault(request, {})
            pair[kind] = stream
            if len(pair) == 2:
                del halves[request]
                tasks.start(f"pair {request}", _serve_pair(pair["error"], pair["data"], forward))


def request_of(stream: SpdyStream) -> str:
    """Return what ties the two streams of a connection together; old clients leave it to the order of their numbers."""
    request = stream.headers.get("requestid", "")
    if request:
        return request
    is_error = stream.headers.get("streamtype", "").lower() == "error"
    return str(stream.number if is_error else stream.number - 2)


async def _serve_pair(error: SpdyStream, data: SpdyStream, forward: _Forward) -> None:
    try:
        text = data.headers.get("port", "")
        if text.isascii() and text.isdigit() and 0 < int(text) < 65536:
            problem = await forward.connect(int(text), data.read, data.write)
        else:
            problem = f"unable to parse {text!r} as a port"
        if problem:
            await error.write(problem.encode())
        await error.end()
        await data.end()
    except ConnectionError:
        pass


class TunnelCarrier:
    """A WebSocket whose messages carry the bytes of a SPDY connection."""

    def __init__(self, socket: "WebSocketResponse") -> None:
        self._socket = socket
        self._pending = bytearray()
        self._sending = asyncio.Lock()
        self._may_read = asyncio.Event()
        self._may_read.set()
        #: Set when there is something to send that nobody waits for.
        self.has_pending = asyncio.Event()

    def write(self, data: bytes) -> None:
        """Keep bytes for `drain`."""
        self._pending += data
        self.has_pending.set()

    async def drain(self) -> None:
        """Send what was written, in order. Raises ConnectionError when the client is gone."""
        async with self._sending:
            self.has_pending.clear()
            data = bytes(self._pending)
            self._pending.clear()
            if data:
                try:
                    await self._socket.send_bytes(data)
                except RuntimeError as error:  # aiohttp's word for a socket that is closing
                    raise ConnectionResetError(str(error)) from error

    def hold(self, *, held: bool) -> None:
        """Stop or go on reading."""
        if held:
            self._may_read.clear()
        else:
            self._may_read.set()

    async def readable(self) -> None:
        """Wait until reading goes on."""
        await self._may_read.wait()

    def close(self) -> None:
        """Nothing is to be done: who serves the WebSocket closes it."""


async def _over_tunnel(call: Call, forward: _Forward, streams: Streams) -> Any:
    socket = await websocket.accept(call, (TUNNEL_PROTOCOL,))
    carrier = TunnelCarrier(socket)
    connection = SpdyConnection(carrier)
    try:
        with streams.open(call.http.protocol):
            async with Tasks("tunnel") as tasks:
                tasks.start("read", _read_tunnel(socket, carrier, connection))
                tasks.start("flush", _flush(carrier, connection))
                await _serve_pairs(connection, forward)
                await carrier.drain()
    except (Stopping, ConnectionError):
        pass
    finally:
        connection.lose()
    await socket.close()
    return socket


async def _read_tunnel(socket: "WebSocketResponse", carrier: TunnelCarrier, connection: SpdyConnection) -> None:
    from aiohttp.http_websocket import WSMsgType

    async for message in socket:
        if message.type is WSMsgType.BINARY:
            connection.feed(message.data)
            await carrier.readable()
    connection.lose()


async def _flush(carrier: TunnelCarrier, connection: SpdyConnection) -> None:
    """Send what was written outside of any waiting: replies to new streams and pings."""
    try:
        while True:
            await carrier.has_pending.wait()
            await carrier.drain()
    except ConnectionError:
        connection.lose()


async def _over_channels(call: Call, forward: _Forward, ports: tuple[int, ...], streams: Streams) -> Any:
    socket = await websocket.accept(call, CHANNEL_PROTOCOLS)
    channels = Channels(socket)
    try:
        with streams.open(call.http.protocol):
            async with Tasks("port-forward") as tasks:
                inputs = [_Inbox() for _ in ports]
                for index, port in enumerate(ports):
                    greeting = struct.pack("<H", port)
                    await channels.send(2 * index, greeting)
                    await channels.send(2 * index + 1, greeting)
                    tasks.start(f"port {port}", _serve_channel(channels, index, port, inputs[index], forward))
                async for channel, data in channels.messages():
                    if channel % 2 == 0 and channel // 2 < len(inputs):
                        await inputs[channel // 2].put(data)
                for inbox in inputs:
                    await inbox.put(b"")
    except (Stopping, ConnectionError):
        pass
    await socket.close()
    return socket


class _Inbox:
    """What came for one port; the client waits while it is full."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(16)
        self._has_ended = False

    async def put(self, data: bytes) -> None:
        """Take data, b"" for the end."""
        if not self._has_ended:
            await self._queue.put(data)

    async def get(self) -> bytes:
        """Return the next data, b"" at the end."""
        data = await self._queue.get()
        self._has_ended = not data
        return data

    def end(self) -> None:
        """Take no more: drop what waits, so that nobody waits to put."""
        self._has_ended = True
        while not self._queue.empty():
            self._queue.get_nowait()


async def _serve_channel(channels: Channels, index: int, port: int, inbox: _Inbox, forward: _Forward) -> None:
    async def write(data: bytes) -> None:
        await channels.send(2 * index, data)

    try:
        problem = await forward.connect(port, inbox.get, write)
        if problem:
            await channels.send(2 * index + 1, problem.encode())
    except ConnectionError:
        pass
    finally:
        inbox.end()
