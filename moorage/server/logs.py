"""Container logs as a stream of text, over HTTP or a WebSocket. Source: pkg/registry/core/pod/rest/log.go (v1.37)."""

import base64
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from moorage.objects.metadata import Object
from moorage.server.gateway import LogOptions
from moorage.server.pod_options import chosen_container, has_node
from moorage.server.replies import Reply, Stream
from moorage.server.requests import Call
from moorage.server.streams import Stopping

if TYPE_CHECKING:
    from moorage.server.front import Front

_TEXT: Final = "text/plain"
_HEADERS: Final = (("Cache-Control", "no-cache, private"),)


async def serve_log(front: "Front", call: Call, pod: Object, options: LogOptions) -> Any:
    """Stream a log to its end, or for as long as the client follows it. Nothing at all for a pod without a node.

    Raises StatusError before the stream, ConnectionError when the client goes.
    """
    from dataclasses import replace

    options = replace(options, container=chosen_container(pod, options.container))
    if not has_node(pod):
        return Reply(204, b"", "")
    chunks = await front.parts.gateway.logs(pod, options)
    try:
        if call.is_websocket:
            return await _over_socket(front, call, chunks)
        return await _over_http(front, call, chunks)
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()


async def _over_http(front: "Front", call: Call, chunks: AsyncIterator[bytes]) -> Stream:
    stream = Stream(call.http, _TEXT, call.common, _HEADERS)
    stream.start()
    try:
        with front.streams.open(call.http.protocol):
            async for chunk in chunks:
                stream.write(chunk)
                await stream.drain()
    except Stopping:
        stream.keep_alive = False
    except Exception:
        stream.abort()
        raise
    return stream


async def _over_socket(front: "Front", call: Call, chunks: AsyncIterator[bytes]) -> Any:
    from moorage.aio.tasks import Tasks
    from moorage.server.upgrades.websocket import BINARY, accept, listen_for_end

    socket = await accept(call, BINARY)
    is_base64 = (socket.ws_protocol or "").startswith("base64")
    connection = call.http.protocol
    try:
        with front.streams.open(connection):
            async with Tasks("log") as tasks:
                tasks.start("listen", listen_for_end(socket, lambda: front.streams.lost(connection)))
                async for chunk in chunks:
                    if is_base64:
                        await socket.send_str(base64.b64encode(chunk).decode())
                    else:
                        await socket.send_bytes(chunk)
    except (Stopping, ConnectionError):
        pass
    await socket.close()
    return socket
