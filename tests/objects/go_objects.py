"""Hypothesis strategies for JSON objects of Go structs, and a small protobuf writer for them."""

import base64
import struct
from datetime import UTC, datetime
from typing import Any

import orjson
from hypothesis import strategies as st

from moorage.objects.go_types import Value, struct_of

TEXTS = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=6)
SCALARS = {
    "string": TEXTS,
    "bool": st.booleans(),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "double": st.integers(-1000, 1000) | st.just(0.5),
    "bytes": st.binary(max_size=5).map(lambda data: base64.b64encode(data).decode()),
    "quantity": st.sampled_from(["0", "1", "500m", "1Gi", "1.5Gi", "1000", "12e6", "1e3", "0.1"]),
    "int-or-string": st.integers(-5, 5) | TEXTS,
    "time": st.sampled_from(["2026-01-02T03:04:05Z", "2024-02-29T23:59:59Z"]),
    "micro-time": st.just("2026-01-02T03:04:05.123456Z"),
    "duration": st.just("1s"),
    "raw": st.dictionaries(TEXTS, st.integers(0, 3), max_size=2),
    "strings": st.lists(TEXTS, max_size=2),
    "schema-or-bool": st.booleans(),
    "schema-or-list": st.just({"type": "string"}),
    "schema-or-strings": st.lists(TEXTS, max_size=2),
}


def objects(definition: str, depth: int = 4, *, in_protobuf: bool = False) -> st.SearchStrategy[dict[str, Any]]:
    """Return objects of a struct with some of its fields, the deeper the fewer.

    in_protobuf: only what a .proto file has a place for: no kind and version of objects inside of others, which have no
    number, and no empty lists, which cannot be told from lists that are not there.
    """

    def build(draw: Any) -> dict[str, Any]:
        known = struct_of(definition)
        numbered = {each.name for each in known.numbers.values()}
        untold = {"apiVersion", "kind"} - numbered if in_protobuf else set()
        fields = {name: each for name, each in known.fields.items() if name not in untold}
        names = draw(st.lists(st.sampled_from(sorted(fields)), max_size=4, unique=True)) if fields and depth else []
        return {name: draw(values(fields[name].value, depth - 1, in_protobuf=in_protobuf)) for name in names}

    return st.composite(build)()


def values(value: Value, depth: int, *, in_protobuf: bool = False) -> st.SearchStrategy[Any]:
    """Return values of a Go type."""
    if value.kind == "struct":
        return objects(value.name, depth, in_protobuf=in_protobuf)
    if value.kind == "list":
        assert value.of is not None
        return st.lists(values(value.of, depth, in_protobuf=in_protobuf), min_size=int(in_protobuf), max_size=2)
    if value.kind == "map":
        assert value.of is not None
        return st.dictionaries(TEXTS, values(value.of, depth, in_protobuf=in_protobuf), max_size=2)
    return SCALARS[value.kind]


def body_of(api_version: str, kind: str, definition: str, obj: dict[str, Any]) -> bytes:
    """Return the protobuf body of an object."""
    meta = field(1, field(1, api_version.encode()) + field(2, kind.encode()))
    return b"k8s\x00" + meta + field(2, message(definition, obj))


def message(definition: str, obj: dict[str, Any]) -> bytes:
    known = struct_of(definition)
    out = b""
    for number, inner in known.inline.items():
        names = struct_of(inner).fields
        out += field(number, message(inner, {name: each for name, each in obj.items() if name in names}))
    for number, each in known.numbers.items():
        if not each.hidden and obj.get(each.name) is not None:
            out += written(number, each.value, obj[each.name])
    return out


def written(number: int, value: Value, content: Any) -> bytes:
    if value.kind == "list":
        assert value.of is not None
        return b"".join(written(number, value.of, each) for each in content)
    if value.kind == "map":
        assert value.of is not None
        entries = (field(1, key.encode()) + written(2, value.of, each) for key, each in content.items())
        return b"".join(field(number, entry) for entry in entries)
    if value.kind in ("int32", "int64", "bool"):
        return varint(number << 3) + varint(int(content) & 0xFFFFFFFFFFFFFFFF)
    if value.kind == "double":
        return varint(number << 3 | 1) + struct.pack("<d", content)
    return field(number, scalar(value, content))


def scalar(value: Value, content: Any) -> bytes:
    match value.kind:
        case "string":
            return content.encode()
        case "bytes":
            return base64.b64decode(content)
        case "struct":
            return message(value.name, content)
        case "quantity":
            return field(1, content.encode())
        case "int-or-string":
            if isinstance(content, str):
                return varint(8) + varint(1) + field(3, content.encode())
            return varint(16) + varint(content & 0xFFFFFFFFFFFFFFFF)
        case "time" | "micro-time":
            moment = datetime.fromisoformat(content.replace("Z", "+00:00")).astimezone(UTC)
            return varint(8) + varint(int(moment.timestamp())) + varint(16) + varint(moment.microsecond * 1000)
        case "raw":
            return field(1, orjson.dumps(content))
        case "strings":
            return b"".join(field(1, each.encode()) for each in content)
    raise AssertionError(value.kind)


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
