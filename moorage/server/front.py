"""The way of a request: route → authenticate → impersonate → authorize → body → verb → answer.

Upstream's order: who may not is told so before anything about what does not exist.
Source: apiserver/pkg/server/config.go DefaultBuildHandlerChain, endpoints/installer.go (v1.37).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final, Protocol

from moorage.aio.clock import Clock
from moorage.aio.entropy import Entropy
from moorage.api.answers import Answer, Page, WatchChange
from moorage.api.deprecations import deprecation_of
from moorage.api.request import Draft, Request, User
from moorage.objects.attributes import Attributes
from moorage.objects.errors import BadRequest, not_found
from moorage.objects.kinds import Resource, group_order
from moorage.server import decoding, errors, negotiation
from moorage.server.bodies import Bodies, Frames, Look, Tables, look_for
from moorage.server.callers import Authenticator, Authorizer, credentials_of, impersonate, impersonated
from moorage.server.gateway import PodGateway
from moorage.server.metrics import Metrics, Served
from moorage.server.pages import Ask, Pages
from moorage.server.replies import Done, Header, Reply, header_lines
from moorage.server.requests import Call, HttpRequest, certificate_of_connection, read_body
from moorage.server.routes import BadTarget, Fault, OtherPath, ResourcePath, fault_of, parse_path, verb_for
from moorage.server.streams import Stopping, Streams

if TYPE_CHECKING:
    from moorage.api.authentication import Certificate
    from moorage.server.aggregation import RemoteApi, RemoteApis

#: Subresources of pods that reach inside them; asking for them with GET needs the right to create them as well.
INSIDE: Final = frozenset({"exec", "attach", "portforward"})

#: How long all warnings together may be before each is cut, and how long it is then. Source: filters/warning.go.
WARNINGS_MOST, WARNING_CUT_MOST = 4096, 256


class ServedResources(Protocol):
    """Which resources there are (moorage.api.resources.Resources)."""

    #: Grows whenever the set changes.
    revision: int

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """Return one resource, None if it is not served."""

    def all(self) -> Iterable[Resource]:
        """Return every resource in every version."""


class ServedApi(Protocol):
    """The API behind the server (moorage.api.api.Api). All verbs raise StatusError."""

    @property
    def resources(self) -> ServedResources:
        """Which resources there are."""

    async def get(self, request: Request) -> Answer:
        """Return one object or its subresource."""

    async def list(self, request: Request) -> Page:
        """Return a page of a list."""

    async def watch(self, request: Request) -> AsyncIterator[Sequence[WatchChange]]:
        """Return the changes; refusals are raised here, before the first of them."""

    async def create(self, request: Request, draft: Draft) -> Answer:
        """Create an object, or what a POST to a subresource makes."""

    async def update(self, request: Request, draft: Draft) -> Answer:
        """Replace an object or its subresource."""

    async def patch(self, request: Request, patch: Any, content_type: str) -> Answer:
        """Patch an object or its subresource."""

    async def delete(self, request: Request, options: dict[str, Any]) -> Answer:
        """Delete an object."""

    async def delete_collection(self, request: Request, options: dict[str, Any]) -> Page | Answer:
        """Delete every selected object."""

    async def connect(self, request: Request, options: Draft) -> None:
        """Ask whether a connection into an object may be made; `options` says how it is asked for."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a Front is made of.

    protobuf: reads protobuf bodies; without it they are refused. remotes: which APIs other servers serve.
    """

    api: ServedApi
    authenticator: Authenticator
    authorizer: Authorizer
    pages: Pages
    tables: Tables
    gateway: PodGateway
    clock: Clock
    entropy: Entropy
    metrics: Metrics
    protobuf: decoding.ProtobufDecoder | None = None
    remotes: "RemoteApis | None" = None


class Front:
    """Answers HTTP requests. `handle` is what connections call."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.streams = Streams()
        self.bodies = Bodies(parts.tables)
        self.frames = Frames(self.bodies)
        self._certificates: dict[object, Certificate | None] = {}
        self._groups: tuple[int, frozenset[str]] = (-1, frozenset())
        self._date: tuple[int, bytes] = (-1, b"")
        #: Audit ids are UUIDs whose last part counts: unique, and eight times cheaper than chance.
        self._audit_prefix = parts.entropy.uid()[:24]
        self._audit_count = 0
        self._verbs: Mapping[str, Callable[[Call, Resource], Awaitable[Any]]] = {
            "get": self._get,
            "list": self._list,
            "watch": self._watch,
            "create": self._create,
            "update": self._update,
            "patch": self._patch,
            "delete": self._delete,
            "deletecollection": self._delete_collection,
        }
        parts.metrics.long_running = lambda: len(self.streams)

    def lost(self, connection: object) -> None:
        """Forget a connection that is gone and end what it was served."""
        self._certificates.pop(connection, None)
        self.streams.lost(connection)

    def is_quick(self, http: HttpRequest) -> bool:
        """Tell whether answering waits for nobody, as a rule: then it is not worth a task. One object of ours is read."""
        if http.method != "GET" or "?" in http.raw_path:
            return False
        try:
            path = parse_path(http.raw_path)
        except BadTarget:
            return False
        if isinstance(path, OtherPath) or not path.name or path.subresource or path.watch:
            return False
        if self._remote(path.group, path.version) is not None:
            return False
        return self.parts.api.resources.find(path.group, path.version, path.plural) is not None

    async def handle(self, http: HttpRequest) -> Any:
        """Answer one request: with a Reply, or with a stream that has been written to its end."""
        begun = self.parts.clock.monotonic()
        now = self.parts.clock.now()
        audit_id = http.headers.get("Audit-Id") or self._next_audit_id()
        try:
            call = Call(http, now)
        except BadTarget:
            return self._complete(errors.bad_target(), self.common(now.timestamp(), audit_id))
        call.common = self.common(now.timestamp(), audit_id)
        try:
            outcome = await self._served(call)
        except Stopping:
            outcome = Reply(503, b"the server is stopping\n", errors.PLAIN_TEXT)
            outcome.keep_alive = False
        except ConnectionError:
            return Done()
        except Exception as error:  # noqa: BLE001 (the border of the process)
            outcome = self._refusal(call, error, audit_id)
        if isinstance(outcome, Reply):
            self._complete(outcome, call.common, call.warnings)
        self._count(call, outcome.status, begun)
        return outcome

    def _refusal(self, call: Call, error: Exception, audit_id: str) -> Reply:
        about = f"method={call.http.method} path={call.http.path} audit_id={audit_id}"
        refusal = errors.status_error_of(error, about=about)
        reply = errors.reply_of(refusal, negotiation.format_of_error(call.accept))
        if refusal.code == 413:
            reply.keep_alive = False
        return reply

    def _next_audit_id(self) -> str:
        self._audit_count += 1
        return f"{self._audit_prefix}{self._audit_count:012x}"

    def common(self, seconds: float, audit_id: str) -> bytes:
        """Return the lines of headers that every answer has; the Date is formatted once a second."""
        second = int(seconds)
        if second != self._date[0]:
            self._date = (second, header_lines((("Date", formatdate(second, usegmt=True)),)))
        return self._date[1] + b"Audit-Id: %b\r\n" % audit_id.encode("ascii", "replace")

    @staticmethod
    def _complete(reply: Reply, common: bytes, warnings: Sequence[str] = ()) -> Reply:
        """Add the headers that all answers have."""
        if not any(name == "Cache-Control" for name, _ in reply.headers):
            common += b"Cache-Control: no-cache, private\r\n"
        reply.common = common
        if warnings:
            reply.headers = (*reply.headers, *warning_headers(warnings))
        return reply

    def _count(self, call: Call, code: int, begun: float) -> None:
        path, verb = call.path, call.http.method
        if isinstance(path, OtherPath):
            served = Served(verb, "", "", "", "", code)
        elif code == 404:  # names of what does not exist would let anybody fill the memory
            served = Served(verb, "", "", "unknown", "", code)
        else:
            served = Served(call.verb, path.group, path.version, path.plural, path.subresource, code)
        self.parts.metrics.served(served, self.parts.clock.monotonic() - begun)

    async def _served(self, call: Call) -> Any:
        path = call.path
        if isinstance(path, OtherPath):
            return await self._page(call, path)
        verb = call.verb = verb_for(call.http.method, path, call.query)
        asked = Attributes(
            verb, path.group, path.version, path.plural, path.subresource, path.namespace, _name_asked(call, path, verb)
        )
        user = await self._caller(call, asked)
        await self.parts.authorizer.authorize(user, asked)
        if verb == "get" and path.plural == "pods" and path.subresource in INSIDE:
            await self.parts.authorizer.authorize(user, asked._replace(verb="create"))
        remote = self._remote(path.group, path.version)
        if remote is not None:
            return await self._elsewhere(call, remote)
        resource = self.parts.api.resources.find(path.group, path.version, path.plural)
        if resource is None and path.group not in self._known_groups():
            return errors.page_not_found()
        fault = fault_of(path, verb, resource)
        if fault is not None or resource is None:
            return _nowhere(path, resource, fault)
        if deprecation := deprecation_of(resource):
            call.warnings.append(deprecation)
        check_segment(path.name)
        if path.subresource == "proxy":
            from moorage.server.proxying import serve_proxy

            return await serve_proxy(self, call, resource)
        if path.subresource == "log" or path.subresource in INSIDE:
            from moorage.server.inside import serve_inside

            return await serve_inside(self, call, resource)
        return await self._verbs[verb](call, resource)

    async def _caller(self, call: Call, asked: Attributes) -> User:
        """Return as whom the request acts. Raises Unauthorized, Forbidden, BadRequest."""
        headers = call.http.headers
        certificate = certificate_of_connection(call.http, self._certificates)
        user = await self.parts.authenticator.authenticate(credentials_of(headers, certificate))
        if "Impersonate-User" in headers or "Impersonate-Group" in headers or "Impersonate-Uid" in headers:
            wanted = impersonated(headers)
            if wanted is not None:
                user = await impersonate(user, wanted, self.parts.authorizer, asked)
        call.user = user
        return user

    def _also(self, call: Call) -> Callable[[str], Awaitable[None]]:
        """Return what asks whether the caller may do another verb to the object of the call."""

        async def allow(verb: str) -> None:
            path = call.target
            asked = Attributes(verb, path.group, path.version, path.plural, path.subresource, path.namespace, path.name)
            await self.parts.authorizer.authorize(call.user, asked)

        return allow

    def _remote(self, group: str, version: str) -> "RemoteApi | None":
        """Return who serves a group version, None if we do or nobody does."""
        remotes = self.parts.remotes
        return remotes.find(group, version) if remotes is not None else None

    async def _elsewhere(self, call: Call, remote: "RemoteApi") -> Any:
        from moorage.server.aggregation import serve_remote

        return await serve_remote(self, call, remote)

    async def _page(self, call: Call, path: OtherPath) -> Any:
        http = call.http
        asked = Attributes(http.method.lower(), path=path.path)
        user = await self._caller(call, asked)
        await self.parts.authorizer.authorize(user, asked)
        remote = self._remote(*group_version_of_page(path.path))
        if remote is not None:
            return await self._elsewhere(call, remote)
        pretty = negotiation.is_pretty(call.query, call.agent)
        headers = http.headers
        ask = Ask(
            http.method,
            path.path,
            call.query,
            call.accept,
            headers.get("If-None-Match", ""),
            pretty,
            headers.get("Host", ""),
        )
        reply = self.parts.pages.reply(ask)
        if reply is None and group_of_page(path.path) in self._known_groups():
            raise errors.resource_not_found()
        return reply or errors.page_not_found()

    def _known_groups(self) -> frozenset[str]:
        """Return the groups that exist: below them what does not exist is a Status, elsewhere a page."""
        resources = self.parts.api.resources
        if resources.revision != self._groups[0]:
            self._groups = (resources.revision, frozenset(resource.group for resource in resources.all()))
        return self._groups[1]

    async def _get(self, call: Call, resource: Resource) -> Reply:
        form = negotiation.format_of_object(call.accept)
        return self._answered(call, resource, form, await self.parts.api.get(call.request("get", resource)))

    async def _list(self, call: Call, resource: Resource) -> Reply:
        form = negotiation.format_of_list(call.accept)
        look = self.look(call, resource, form)
        page = await self.parts.api.list(call.request("list", resource))
        return Reply(200, self.bodies.of_page(page, look, call.now), form.encoding)

    async def _watch(self, call: Call, resource: Resource) -> Any:
        from moorage.server.watching import serve_watch

        return await serve_watch(self, call, resource)

    async def _create(self, call: Call, resource: Resource) -> Reply:
        form = negotiation.format_of_object(call.accept)
        body = await self._body(call, resource)
        request = call.request("create", resource, body.duplicates, raw=body.raw)
        return self._answered(call, resource, form, await self.parts.api.create(request, body.value))

    async def _update(self, call: Call, resource: Resource) -> Reply:
        form = negotiation.format_of_object(call.accept)
        body = await self._body(call, resource)
        request = call.request("update", resource, body.duplicates, raw=body.raw, also=self._also(call))
        return self._answered(call, resource, form, await self.parts.api.update(request, body.value))

    async def _patch(self, call: Call, resource: Resource) -> Reply:
        patch_type = decoding.patch_type_of(call.http.headers.get("Content-Type"))
        form = negotiation.format_of_object(call.accept)
        data = await read_body(call.http)
        patch, duplicates = decoding.read_patch(data, patch_type, strict=is_strict(call))
        request = call.request("patch", resource, duplicates, also=self._also(call))
        return self._answered(call, resource, form, await self.parts.api.patch(request, patch, patch_type))

    async def _delete(self, call: Call, resource: Resource) -> Reply:
        form = negotiation.format_of_object(call.accept)
        options = await self._options(call)
        return self._answered(
            call, resource, form, await self.parts.api.delete(call.request("delete", resource), options)
        )

    async def _delete_collection(self, call: Call, resource: Resource) -> Reply:
        form = negotiation.format_of_object(call.accept)
        options = await self._options(call)
        done = await self.parts.api.delete_collection(call.request("deletecollection", resource), options)
        if isinstance(done, Page):
            return Reply(200, self.bodies.of_page(done, self.look(call, resource, form), call.now), form.encoding)
        return self._answered(call, resource, form, done)

    async def _body(self, call: Call, resource: Resource) -> decoding.Body:
        http = call.http
        path = call.path
        subresource = resource.subresources.get(path.subresource) if isinstance(path, ResourcePath) else None
        kind = subresource.kind if subresource is not None else resource.kind
        data = await read_body(http)
        content_type = http.headers.get("Content-Type")
        return decoding.read_object(data, content_type, kind, strict=is_strict(call), protobuf=self.parts.protobuf)

    async def _options(self, call: Call) -> dict[str, Any]:
        data = await read_body(call.http)
        return decoding.read_options(data, call.http.headers.get("Content-Type"), self.parts.protobuf)

    def look(self, call: Call, resource: Resource, form: negotiation.Format) -> Look:
        """Return how the client wants to see objects of this resource. Raises BadRequest."""
        subresource = call.path.subresource if isinstance(call.path, ResourcePath) else ""
        return look_for(form, resource, subresource, call.query, pretty=negotiation.is_pretty(call.query, call.agent))

    def _answered(self, call: Call, resource: Resource, form: negotiation.Format, answer: Answer) -> Reply:
        look = self.look(call, resource, form)
        return Reply(answer.code, self.bodies.of_object(answer.body, look, call.now), form.encoding)


def is_strict(call: Call) -> bool:
    """Tell whether unknown and repeated fields are to be refused."""
    return call.query.get("fieldValidation") == "Strict"


def _name_asked(call: Call, path: ResourcePath, verb: str) -> str:
    """Return the name that authorization is about: also the one that a field selector leaves alone."""
    if path.name or verb not in ("list", "watch", "deletecollection"):
        return path.name
    selector = call.query.get("fieldSelector", "")
    names = [
        part.removeprefix("metadata.name=").lstrip("=")
        for part in selector.split(",")
        if part.startswith("metadata.name=")
    ]
    return names[0] if names and len(set(names)) == 1 else ""


def group_of_page(path: str) -> str | None:
    """Return the group that a path is below, None if below none: "" for `/api/v2`, "apps" for `/apis/apps/v1beta1`."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 1:
        return ""
    return parts[1] if parts[0] == "apis" and len(parts) > 2 else None


def group_version_of_page(path: str) -> tuple[str, str]:
    """Return whose page this is: its documents in discovery and OpenAPI, and whatever else is below them. Else "", ""."""
    parts = path.removeprefix("/openapi/v3").strip("/").split("/")
    return (parts[1], parts[2]) if parts[0] == "apis" and len(parts) > 2 else ("", "")


def check_segment(name: str) -> None:
    """Refuse names that cannot stand in a path. Raises BadRequest. Source: validation/path/name.go."""
    if name in (".", ".."):
        raise BadRequest(f"Name parameter invalid: \"{name}\": may not be '{name}'")
    if "%" in name:
        raise BadRequest(f"Name parameter invalid: \"{name}\": may not contain '%'")


def warning_headers(texts: Sequence[str]) -> tuple[Header, ...]:
    """Return Warning headers; when they are too long together each is cut, and what is still too much is left out."""
    if sum(map(len, texts)) <= WARNINGS_MOST:
        return tuple(errors.warning_header(text) for text in texts)
    kept, size = [], 0
    for text in texts:
        cut = text[:WARNING_CUT_MOST]
        size += len(cut)
        if size > WARNINGS_MOST:
            break
        kept.append(errors.warning_header(cut))
    return tuple(kept)


def _nowhere(path: ResourcePath, resource: Resource | None, fault: Fault | None) -> Reply:
    """Answer for what the resource does not serve: below built-in groups a Status, below custom ones a page, as upstream."""
    if fault is not None and fault.code != 404:
        raise errors.method_not_allowed()
    if not path.group or path.group in group_order():
        raise errors.resource_not_found()
    if resource is not None and path.subresource:
        raise not_found(resource.plural, resource.group, path.name)
    return errors.page_not_found()
