"""SPDY frames: what goes in comes out, and nothing that comes in does harm."""

import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.server.upgrades import spdy
from moorage.server.upgrades.spdy import (
    Data,
    Left,
    Opened,
    Pinged,
    Reset,
    Session,
    SpdyFault,
    control_frame,
    data_frames,
)

names = st.from_regex(r"[a-z][a-z0-9-]{0,12}", fullmatch=True)
headers = st.dictionaries(
    names, st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=20)
)


def test_the_dictionary_is_the_one_of_the_protocol():
    assert zlib.adler32(spdy.DICTIONARY) == 0xE3C6A7C2


@given(st.lists(headers, max_size=6), st.integers(1, 40))
def test_headers_survive_however_bytes_are_cut(blocks, step):
    client, server = Session(), Session()
    sent = b"".join(client.open(2 * index + 1, block, fin=index % 2 == 0) for index, block in enumerate(blocks))
    events = [event for at in range(0, len(sent), step) for event in server.feed(sent[at : at + step])]
    assert events == [Opened(2 * index + 1, block, index % 2 == 0) for index, block in enumerate(blocks)]


@given(st.binary(max_size=200_000), st.integers(1, 50_000), st.booleans())
def test_data_survives_however_bytes_are_cut(data, step, fin):
    session, sent = Session(), data_frames(5, data, fin=fin)
    events = [event for at in range(0, len(sent), step) for event in session.feed(sent[at : at + step])]
    assert all(isinstance(event, Data) and event.stream == 5 for event in events)
    assert b"".join(event.data for event in events) == data
    assert [event.fin for event in events].count(True) == int(fin)


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_any_bytes_are_events_or_a_fault(pieces):
    session = Session()
    with suppress(SpdyFault):
        for piece in pieces:
            for event in session.feed(piece):
                assert isinstance(event, Opened | Data | Reset | Pinged | Left)


@given(st.integers(0, 15), st.integers(0, 255), st.binary(max_size=60), st.binary(max_size=10))
def test_any_control_frame_is_an_event_or_a_fault(kind, flags, body, more):
    session = Session()
    with suppress(SpdyFault):
        list(session.feed(control_frame(kind, body, flags) + more))


@given(headers, st.data())
def test_a_damaged_header_block_is_a_fault_or_other_headers(block, data):
    frame = bytearray(Session().open(1, block))
    at = data.draw(st.integers(8, len(frame) - 1))
    frame[at] ^= data.draw(st.integers(1, 255))
    with suppress(SpdyFault):
        list(Session().feed(bytes(frame)))


def test_a_header_block_cannot_explode():
    bomb = zlib.compressobj(zdict=spdy.DICTIONARY)
    block = bomb.compress(b"\0" * 10_000_000) + bomb.flush(zlib.Z_SYNC_FLUSH)
    with pytest.raises(SpdyFault, match="too long"):
        list(Session().feed(control_frame(spdy.SYN_STREAM, b"\0\0\0\1" + b"\0" * 6 + block)))


def test_a_stream_cannot_be_opened_twice():
    client, server = Session(), Session()
    list(server.feed(client.open(1, {})))
    with pytest.raises(SpdyFault, match="twice"):
        list(server.feed(client.open(1, {})))


def test_too_long_control_frames_are_not_waited_for():
    with pytest.raises(SpdyFault, match="too long"):
        list(Session().feed(b"\x80\x03\x00\x01\x00\xff\xff\xff"))
