"""Pages that are not resources: discovery, OpenAPI, version, health, metrics, and the list of them.

Source: apiserver/pkg/endpoints/discovery, pkg/server/{healthz,routes}, kube-openapi/pkg/handler3 (v1.37).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

import orjson

from moorage.server.bodies import finished
from moorage.server.errors import PLAIN_TEXT, method_not_allowed
from moorage.server.metrics import CONTENT_TYPE as METRICS_TYPE
from moorage.server.metrics import Metrics
from moorage.server.negotiation import JSON, Format, format_of_discovery
from moorage.server.replies import Reply

#: How long a client may keep an OpenAPI document that it asked for by its hash.
_FOREVER: Final = ("Cache-Control", "public, immutable, max-age=31536000")
_SNIFF: Final = (("X-Content-Type-Options", "nosniff"),)

_OPENAPI_V2_PROTOBUF: Final = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
#: Go's parser of media types refuses "@" in an answer.
_OPENAPI_V2_ANSWERED: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

AGGREGATED_TYPE: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class Ask(NamedTuple):
    """What is asked of a page."""

    method: str
    path: str
    query: Mapping[str, str]
    accept: str | None = None
    if_none_match: str = ""
    pretty: bool = False
    host: str = ""


class Document(Protocol):
    """An encoded document and its ETag, quoted."""

    @property
    def body(self) -> bytes:
        """The JSON."""

    @property
    def etag(self) -> str:
        """Its tag, in double quotes."""


class Discovery(Protocol):
    """Discovery documents (moorage.api.discovery)."""

    def api(self, address: str) -> Document:
        """Return `/api`; address is `host:port` of the server."""

    def apis(self) -> Document:
        """Return `/apis`."""

    def group(self, name: str) -> Document | None:
        """Return `/apis/<group>`."""

    def resources(self, api_version: str) -> Document | None:
        """Return `/api/v1` or `/apis/<group>/<version>`."""

    def aggregated(self, *, core: bool) -> Document:
        """Return aggregated discovery of `/api` or `/apis`."""


class OpenApi(Protocol):
    """OpenAPI version 3 documents (moorage.api.openapi)."""

    def index(self) -> Document:
        """Return `/openapi/v3`."""

    def document(self, key: str) -> Document | None:
        """Return `/openapi/v3/<key>` (`api/v1`, `apis/apps/v1`)."""


#: A health check: "" when all is well, else what is wrong.
Check = Callable[[], str]


def no_swagger(protobuf: bool) -> bytes:  # noqa: FBT001
    """Return an OpenAPI v2 document that describes nothing: clients then ask for version 3."""
    if protobuf:
        return b""
    return orjson.dumps({"swagger": "2.0", "info": {"title": "Kubernetes", "version": "unversioned"}, "paths": {}})


@dataclass(frozen=True, slots=True)
class Documents:
    """What the pages show.

    version: the content of /version. live, ready: health checks by name, in the order in which they are listed.
    more:    further pages by path: what gives their content type and bytes (`/.well-known/openid-configuration`).
    swagger: gives /openapi/v2, as JSON or (True) as protobuf, of which an empty one satisfies every known client.
    """

    discovery: Discovery
    openapi: OpenApi
    version: Mapping[str, Any]
    live: Mapping[str, Check] = field(default_factory=dict)
    ready: Mapping[str, Check] = field(default_factory=dict)
    more: Mapping[str, Callable[[], tuple[str, bytes]]] = field(default_factory=dict)
    swagger: Callable[[bool], bytes] = no_swagger


class Pages:
    """Answers for paths that no resource has."""

    def __init__(self, documents: Documents, metrics: Metrics) -> None:
        self._documents = documents
        self._metrics = metrics

    def reply(self, ask: Ask) -> Reply | None:
        """Return the answer, None if there is no such page. Raises StatusError."""
        path = ask.path
        if path.startswith(("/healthz", "/livez", "/readyz")):
            return self._health(ask)
        if path == "/metrics":
            return Reply(200, self._metrics.text(), METRICS_TYPE)
        if path.startswith("/openapi/"):
            return self._openapi(ask)
        if path in self._documents.more:
            content_type, body = self._documents.more[path]()
            return Reply(200, body, content_type)
        if path == "/version":
            _check_method(ask)
            return _shown(orjson.dumps(self._documents.version), Format(), ask)
        if path == "/":
            return _shown(orjson.dumps({"paths": self._paths()}), Format(), ask)
        if path in {"/api", "/apis"} or path.startswith(("/api/", "/apis/")):
            return self._discovery(ask)
        return None

    def _discovery(self, ask: Ask) -> Reply | None:
        found = self._discovery_document(ask)
        if found is None:
            return None
        _check_method(ask)
        can_aggregate = ask.path in ("/api", "/apis")
        form = format_of_discovery(ask.accept, aggregated=can_aggregate)
        if form.convert:
            return _tagged(self._documents.discovery.aggregated(core=ask.path == "/api"), AGGREGATED_TYPE, ask)
        reply = _shown(found.body, form, ask)
        if can_aggregate:
            reply.headers = (("Vary", "Accept"),)
        return reply

    def _discovery_document(self, ask: Ask) -> Document | None:
        discovery, parts = self._documents.discovery, ask.path.strip("/").split("/")
        if parts[0] == "api":
            return (
                discovery.api(ask.host)
                if len(parts) == 1
                else discovery.resources(parts[1])
                if len(parts) == 2
                else None
            )
        if len(parts) == 1:
            return discovery.apis()
        if len(parts) == 2:
            return discovery.group(parts[1])
        return discovery.resources(f"{parts[1]}/{parts[2]}") if len(parts) == 3 else None

    def _openapi(self, ask: Ask) -> Reply | None:
        openapi = self._documents.openapi
        if ask.path == "/openapi/v2":
            protobuf = _OPENAPI_V2_PROTOBUF in (ask.accept or "")
            return Reply(200, self._documents.swagger(protobuf), _OPENAPI_V2_ANSWERED if protobuf else JSON)
        if ask.path == "/openapi/v3":
            return _tagged(openapi.index(), PLAIN_TEXT, ask)
        if not ask.path.startswith("/openapi/v3/"):
            return None
        name = ask.path.removeprefix("/openapi/v3/")
        found = openapi.document(name)
        if found is None:
            return Reply(404, b"", "")
        wanted, tag = ask.query.get("hash", ""), found.etag.strip('"')
        if wanted and wanted != tag:
            return Reply(301, b"", "", (("Location", f"/openapi/v3/{name}?hash={tag}"),))
        reply = _tagged(found, JSON, ask)
        if wanted:
            reply.headers = (*reply.headers, _FOREVER)
        return reply

    def _health(self, ask: Ask) -> Reply | None:
        name, _, single = ask.path.strip("/").partition("/")
        if name not in ("healthz", "livez", "readyz"):
            return None
        checks = {"ping": _well, **self._documents.live}
        if name == "readyz":
            checks |= self._documents.ready
        if single:
            if single not in checks:
                return None
            problem = checks[single]()
            return Reply(
                500 if problem else 200, (_failed(single, problem) if problem else "ok").encode(), PLAIN_TEXT, _SNIFF
            )
        return _checked(name, checks, ask.query)

    def _paths(self) -> Sequence[str]:
        """Return the paths of all pages, in order."""
        listed = orjson.loads(self._documents.discovery.apis().body)
        names = ["/api", "/api/v1", "/apis"]
        for group in listed.get("groups", ()):
            names.append(f"/apis/{group['name']}")
            names += [f"/apis/{version['groupVersion']}" for version in group.get("versions", ())]
        health = [f"/{page}{name}" for page in ("healthz", "livez") for name in ("", "/ping")]
        health += [f"/livez/{name}" for name in self._documents.live] + ["/readyz"]
        health += [f"/readyz/{name}" for name in self._documents.ready]
        others = ["/metrics", "/openapi/v2", "/openapi/v3", "/version", *self._documents.more]
        return sorted({*names, *health, *others})


def _well() -> str:
    return ""


def _checked(name: str, checks: Mapping[str, Check], query: Mapping[str, str]) -> Reply:
    """Return the answer for all checks; failures are always listed, the rest for `verbose` alone."""
    left_out = set(query.get("exclude", "").split(","))
    lines, has_failed = [], False
    for each, check in checks.items():
        if each in left_out:
            lines.append(f"[+]{each} excluded: ok")
            continue
        problem = check()
        has_failed = has_failed or bool(problem)
        lines.append(_failed(each, problem) if problem else f"[+]{each} ok")
    if has_failed:
        return Reply(500, "\n".join([*lines, f"{name} check failed", ""]).encode(), PLAIN_TEXT, _SNIFF)
    if "verbose" not in query:
        return Reply(200, b"ok", PLAIN_TEXT, _SNIFF)
    return Reply(200, "\n".join([*lines, f"{name} check passed", ""]).encode(), PLAIN_TEXT, _SNIFF)


def _failed(name: str, problem: str) -> str:
    return f"[-]{name} failed: {problem}"


def _shown(raw: bytes, form: Format, ask: Ask) -> Reply:
    return Reply(200, finished(raw, form, pretty=ask.pretty), form.encoding)


def _tagged(document: Document, content_type: str, ask: Ask) -> Reply:
    """Return a document with its tag, or that the client has it already."""
    headers = (("ETag", document.etag), ("Vary", "Accept"))
    if document.etag in ask.if_none_match:
        return Reply(304, b"", "", headers)
    return Reply(200, document.body, content_type, headers)


def _check_method(ask: Ask) -> None:
    """Refuse to do anything but read. Raises MethodNotAllowed."""
    if ask.method not in ("GET", "HEAD"):
        raise method_not_allowed()
