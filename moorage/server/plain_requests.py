"""Requests of the plain kind, read from bytes: nearly all of what clients send. Pure; whatever is not plain is left alone.

Plain is a whole HTTP/1.1 head with a path as target, headers that nobody can read in two ways, and at most one
Content-Length. A doubt is no error here: `read_head` returns None, and aiohttp reads the connection from there on
(moorage.server.connection). So this module never has to word a refusal.
Source: RFC 9110 (field names and values), RFC 9112 (message syntax).
"""

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from moorage.server.connection import Connection

#: The longest head that is read here.
HEAD_BYTES_MOST: Final = 16 * 1024

#: How many blocks of headers are remembered: a client sends the same ones with nearly every request.
REMEMBERED: Final = 1024

_METHODS: Final = {name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")}

#: A path and query of visible ASCII without a fragment.
_TARGET: Final = re.compile(rb"/[!\"$-~]*")

#: A header: its name is a token, its value has no control characters but tabs.
_HEADER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")

#: What changes how a request is to be read or answered.
_UNUSUAL: Final = frozenset(
    {"transfer-encoding", "content-encoding", "upgrade", "expect", "te", "trailer", "http2-settings"}
)


class Headers:
    """The headers of a request, read-only. Names are found in any case."""

    __slots__ = ("_first", "_pairs", "length")

    def __init__(self, pairs: Iterable[tuple[str, str]], length: int) -> None:
        self._pairs = tuple(pairs)
        self._first: Mapping[str, str] = {name.lower(): value for name, value in reversed(self._pairs)}
        #: How many bytes of body follow.
        self.length = length

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._first

    def __getitem__(self, name: str) -> str:
        return self._first[name.lower()]

    def get(self, name: str, default: Any = None) -> Any:
        """Return the first value of a header."""
        return self._first.get(name.lower(), default)

    def getall(self, name: str, default: Any = ()) -> Any:
        """Return every value of a header, in order; `default` if there is none."""
        wanted = name.lower()
        return [value for each, value in self._pairs if each.lower() == wanted] or default

    def items(self) -> Iterable[tuple[str, str]]:
        """Return names, as they came, and values in order."""
        return self._pairs


class Head(NamedTuple):
    """The head of a request; `size` is how many bytes it took with the empty line at its end."""

    method: str
    target: str
    headers: Headers
    size: int


_known: dict[bytes, Headers] = {}


def read_head(data: bytes) -> Head | None:
    """Return the head at the beginning of `data`, None if it is not whole or not plain."""
    end = data.find(b"\r\n\r\n", 0, HEAD_BYTES_MOST)
    line_end = data.find(b"\r\n", 0, end + 2)
    if end < 0 or line_end < 0:
        return None
    parts = data[:line_end].split(b" ")
    if len(parts) != 3 or parts[2] != b"HTTP/1.1":
        return None
    method = _METHODS.get(parts[0])
    if method is None or _TARGET.fullmatch(parts[1]) is None:
        return None
    block = data[line_end + 2 : end]
    headers = _known.get(block)
    if headers is None:
        headers = _read_headers(block)
        if headers is None:
            return None
        if len(_known) >= REMEMBERED:
            _known.clear()
        _known[block] = headers
    return Head(method, parts[1].decode("ascii"), headers, end + 4)


def _read_headers(block: bytes) -> Headers | None:
    """Return the headers of lines, None if there is anything odd about them."""
    pairs: list[tuple[str, str]] = []
    length = b"0"
    seen: set[str] = set()
    for line in block.split(b"\r\n"):
        match = _HEADER.fullmatch(line)
        if match is None:
            return None
        name, value = match[1].decode("ascii"), match[2].rstrip(b" \t")
        lower = name.lower()
        if lower in _UNUSUAL or (lower in ("content-length", "host") and lower in seen):
            return None
        if lower == "connection" and value.lower() != b"keep-alive":
            return None
        if lower == "content-length":
            length = value
        seen.add(lower)
        pairs.append((name, value.decode("utf-8", "surrogateescape")))
    if "host" not in seen or not length.isdigit() or len(length) > 9:
        return None
    return Headers(pairs, int(length))


class PlainRequest:
    """A whole request with what its answer needs: the same names as a request of aiohttp has."""

    __slots__ = ("body", "headers", "method", "protocol", "raw_path")

    version: Final = (1, 1)
    keep_alive: Final = True

    def __init__(self, protocol: "Connection", head: Head, body: bytes) -> None:
        self.protocol = protocol
        self.method = head.method
        self.raw_path = head.target
        self.headers = head.headers
        self.body = body

    @property
    def path(self) -> str:
        """The target without its query, as it came."""
        return self.raw_path.partition("?")[0]

    @property
    def transport(self) -> Any:
        """The connection's transport, None when the client is gone."""
        return self.protocol.transport

    @property
    def writer(self) -> "Connection":
        """What can be waited for until the client has taken what was written."""
        return self.protocol
