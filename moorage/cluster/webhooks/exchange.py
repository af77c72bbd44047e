"""One request and its answer over a connection, in HTTP/1.1: no more of it than webhooks need.

Redirections are not followed, as upstream does not follow them. Source: RFC 9112.
"""

import asyncio
from collections.abc import Mapping
from typing import Final, NamedTuple

#: How large an answer may be: two objects as large as the server takes them, and their patch in base64.
ANSWER_BYTES_MOST: Final = 16 * 1024 * 1024

#: How many lines the head of an answer may have.
HEADERS_MOST: Final = 200


class BrokenAnswer(Exception):
    """What came back is no HTTP, or more than is taken."""


class Answered(NamedTuple):
    """An answer. keeps: whether the connection takes another request."""

    code: int
    content_type: str
    body: bytes
    keeps: bool


async def exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, target: str, body: bytes
) -> Answered:
    """Send a JSON body by POST and return what comes back. Raises ConnectionError, EOFError, BrokenAnswer."""
    head = (
        f"POST {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: kube-apiserver-admission\r\n"
        f"Content-Type: application/json\r\nAccept: application/json, */*\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode("ascii", "replace") + body)
    await writer.drain()
    version, code, headers = await _head(reader)
    while 100 <= code < 200:
        version, code, headers = await _head(reader)
    chunked = "chunked" in headers.get("transfer-encoding", "").lower()
    length = headers.get("content-length", "")
    if chunked:
        content = await _chunks(reader)
    elif length.isdigit():
        content = await _exactly(reader, int(length))
    else:
        content = b"" if code in (204, 304) else await _rest(reader)
    framed = chunked or length.isdigit()
    keeps = framed and version == "HTTP/1.1" and "close" not in headers.get("connection", "").lower()
    return Answered(code, headers.get("content-type", ""), content, keeps)


async def _head(reader: asyncio.StreamReader) -> tuple[str, int, Mapping[str, str]]:
    first = (await _line(reader)).split(" ", 2)
    if len(first) < 2 or not first[0].startswith("HTTP/1.") or not first[1].isdigit():
        raise BrokenAnswer(f'malformed HTTP response "{" ".join(first)}"')
    headers: dict[str, str] = {}
    for _ in range(HEADERS_MOST):
        line = await _line(reader)
        if not line:
            return first[0], int(first[1]), headers
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    raise BrokenAnswer("the answer has too many headers")


async def _line(reader: asyncio.StreamReader) -> str:
    try:
        line = await reader.readuntil(b"\n")
    except asyncio.LimitOverrunError as error:
        raise BrokenAnswer("a line of the answer's head is too long") from error
    return line.decode("latin-1").rstrip("\r\n")


async def _exactly(reader: asyncio.StreamReader, size: int) -> bytes:
    if size > ANSWER_BYTES_MOST:
        raise BrokenAnswer(f"the answer is larger than {ANSWER_BYTES_MOST} bytes")
    return await reader.readexactly(size)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    pieces, size = [], 0
    while True:
        text = (await _line(reader)).partition(";")[0].strip()
        try:
            length = int(text, 16)
        except ValueError:
            raise BrokenAnswer("malformed chunked encoding") from None
        size += length
        pieces.append(await _exactly(reader, length if size <= ANSWER_BYTES_MOST else size))
        if await _line(reader) and length:
            raise BrokenAnswer("malformed chunked encoding")
        if not length:
            return b"".join(pieces)


async def _rest(reader: asyncio.StreamReader) -> bytes:
    content = await reader.read(ANSWER_BYTES_MOST + 1)
    while piece := await reader.read(ANSWER_BYTES_MOST + 1 - len(content)):
        content += piece
    return await _exactly(reader, len(content)) if len(content) > ANSWER_BYTES_MOST else content
