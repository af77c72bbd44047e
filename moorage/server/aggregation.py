"""Requests to APIs that another server serves: authenticated and authorized here, then passed on in the caller's name.

Who asks is told by headers, which the server believes because our certificate comes with them.
Source: kube-aggregator/pkg/apiserver/handler_proxy.go, client-go/transport/round_trippers.go (v1.37).
"""

from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import quote

from moorage.api.request import User
from moorage.objects.errors import ServiceUnavailable
from moorage.server import errors
from moorage.server.replies import Header, Reply
from moorage.server.requests import Call

if TYPE_CHECKING:
    from moorage.server.forwarding import Streams
    from moorage.server.front import Front

#: What may stand in the name of a header as it is. Source: RFC 9110, 5.6.2; "%" begins an escape.
_NAME_CHARACTERS: Final = "!#$&'*+-.^_`|~"


class RemoteApi(Protocol):
    """A group version that another server serves."""

    @property
    def is_available(self) -> bool:
        """Whether its APIService says so."""

    @property
    def host(self) -> str:
        """The name and port of its service."""

    async def connect(self) -> "Streams":
        """Return a connection. Raises NoBackend."""


class RemoteApis(Protocol):
    """Which group versions others serve (moorage.cluster.aggregation)."""

    def find(self, group: str, version: str) -> RemoteApi | None:
        """Return who serves a group version, None if it is not another server."""


class NoBackend(Exception):
    """A server cannot be reached. code: of what is answered for it."""

    def __init__(self, text: str, code: int = 503) -> None:
        super().__init__(text)
        self.code = code


async def serve_remote(front: "Front", call: Call, remote: RemoteApi) -> Any:
    """Serve a request by the server behind an APIService. Raises ConnectionError."""
    from moorage.server.forwarding import Backend, forward

    if not remote.is_available:
        return _plain(503, "service unavailable")
    target = call.http.raw_path
    if not target.startswith("/"):  # absolute form
        target = "/" + target.partition("://")[2].partition("/")[2]
    backend = Backend(remote.connect, remote.host, target, "", identity_headers(call.user))
    try:
        return await forward(front, call, backend)
    except NoBackend as error:
        return _plain(error.code, str(error))
    except ServiceUnavailable as error:
        return _plain(503, error.message)


def identity_headers(user: User) -> tuple[Header, ...]:
    """Return the headers that say who asks."""
    headers = [("X-Remote-User", user.name)]
    if user.uid:
        headers.append(("X-Remote-Uid", user.uid))
    headers += [("X-Remote-Group", group) for group in user.groups]
    for key, values in user.extra.items():
        headers += [(f"X-Remote-Extra-{quote(key, safe=_NAME_CHARACTERS)}", value) for value in values]
    return tuple(headers)


def _plain(code: int, text: str) -> Reply:
    reply = Reply(code, f"{text}\n".encode(), errors.PLAIN_TEXT)
    reply.headers = (("X-Content-Type-Options", "nosniff"),)
    return reply
