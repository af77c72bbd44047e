"""exec and attach: a process's streams over a WebSocket or SPDY, and what became of it at the end.

Source: kubelet pkg/kubelet/cri/streaming, cri-streaming/pkg/streaming/remotecommand, apimachinery
pkg/util/remotecommand (v1.37).
"""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import orjson

from moorage.aio.process import Process
from moorage.aio.tasks import Tasks
from moorage.objects.errors import BadRequest, StatusError
from moorage.server.errors import status_of
from moorage.server.replies import Done
from moorage.server.requests import Call
from moorage.server.streams import Stopping, Streams
from moorage.server.upgrades import spdy_connection, websocket
from moorage.server.upgrades.descriptors import close_all, read_some, write_all
from moorage.server.upgrades.spdy_connection import SpdyConnection, SpdyStream
from moorage.server.upgrades.websocket import CLOSE, ERROR, RESIZE, STDERR, STDIN, STDOUT, Channels

if TYPE_CHECKING:
    from aiohttp.web_ws import WebSocketResponse

#: Protocols over SPDY, newest first. Version 5 exists over WebSocket alone.
SPDY_PROTOCOLS: Final = ("v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io")

#: How long a client may take to open its streams. Source: remotecommand DefaultStreamCreationTimeout.
STREAMS_SECONDS: Final = 30.0

#: How long output is waited for after the end of a process whose children keep its pipes open.
LINGER_SECONDS: Final = 2.0

#: How long the end of the connection is left to the client, after it was told how the process ended.
GOODBYE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which streams the client wants. With a terminal there is no stderr of its own."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool


class Input(Protocol):
    """Where what the client sends goes."""

    async def write(self, data: bytes) -> None:
        """Take input."""

    async def end(self) -> None:
        """Note that no more input comes."""

    def resize(self, width: int, height: int) -> None:
        """Note the size of the client's terminal."""


class Peer(Protocol):
    """The client at the other end."""

    async def listen(self, sink: Input) -> None:
        """Hand over what the client sends, until it is gone."""

    async def send(self, channel: int, data: bytes) -> None:
        """Send output. Raises ConnectionError."""

    async def finish(self, status: Mapping[str, Any]) -> None:
        """Tell how it ended, and end."""


Start = Callable[[], Awaitable[Process]]


async def serve(call: Call, wanted: Wanted, start: Start, streams: Streams, *, kills: bool) -> Any:
    """Start the process and connect it with the client, until either ends. `kills`: it ends with the connection.

    Raises StatusError before the upgrade, ConnectionError when the client goes.
    """
    if call.is_websocket:
        websocket.check_handshake(call, websocket.CHANNELS)
        process = await start()
        return await _over_socket(call, _Run(process, wanted, kills=kills), streams)
    if call.http.headers.get("Upgrade", "").strip().lower() != "spdy/3.1":
        raise BadRequest("Upgrade request required")
    protocol = spdy_connection.negotiated(call, SPDY_PROTOCOLS)
    process = await start()
    return await _over_spdy(call, wanted, _Run(process, wanted, kills=kills), streams, protocol)


class _Run:
    """A process while a client is connected with it."""

    def __init__(self, process: Process, wanted: Wanted, *, kills: bool) -> None:
        self.process = process
        self._wanted = wanted
        self._kills = kills
        self._has_ended = False
        self._stdin = process.stdin
        self._open = tuple({process.stdin, process.stdout, process.stderr} - {-1})
        for descriptor in self._open:
            os.set_blocking(descriptor, False)

    async def serve(self, peer: Peer) -> None:
        """Pump until the process has ended or the client is gone. Raises ConnectionError for the latter."""
        try:
            async with Tasks("exec") as tasks:
                listening = tasks.start("input", _quietly(peer.listen(self)))
                outputs = [
                    tasks.start("output", _quietly(self._pump(peer, channel, descriptor, shown=shown)))
                    for channel, descriptor, shown in (
                        (STDOUT, self.process.stdout, self._wanted.stdout),
                        (STDERR, self.process.stderr, self._wanted.stderr),
                    )
                    if descriptor >= 0
                ]
                ending = tasks.start("wait", self._status())
                await asyncio.wait((ending, listening), return_when=asyncio.FIRST_COMPLETED)
                if not ending.done():
                    raise ConnectionResetError("the client left before the command ended")
                self._has_ended = True
                if outputs:
                    await asyncio.wait(outputs, timeout=LINGER_SECONDS)
                await peer.finish(ending.result())
        finally:
            self.abandon()

    async def _status(self) -> dict[str, Any]:
        """Wait for the end and say how it was."""
        try:
            return status_of_exit(await self.process.wait())
        except StatusError as error:
            return status_of(error)

    def abandon(self) -> None:
        """Let go of the process: end it unless it has ended or is not ours to end. May be repeated."""
        if self._kills and not self._has_ended:
            self._has_ended = True
            self.process.kill()
        descriptors, self._open = self._open, ()
        close_all(*descriptors)

    async def _pump(self, peer: Peer, channel: int, descriptor: int, *, shown: bool) -> None:
        while data := await read_some(descriptor):
            if shown:
                await peer.send(channel, data)

    async def write(self, data: bytes) -> None:
        """Give input to the process; what it does not read any more is dropped."""
        if self._stdin >= 0 and self._wanted.stdin:
            try:
                await write_all(self._stdin, data)
            except OSError:
                await self.end()

    async def end(self) -> None:
        """End the process's input. A terminal stays open: its output comes through the same descriptor."""
        if self._stdin >= 0 and self._stdin != self.process.stdout:
            close_all(self._stdin)
            self._open = tuple(each for each in self._open if each != self._stdin)
            self._stdin = -1

    def resize(self, width: int, height: int) -> None:
        """Tell the process the size of the client's terminal."""
        if self._wanted.tty:
            self.process.resize(width, height)


async def _quietly(work: Awaitable[None]) -> None:
    """Do it; that the client is gone is no fault of ours."""
    with contextlib.suppress(ConnectionError):
        await work


def status_of_exit(code: int) -> dict[str, Any]:
    """Return the Status that tells an exit code."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def error_text(status: Mapping[str, Any], version: int) -> bytes:
    """Return what goes over the error channel: a Status since version 4, before only the text of a failure."""
    if version >= 4:
        return orjson.dumps(status)
    return b"" if status["status"] == "Success" else str(status["message"]).encode()


def size_of(data: bytes) -> tuple[int, int] | None:
    """Return width and height from a message about the terminal's size, None if it says nothing useful."""
    try:
        message = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(message, dict):
        return None
    width, height = message.get("Width"), message.get("Height")
    if not isinstance(width, int) or not isinstance(height, int):
        return None
    return (width, height) if 0 < width < 65536 and 0 < height < 65536 else None


class SocketPeer:
    """A client at the other end of a WebSocket."""

    def __init__(self, socket: "WebSocketResponse") -> None:
        self._channels = Channels(socket)

    async def listen(self, sink: Input) -> None:
        """Hand over what the client sends, until it closes."""
        async for channel, data in self._channels.messages():
            if channel == STDIN and data:
                await sink.write(data)
            elif channel == RESIZE:
                size = size_of(data)
                if size is not None:
                    sink.resize(*size)
            elif channel == CLOSE and data[:1] == bytes((STDIN,)):
                await sink.end()

    async def send(self, channel: int, data: bytes) -> None:
        """Send output."""
        await self._channels.send(channel, data)

    async def finish(self, status: Mapping[str, Any]) -> None:
        """Tell how it ended, and close."""
        text = error_text(status, self._channels.version)
        if text:
            await self._channels.send(ERROR, text)
        await self._channels.close()


async def _over_socket(call: Call, run: _Run, streams: Streams) -> Any:
    try:
        socket = await websocket.accept(call, websocket.CHANNELS)
    except BaseException:
        run.abandon()
        raise
    try:
        with streams.open(call.http.protocol):
            await run.serve(SocketPeer(socket))
    except (Stopping, ConnectionError):
        run.abandon()
        await socket.close(code=1001)
    return socket


class SpdyPeer:
    """A client at the other end of SPDY streams, by their type."""

    def __init__(self, connection: SpdyConnection, streams: Mapping[str, SpdyStream], version: int) -> None:
        self._connection = connection
        self._streams = streams
        self._version = version

    async def listen(self, sink: Input) -> None:
        """Hand over what the client sends, until it is gone."""
        async with Tasks("spdy-input") as tasks:
            if "stdin" in self._streams:
                tasks.start("stdin", self._input(sink, self._streams["stdin"]))
            if "resize" in self._streams:
                tasks.start("resize", self._sizes(sink, self._streams["resize"]))
            await asyncio.shield(self._connection.gone)

    @staticmethod
    async def _input(sink: Input, stream: SpdyStream) -> None:
        while data := await stream.read():
            await sink.write(data)
        await sink.end()

    @staticmethod
    async def _sizes(sink: Input, stream: SpdyStream) -> None:
        text = b""
        while data := await stream.read():
            text = (text + data)[-4096:]
            *lines, text = text.replace(b"}", b"}\n").split(b"\n")
            for line in lines:
                size = size_of(line)
                if size is not None:
                    sink.resize(*size)

    async def send(self, channel: int, data: bytes) -> None:
        """Send output."""
        stream = self._streams.get("stdout" if channel == STDOUT else "stderr")
        if stream is not None:
            await stream.write(data)

    async def finish(self, status: Mapping[str, Any]) -> None:
        """Tell how it ended on the error stream, end all streams and leave the end of the connection to the client."""
        error = self._streams["error"]
        await error.write(error_text(status, self._version))
        for stream in self._streams.values():
            await stream.end()
        await asyncio.wait((asyncio.shield(self._connection.gone),), timeout=GOODBYE_SECONDS)


async def _over_spdy(call: Call, wanted: Wanted, run: _Run, streams: Streams, protocol: str) -> Done:
    version = int(protocol[1]) if protocol[:1] == "v" else 1
    try:
        connection = spdy_connection.upgrade(call, protocol)
    except ConnectionError:
        run.abandon()
        raise
    try:
        with streams.open(call.http.protocol):
            opened = await opened_streams(connection, expected_types(wanted, version))
            await run.serve(SpdyPeer(connection, opened, version))
    except (Stopping, ConnectionError):
        pass
    finally:
        run.abandon()
        connection.close()
        spdy_connection.finish(call)
    return Done()


def expected_types(wanted: Wanted, version: int) -> frozenset[str]:
    """Return the types of the streams that a client opens."""
    types = {"error"}
    types |= {name for name in ("stdin", "stdout", "stderr") if getattr(wanted, name)}
    if wanted.tty and version >= 3:
        types.add("resize")
    return frozenset(types)


async def opened_streams(connection: SpdyConnection, types: frozenset[str]) -> dict[str, SpdyStream]:
    """Wait until the client has opened one stream of each type. Raises ConnectionError when it does not."""
    found: dict[str, SpdyStream] = {}
    try:
        async with asyncio.timeout(STREAMS_SECONDS):
            while not types <= found.keys():
                stream = await connection.accept()
                if stream is None:
                    raise ConnectionResetError("the client is gone")
                found[stream.headers.get("streamtype", "").lower()] = stream
    except TimeoutError:
        raise ConnectionResetError(f"the client opened {sorted(found)} of {sorted(types)}") from None
    return found
