"""What Go writes of an object that has nothing but metadata: a bookmark carries it, as upstream's do.

Source: encoding/json of the types of k8s.io/api v0.37, through moorage.objects.go_types.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from moorage.objects.go_types import Field, struct_of
from moorage.objects.schema import definition_of

_ZEROS: Final[Mapping[str, Any]] = {"string": "", "bool": False, "double": 0, "bytes": None, "list": None, "map": None}

#: What stands in every object and is written by whoever makes one.
_HEAD: Final = frozenset({"kind", "apiVersion", "metadata"})


@cache
def zero_values(api_version: str, kind: str) -> Mapping[str, Any]:
    """Return the fields of an empty object of a built-in kind, without kind, apiVersion and metadata."""
    definition = definition_of(api_version, kind)
    if not definition:
        return {}
    return {name: value for name, value in _zero_of(definition).items() if name not in _HEAD}


@cache
def _zero_of(definition: str) -> dict[str, Any]:
    try:
        fields = struct_of(definition).fields
    except KeyError:
        return {}
    return {name: _zero(field) for name, field in fields.items() if _is_written(field)}


def _is_written(field: Field) -> bool:
    """Tell whether Go writes a field that was never set."""
    if field.hidden or field.omit_zero:
        return False
    if field.pointer:
        return field.always
    return field.always or field.value.kind in ("struct", "time", "micro-time")


def _zero(field: Field) -> Any:
    kind = field.value.kind
    if field.pointer:
        return None
    if kind == "struct":
        return _zero_of(field.value.name)
    if kind == "quantity":
        return "0"
    return _ZEROS.get(kind, 0 if "int" in kind else None)
