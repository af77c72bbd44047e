"""WebSocket connections, and Kubernetes' channels in them: each message begins with the number of its channel.

Source: apimachinery/pkg/util/remotecommand/constants.go, apiserver/pkg/util/wsstream (v1.37).
"""

import base64
import binascii
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from moorage.objects.errors import BadRequest
from moorage.server.requests import Call

if TYPE_CHECKING:
    from aiohttp.web_request import BaseRequest
    from aiohttp.web_ws import WebSocketResponse

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255

#: The longest message that a client may send. kubectl sends 32 KiB.
MESSAGE_BYTES_MOST: Final = 4 * 1024 * 1024

#: Protocols of exec and attach. Without one, upstream takes the oldest.
CHANNELS: Final = (
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v3.channel.k8s.io",
    "v2.channel.k8s.io",
    "channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "v3.base64.channel.k8s.io",
    "v2.base64.channel.k8s.io",
    "base64.channel.k8s.io",
)

#: A protocol that is offered only to carry a token (see moorage.server.callers).
_BEARER: Final = "base64url.bearer."

#: Protocols of a stream in one direction, such as a log.
BINARY: Final = ("binary.k8s.io", "base64.binary.k8s.io")


class Message(NamedTuple):
    """What a client sent on a channel."""

    channel: int
    data: bytes


def offered_protocols(header: str) -> tuple[str, ...]:
    """Return the protocols that a client offers, in its order."""
    return tuple(part.strip() for part in header.split(",") if part.strip())


def check_handshake(call: Call, protocols: Sequence[str]) -> str:
    """Return the protocol that the client gets: the first of its own that is among `protocols`, "" if it has none.

    Raises BadRequest when the handshake is broken, or when none of its protocols is spoken here.
    """
    headers = call.http.headers
    if headers.get("Sec-WebSocket-Version", "") not in ("13", "8", "7"):
        raise BadRequest("websocket: this version is not spoken here, use 13")
    if not _is_key(headers.get("Sec-WebSocket-Key", "")):
        raise BadRequest("websocket: the key of the handshake is missing or has the wrong length")
    if "upgrade" not in headers.get("Connection", "").lower():
        raise BadRequest("websocket: the header Connection does not say upgrade")
    offered = [
        each for each in offered_protocols(headers.get("Sec-WebSocket-Protocol", "")) if not each.startswith(_BEARER)
    ]
    known = [each for each in offered if each in protocols]
    if offered and protocols and not known:
        raise BadRequest(
            f"websocket: none of the protocols {', '.join(offered)} is spoken here, only {', '.join(protocols)}"
        )
    return known[0] if known else ""


async def accept(call: Call, protocols: Sequence[str]) -> "WebSocketResponse":
    """Accept the upgrade. Raises BadRequest as `check_handshake` does."""
    from aiohttp.web_ws import WebSocketResponse

    chosen = check_handshake(call, protocols)
    header = call.http.headers.get("Sec-WebSocket-Protocol", "")
    offered = tuple(each for each in offered_protocols(header) if not each.startswith(_BEARER))
    spoken = (chosen,) if chosen else offered  # aiohttp warns about a client whose protocols it does not know
    socket = WebSocketResponse(protocols=spoken, compress=False, max_msg_size=MESSAGE_BYTES_MOST)
    await socket.prepare(cast("BaseRequest", call.http))  # upgrades are aiohttp's
    return socket


async def listen_for_end(socket: "WebSocketResponse", ended: Callable[[], None]) -> None:
    """Read what a client sends that has nothing to say, so that pings are answered; call `ended` when it closes."""
    async for _ in socket:
        pass
    ended()


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False


def decode_message(data: bytes | str, *, is_base64: bool) -> Message | None:
    """Return a message's channel and content, None for one that is empty or cannot be decoded."""
    raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
    if not raw:
        return None
    if not is_base64:
        return Message(raw[0], raw[1:])
    try:
        return Message(raw[0] - ord("0"), base64.b64decode(raw[1:], validate=True))
    except (binascii.Error, ValueError):
        return None


def encode_message(channel: int, data: bytes, *, is_base64: bool) -> bytes:
    """Return a message as it goes out."""
    return b"%d%b" % (channel, base64.b64encode(data)) if is_base64 else bytes((channel,)) + data


class Channels:
    """A WebSocket seen as channels."""

    def __init__(self, socket: "WebSocketResponse") -> None:
        self._socket = socket
        self.protocol = socket.ws_protocol or ""
        self._is_base64 = "base64" in self.protocol

    @property
    def version(self) -> int:
        """The version of the channel protocol: 1 to 5."""
        digits = self.protocol.partition(".")[0].removeprefix("v")
        return int(digits) if digits.isdigit() else 1

    async def messages(self) -> AsyncIterator[Message]:
        """Yield what the client sends, until it closes."""
        from aiohttp.http_websocket import WSMsgType

        async for message in self._socket:
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                decoded = decode_message(message.data, is_base64=self._is_base64)
                if decoded is not None:
                    yield decoded

    async def send(self, channel: int, data: bytes) -> None:
        """Send on a channel. Raises ConnectionError when the client is gone."""
        encoded = encode_message(channel, data, is_base64=self._is_base64)
        try:
            if self._is_base64:
                await self._socket.send_str(encoded.decode())
            else:
                await self._socket.send_bytes(encoded)
        except RuntimeError as error:  # aiohttp's word for a socket that is closing
            raise ConnectionResetError(str(error)) from error

    async def close(self) -> None:
        """Close in order."""
        await self._socket.close()
