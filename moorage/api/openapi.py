"""OpenAPI v3: the index and one document a group version, made from the published types and paths.

Documents are built when they are first asked for; their hashes come from what they are made of, so that the index costs
nothing. No descriptions: `kubectl explain` shows fields and types of built-in kinds without prose, and everything that
the schema of a custom resource says.
Source: /openapi/v3 of v1.37.2 (paths, parameters, extensions), kube-openapi pkg/handler3 and pkg/builder3.
"""

import gzip
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Final

import orjson

from moorage import __version__
from moorage.api.discovery import KUBERNETES_VERSION, Document, digest_of
from moorage.api.openapi_custom import Published, custom_rows, custom_schemas
from moorage.objects.facts import lines, packaged
from moorage.objects.schema import definition

#: Definitions whose JSON is no object.
_FORMS: Final[Mapping[str, Mapping[str, Any]]] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"oneOf": [{"type": "string"}, {"type": "number"}]},
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {
        "format": "int-or-string",
        "oneOf": [{"type": "integer"}, {"type": "string"}],
    },
}

_INTEGERS: Final = frozenset(
    ("limit", "timeoutSeconds", "gracePeriodSeconds", "tailLines", "sinceSeconds", "limitBytes", "ports")
)
_BOOLEANS: Final = frozenset(
    (
        *("allowWatchBookmarks", "watch", "sendInitialEvents", "orphanDependents", "force", "follow", "previous"),
        *("ignoreStoreReadErrorWithClusterBreakingPotential", "insecureSkipTLSVerifyBackend", "timestamps"),
        *("stdin", "stdout", "stderr", "tty"),
    )
)

_REASONS: Final = {"200": "OK", "201": "Created", "202": "Accepted", "401": "Unauthorized"}


class OpenApi:
    """The OpenAPI v3 documents of built-in and custom resources.

    custom:   returns the custom resources that are served.
    revision: returns a number that changes whenever they do.
    remote:   returns where documents of other servers are, by their keys; they themselves are passed on.
    """

    def __init__(
        self,
        custom: Callable[[], Iterable[Published]],
        revision: Callable[[], int],
        remote: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._remote = remote
        self._custom = custom
        self._revision = revision
        self._seen: int | None = None
        self._published: dict[str, list[Published]] = {}
        self._documents: dict[str, Document] = {}

    def index(self) -> Document:
        """Return `/openapi/v3`: where each document is, with its hash."""
        keys = [*_builtin_paths(), *(key for key in self._current() if key not in _builtin_paths())]
        paths = {key: {"serverRelativeURL": f"/openapi/v3/{key}?hash={self.hash(key)}"} for key in sorted(keys)}
        paths |= {key: {"serverRelativeURL": url} for key, url in self._remote().items()}
        body = orjson.dumps({"paths": paths})
        return Document(body, f'"{digest_of(body)}"')

    def hash(self, key: str) -> str:
        """Return the hash of a document (`api/v1`, `apis/apps/v1`), without building it. It is the ETag, unquoted."""
        custom = [(each.resource.plural, each.resource.kind, each.schema) for each in self._current().get(key, ())]
        text = orjson.dumps([key, __version__, KUBERNETES_VERSION, custom])
        return digest_of(text + _facts_digest())

    def document(self, key: str) -> Document | None:
        """Return `/openapi/v3/<key>`, None if there is no such document."""
        custom = self._current().get(key, ())
        if key not in _builtin_paths() and not custom:
            return None
        if key not in self._documents:
            body = orjson.dumps(_document(key, custom))
            self._documents[key] = Document(body, f'"{self.hash(key)}"')
        return self._documents[key]

    def _current(self) -> Mapping[str, list[Published]]:
        """Return the custom resources by document; what was built before they changed is forgotten."""
        revision = self._revision()
        if revision != self._seen:
            self._seen, self._documents, self._published = revision, {}, {}
            for each in self._custom():
                self._published.setdefault(f"apis/{each.resource.api_version}", []).append(each)
        return self._published


@cache
def _facts_digest() -> bytes:
    return digest_of(b"".join(lines("schema").values()) + packaged("openapi-paths.json.gz")).encode()


@cache
def _facts() -> Mapping[str, Any]:
    facts: Mapping[str, Any] = orjson.loads(gzip.decompress(packaged("openapi-paths.json.gz")))
    return facts


@cache
def _builtin_paths() -> Mapping[str, Mapping[str, Any]]:
    """Return the rows of built-in paths by document, then by path."""
    documents: dict[str, dict[str, Any]] = {}
    for path, row in _facts()["paths"].items():
        steps = path.strip("/").split("/")
        if steps[0] == "api":
            key = "/".join(steps[:2])
        elif steps[0] == "apis":
            key = "/".join(steps[:3])
        else:
            key = "/".join(steps)
        documents.setdefault(key, {})[path] = row
    documents.setdefault(".well-known/openid-configuration", _WELL_KNOWN)
    return documents


_WELL_KNOWN: Final = {
    "/.well-known/openid-configuration/": {
        "params": 0,
        "get": {
            "id": "getServiceAccountIssuerOpenIDConfiguration",
            "tags": ["WellKnown"],
            "r": {"200": "string", "401": ""},
            "produces": ["application/json"],
        },
    }
}


def builtin_rows() -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Yield every built-in path and its row, with lists by number (see `listed`)."""
    for rows in _builtin_paths().values():
        yield from rows.items()


def listed(number: Any) -> list[str]:
    """Return one of the lists that rows of paths name by number."""
    found: list[str] = number if isinstance(number, list) else _facts()["lists"][number]
    return found


def _document(key: str, custom: Iterable[Published]) -> dict[str, Any]:
    paths = {path: _path_item(path, row) for path, row in _builtin_paths().get(key, {}).items()}
    schemas: dict[str, Any] = {}
    for each in custom:
        paths |= {path: _path_item(path, row) for path, row in custom_rows(each.resource).items()}
        schemas |= custom_schemas(each)
    for name in _referenced(paths, schemas):
        if name not in schemas:
            schemas[name] = schema_of(name)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": KUBERNETES_VERSION},
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {
                "BearerToken": {
                    "type": "apiKey",
                    "description": "Bearer Token authentication",
                    "name": "authorization",
                    "in": "header",
                }
            },
        },
    }


def _referenced(*parts: Any) -> list[str]:
    """Return the names of built-in definitions that parts of a document refer to, and those that they refer to in turn."""
    found: dict[str, None] = {}
    waiting = [name for part in parts for name in _references(part)]
    while waiting:
        name = waiting.pop()
        if name not in found and name in lines("schema"):
            found[name] = None
            waiting += _references(schema_of(name))
    return list(found)


def _references(part: Any) -> Iterable[str]:
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "$ref" and isinstance(value, str):
                yield value.rpartition("/")[2]
            else:
                yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


@cache
def schema_of(name: str) -> Mapping[str, Any]:
    """Return the OpenAPI v3 schema of a built-in definition. Raises KeyError."""
    row = definition(name)
    out: dict[str, Any] = dict(_FORMS.get(name) or _scalar(row.get("type", "object")))
    if "p" in row:
        out["properties"] = {each: _property(written) for each, written in row["p"].items()}
    if "req" in row:
        out["required"] = row["req"]
    if "gvk" in row:
        out["x-kubernetes-group-version-kind"] = [kind_of(each) for each in row["gvk"]]
    if "map-type" in row:
        out["x-kubernetes-map-type"] = row["map-type"]
    if "unions" in row:
        out["x-kubernetes-unions"] = row["unions"]
    return out


def kind_of(text: str) -> dict[str, str]:
    """Return `group/version/Kind` (`v1/Kind` in the core group) as the extension writes it."""
    api_version, _, kind = text.rpartition("/")
    group, _, version = api_version.rpartition("/")
    return {"group": group, "kind": kind, "version": version}


def _property(written: Any) -> dict[str, Any]:
    text, extras = (written, {}) if isinstance(written, str) else written
    out = written_schema(text, extras)
    if "$ref" in out and extras:
        out = {"allOf": [out]}
    for name, value in extras.items():
        if name in ("default", "enum"):
            out[name] = value
        elif not name.endswith(".enum"):
            out[f"x-kubernetes-{name}"] = value
    return out


def written_schema(text: str, extras: Mapping[str, Any], prefix: str = "#/components/schemas/") -> dict[str, Any]:
    """Return the schema of a type as data/schema.table writes it: `@definition`, `[items]`, `{values}`, `scalar:format`."""
    if text[0] == "@":
        return {"$ref": f"{prefix}{text[1:]}"}
    if text[0] in "[{":
        inner = written_schema(text[1:-1], {}, prefix)
        enum = extras.get("items.enum" if text[0] == "[" else "values.enum")
        if enum:
            inner["enum"] = enum
        return (
            {"type": "array", "items": inner} if text[0] == "[" else {"type": "object", "additionalProperties": inner}
        )
    return _scalar(text)


def _scalar(text: str) -> dict[str, Any]:
    kind, _, form = text.partition(":")
    if kind == "any":
        return {}
    return {"type": kind, "format": form} if form else {"type": kind}


def _path_item(path: str, row: Mapping[str, Any]) -> dict[str, Any]:
    item: dict[str, Any] = {}
    for method, operation in row.items():
        if method != "params":
            item[method] = _operation(operation)
    parameters = _parameters(listed(row.get("params", 0)), path)
    if parameters:
        item["parameters"] = parameters
    return item


def _operation(row: Mapping[str, Any]) -> dict[str, Any]:
    produces = listed(row["produces"])
    out: dict[str, Any] = {"tags": row["tags"], "operationId": row["id"]}
    if "q" in row:
        out["parameters"] = _parameters(listed(row["q"]), "")
    if "body" in row:
        schema = written_schema(row["body"], {})
        out["requestBody"] = {"content": {each: {"schema": schema} for each in listed(row["consumes"])}}
        if row["bodyRequired"]:
            out["requestBody"]["required"] = True
    out["responses"] = {code: _response(code, written, produces) for code, written in row["r"].items()}
    if "action" in row:
        out["x-kubernetes-action"] = row["action"]
    if "gvk" in row:
        out["x-kubernetes-group-version-kind"] = kind_of(row["gvk"])
    return out


def _response(code: str, written: str, produces: Iterable[str]) -> dict[str, Any]:
    out: dict[str, Any] = {"description": _REASONS.get(code, "")}
    if written:
        schema = written_schema(written, {})
        out["content"] = {each: {"schema": schema} for each in produces}
    return out


def _parameters(names: Iterable[str], path: str) -> list[dict[str, Any]]:
    """Return parameters by name: those that the path names are in it (once), all others in the query."""
    out: list[dict[str, Any]] = []
    in_path: set[str] = set()
    for name in names:
        is_in_path = f"{{{name}}}" in path and name not in in_path
        if is_in_path:
            in_path.add(name)
        out.append(_parameter(name, "path" if is_in_path else "query"))
    return out


def _parameter(name: str, place: str) -> dict[str, Any]:
    schema = {"type": parameter_type(name), "uniqueItems": True}
    if place == "path":
        return {"name": name, "in": place, "required": True, "schema": schema}
    return {"name": name, "in": place, "schema": schema}


def parameter_type(name: str) -> str:
    """Return the JSON type of a parameter."""
    return "integer" if name in _INTEGERS else "boolean" if name in _BOOLEANS else "string"
