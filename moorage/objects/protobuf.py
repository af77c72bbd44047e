r"""Kubernetes' protobuf bodies, read into the JSON form of the same object.

A body is `k8s\0` and a message `Unknown` that carries apiVersion, kind and the object. Go writes every field that is no
pointer, zero or not, and keeps embedded structs as messages of their own: reading drops what JSON would not carry and
lifts embedded structs into their parent. What comes out is for moorage.objects.decoding, like parsed JSON.
Nothing is written in protobuf. Source: apimachinery pkg/runtime/serializer/protobuf and generated.proto (v1.37).
"""

import base64
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from moorage.objects.go_types import JSON_SCHEMA, Field, Value, has_struct, struct_of
from moorage.objects.schema import definition_of

MAGIC: Final = b"k8s\x00"

#: How deep messages may sit in each other. The deepest built-in kind needs 12; schemas of custom resources nest further.
_DEPTH_MOST: Final = 100

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class ProtobufError(ValueError):
    """The body is no object in protobuf; the message says why in upstream's manner."""


def decode(body: bytes) -> tuple[str, str, dict[str, Any]]:
    """Return apiVersion, kind and the object of a protobuf body. Raises ProtobufError and nothing else.

    The object has its apiVersion and kind. DeleteOptions come as `v1`, whatever the group of the request.
    """
    if body[:4] != MAGIC:
        raise ProtobufError("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    api_version, kind, raw, content_type = _envelope(memoryview(body)[4:])
    definition = definition_of(api_version, kind)
    if content_type == "application/json":
        return api_version, kind, _json(raw)
    if not has_struct(definition):
        raise ProtobufError(f'no kind "{kind}" is registered for version "{api_version}"')
    obj = {"kind": kind, "apiVersion": api_version, **_message(definition, memoryview(raw), _DEPTH_MOST)}
    return api_version, kind, obj


def _envelope(body: memoryview) -> tuple[str, str, bytes, str]:
    api_version = kind = content_type = ""
    raw = b""
    for number, value in fields_of(body):
        if number == 1:
            for inner, text in fields_of(_bytes(value)):
                if inner == 1:
                    api_version = _text(text)
                elif inner == 2:
                    kind = _text(text)
        elif number == 2:
            raw = bytes(_bytes(value))
        elif number == 3 and _text(value):
            raise ProtobufError(f'unsupported content encoding "{_text(value)}"')
        elif number == 4:
            content_type = _text(value)
    return api_version, kind, raw, content_type


def _json(raw: bytes) -> Any:
    try:
        obj = orjson.loads(raw or b"{}")
    except orjson.JSONDecodeError as error:
        raise ProtobufError(f"unable to read the embedded JSON: {error}") from error
    if not isinstance(obj, dict):
        raise ProtobufError("the embedded JSON is no object")
    return obj


def _message(definition: str, data: memoryview, depth: int) -> dict[str, Any]:
    """Return the JSON form of one message."""
    if depth == 0:
        raise ProtobufError("exceeded max depth")
    known = struct_of(definition)
    out: dict[str, Any] = {}
    for number, value in fields_of(data):
        field = known.numbers.get(number)
        if field is not None:
            if not field.hidden:
                _put(out, field, value, depth)
        elif number in known.inline:
            out.update(_message(known.inline[number], _bytes(value), depth - 1))
    return out


def _put(out: dict[str, Any], field: Field, value: Any, depth: int) -> None:
    """Put one field that was read into the object, unless it is a zero that JSON leaves out."""
    kind = field.value.kind
    if kind == "list":
        out.setdefault(field.name, []).extend(_items(_of(field.value), value, depth))
        return
    if kind == "map":
        key, each = _entry(_of(field.value), value, depth)
        out.setdefault(field.name, {})[key] = each
        return
    read = _value(field.value, value, depth)
    if read or field.pointer or field.always or kind in ("struct", "raw"):
        out[field.name] = read


def _of(value: Value) -> Value:
    assert value.of is not None  # noqa: S101 (lists and maps have one)
    return value.of


def _items(of: Value, value: Any, depth: int) -> list[Any]:
    """Return the items that one field carries: one, or a packed run of numbers."""
    if isinstance(value, memoryview) and of.kind in _VARINTS:
        return [_VARINTS[of.kind](number) for number in _packed(value)]
    return [_value(of, value, depth)]


def _packed(data: memoryview) -> Iterator[int]:
    at = 0
    while at < len(data):
        number, at = _varint(data, at)
        yield number


def _entry(of: Value, value: Any, depth: int) -> tuple[str, Any]:
    """Return key and value of one entry of a map."""
    key = ""
    content: Any = None
    for number, each in fields_of(_bytes(value)):
        if number == 1:
            key = _text(each)
        elif number == 2:
            content = each
    if content is None:
        content = 0 if of.kind in _VARINTS else memoryview(b"")
    return key, _value(of, content, depth)


def _value(type_: Value, value: Any, depth: int) -> Any:
    """Return the JSON form of one value."""
    kind = type_.kind
    if kind == "string":
        return _text(value)
    if kind in _VARINTS:
        if not isinstance(value, int):
            raise ProtobufError("proto: wrong wireType = 2 for a number")
        return _VARINTS[kind](value)
    if kind == "double":
        return _double(value)
    data = _bytes(value)
    if kind == "struct":
        return _message(type_.name, data, depth - 1)
    if kind == "bytes":
        return base64.b64encode(data).decode()
    return _special(kind, data, depth)


def _double(value: Any) -> float:
    if not isinstance(value, bytes):
        raise ProtobufError("proto: wrong wireType for a double")
    number: float = struct.unpack("<d", value)[0]
    if number != number or number in (float("inf"), float("-inf")):  # noqa: PLR0124 (NaN)
        raise ProtobufError("unsupported value: a number that JSON cannot say")
    return int(number) if number.is_integer() and abs(number) < 1e21 else number


def _special(kind: str, data: memoryview, depth: int) -> Any:
    """Return a value whose JSON form is no object of its fields."""
    fields = dict(fields_of(data)) if kind not in ("strings", "schema-or-list", "schema-or-strings") else {}
    match kind:
        case "quantity":
            return _text(fields.get(1, memoryview(b""))) or "0"
        case "int-or-string":
            return _text(fields.get(3, memoryview(b""))) if fields.get(1) == 1 else _signed32(_number(fields.get(2, 0)))
        case "time":
            return _time(fields, "seconds")
        case "micro-time":
            return _time(fields, "microseconds")
        case "duration":
            return f"{_signed64(_number(fields.get(1, 0)))}ns"
        case "raw":
            return _raw(fields.get(1))
        case "strings":
            return [_text(value) for number, value in fields_of(data) if number == 1]
        case "schema-or-bool":
            return _schema(fields[2], depth) if 2 in fields else bool(fields.get(1, 0))
        case _:
            return _schema_or_list(kind, data, depth)


def _schema(value: Any, depth: int) -> dict[str, Any]:
    return _message(JSON_SCHEMA, _bytes(value), depth - 1)


def _schema_or_list(kind: str, data: memoryview, depth: int) -> Any:
    found: list[Any] = []
    for number, value in fields_of(data):
        if number == 1:
            return _schema(value, depth)
        if number == 2:
            found.append(_schema(value, depth) if kind == "schema-or-list" else _text(value))
    return found


def _raw(value: Any) -> Any:
    """Return JSON that is carried as it is."""
    if value is None:
        return None
    try:
        return orjson.loads(_bytes(value) or b"null")
    except orjson.JSONDecodeError as error:
        raise ProtobufError(f"unable to read the embedded JSON: {error}") from error


def _time(fields: dict[int, Any], precision: str) -> str | None:
    """Return RFC 3339 text, None for Go's zero time."""
    if not fields:
        return None
    seconds, nanos = _signed64(_number(fields.get(1, 0))), _number(fields.get(2, 0))
    try:
        moment = _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)
    except OverflowError as error:
        raise ProtobufError("time is out of range") from error
    text = moment.replace(tzinfo=None).isoformat(timespec=precision)
    return None if text.startswith("0001-01-01T00:00:00") else f"{text}Z"


def _signed32(number: int) -> int:
    number &= 0xFFFFFFFF
    return number - 0x100000000 if number >= 0x80000000 else number


def _signed64(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number


_VARINTS: Final[dict[str, Callable[[int], Any]]] = {
    "int32": _signed32,
    "int64": _signed64,
    "uint32": lambda number: number & 0xFFFFFFFF,
    "uint64": lambda number: number,
    "bool": bool,
}


def _number(value: Any) -> int:
    if not isinstance(value, int):
        raise ProtobufError("proto: wrong wireType = 2 for a number")
    return value


def _bytes(value: Any) -> memoryview:
    if not isinstance(value, memoryview):
        raise ProtobufError("proto: wrong wireType = 0 for a message")
    return value


def _text(value: Any) -> str:
    try:
        return str(_bytes(value), "utf-8")
    except UnicodeDecodeError as error:
        raise ProtobufError("proto: invalid UTF-8 in a string") from error


def fields_of(data: memoryview) -> Iterator[tuple[int, Any]]:
    """Yield number and value of each field: an int for varints, memoryview for bytes, bytes for fixed widths."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise ProtobufError(f"proto: illegal tag {number} (wire type {wire})")
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == 2:
            size, at = _varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ProtobufError(f"proto: illegal wireType {wire}")
        if at + size > end:
            raise ProtobufError("unexpected EOF")
        content = data[at : at + size]
        at += size
        yield number, content if wire == 2 else bytes(content)


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return the number at an offset, and the offset after it."""
    value = shift = 0
    while at < len(data):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
        if shift >= 70:
            raise ProtobufError("proto: integer overflow")
    raise ProtobufError("unexpected EOF")
