"""One HTTP request while it is served: its parts, parsed once, and its body."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol, cast, overload

from moorage.api.authentication import Certificate
from moorage.api.request import Request, User
from moorage.objects.errors import BadRequest
from moorage.objects.kinds import Resource
from moorage.server.callers import certificate_of
from moorage.server.decoding import BODY_BYTES_MOST, too_large
from moorage.server.plain_requests import PlainRequest
from moorage.server.routes import OtherPath, ResourcePath, first_values, parse_path, parse_query

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

#: Stands for a certificate that was not looked at yet.
_UNREAD: Any = object()

NOBODY: Final = User("system:anonymous", ("system:unauthenticated",))


class HttpHeaders(Protocol):
    """The headers of a request; names are found in any case."""

    def __contains__(self, name: object) -> bool:
        """Tell whether a header is there."""

    def __getitem__(self, name: str) -> str:
        """Return the first value of a header. Raises KeyError."""

    @overload
    def get(self, name: str) -> str | None: ...

    @overload
    def get(self, name: str, default: str) -> str: ...

    def getall(self, name: str, default: Any = ...) -> Any:
        """Return every value of a header, `default` if there is none."""

    def items(self) -> "Iterable[tuple[str, str]]":
        """Return names and values in order."""


class HttpRequest(Protocol):
    """What is asked of a request, whoever read it: moorage.server.plain_requests, or aiohttp for the unusual ones."""

    @property
    def method(self) -> str:
        """The method in upper case."""

    @property
    def raw_path(self) -> str:
        """The target as it came."""

    @property
    def path(self) -> str:
        """The path, for logs."""

    @property
    def headers(self) -> HttpHeaders:
        """The headers."""

    @property
    def version(self) -> tuple[int, int]:
        """The version of HTTP."""

    @property
    def keep_alive(self) -> bool:
        """Whether the connection goes on afterwards."""

    @property
    def transport(self) -> Any:
        """The connection's transport, None when the client is gone."""

    @property
    def protocol(self) -> Any:
        """The connection; `writing_paused` tells whether the client is behind."""

    @property
    def writer(self) -> Any:
        """Has `drain`, which waits until the client has taken most of what was written."""


class Call:
    """A request with its target parsed. Raises BadTarget when that is not possible.

    query: the first value of each parameter; pairs: all of them, in order.
    """

    __slots__ = ("agent", "common", "http", "now", "pairs", "path", "query", "user", "verb", "warnings")

    def __init__(self, http: HttpRequest, now: datetime) -> None:
        raw, _, query = http.raw_path.partition("?")
        if raw[:1] != "/":  # absolute form, as proxies send it
            url = cast("Any", http).rel_url
            raw, query = url.raw_path, url.raw_query_string
        self.http = http
        self.now = now
        self.path: ResourcePath | OtherPath = parse_path(raw)
        self.pairs = parse_query(query)
        self.query: Mapping[str, str] = first_values(self.pairs)
        self.agent: str = http.headers.get("User-Agent", "")
        #: As whom the request acts; nobody in particular until it is known.
        self.user = NOBODY
        #: The API's verb, once it is known.
        self.verb = ""
        self.warnings: list[str] = []
        #: Lines of headers that every answer to it has.
        self.common = b""

    @property
    def accept(self) -> str | None:
        """What the client accepts."""
        return self.http.headers.get("Accept")

    @property
    def is_upgrade(self) -> bool:
        """Whether the client wants to speak another protocol from now on."""
        return "Upgrade" in self.http.headers

    @property
    def is_websocket(self) -> bool:
        """Whether that protocol is WebSocket."""
        return self.http.headers.get("Upgrade", "").strip().lower() == "websocket"

    @property
    def target(self) -> ResourcePath:
        """The path of a request about a resource."""
        if not isinstance(self.path, ResourcePath):
            raise TypeError(f"{self.path} is no resource")
        return self.path

    def request(
        self,
        verb: str,
        resource: Resource,
        duplicates: tuple[str, ...] = (),
        *,
        raw: bytes | None = None,
        also: "Callable[[str], Awaitable[None]] | None" = None,
        subresource: str | None = None,
    ) -> Request:
        """Return the API's view of the request; `subresource` stands in for the path's own."""
        path = self.target
        return Request(
            user=self.user,
            verb=verb,
            resource=resource,
            namespace=path.namespace if resource.namespaced else "",
            name=path.name,
            now=self.now,
            subresource=path.subresource if subresource is None else subresource,
            query=self.query,
            agent=self.agent,
            warnings=self.warnings,
            duplicates=duplicates,
            raw=raw,
            also=also,
        )


def certificate_of_connection(http: HttpRequest, known: dict[object, Certificate | None]) -> Certificate | None:
    """Return the client certificate's subject; `known` remembers it by connection."""
    protocol = http.protocol
    found = known.get(protocol, _UNREAD)
    if found is _UNREAD:
        transport = http.transport
        found = certificate_of(transport.get_extra_info("peercert") if transport is not None else None)
        known[protocol] = found
    certificate: Certificate | None = found
    return certificate


async def read_body(http: HttpRequest) -> bytes:
    """Return the whole body, decompressed. Raises TooLarge, BadRequest."""
    if type(http) is PlainRequest:
        return http.body
    data: bytes = await _read_general(http)
    return data


async def _read_general(http: Any) -> Any:
    headers = http.headers
    length = headers.get("Content-Length", "0")
    if length.isdigit() and int(length) > BODY_BYTES_MOST:
        raise too_large()
    content = http.content
    if not content.is_eof() and headers.get("Expect", "").lower() == "100-continue" and http.transport is not None:
        http.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    try:
        if content.is_eof():
            data = content.read_nowait()
            while more := content.read_nowait():
                data += more
        else:
            data = await _read_slowly(http)
    except Exception as error:
        if type(error).__module__.startswith("aiohttp"):
            raise BadRequest(f"the body of the request cannot be read: {error}") from error
        raise
    if len(data) > BODY_BYTES_MOST:
        raise too_large()
    return data


async def _read_slowly(http: Any) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while piece := await http.content.readany():
        pieces.append(piece)
        size += len(piece)
        if size > BODY_BYTES_MOST:
            raise too_large()
    return b"".join(pieces)
