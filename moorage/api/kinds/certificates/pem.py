"""PEM text as blocks.

As Go's encoding/pem reads it: what is not a block is skipped, a block with wrong base64 is none.
"""

import base64
import binascii
import re
from typing import NamedTuple

_BLOCK = re.compile(rb"-----BEGIN ([^\n]*?)-----[ \t\r]*\n(.*?)\n?-----END \1-----", re.DOTALL)
_HEADER = re.compile(rb"^[^\n:]+:[^\n]*\n", re.MULTILINE)


class Block(NamedTuple):
    """One block: its type (`CERTIFICATE`), whether it has headers, its DER bytes."""

    type: str
    has_headers: bool
    data: bytes


def blocks(text: bytes) -> list[Block]:
    """Return the blocks of a PEM text, in order."""
    found: list[Block] = []
    for match in _BLOCK.finditer(text):
        body = match[2]
        try:
            data = base64.b64decode(b"".join(_HEADER.sub(b"", body).split()), validate=True)
        except binascii.Error:
            continue
        found.append(Block(match[1].decode("utf-8", "replace"), bool(_HEADER.search(body)), data))
    return found


def blocks_of_base64(text: str | None) -> list[Block]:
    """Return the blocks of a PEM text that is base64 itself, as byte fields are in JSON."""
    try:
        return blocks(base64.b64decode(text or ""))
    except binascii.Error:
        return []
