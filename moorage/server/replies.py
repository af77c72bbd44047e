"""What goes back over a connection: a whole reply in one write, or a stream of chunks.

These stand where aiohttp expects a StreamResponse (`prepare`, `write_eof`, `keep_alive`) and write head and body
themselves, in one piece: a third of the cost of aiohttp's own response, and TLS makes one record of it.
"""

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from moorage.server.requests import HttpRequest

#: A reply longer than this waits until the client has taken it before the connection's next request is read.
DRAINED_BYTES: Final = 256 * 1024

_FIRST_LINES: Final = {each.value: f"HTTP/1.1 {each.value} {each.phrase}\r\n".encode() for each in HTTPStatus}

Header = tuple[str, str]


def header_lines(headers: Iterable[Header]) -> bytes:
    """Return headers as lines; line breaks in values become spaces, so that nobody can add headers of their own."""
    return "".join(
        f"{name}: {value}\r\n" if "\n" not in value and "\r" not in value else f"{name}: {' '.join(value.split())}\r\n"
        for name, value in headers
    ).encode("utf-8", "replace")


class Reply:
    """A whole answer. `common` holds the lines of headers that all answers of a server have (Date, Audit-Id, …)."""

    __slots__ = ("_http", "body", "code", "common", "content_type", "headers", "keep_alive")

    def __init__(self, code: int, body: bytes, content_type: str, headers: Sequence[Header] = ()) -> None:
        self.code = code
        self.body = body
        self.content_type = content_type
        self.headers = headers
        self.common = b""
        self.keep_alive: bool | None = None
        self._http: HttpRequest | None = None

    @property
    def status(self) -> int:
        """The HTTP status, under the name that aiohttp knows."""
        return self.code

    @property
    def body_length(self) -> int:
        """How many bytes the body has."""
        return len(self.body)

    async def prepare(self, http: "HttpRequest") -> None:
        """Remember whom to answer."""
        self._http = http
        if self.keep_alive is None:
            self.keep_alive = http.keep_alive

    async def write_eof(self) -> None:
        """Write head and body. Raises ConnectionError when the client is gone."""
        http = self._http
        if http is None:
            raise ConnectionResetError("the client is gone")
        self.send(http)
        if len(self.body) > DRAINED_BYTES:
            await http.writer.drain()

    def send(self, http: "HttpRequest") -> None:
        """Write head and body without waiting. Raises ConnectionError when the client is gone."""
        transport = http.transport
        if transport is None:
            raise ConnectionResetError("the client is gone")
        if self.keep_alive is None:
            self.keep_alive = http.keep_alive
        head = self._head(is_old=http.version < (1, 1))
        transport.write(head if http.method == "HEAD" else head + self.body)

    def _head(self, *, is_old: bool) -> bytes:
        """Return the head as it goes over the wire; `is_old` for a client of HTTP/1.0."""
        head = _begin(self.code, self.content_type, self.common, self.headers)
        if self.code not in (204, 304):
            head += b"Content-Length: %d\r\n" % len(self.body)
        if not self.keep_alive:
            head += b"Connection: close\r\n"
        elif is_old:
            head += b"Connection: keep-alive\r\n"
        return head + b"\r\n"


def _begin(code: int, content_type: str, common: bytes, headers: Sequence[Header]) -> bytes:
    head = (_FIRST_LINES.get(code) or b"HTTP/1.1 %d Status\r\n" % code) + common
    if content_type:
        head += b"Content-Type: %b\r\n" % content_type.encode()
    return head + header_lines(headers) if headers else head


class Stream:
    """An answer that is written while it is made, in chunks. `write_eof` is its end in order, `abort` any other."""

    def __init__(self, http: "HttpRequest", content_type: str, common: bytes, headers: Sequence[Header] = ()) -> None:
        self._http = http
        self._begin = _begin(200, content_type, common, headers)
        #: Whether the client reads chunks: then `put` may be given whole ones.
        self.is_chunked = http.version >= (1, 1)
        self._is_ended = False
        self.keep_alive: bool | None = http.keep_alive and self.is_chunked
        self.status = 200
        self.body_length = 0

    async def prepare(self, http: "HttpRequest") -> None:
        """Nothing is to be done: the stream began with `start`."""

    def start(self) -> None:
        """Write the head. Raises ConnectionError when the client is gone."""
        head = self._begin + (b"Transfer-Encoding: chunked\r\n" if self.is_chunked else b"")
        self.put(head + (b"\r\n" if self.keep_alive else b"Connection: close\r\n\r\n"))

    def write(self, data: bytes) -> None:
        """Write one chunk now. Raises ConnectionError when the client is gone."""
        if data:
            self.body_length += len(data)
            self.put(b"%x\r\n%b\r\n" % (len(data), data) if self.is_chunked else data)

    async def drain(self) -> None:
        """Wait until the client has taken most of what was written. Raises ConnectionError."""
        if self._http.protocol.writing_paused:
            await self._http.writer.drain()

    @property
    def is_behind(self) -> bool:
        """Whether the client has yet to take much of what was written."""
        return bool(self._http.protocol.writing_paused)

    async def write_eof(self) -> None:
        """Write the end of the stream, once."""
        if not self._is_ended:
            self._is_ended = True
            if self.is_chunked:
                self.put(b"0\r\n\r\n")

    def abort(self) -> None:
        """End the connection without the stream's end: the client sees that something is missing."""
        self._is_ended = True
        self.keep_alive = False
        if self._http.transport is not None:
            self._http.transport.abort()

    def put(self, data: bytes) -> None:
        """Write bytes as they are. Raises ConnectionError when the client is gone."""
        transport = self._http.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client is gone")
        transport.write(data)


class Done:
    """Stands for an answer that was given already, on a connection that has become another protocol's."""

    status = 101
    body_length = 0
    keep_alive: bool | None = False

    async def prepare(self, http: "HttpRequest") -> None:
        """Nothing is to be done."""

    async def write_eof(self) -> None:
        """Nothing is to be done."""
