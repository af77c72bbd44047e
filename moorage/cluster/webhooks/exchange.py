"""One call of a webhook over a connection: a JSON body by POST, and the answer.

Redirections are not followed, as upstream does not follow them.
"""

from typing import Final, NamedTuple

from moorage.client.http1 import Exchange

#: How large an answer may be: two objects as large as the server takes them, and their patch in base64.
ANSWER_BYTES_MOST: Final = 16 * 1024 * 1024


class Answered(NamedTuple):
    """An answer. keeps: whether the connection takes another request."""

    code: int
    content_type: str
    body: bytes
    keeps: bool


async def exchange(connection: Exchange, host: str, target: str, body: bytes) -> Answered:
    """Send a JSON body and return what comes back. Raises OSError, EOFError, BrokenAnswer."""
    headers = [
        ("Host", host),
        ("User-Agent", "kube-apiserver-admission"),
        ("Content-Type", "application/json"),
        ("Accept", "application/json, */*"),
        ("Content-Length", str(len(body))),
    ]
    await connection.send("POST", target, headers, body)
    head = await connection.head()
    content = await connection.whole_body(ANSWER_BYTES_MOST)
    return Answered(head.code, head.get("Content-Type"), content, connection.next())
