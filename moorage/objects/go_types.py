"""The Go structs behind the built-in definitions: protobuf numbers, zero values, and the names that errors say.

Decoding (JSON and protobuf) behaves as Go's structs do, and the published schema does not say how: which fields are
pointers, which are written even when empty, which structs are embedded. data/messages.table does.
Source: generated.proto, struct tags and types.go of k8s.io/* v0.37 (scripts/extract-facts).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import orjson

from moorage.objects.facts import lines
from moorage.objects.schema import definition, definition_names

_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
_EXTENSIONS: Final = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."

#: Definitions with a JSON form of their own.
SPECIAL: Final = MappingProxyType(
    {
        "io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity",
        "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "int-or-string",
        _META + "Time": "time",
        _META + "MicroTime": "micro-time",
        _META + "Duration": "duration",
        _META + "FieldsV1": "raw",
        _META + "Verbs": "strings",
        "io.k8s.apimachinery.pkg.runtime.RawExtension": "raw",
        "io.k8s.api.authentication.v1.ExtraValue": "strings",
        "io.k8s.api.authorization.v1.ExtraValue": "strings",
        "io.k8s.api.certificates.v1.ExtraValue": "strings",
        _EXTENSIONS + "JSON": "raw",
        _EXTENSIONS + "JSONSchemaPropsOrArray": "schema-or-list",
        _EXTENSIONS + "JSONSchemaPropsOrBool": "schema-or-bool",
        _EXTENSIONS + "JSONSchemaPropsOrStringArray": "schema-or-strings",
    }
)

JSON_SCHEMA: Final = _EXTENSIONS + "JSONSchemaProps"

_SCALARS: Final = frozenset({"string", "bool", "int32", "int64", "uint32", "uint64", "double", "bytes"})

#: How errors name a scalar's Go type.
_GO_SCALARS: Final = {"bytes": "[]uint8", "double": "float64", "strings": "v1.ExtraValue"}


@dataclass(frozen=True, slots=True)
class Value:
    """The Go type of one value.

    kind: a scalar (string, bool, int32, int64, uint32, uint64, double, bytes), a special form (see SPECIAL), struct,
          list or map.
    name: the definition of a struct, "" otherwise.
    go:   what errors call the type.
    of:   the type of items or of a map's values.
    """

    kind: str
    go: str
    name: str = ""
    of: "Value | None" = None


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a struct. A pointer remembers presence; `always` is written though empty; `omit_zero` never is.

    number is 0 for apiVersion and kind, which protobuf keeps outside. embedded: the Go struct that the field sits in,
    if that is written into its parent. hidden: not in JSON at all.
    """

    name: str
    value: Value
    number: int = 0
    pointer: bool = False
    always: bool = False
    omit_zero: bool = False
    embedded: str = ""
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Struct:
    """A Go struct.

    fields: the JSON fields by name, those of embedded structs among them.
    inline: the definitions of embedded structs by their protobuf numbers.
    """

    name: str
    definition: str
    fields: Mapping[str, Field]
    numbers: Mapping[int, Field]
    inline: Mapping[int, str]


@cache
def struct_of(name: str) -> Struct:
    """Return the Go struct of a definition. Raises KeyError."""
    row: dict[str, Any] = orjson.loads(lines("messages")[name])
    go = row.pop("go", {})
    fields: dict[str, Field] = _type_meta(name, {each[0] for each in row.values()})
    numbers: dict[int, Field] = {}
    inline: dict[int, str] = {}
    for number, (field, kind, *rest) in row.items():
        flags = rest[0] if rest else ""
        if "i" in flags:
            inline[int(number)] = kind
            fields |= _embedded(kind)
            continue
        found = _field(int(number), field, kind, flags, go.get(field, ""))
        numbers[int(number)] = found
        if not found.hidden:
            fields[field] = found
    return Struct(name.rpartition(".")[2], name, fields, numbers, inline)


def has_struct(name: str) -> bool:
    """Tell whether the Go struct of a definition is known."""
    return name in lines("messages")


def _type_meta(name: str, others: set[str]) -> dict[str, Field]:
    """Return apiVersion and kind of whole objects: protobuf does not write them into the message."""
    if name not in lines("schema"):
        return {}
    properties = definition(name).get("p", {})
    return {
        field: Field(field, Value("string", "string"), embedded="TypeMeta")
        for field in ("kind", "apiVersion")
        if field in properties and field not in others
    }


def _embedded(name: str) -> dict[str, Field]:
    """Return the fields of a struct as its parent writes them."""
    struct = struct_of(name)
    return {
        each.name: Field(
            each.name,
            each.value,
            each.number,
            each.pointer,
            each.always,
            each.omit_zero,
            f"{struct.name}.{each.embedded}" if each.embedded else struct.name,
        )
        for each in struct.fields.values()
    }


def _field(number: int, name: str, kind: Any, flags: str, go: str) -> Field:
    value = _value(kind, flags, go)
    return Field(
        name,
        value,
        number,
        pointer="p" in flags,
        always="e" in flags,
        omit_zero="z" in flags,
        hidden="x" in flags or not name,
    )


def _value(kind: Any, flags: str, go: str) -> Value:
    if "m" in flags:
        inner = "" if not go.startswith("map[") else go.partition("]")[2]
        of = _plain(kind[1], inner)
        return Value("map", go or f"map[string]{of.go}", of=of)
    if "r" in flags:
        of = _plain(kind, go.removeprefix("[]") if go.startswith("[]") else "")
        return Value("list", go or f"[]{of.go}", of=of)
    return _plain(kind, go)


def _plain(kind: str, go: str) -> Value:
    if kind in _SCALARS:
        return Value(kind, go or _GO_SCALARS.get(kind, kind))
    go = go or ".".join(kind.split(".")[-2:])
    special = SPECIAL.get(kind)
    if special:
        return Value(special, go, of=Value("string", "string") if special == "strings" else None)
    return Value("struct", go, name=kind)


def struct_names() -> tuple[str, ...]:
    """Return the names of all published definitions that are Go structs."""
    return tuple(name for name in definition_names() if name in lines("messages") and name not in SPECIAL)
