"""OpenAPI v3: the index and one document a group version, made from the published types and paths.

Documents are built when they are first asked for; their hashes come from what they are made of, so that the index costs
nothing. No descriptions: `kubectl explain` shows fields and types of built-in kinds without prose, and everything that
the schema of a custom resource says.
Source: /openapi/v3 of v1.37.2 (paths, parameters, extensions), kube-openapi pkg/handler3 and pkg/builder3.
"""

import gzip
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import orjson

from moorage import __version__
from moorage.api.discovery import KUBERNETES_VERSION, Document, digest_of
from moorage.objects.facts import lines, packaged
from moorage.objects.kinds import Resource
from moorage.objects.metadata import Object
from moorage.objects.schema import definition

_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."

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

#: What a client may send and get of custom resources.
_CUSTOM_PRODUCES: Final = ("application/json", "application/yaml")
_CUSTOM_PATCHES: Final = ("application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json")

_LIST_QUERY: Final = (
    *("allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion"),
    *("resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "watch"),
)
_DELETE_QUERY: Final = ("dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy")
_WRITE_QUERY: Final = ("dryRun", "fieldManager", "fieldValidation")

_REASONS: Final = {"200": "OK", "201": "Created", "202": "Accepted", "401": "Unauthorized"}


@dataclass(frozen=True, slots=True)
class Published:
    """A custom resource in one version, and the openAPIV3Schema that its definition gives it."""

    resource: Resource
    schema: Object = field(default_factory=dict)


class OpenApi:
    """The OpenAPI v3 documents of built-in and custom resources.

    custom:   returns the custom resources that are served.
    revision: returns a number that changes whenever they do.
    """

    def __init__(self, custom: Callable[[], Iterable[Published]], revision: Callable[[], int]) -> None:
        self._custom = custom
        self._revision = revision
        self._seen: int | None = None
        self._published: dict[str, list[Published]] = {}
        self._documents: dict[str, Document] = {}

    def index(self) -> Document:
        """Return `/openapi/v3`: where each document is, with its hash."""
        keys = [*_builtin_paths(), *(key for key in self._current() if key not in _builtin_paths())]
        paths = {key: {"serverRelativeURL": f"/openapi/v3/{key}?hash={self.hash(key)}"} for key in sorted(keys)}
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
                self._published.setdefault(f"apis/{each.resource.group}", [])
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
        paths |= custom_paths(each.resource)
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


def definition_name(resource: Resource, suffix: str = "") -> str:
    """Return the definition's name of a custom resource: `com.example.v1.Widget`."""
    return ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind + suffix])


def custom_schemas(published: Published) -> dict[str, Any]:
    """Return the definitions of a custom resource and of its list."""
    resource = published.resource
    name, list_name = definition_name(resource), definition_name(resource, "List")
    kind = {"group": resource.group, "kind": resource.kind, "version": resource.version}
    text = {"type": "string"}
    schema = dict(published.schema) or {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    properties = {
        **(schema.get("properties") or {}),
        "apiVersion": text,
        "kind": text,
        "metadata": {"allOf": [{"$ref": f"#/components/schemas/{_META}ObjectMeta"}]},
    }
    items = {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}
    return {
        name: {**schema, "properties": properties, "x-kubernetes-group-version-kind": [kind]},
        list_name: {
            "type": "object",
            "required": ["items"],
            "properties": {
                "apiVersion": text,
                "kind": text,
                "metadata": {"allOf": [{"$ref": f"#/components/schemas/{_META}ListMeta"}]},
                "items": items,
            },
            "x-kubernetes-group-version-kind": [{**kind, "kind": f"{resource.kind}List"}],
        },
    }


def custom_paths(resource: Resource) -> dict[str, Any]:
    """Return the paths of a custom resource, with the operation ids that upstream gives them."""
    rows = custom_rows(resource)
    return {path: _path_item(path, row) for path, row in rows.items()}


def custom_rows(resource: Resource) -> dict[str, Any]:
    """Return the rows of a custom resource's paths, as data/openapi-paths.json.gz writes built-in ones."""
    base = f"/apis/{resource.api_version}"
    scope = "/namespaces/{namespace}" if resource.namespaced else ""
    named = f"{base}{scope}/{resource.plural}/{{name}}"
    make = _Maker(resource)
    rows = {f"{base}{scope}/{resource.plural}": make.collection(), named: make.item()}
    if resource.namespaced:
        rows[f"{base}/{resource.plural}"] = make.everywhere()
    for sub in resource.subresources.values():
        rows[f"{named}/{sub.name}"] = make.subresource(sub.name, sub.kind)
    return rows


class _Maker:
    """Makes the operations of one custom resource."""

    def __init__(self, resource: Resource) -> None:
        words = [*reversed(resource.group.split(".")), resource.version]
        self._prefix = "".join(_titled(word) for word in words)
        self._scope = "Namespaced" if resource.namespaced else ""
        self._kind = resource.kind
        self._gvk = f"{resource.api_version}/{resource.kind}"
        self._tags = [
            "".join(_titled(word) for word in words[:-1])[:1].lower()
            + self._prefix[1 : -len(words[-1])]
            + f"_{resource.version}"
        ]
        self._object = f"@{definition_name(resource)}"
        self._list = f"@{definition_name(resource, 'List')}"
        self._params = [*(("namespace",) if resource.namespaced else ()), "pretty"]

    def everywhere(self) -> dict[str, Any]:
        operation = self._operation(
            "list", f"list{self._prefix}{self._kind}ForAllNamespaces", self._list, q=_LIST_QUERY
        )
        return {"params": ["pretty"], "get": operation}

    def collection(self) -> dict[str, Any]:
        name = f"{self._scope}{self._kind}"
        return {
            "params": self._params,
            "get": self._operation("list", f"list{self._prefix}{name}", self._list, q=_LIST_QUERY),
            "post": self._writing("post", f"create{self._prefix}{name}", ("200", "201", "202")),
            "delete": self._deleting("deletecollection", f"delete{self._prefix}Collection{name}", _LIST_QUERY[1:]),
        }

    def item(self, suffix: str = "", kind: str = "") -> dict[str, Any]:
        name = f"{self._scope}{self._kind}{suffix}"
        out = {
            "params": ["name", *self._params],
            "get": self._operation("get", f"read{self._prefix}{name}", self._object),
            "put": self._writing("put", f"replace{self._prefix}{name}", ("200", "201")),
            "patch": self._patching(f"patch{self._prefix}{name}"),
        }
        if not suffix:
            out["delete"] = self._deleting("delete", f"delete{self._prefix}{name}", _DELETE_QUERY)
        if kind == "Scale":
            return _with_scale(out)
        return out

    def subresource(self, name: str, kind: str) -> dict[str, Any]:
        return self.item(_titled(name), kind)

    def _operation(self, action: str, name: str, answer: str, q: Iterable[str] = ()) -> dict[str, Any]:
        row: dict[str, Any] = {
            "id": name,
            "tags": self._tags,
            "action": action,
            "gvk": self._gvk,
            "r": {"200": answer, "401": ""},
            "produces": list(_CUSTOM_PRODUCES),
        }
        return {**row, "q": list(q)} if q else row

    def _writing(self, action: str, name: str, codes: Iterable[str]) -> dict[str, Any]:
        row = self._operation(action, name, self._object, _WRITE_QUERY)
        answers = {code: self._object for code in codes}
        more = {"consumes": list(_CUSTOM_PRODUCES), "body": self._object, "bodyRequired": True}
        return {**row, **more, "r": {**answers, "401": ""}}

    def _patching(self, name: str) -> dict[str, Any]:
        row = self._operation("patch", name, self._object, (*_WRITE_QUERY, "force"))
        return {**row, "consumes": list(_CUSTOM_PATCHES), "body": f"@{_META}Patch", "bodyRequired": True}

    def _deleting(self, action: str, name: str, q: Iterable[str]) -> dict[str, Any]:
        row = self._operation(action, name, f"@{_META}Status", q)
        body = {"body": f"@{_META}DeleteOptions", "bodyRequired": False, "consumes": list(_CUSTOM_PRODUCES)}
        return {**row, **body}


def _with_scale(rows: dict[str, Any]) -> dict[str, Any]:
    """Return the operations of a subresource, with a Scale in place of the object."""
    text = orjson.dumps(rows)
    scale = orjson.loads(text)
    for method in ("get", "put", "patch"):
        operation = scale[method]
        operation["gvk"] = "autoscaling/v1/Scale"
        operation["r"] = {code: each and "@io.k8s.api.autoscaling.v1.Scale" for code, each in operation["r"].items()}
    scale["put"]["body"] = "@io.k8s.api.autoscaling.v1.Scale"
    out: dict[str, Any] = scale
    return out


def _titled(word: str) -> str:
    return word[:1].upper() + word[1:]
