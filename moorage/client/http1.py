"""Requests in HTTP/1.1 over connections that others have opened: heads and framing are h11's.

For servers that no ordinary client could reach, as pods of rootless nodes; everybody else uses moorage.client.http.
Source: RFC 9110, RFC 9112.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import h11

#: How much is read at a time.
PIECE_BYTES: Final = 64 * 1024

#: The longest head of an answer.
HEAD_BYTES_MOST: Final = 64 * 1024


class BrokenAnswer(Exception):
    """What came back is no HTTP."""


class TooLargeAnswer(BrokenAnswer):
    """The body is larger than who asked takes."""


class Head(NamedTuple):
    """The head of an answer; names as they came."""

    code: int
    headers: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str:
        """Return the first value of a header, "" if there is none."""
        wanted = name.lower()
        return next((value for each, value in self.headers if each.lower() == wanted), "")


class Exchange:
    """One request after the other over a connection. Sending and receiving may overlap.

    Everything raises OSError when the connection breaks.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        import h11

        self._reader, self._writer = reader, writer
        self._is_at_end = False
        self._state: h11.Connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES_MOST)

    async def send(
        self, method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes | None = None
    ) -> None:
        """Send the head of a request, and all of it if its body is given.

        headers: with Host, and with what tells the end of the body. Raises ValueError for what HTTP cannot carry.
        """
        import h11

        pairs = [(_bytes(name), _bytes(value)) for name, value in headers]
        try:
            request = h11.Request(method=method, target=_bytes(target), headers=pairs)
        except h11.LocalProtocolError as error:
            raise ValueError(str(error)) from error
        await self._send(request, *(() if body is None else (h11.Data(data=body), h11.EndOfMessage())))

    async def send_data(self, data: bytes) -> None:
        """Send a piece of the request's body."""
        import h11

        await self._send(h11.Data(data=data))

    async def send_end(self) -> None:
        """Send the end of the request."""
        import h11

        await self._send(h11.EndOfMessage())

    async def head(self) -> Head:
        """Return the head of the answer, past those that only say to go on. Raises BrokenAnswer, EOFError."""
        import h11

        while True:
            event = await self._event()
            if isinstance(event, h11.Response) or (isinstance(event, h11.InformationalResponse) and _switches(event)):
                pairs = event.headers.raw_items()
                return Head(event.status_code, tuple((_text(name), _text(value)) for name, value in pairs))

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the body of the answer as it comes. Raises BrokenAnswer, EOFError when it is not whole."""
        import h11

        while isinstance(event := await self._event(), h11.Data):
            yield bytes(event.data)

    async def whole_body(self, most: int) -> bytes:
        """Return the body of the answer. Raises TooLargeAnswer beyond `most` bytes, BrokenAnswer, EOFError."""
        body = bytearray()
        async for piece in self.body():
            body += piece
            if len(body) > most:
                raise TooLargeAnswer(f"the answer is larger than {most} bytes")
        return bytes(body)

    def take_rest(self) -> bytes:
        """Return what was read after the head of an answer that switches protocols."""
        return self._state.trailing_data[0]

    def next(self) -> bool:
        """Get ready for another request; False if the connection takes none."""
        import h11

        if self._is_at_end or {self._state.our_state, self._state.their_state} != {h11.DONE}:
            return False
        self._state.start_next_cycle()
        return True

    async def _send(self, *events: "h11.Request | h11.Data | h11.EndOfMessage") -> None:
        self._writer.write(b"".join(self._state.send(event) or b"" for event in events))
        await self._writer.drain()

    async def _event(self) -> object:
        """Return what comes next of the answer."""
        import h11

        while True:
            try:
                event = self._state.next_event()
            except h11.RemoteProtocolError as error:
                if self._is_at_end:
                    raise EOFError("unexpected EOF") from error
                raise BrokenAnswer(f"malformed HTTP response: {error}") from error
            if event is not h11.NEED_DATA:
                break
            data = await self._reader.read(PIECE_BYTES)
            self._is_at_end = not data
            self._state.receive_data(data)
        if isinstance(event, h11.ConnectionClosed):
            raise EOFError("EOF")  # noqa: TRY004 - it is an end, not a wrong type
        return event


def _switches(event: "h11.InformationalResponse") -> bool:
    return bool(event.status_code == 101)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
