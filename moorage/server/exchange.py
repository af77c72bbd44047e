"""HTTP/1.1 towards a server behind a proxy: its heads, and its bodies piece by piece. Source: RFC 9112."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Final, NamedTuple

from moorage.server.replies import Header

#: How much of a body is passed on at a time.
PIECE_BYTES: Final = 64 * 1024

#: How many lines the head of an answer may have.
HEADERS_MOST: Final = 256

#: Headers of one connection, which no proxy passes on. Source: RFC 9110, 7.6.1.
HOP_BY_HOP: Final = frozenset(
    "connection proxy-connection keep-alive proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade".split()
)


class BrokenAnswer(Exception):
    """What came back is no HTTP."""


class Head(NamedTuple):
    """The head of an answer; names as they came."""

    code: int
    headers: tuple[Header, ...]

    def get(self, name: str) -> str:
        """Return the first value of a header, "" if there is none."""
        wanted = name.lower()
        return next((value for each, value in self.headers if each.lower() == wanted), "")


def end_to_end(headers: Iterable[Header]) -> list[Header]:
    """Return the headers that are not about one connection."""
    headers = list(headers)
    named = {
        each.strip().lower() for name, value in headers if name.lower() == "connection" for each in value.split(",")
    }
    dropped = HOP_BY_HOP | named
    return [(name, value) for name, value in headers if name.lower() not in dropped]


async def read_head(reader: asyncio.StreamReader) -> Head:
    """Return the head of the answer, past those that only say to go on. Raises BrokenAnswer, EOFError, OSError."""
    head = await _read_head(reader)
    while 100 <= head.code < 200 and head.code != 101:
        head = await _read_head(reader)
    return head


async def _read_head(reader: asyncio.StreamReader) -> Head:
    first = (await _line(reader)).split(" ", 2)
    if len(first) < 2 or not first[0].startswith("HTTP/1.") or not first[1].isdigit():
        raise BrokenAnswer(f'malformed HTTP response "{" ".join(first)}"')
    headers: list[Header] = []
    while line := await _line(reader):
        name, colon, value = line.partition(":")
        if not colon or len(headers) >= HEADERS_MOST:
            raise BrokenAnswer(f'malformed MIME header line "{line}"')
        headers.append((name.strip(), value.strip()))
    return Head(int(first[1]), tuple(headers))


async def _line(reader: asyncio.StreamReader) -> str:
    try:
        line = await reader.readuntil(b"\n")
    except asyncio.LimitOverrunError as error:
        raise BrokenAnswer("a line of the answer's head is too long") from error
    return line.decode("utf-8", "replace").rstrip("\r\n")


def length_of(head: Head, method: str) -> int | None:
    """Return how many bytes the body has, None if only its end tells."""
    if method == "HEAD" or head.code in (204, 304):
        return 0
    if "chunked" in head.get("Transfer-Encoding").lower():
        return None
    text = head.get("Content-Length")
    return int(text) if text.isdigit() else None


async def body_of(reader: asyncio.StreamReader, head: Head, length: int | None) -> AsyncIterator[bytes]:
    """Yield the body as it comes. Raises BrokenAnswer, EOFError when it is not whole."""
    if length is not None:
        while length:
            piece = await reader.read(min(length, PIECE_BYTES))
            if not piece:
                raise EOFError("unexpected EOF")
            length -= len(piece)
            yield piece
    elif "chunked" in head.get("Transfer-Encoding").lower():
        async for piece in _chunks(reader):
            yield piece
    else:
        while piece := await reader.read(PIECE_BYTES):
            yield piece


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        text = (await _line(reader)).partition(";")[0].strip()
        try:
            left = int(text, 16)
        except ValueError:
            raise BrokenAnswer("malformed chunked encoding") from None
        if not left:
            while await _line(reader):
                pass
            return
        while left:
            piece = await reader.read(min(left, PIECE_BYTES))
            if not piece:
                raise EOFError("unexpected EOF")
            left -= len(piece)
            yield piece
        await _line(reader)
