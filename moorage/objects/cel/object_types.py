"""Types of Kubernetes objects as expressions see them.

Source: apiserver/pkg/cel/common/schemas.go (v1.37).
"""

from collections.abc import Mapping
from typing import Final

from moorage.objects.cel.escaping import RESERVED, escaped
from moorage.objects.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    CelType,
    list_of,
    map_of,
    object_of,
)
from moorage.objects.schema import Type

_SCALARS: Final[Mapping[str, CelType]] = {
    "boolean": BOOL,
    "integer": INT,
    "number": DOUBLE,
    "string": STRING,
    "quantity": STRING,
    "duration": STRING,
    "bytes": BYTES,
    "time": TIMESTAMP,
    "micro-time": TIMESTAMP,
    "int-or-string": DYN,
}

#: Definitions without fields that are objects all the same.
_OPEN: Final = ("FieldsV1", "RawExtension")


class Endless(ValueError):
    """The type contains itself: expressions cannot see it."""


def object_type(type_: Type, inside: tuple[str, ...] = ()) -> CelType | None:
    """Return the type that expressions see, None for what they cannot see. Raises Endless.

    inside: the definitions around it.
    """
    if type_.kind in _SCALARS:
        return _SCALARS[type_.kind]
    if type_.kind == "list":
        items = object_type(type_.items, inside) if type_.items is not None else None
        return list_of(items) if items is not None else None
    if type_.kind == "map":
        values = object_type(type_.values, inside) if type_.values is not None else None
        return map_of(STRING, values) if values is not None else None
    if type_.kind != "object":
        return object_of({}) if type_.name.endswith(_OPEN) else None
    if type_.name in inside:
        raise Endless(type_.name)
    return _fields(type_, (*inside, type_.name) if type_.name else inside)


def _fields(type_: Type, inside: tuple[str, ...]) -> CelType:
    fields: dict[str, CelType] = {}
    for name, each in type_.fields.items():
        found = object_type(each, inside)
        if found is not None:
            fields[escaped(name)] = found
            if name in RESERVED:  # fields may be named by these words as they are
                fields[name] = found
    return object_of(fields)
