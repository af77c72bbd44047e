"""Types of Kubernetes objects: what fields there are, and how lists and maps of them merge.

Built-in types are data (data/schema.table, one definition a line, decoded on first use); the types of custom resources
are built from their structural OpenAPI schema. Server-side apply reads `list_type`, `list_map_keys` and `map_type`;
strategic merge reads `patch_strategies` and `merge_key`. The two differ on purpose: a container's ports merge by
`containerPort` in a strategic merge patch, and by `containerPort` and `protocol` in server-side apply.
Source: /openapi/v3 of v1.37.2 (scripts/extract-facts); the rule for lists is kube-openapi's pkg/schemaconv.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from types import MappingProxyType
from typing import Any, Final

import orjson

from moorage.objects.facts import lines
from moorage.objects.metadata import Object

_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
_EXTENSIONS: Final = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."

#: Definitions that JSON writes in a form of their own, by name.
_SPECIAL: Final = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "int-or-string",
    _META + "Time": "time",
    _META + "MicroTime": "micro-time",
    _META + "Duration": "duration",
    _META + "FieldsV1": "any",
    "io.k8s.apimachinery.pkg.runtime.RawExtension": "any",
    _EXTENSIONS + "JSON": "any",
    _EXTENSIONS + "JSONSchemaPropsOrArray": "any",
    _EXTENSIONS + "JSONSchemaPropsOrBool": "any",
    _EXTENSIONS + "JSONSchemaPropsOrStringArray": "any",
}

_NO_FIELDS: Final[Mapping[str, "Type"]] = MappingProxyType({})


def _none() -> Mapping[str, "Type"]:
    return _NO_FIELDS


@dataclass(frozen=True, eq=False, repr=False)
class Type:
    """The type of one value, at the place where it is used. Immutable, compared by identity.

    kind:              object, list, map, string, integer, number, boolean, any, int-or-string, quantity, time,
                       micro-time, bytes or duration.
    name:              the definition's name (`io.k8s.api.core.v1.Pod`), "" for what has none.
    items, values:     the type of a list's items, of a map's values; None for other kinds.
    list_type:         atomic, set or map, as server-side apply sees it; "" if it is no list.
    list_map_keys:     the keys of a list of type map, for server-side apply.
    map_type:          granular or atomic, for objects and maps; "" for other kinds.
    patch_strategies:  merge, replace and retainKeys, for strategic merge patches.
    merge_key:         the key by which a strategic merge patch merges a list of objects.
    default:           the published default, None if there is none. The real defaulting is moorage.objects.defaults.
    preserves_unknown: fields that `fields` does not name are kept (RawExtension, JSON, x-kubernetes-preserve-unknown-fields).
    embedded:          a whole object with apiVersion, kind and metadata (x-kubernetes-embedded-resource).
    """

    kind: str
    name: str = ""
    format: str = ""
    items: "Type | None" = None
    values: "Type | None" = None
    list_type: str = ""
    list_map_keys: tuple[str, ...] = ()
    map_type: str = ""
    patch_strategies: tuple[str, ...] = ()
    merge_key: str = ""
    default: Any = None
    enum: tuple[Any, ...] = ()
    required: tuple[str, ...] = ()
    nullable: bool = False
    preserves_unknown: bool = False
    embedded: bool = False
    load_fields: Callable[[], Mapping[str, "Type"]] = _none

    @cached_property
    def fields(self) -> Mapping[str, "Type"]:
        """The fields of an object by their JSON name, empty for other kinds. Loaded on first use."""
        return self.load_fields()

    def __repr__(self) -> str:
        return f"Type({self.kind} {self.name})" if self.name else f"Type({self.kind})"


#: Anything at all, kept as it is.
ANY: Final = Type("any", preserves_unknown=True)


def type_of(api_version: str, kind: str) -> Type | None:
    """Return the type of a built-in kind, None if there is no such one. Lists and options have types too."""
    name = definition_of(api_version, kind)
    return named_type(name) if name else None


def definition_of(api_version: str, kind: str) -> str:
    """Return the name of the definition of a built-in kind, "" if there is none."""
    return _definitions_by_kind().get(f"{api_version}/{kind}", "")


@cache
def named_type(definition_name: str) -> Type:
    """Return the type of a definition, such as `io.k8s.api.core.v1.PodSpec`. Raises KeyError."""
    row = definition(definition_name)
    special = _SPECIAL.get(definition_name)
    if special:
        return Type(special, definition_name, preserves_unknown=special == "any")
    properties = row.get("p", {})
    return Type(
        "object",
        definition_name,
        map_type=row.get("map-type", "granular"),
        required=tuple(row.get("req", ())),
        load_fields=lambda: {name: _property(written) for name, written in properties.items()},
    )


@cache
def definition(definition_name: str) -> Mapping[str, Any]:
    """Return the row of a definition as data/schema.table writes it. Raises KeyError."""
    row: Mapping[str, Any] = orjson.loads(lines("schema")[definition_name])
    return row


def definition_names() -> tuple[str, ...]:
    """Return the names of all published definitions."""
    return tuple(name for name in lines("schema") if name[0] != "$")


@cache
def _definitions_by_kind() -> Mapping[str, str]:
    names: Mapping[str, str] = orjson.loads(lines("schema")["$kinds"])
    return names


def _property(written: Any) -> Type:
    """Return the type of a field; `written` is TYPE or [TYPE, extras]."""
    if isinstance(written, str):
        return _written(written, {})
    return _written(written[0], written[1])


def _written(text: str, extras: Mapping[str, Any]) -> Type:
    """Return the type that TYPE names: `@definition`, `[items]`, `{values}` or `scalar:format`."""
    if text[0] == "@":
        return _used(named_type(text[1:]), extras)
    if text[0] == "[":
        return _list(_written(text[1:-1], {"enum": extras.get("items.enum", ())}), extras)
    if text[0] == "{":
        values = _written(text[1:-1], {"enum": extras.get("values.enum", ())})
        return Type(
            "map",
            values=values,
            map_type=extras.get("map-type", "granular"),
            default=extras.get("default"),
        )
    kind, _, form = text.partition(":")
    if form == "byte":
        kind = "bytes"
    return Type(kind, format=form, default=extras.get("default"), enum=tuple(extras.get("enum", ())))


def _used(named: Type, extras: Mapping[str, Any]) -> Type:
    """Return a definition's type as it is used at one place; the plain type itself where the place adds nothing."""
    if not any(extras.values()) and "default" not in extras:
        return named
    return Type(
        named.kind,
        named.name,
        map_type=extras.get("map-type", named.map_type),
        patch_strategies=_strategies(extras),
        default=extras.get("default"),
        required=named.required,
        preserves_unknown=named.preserves_unknown,
        load_fields=lambda: named.fields,
    )


def _list(items: Type, extras: Mapping[str, Any]) -> Type:
    strategies = _strategies(extras)
    merge_key = extras.get("patch-merge-key", "")
    list_type = extras.get("list-type", "")
    keys = tuple(extras.get("list-map-keys", ()))
    if not list_type and "merge" in strategies:
        list_type, keys = ("map", (merge_key,)) if merge_key else ("set", ())
    return Type(
        "list",
        items=items,
        list_type=list_type or "atomic",
        list_map_keys=keys,
        patch_strategies=strategies,
        merge_key=merge_key,
        default=extras.get("default"),
    )


def _strategies(extras: Mapping[str, Any]) -> tuple[str, ...]:
    written = extras.get("patch-strategy", "")
    return tuple(written.split(",")) if written else ()


def type_from_structural(schema: Object) -> Type:
    """Return the type of a custom resource's object from the `openAPIV3Schema` of its version.

    The schema is structural (checked when the definition was written). apiVersion, kind and metadata are the built-in
    ones, whatever the schema says of them. Source: apiextensions-apiserver pkg/apiserver/schema (structural schemas).
    """
    return _structural({**schema, "x-kubernetes-embedded-resource": True})


def _structural(schema: Object) -> Type:
    if schema.get("x-kubernetes-int-or-string"):
        return _plain("int-or-string", schema)
    written = schema.get("type", "")
    if written == "array":
        return _structural_list(schema)
    if written == "object":
        return _structural_object(schema)
    form = schema.get("format", "")
    kind = written or "any"
    return _plain(kind, schema, form)


def _plain(kind: str, schema: Object, form: str = "") -> Type:
    return Type(
        kind,
        format=form,
        default=schema.get("default"),
        enum=tuple(schema.get("enum") or ()),
        nullable=bool(schema.get("nullable")),
        preserves_unknown=bool(schema.get("x-kubernetes-preserve-unknown-fields")),
    )


def _structural_list(schema: Object) -> Type:
    return Type(
        "list",
        items=_structural(schema.get("items") or {}),
        list_type=schema.get("x-kubernetes-list-type") or "atomic",
        list_map_keys=tuple(schema.get("x-kubernetes-list-map-keys") or ()),
        default=schema.get("default"),
        enum=tuple(schema.get("enum") or ()),
        nullable=bool(schema.get("nullable")),
    )


def _structural_object(schema: Object) -> Type:
    preserves = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    embedded = bool(schema.get("x-kubernetes-embedded-resource"))
    values = schema.get("additionalProperties")
    is_map = bool(values) and not schema.get("properties") and not embedded
    return Type(
        "map" if is_map else "object",
        values=None if not values else ANY if values is True else _structural(values),
        map_type=schema.get("x-kubernetes-map-type") or "granular",
        default=schema.get("default"),
        enum=tuple(schema.get("enum") or ()),
        required=tuple(schema.get("required") or ()),
        nullable=bool(schema.get("nullable")),
        preserves_unknown=preserves,
        embedded=embedded,
        load_fields=lambda: _structural_fields(schema, embedded=embedded),
    )


def _structural_fields(schema: Object, *, embedded: bool) -> Mapping[str, Type]:
    fields = {name: _structural(each) for name, each in (schema.get("properties") or {}).items()}
    if embedded:
        text = Type("string")
        fields |= {"apiVersion": text, "kind": text, "metadata": named_type(_META + "ObjectMeta")}
    return fields
