"""OpenAPI of custom resources: their definitions, and the paths by which they are read and written.

Source: apiextensions-apiserver pkg/controller/openapi/builder (v1.37).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from moorage.objects.kinds import Resource
from moorage.objects.metadata import Object

_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
_SCALE: Final = "@io.k8s.api.autoscaling.v1.Scale"

#: What a client may send and get.
_MEDIA: Final = ("application/json", "application/yaml")
_PATCHES: Final = ("application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json")

_LIST_QUERY: Final = (
    *("allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion"),
    *("resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "watch"),
)
_DELETE_QUERY: Final = ("dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy")
_WRITE_QUERY: Final = ("dryRun", "fieldManager", "fieldValidation")


@dataclass(frozen=True, slots=True)
class Published:
    """A custom resource in one version, and the openAPIV3Schema that its definition gives it."""

    resource: Resource
    schema: Object = field(default_factory=dict)


def definition_name(resource: Resource, suffix: str = "") -> str:
    """Return the definition's name of a custom resource, or of its List: `com.example.v1.Widget`."""
    kind = list_kind_of(resource) if suffix else resource.kind
    return ".".join([*reversed(resource.group.split(".")), resource.version, kind])


def list_kind_of(resource: Resource) -> str:
    """Return the kind of its lists."""
    return str(resource.behaviour.get("listKind") or f"{resource.kind}List")


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
            "x-kubernetes-group-version-kind": [{**kind, "kind": list_kind_of(resource)}],
        },
    }


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
        group = "".join(_titled(word) for word in resource.group.split("."))
        self._prefix = group + _titled(resource.version)
        self._scope = "Namespaced" if resource.namespaced else ""
        self._kind = resource.kind
        self._gvk = f"{resource.api_version}/{resource.kind}"
        self._tags = [f"{group[:1].lower()}{group[1:]}_{resource.version}"]
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
            "produces": list(_MEDIA),
        }
        return {**row, "q": list(q)} if q else row

    def _writing(self, action: str, name: str, codes: Iterable[str]) -> dict[str, Any]:
        row = self._operation(action, name, self._object, _WRITE_QUERY)
        answers = dict.fromkeys(codes, self._object)
        more = {"consumes": list(_MEDIA), "body": self._object, "bodyRequired": True}
        return {**row, **more, "r": {**answers, "401": ""}}

    def _patching(self, name: str) -> dict[str, Any]:
        row = self._operation("patch", name, self._object, (*_WRITE_QUERY, "force"))
        return {**row, "consumes": list(_PATCHES), "body": f"@{_META}Patch", "bodyRequired": True}

    def _deleting(self, action: str, name: str, q: Iterable[str]) -> dict[str, Any]:
        row = self._operation(action, name, f"@{_META}Status", q)
        body = {"body": f"@{_META}DeleteOptions", "bodyRequired": False, "consumes": list(_MEDIA)}
        return {**row, **body}


def _with_scale(rows: dict[str, Any]) -> dict[str, Any]:
    """Return the operations of a subresource, with a Scale in place of the object."""
    text = orjson.dumps(rows)
    scale = orjson.loads(text)
    for method in ("get", "put", "patch"):
        operation = scale[method]
        operation["gvk"] = "autoscaling/v1/Scale"
        operation["r"] = {code: each and _SCALE for code, each in operation["r"].items()}
    scale["put"]["body"] = _SCALE
    out: dict[str, Any] = scale
    return out


def _titled(word: str) -> str:
    return word[:1].upper() + word[1:]
