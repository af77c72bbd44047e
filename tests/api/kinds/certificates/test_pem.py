"""PEM text is read as Go reads it."""

import base64

from hypothesis import given
from hypothesis import strategies as st

from moorage.api.kinds.certificates.pem import Block, blocks, blocks_of_base64


def written(kind: str, data: bytes) -> bytes:
    return f"-----BEGIN {kind}-----\n".encode() + base64.encodebytes(data) + f"-----END {kind}-----\n".encode()


@given(st.lists(st.tuples(st.sampled_from(["CERTIFICATE", "X Y"]), st.binary(min_size=1, max_size=99)), max_size=4))
def test_blocks_are_read_back_in_order(wanted: list[tuple[str, bytes]]) -> None:
    text = b"words between\n".join(written(kind, data) for kind, data in wanted)
    assert blocks(text) == [Block(kind, has_headers=False, data=data) for kind, data in wanted]


@given(st.text())
def test_text_without_blocks_has_none(text: str) -> None:
    assert blocks(text.replace("-", "").encode("utf-8", "replace")) == []
    assert blocks_of_base64("***") == []


def test_headers_are_noticed() -> None:
    text = b"-----BEGIN A-----\nProc-Type: 4\n\naGk=\n-----END A-----\n"
    assert blocks(text) == [Block("A", has_headers=True, data=b"hi")]
