"""SPDY/3.1, as much of it as Kubernetes' clients speak: streams with headers, data, and their ends.

`Session` is sans-I/O: bytes go in, events come out, frames to send are returned. No priorities, no flow control (the
clients have none: a slow reader is held up by the connection below), no pushed streams.
Source: the SPDY protocol draft 3.1; moby/spdystream v0.5 for what clients really do.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

#: The dictionary that header blocks are compressed with. Source: SPDY draft 3, section 2.6.10.1.
_NAMES: Final = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status"
)
_TAIL: Final = (
    b"100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    b"203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    b"404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    b"Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    b"chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
    b"text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _counted(word: str) -> bytes:
    return struct.pack("!I", len(word)) + word.encode()


DICTIONARY: Final = (
    b"".join(_counted(word) for word in _NAMES.split())
    + _counted("200 OK")
    + _counted("version")
    + _counted("HTTP/1.1")
    + _counted("url")
    + _counted("public")
    + _counted("set-cookie")
    + _counted("keep-alive")
    + _counted("origin")
    + _TAIL
)

VERSION: Final = 3
SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FIN: Final = 0x01

#: Reasons of RST_STREAM.
PROTOCOL_ERROR, REFUSED_STREAM, CANCEL = 1, 3, 5

#: The largest control frame, header block and number of open streams that a client may cause.
CONTROL_BYTES_MOST: Final = 64 * 1024
HEADERS_BYTES_MOST: Final = 64 * 1024
STREAMS_MOST: Final = 1000

#: How much data goes into one frame.
DATA_BYTES_MOST: Final = 32 * 1024


class SpdyFault(Exception):
    """The client broke the protocol: the connection must end."""


class Opened(NamedTuple):
    """The client opened a stream; names of headers are in lower case. `fin`: it will send nothing on it."""

    stream: int
    headers: Mapping[str, str]
    fin: bool


class Data(NamedTuple):
    """Data came on a stream, or (fin) its end."""

    stream: int
    data: bytes
    fin: bool


class Reset(NamedTuple):
    """The client gave a stream up."""

    stream: int


class Pinged(NamedTuple):
    """The client wants this frame back."""

    frame: bytes


class Left(NamedTuple):
    """The client opens no more streams."""


Event = Opened | Data | Reset | Pinged | Left


class Session:
    """One side of a connection: a parser of what comes, a writer of what goes."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)
        #: The stream whose data frame is being read, how many bytes of it are missing, and its flags.
        self._data: tuple[int, int, int] | None = None
        self._open: set[int] = set()

    def feed(self, data: bytes) -> Iterator[Event]:
        """Yield what bytes from the client say. Raises SpdyFault, after which the session is over."""
        self._buffer += data
        while True:
            if self._data is not None:
                if not self._buffer and self._data[1]:
                    return
                yield self._piece(self._data)
                continue
            if len(self._buffer) < 8:
                return
            word, rest = struct.unpack_from("!II", self._buffer)
            flags, length = rest >> 24, rest & 0xFFFFFF
            if not word & 0x80000000:
                del self._buffer[:8]
                self._data = (word, length, flags)
                continue
            if length > CONTROL_BYTES_MOST:
                raise SpdyFault(f"a control frame of {length} bytes is too long")
            if len(self._buffer) < 8 + length:
                return
            frame = bytes(self._buffer[: 8 + length])
            del self._buffer[: 8 + length]
            if (word >> 16) & 0x7FFF != VERSION:
                raise SpdyFault(f"version {(word >> 16) & 0x7FFF} is not spoken here")
            yield from self._control(word & 0xFFFF, flags, frame)

    def _piece(self, state: tuple[int, int, int]) -> Data:
        """Take what is here of a data frame."""
        stream, missing, flags = state
        piece = bytes(self._buffer[:missing])
        del self._buffer[:missing]
        missing -= len(piece)
        self._data = (stream, missing, flags) if missing else None
        fin = not missing and bool(flags & FIN)
        return Data(stream, piece, fin)

    def _control(self, kind: int, flags: int, frame: bytes) -> Iterator[Event]:
        body = frame[8:]
        if kind == SYN_STREAM:
            yield self._opened(flags, body)
        elif kind in (SYN_REPLY, HEADERS):
            self._headers(body[4:])  # the compression has one state: every block must be read
        elif kind == RST_STREAM:
            stream, _ = _words(body, 2)
            self._open.discard(stream)
            yield Reset(stream)
        elif kind == PING:
            yield Pinged(frame)
        elif kind == GOAWAY:
            yield Left()

    def _opened(self, flags: int, body: bytes) -> Opened:
        stream = _words(body, 1)[0] & 0x7FFFFFFF
        if len(self._open) >= STREAMS_MOST:
            raise SpdyFault(f"more than {STREAMS_MOST} streams are open")
        if not stream or stream in self._open:
            raise SpdyFault(f"stream {stream} is opened twice, or cannot be")
        self._open.add(stream)
        return Opened(stream, self._headers(body[10:]), bool(flags & FIN))

    def _headers(self, block: bytes) -> dict[str, str]:
        """Read a header block; several values of a name are joined by commas."""
        try:
            text = self._inflate.decompress(block, HEADERS_BYTES_MOST)
        except zlib.error as error:
            raise SpdyFault(f"a header block cannot be decompressed: {error}") from error
        if self._inflate.unconsumed_tail:
            raise SpdyFault("a header block is too long")
        if self._inflate.eof:
            raise SpdyFault("the compression of header blocks ended")
        count = _words(text, 1)[0]
        texts, at = [], 4
        for _ in range(2 * count):
            length = _words(text[at : at + 4], 1)[0]
            texts.append(text[at + 4 : at + 4 + length].decode("utf-8", "replace"))
            at += 4 + length
            if at > len(text):
                raise SpdyFault("a header block ends too early")
        return {name.lower(): value.replace("\0", ",") for name, value in zip(texts[::2], texts[1::2], strict=True)}

    def reply(self, stream: int, headers: Mapping[str, str] | None = None) -> bytes:
        """Return the frame that accepts a stream."""
        return self._with_headers(SYN_REPLY, struct.pack("!I", stream), headers or {})

    def open(self, stream: int, headers: Mapping[str, str], *, fin: bool = False) -> bytes:
        """Return the frame that opens a stream: what a client does."""
        return self._with_headers(SYN_STREAM, struct.pack("!IIH", stream, 0, 0), headers, FIN if fin else 0)

    def _with_headers(self, kind: int, begin: bytes, headers: Mapping[str, str], flags: int = 0) -> bytes:
        plain = struct.pack("!I", len(headers))
        plain += b"".join(_counted_bytes(name.lower()) + _counted_bytes(value) for name, value in headers.items())
        block = self._deflate.compress(plain) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return control_frame(kind, begin + block, flags)

    def closed(self, stream: int) -> None:
        """Forget a stream that both sides have ended."""
        self._open.discard(stream)


def _counted_bytes(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("!I", len(encoded)) + encoded


def _words(data: bytes, count: int) -> tuple[int, ...]:
    """Read 32-bit numbers. Raises SpdyFault when there are too few."""
    if len(data) < 4 * count:
        raise SpdyFault("a frame is too short")
    return struct.unpack_from(f"!{count}I", data)


def control_frame(kind: int, body: bytes, flags: int = 0) -> bytes:
    """Return a control frame."""
    return struct.pack("!HHI", 0x8000 | VERSION, kind, flags << 24 | len(body)) + body


def data_frames(stream: int, data: bytes, *, fin: bool = False) -> bytes:
    """Return the frames that carry data on a stream, the last one with its end if `fin`."""
    pieces = [data[at : at + DATA_BYTES_MOST] for at in range(0, len(data), DATA_BYTES_MOST)] or [b""]
    last = len(pieces) - 1
    return b"".join(
        struct.pack("!II", stream, (FIN if fin and index == last else 0) << 24 | len(piece)) + piece
        for index, piece in enumerate(pieces)
    )


def reset_frame(stream: int, reason: int) -> bytes:
    """Return the frame that gives a stream up."""
    return control_frame(RST_STREAM, struct.pack("!II", stream, reason))


def goaway_frame(last_stream: int, reason: int = 0) -> bytes:
    """Return the frame that says that no more streams are taken."""
    return control_frame(GOAWAY, struct.pack("!II", last_stream, reason))
