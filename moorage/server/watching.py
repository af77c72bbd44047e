"""Serving a watch over HTTP: as a chunked answer, or over a WebSocket."""

from typing import TYPE_CHECKING, Any

from moorage.aio.tasks import Tasks
from moorage.objects.errors import StatusError
from moorage.objects.kinds import Resource
from moorage.server import negotiation
from moorage.server.front import Front, warning_headers
from moorage.server.replies import Stream
from moorage.server.requests import Call
from moorage.server.routes import is_true
from moorage.server.streams import Stopping
from moorage.server.watch_stream import Changes, Refused, Sink, Watch, is_told_in_stream, seconds_of

if TYPE_CHECKING:
    from aiohttp.web_ws import WebSocketResponse


class ChunkSink:
    """Writes notifications to a chunked answer."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.is_chunked = stream.is_chunked

    @property
    def is_behind(self) -> bool:
        """Whether the client has yet to take much of what was written."""
        return self._stream.is_behind

    def put(self, data: bytes) -> None:
        """Write lines that are chunks already."""
        self._stream.put(data)

    async def drain(self) -> None:
        """Wait until the client has taken most of what was written."""
        await self._stream.drain()


class SocketSink:
    """Sends notifications over a WebSocket, a text message each."""

    is_chunked = False

    def __init__(self, socket: "WebSocketResponse") -> None:
        self._socket = socket
        self._waiting: list[bytes] = []

    @property
    def is_behind(self) -> bool:
        """Whether there is something that only `drain` sends."""
        return bool(self._waiting)

    def put(self, data: bytes) -> None:
        """Keep lines until `drain`."""
        self._waiting.append(data)

    async def drain(self) -> None:
        """Send all that was put."""
        waiting, self._waiting = self._waiting, []
        for line in b"".join(waiting).splitlines():
            await self._socket.send_str(line.decode())


async def serve_watch(front: Front, call: Call, resource: Resource) -> Any:
    """Serve a watch until it ends. Raises StatusError before it begins, ConnectionError when the client goes."""
    parts, query = front.parts, call.query
    look = front.look(call, resource, negotiation.format_of_watch(call.accept))
    seconds = seconds_of(query.get("timeoutSeconds"), parts.entropy.fraction())
    changes: Changes
    try:
        changes = await parts.api.watch(call.request("watch", resource))
    except StatusError as error:
        if not is_told_in_stream(error):
            raise
        changes = Refused(error)
    after = query.get("resourceVersion", "")
    watch = Watch(
        changes,
        look._replace(pretty=False),
        front.frames,
        parts.clock,
        after=int(after) if after.isdigit() else 0,
    )
    bookmarks = is_true(query.get("allowWatchBookmarks"))
    if call.is_websocket:
        return await _over_socket(front, call, watch, seconds, bookmarks=bookmarks)
    stream = Stream(call.http, negotiation.JSON, call.common, (*_NO_CACHE, *warning_headers(call.warnings)))
    stream.start()
    try:
        with front.streams.open(call.http.protocol):
            await watch.run(ChunkSink(stream), seconds, bookmarks=bookmarks)
    except Stopping:
        stream.keep_alive = False
    except Exception:
        stream.abort()
        raise
    return stream


_NO_CACHE = (("Cache-Control", "no-cache, private"),)


async def _over_socket(front: Front, call: Call, watch: Watch, seconds: float, *, bookmarks: bool) -> Any:
    from moorage.server.upgrades.websocket import accept, listen_for_end

    socket = await accept(call, ())
    sink: Sink = SocketSink(socket)
    connection = call.http.protocol
    try:
        with front.streams.open(connection):
            async with Tasks("watch") as tasks:
                tasks.start("listen", listen_for_end(socket, lambda: front.streams.lost(connection)))
                await watch.run(sink, seconds, bookmarks=bookmarks)
                await sink.drain()
    except (Stopping, ConnectionError):
        pass
    await socket.close()
    return socket
