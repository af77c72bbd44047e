"""From freshly parsed JSON to an object as Go would have decoded it and would write it again.

`decode_object` is one walk with functions that are compiled once a type. It takes what every client sends: known fields
of the right type, nulls, empty values. Anything else makes it stop, and moorage.objects.inspection looks again, slowly,
and says what is wrong in Go's words. Custom resources are pruned by their schema instead (moorage.objects.pruning).
Source: Go's encoding/json as sigs.k8s.io/json uses it (case-sensitive), struct tags of k8s.io/api v0.37.
"""

import binascii
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import orjson

from moorage.objects.go_types import JSON_SCHEMA, Field, Struct, Value, struct_of
from moorage.objects.quantity import QuantityError, canonical
from moorage.objects.schema import Type
from moorage.objects.times import TimeError, normal_micro_time, normal_time

Reader = Callable[[Any], Any]

#: What the walk knows of a field: the exact Python type (None: the reader decides), the reader, and whether a zero stays.
_Entry = tuple[type | None, Reader | None, bool]


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded object and what was odd about its text.

    obj:      without nulls, unknown fields and the zero values that Go leaves out.
    unknown, duplicate: paths of fields that were dropped, in the order of the text (custom resources: sorted).
    problems: both as strict decoding says them, in order: `unknown field "spec.foo"`.
    error:    why the text is no such object, in Go's words; None if it is one.
    """

    obj: dict[str, Any]
    unknown: tuple[str, ...] = ()
    duplicate: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    error: str | None = None


class Irregular(Exception):
    """The quick walk met something that needs a closer look."""


def decode_object(type_: Type, obj: dict[str, Any], raw: bytes | None = None) -> Decoded:
    """Return the object as its Go type holds it. `obj` may be changed in place: it was just parsed, nobody has seen it.

    raw: the JSON text that `obj` was parsed from. With it duplicate fields are found, and errors say numbers as written.
    """
    if not type_.name:
        from moorage.objects.pruning import decode_custom

        return decode_custom(type_, obj, raw)
    if raw is None or not may_have_duplicates(raw, obj):
        try:
            return Decoded(reader_of(type_.name)(obj))
        except (Irregular, RecursionError):
            pass
    from moorage.objects.inspection import inspect

    return inspect(type_.name, obj, raw)


def may_have_duplicates(raw: bytes, obj: dict[str, Any]) -> bool:
    """Tell whether the text had more strings than the parsed object has, as it does when a key stands there twice."""
    try:
        return raw.count(b'"') != orjson.dumps(obj).count(b'"')
    except TypeError:  # nested too deeply to be written
        return True


@cache
def reader_of(definition: str) -> Reader:  # noqa: C901 (one frame a struct: here a call costs more than the work)
    """Return the function that reads objects of a struct in place and returns them. It raises Irregular."""
    entry_of: Callable[[str], _Entry | None] | None = None
    simple: Callable[[str], type | None]
    missing: tuple[tuple[str, Callable[[], Any]], ...] = ()

    def read(obj: dict[str, Any]) -> dict[str, Any]:  # noqa: C901
        nonlocal entry_of, simple, missing
        if entry_of is None:
            entry_of, simple, missing = _compiled(struct_of(definition))
        drop = []
        for key, value in obj.items():
            if value and simple(key) is type(value):
                continue
            entry = entry_of(key)
            if entry is None:
                raise Irregular
            expected, reader, keeps_zero = entry
            if value is None:
                drop.append(key)
                continue
            if type(value) is not expected and expected is not None:
                raise Irregular
            if reader is not None:
                new = reader(value)
                if new is not value:
                    obj[key] = value = new  # noqa: PLW2901 (the size does not change: allowed while iterating)
            if not value and not keeps_zero:
                drop.append(key)
        for key in drop:
            del obj[key]
        for key, zero in missing:
            if key not in obj:
                obj[key] = zero()
        return obj

    return read


def _compiled(
    struct: Struct,
) -> tuple[Callable[[str], _Entry | None], Callable[[str], type | None], tuple[tuple[str, Callable[[], Any]], ...]]:
    """Return what a reader looks up: the entry of any field, the Python type of a plain one, and what is never missing."""
    entries = {
        name: (*_reader(field.value), _keeps_zero(field) or (struct.name, name) in _EMPTY_IS_MEANT)
        for name, field in struct.fields.items()
    }
    simple = {name: expected for name, (expected, reader, _) in entries.items() if reader is None}
    return entries.get, simple.get, _missing(struct)


def _keeps_zero(field: Field) -> bool:
    """Tell whether Go writes the field when it was given an empty value.

    Lists and maps never are: storing an empty one forgets it, and it comes back as null or not at all.
    """
    if field.value.kind in ("list", "map", "strings", "bytes"):
        return False
    return not field.omit_zero and (field.pointer or field.always or field.value.kind in _NEVER_EMPTY)


#: Lists and maps that defaulting and validation tell from none when they are empty. They are refused or dropped there,
#: so none is stored.
_EMPTY_IS_MEANT: Final = frozenset(
    {("HPAScalingRules", "policies"), ("PersistentVolumeSpec", "capacity"), ("IngressSpec", "rules")}
)

#: Kinds that `omitempty` does not apply to: Go structs.
_NEVER_EMPTY: Final = frozenset({"struct", "quantity", "int-or-string", "time", "micro-time", "duration", "raw"})


def _missing(struct: Struct) -> tuple[tuple[str, Callable[[], Any]], ...]:
    """Return the fields that are written even when nobody set them, and what makes their value."""
    return tuple(
        (name, (lambda: None) if field.pointer else _zero(field.value))
        for name, field in struct.fields.items()
        if not field.omit_zero and (field.always or (not field.pointer and field.value.kind in _NEVER_EMPTY))
    )


def _zero(value: Value) -> Callable[[], Any]:
    if value.kind == "struct":
        reader = reader_of(value.name)
        return lambda: reader({})
    zero = _ZEROS.get(value.kind)
    return lambda: zero


_ZEROS: Final[dict[str, Any]] = {
    "string": "",
    "bool": False,
    "int32": 0,
    "int64": 0,
    "uint32": 0,
    "uint64": 0,
    "double": 0,
    "quantity": "0",
    "int-or-string": 0,
    "duration": "0s",
}


def _reader(value: Value) -> tuple[type | None, Reader | None]:
    """Return the Python type that a value must have, and what reads it."""
    if value.kind == "struct":
        return dict, reader_of(value.name)
    if value.kind in ("list", "strings"):
        assert value.of is not None  # noqa: S101
        return list, _list_reader(*_reader(value.of))
    if value.kind == "map":
        assert value.of is not None  # noqa: S101
        return dict, _map_reader(*_reader(value.of))
    return _SCALAR_READERS[value.kind]


def _list_reader(expected: type | None, reader: Reader | None) -> Reader:
    def read(items: list[Any]) -> list[Any]:
        for index, item in enumerate(items):
            if type(item) is not expected and (expected is not None or item is None):
                raise Irregular
            if reader is not None:
                new = reader(item)
                if new is not item:
                    items[index] = new
        return items

    def read_plain(items: list[Any]) -> list[Any]:
        for item in items:
            if type(item) is not expected:
                raise Irregular
        return items

    return read_plain if reader is None and expected is not None else read


def _map_reader(expected: type | None, reader: Reader | None) -> Reader:
    def read(items: dict[str, Any]) -> dict[str, Any]:
        for key, item in items.items():
            if type(item) is not expected and (expected is not None or item is None):
                raise Irregular
            if reader is not None:
                new = reader(item)
                if new is not item:
                    items[key] = new
        return items

    return read


def _read_int32(value: int) -> int:
    if -0x80000000 <= value <= 0x7FFFFFFF:
        return value
    raise Irregular


def _read_int64(value: int) -> int:
    if -0x8000000000000000 <= value <= 0x7FFFFFFFFFFFFFFF:
        return value
    raise Irregular


def _read_unsigned(value: int) -> int:
    if 0 <= value <= 0x7FFFFFFFFFFFFFFF:
        return value
    raise Irregular


def _read_double(value: Any) -> Any:
    if type(value) is int:
        return value
    if type(value) is float:
        return int(value) if value.is_integer() and abs(value) < 1e21 else value
    raise Irregular


def _read_bytes(value: str) -> str:
    try:
        decoded = binascii.a2b_base64(value, strict_mode=True)
    except ValueError as error:
        raise Irregular from error
    written = binascii.b2a_base64(decoded, newline=False).decode()
    return value if written == value else written


def _read_quantity(value: Any) -> str:
    if type(value) is str or type(value) is int:
        try:
            return canonical(value if type(value) is str else str(value))
        except QuantityError as error:
            raise Irregular from error
    raise Irregular


def _read_int_or_string(value: Any) -> Any:
    if type(value) is str:
        return value
    if type(value) is int:
        return _read_int32(value)
    raise Irregular


def _time_reader(normal: Callable[[str], str | None]) -> Reader:
    def read(value: str) -> str:
        try:
            written = normal(value)
        except TimeError as error:
            raise Irregular from error
        if written is None:
            raise Irregular
        return written

    return read


def _read_schema(value: Any) -> Any:
    """Read the schema in a JSONSchemaPropsOr…; the other forms need no reading."""
    if type(value) is dict:
        return reader_of(JSON_SCHEMA)(value)
    raise Irregular


def _read_schema_or_list(value: Any) -> Any:
    if type(value) is list:
        return [_read_schema(each) for each in value]
    return _read_schema(value)


def _read_schema_or_bool(value: Any) -> Any:
    return value if type(value) is bool else _read_schema(value)


def _read_schema_or_strings(value: Any) -> Any:
    if type(value) is list and all(type(each) is str for each in value):
        return value
    return _read_schema(value)


_SCALAR_READERS: Final[dict[str, tuple[type | None, Reader | None]]] = {
    "string": (str, None),
    "bool": (bool, None),
    "int32": (int, _read_int32),
    "int64": (int, _read_int64),
    "uint32": (int, _read_unsigned),
    "uint64": (int, _read_unsigned),
    "double": (None, _read_double),
    "bytes": (str, _read_bytes),
    "quantity": (None, _read_quantity),
    "int-or-string": (None, _read_int_or_string),
    "time": (str, _time_reader(normal_time)),
    "micro-time": (str, _time_reader(normal_micro_time)),
    "duration": (str, None),
    "raw": (None, None),
    "schema-or-list": (None, _read_schema_or_list),
    "schema-or-bool": (None, _read_schema_or_bool),
    "schema-or-strings": (None, _read_schema_or_strings),
}
