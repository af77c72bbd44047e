"""What is said about a strategic merge whose outcome does not fit the Go structs: these errors differ from decoding's.

Source: apimachinery/pkg/runtime/converter.go, FromUnstructured (v1.37).
"""

from collections.abc import Mapping
from typing import Any, Final

from moorage.objects.go_types import Value, has_struct, struct_of
from moorage.objects.go_values import go_type
from moorage.objects.schema import Type

_INTEGERS: Final = frozenset({"int32", "int64", "uint32", "uint64"})
_LISTS: Final = frozenset({"list", "strings", "bytes"})
_KINDS: Final = {"map[string]interface {}": "map", "[]interface {}": "slice"}


def restore_fault(type_: Type, value: Any) -> str:
    """Return the first fault of a merged object of a built-in type, "" if there is none that is told this way."""
    return _struct_fault(type_.name, value) if has_struct(type_.name) else ""


def _struct_fault(name: str, value: Any) -> str:
    if not isinstance(value, Mapping):
        return f"cannot restore struct from: {_kind(value)}"
    faults = (
        _fault(field.value, value[key]) for key, field in struct_of(name).fields.items() if value.get(key) is not None
    )
    return next(filter(None, faults), "")


def _fault(type_: Value, value: Any) -> str:
    if type_.kind == "struct":
        return _struct_fault(type_.name, value)
    if type_.kind in _LISTS:
        if isinstance(value, list):
            return _first_fault(type_.of, value)
        return "" if type_.kind == "bytes" and isinstance(value, str) else f"cannot restore slice from {_kind(value)}"
    if type_.kind == "map":
        if isinstance(value, Mapping):
            return _first_fault(type_.of, value.values())
        return f"cannot restore map from {_kind(value)}"
    return _scalar_fault(type_, value)


def _first_fault(type_: Value | None, values: Any) -> str:
    if type_ is None:
        return ""
    return next(filter(None, (_fault(type_, value) for value in values if value is not None)), "")


def _scalar_fault(type_: Value, value: Any) -> str:
    """Say what is wrong with a scalar: Go converts numbers to texts by its own rules, and refuses that here."""
    go = go_type(value)
    if type_.kind == "string":
        if go == "int64":
            return f"cannot convert int64 to {type_.go}"
        return "" if go == "string" else "unrecognized type: string"
    if type_.kind == "bool":
        return "" if go == "bool" else "unrecognized type: bool"
    if type_.kind in _INTEGERS:
        if go == "float64":
            return "" if float(value).is_integer() else f"cannot convert float64 to {type_.go}"
        return "" if go == "int64" else f"unrecognized type: {type_.kind}"
    if type_.kind == "double":
        return "" if go in ("int64", "float64") else "unrecognized type: float64"
    return ""


def _kind(value: Any) -> str:
    go = go_type(value)
    return _KINDS.get(go, go)
