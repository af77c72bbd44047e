"""Messages on channels."""

from hypothesis import given
from hypothesis import strategies as st

from moorage.server.upgrades.exec import size_of
from moorage.server.upgrades.websocket import Message, decode_message, encode_message, offered_protocols


@given(st.integers(0, 255), st.binary(max_size=100))
def test_binary_messages_come_back(channel, data):
    assert decode_message(encode_message(channel, data, is_base64=False), is_base64=False) == Message(channel, data)


@given(st.integers(0, 4), st.binary(max_size=100))
def test_base64_messages_come_back(channel, data):
    encoded = encode_message(channel, data, is_base64=True)
    assert encoded.isascii()
    assert decode_message(encoded.decode(), is_base64=True) == Message(channel, data)


@given(st.binary(max_size=30) | st.text(st.characters(blacklist_categories=("Cs",)), max_size=30), st.booleans())
def test_any_message_is_understood_or_dropped(data, is_base64):
    assert isinstance(decode_message(data, is_base64=is_base64), Message | None)


@given(st.binary(max_size=40))
def test_any_size_is_understood_or_dropped(data):
    assert size_of(data) is None or all(side > 0 for side in size_of(data))


def test_sizes_must_be_sensible():
    assert size_of(b'{"Width":80,"Height":24}') == (80, 24)
    for text in (
        b'{"Width":0,"Height":24}',
        b'{"Width":"80","Height":24}',
        b"[]",
        b'{"Width":80}',
        b'{"Width":1e9,"Height":1}',
    ):
        assert size_of(text) is None


def test_protocols_are_read_in_order():
    assert offered_protocols(" v5.channel.k8s.io,v4.channel.k8s.io , ") == ("v5.channel.k8s.io", "v4.channel.k8s.io")
