"""Answers in HTTP, however they are framed and cut."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.client.http1 import BrokenAnswer, Exchange
from moorage.cluster.webhooks.exchange import ANSWER_BYTES_MOST, Answered, exchange


class Sink:
    """Takes what is written."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    async def drain(self) -> None: ...


async def answered(raw: bytes) -> Answered:
    reader = asyncio.StreamReader()
    reader.feed_data(raw)
    reader.feed_eof()
    return await exchange(Exchange(reader, Sink()), "h:1", "/p?timeout=1s", b"{}")  # type: ignore[arg-type]


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=5), st.booleans())
def test_a_body_comes_whole_in_every_framing(pieces: list[bytes], closes: bool) -> None:
    body = b"".join(pieces)
    chunks = b"".join(b"%x;a=b\r\n%b\r\n" % (len(each), each) for each in pieces) + b"0\r\n\r\n"
    close = b"Connection: close\r\n" if closes else b""
    head = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: a/b\r\n" + close
    for framing, sent in (
        (b"Content-Length: %d\r\n" % len(body), body),
        (b"Transfer-Encoding: chunked\r\n", chunks),
    ):
        answer = asyncio.run(answered(head + framing + b"\r\n" + sent))
        assert answer == Answered(200, "a/b", body, not closes)
    assert asyncio.run(answered(head + b"\r\n" + body)) == Answered(200, "a/b", body, keeps=False)


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (ANSWER_BYTES_MOST + 1),
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 60_000 + b"\r\n",
    ],
)
async def test_what_is_no_answer_is_broken(raw: bytes) -> None:
    with pytest.raises(BrokenAnswer):
        await answered(raw)


async def test_half_an_answer_is_none() -> None:
    with pytest.raises(EOFError):
        await answered(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
