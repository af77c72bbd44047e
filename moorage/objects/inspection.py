"""The closer look at JSON that the quick walk of moorage.objects.decoding did not take: what is wrong, in Go's words.

It reads the text again so that numbers are known as they were written and no duplicate key is lost, leaves out what
the type does not know, and hands a regular object back to the quick walk. The first error in the order of the text
wins, as in Go; unknown and duplicate fields are collected.
Source: Go's encoding/json (decode.go, Go 1.26) and sigs.k8s.io/json, strict decoding.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from moorage.objects.decoding import Decoded, Irregular, reader_of
from moorage.objects.go_types import JSON_SCHEMA, Field, Value, struct_of
from moorage.objects.quantity import QuantityError, canonical
from moorage.objects.times import TimeError, normal_micro_time, normal_time

_RANGES: Final = {
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
}


class Written(float):
    """A number with a point or an exponent, as it was written."""

    text = ""


class Members(list[tuple[str, Any]]):
    """The members of a JSON object in the order of the text, duplicates included."""


class GoError(Exception):
    """The text is no such object. An error about a type gets its place from the innermost field around it."""

    def __init__(self, what: str, go: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.go = go
        self.place = ""

    def __str__(self) -> str:
        if not self.go:
            return self.what
        where = f"struct field {self.place}" if self.place else "value"
        return f"json: cannot unmarshal {self.what} into Go {where} of type {self.go}"


def inspect(definition: str, obj: Any, raw: bytes | None) -> Decoded:
    """Return what can be read of an object, and what is wrong with its text."""
    look = _Look()
    try:
        clean = look.struct(definition, parse(raw) if raw is not None else obj, _Place(), {})
        return Decoded(reader_of(definition)(clean), *look.findings())
    except GoError as error:
        return Decoded({}, *look.findings(), error=str(error))
    except (RecursionError, Irregular):
        return Decoded({}, *look.findings(), error="exceeded max depth")


def parse(raw: bytes) -> Any:
    """Return JSON with objects as Members and numbers that have a point as Written. The text is valid JSON."""
    return json.loads(raw, object_pairs_hook=Members, parse_float=_written)


def _written(text: str) -> Written:
    number = Written(text)
    number.text = text
    return number


def plain(value: Any) -> Any:
    """Return parsed JSON as plain dicts and lists; of duplicate keys the last one stays."""
    if isinstance(value, Members | Mapping):
        return {key: plain(each) for key, each in members(value)}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return float(value) if isinstance(value, Written) else value


def members(value: Members | Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Return the members of an object, parsed either way."""
    return value.items() if isinstance(value, Mapping) else value


class _Place:
    """Where a value stands: `path` as strict decoding writes it, `struct` and `field` as errors about types do."""

    __slots__ = ("field", "path", "struct")

    def __init__(self, path: str = "", struct: str = "", field: str = "") -> None:
        self.path = path
        self.struct = struct
        self.field = field

    def at_field(self, struct: str, field: Field) -> "_Place":
        steps = [each for each in (self.field, field.embedded, field.name) if each]
        return _Place(f"{self.path}.{field.name}".lstrip("."), struct, ".".join(steps))

    def at_key(self, key: str) -> "_Place":
        return _Place(f"{self.path}.{key}".lstrip("."), self.struct, self.field)

    def at_index(self, index: int) -> "_Place":
        return _Place(f"{self.path}[{index}]", self.struct, self.field)

    def __str__(self) -> str:
        return f"{self.struct}.{self.field}" if self.field else ""


class _Look:
    """One reading of one text, and what it found."""

    def __init__(self) -> None:
        self.unknown: dict[str, None] = {}
        self.duplicate: dict[str, None] = {}
        self.problems: dict[str, None] = {}

    def findings(self) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        return tuple(self.unknown), tuple(self.duplicate), tuple(self.problems)

    def struct(self, definition: str, value: Any, place: _Place, into: dict[str, Any]) -> dict[str, Any]:
        """Read an object into `into`: what a duplicate key already put there stays, as in Go."""
        struct = struct_of(definition)
        if not isinstance(value, Members | Mapping):
            raise self.mismatch(value, ".".join(definition.split(".")[-2:]), place)
        seen: set[str] = set()
        for key, each in members(value):
            path = f"{place.path}.{key}".lstrip(".")
            if key in seen:
                self.duplicate[path] = None
                self.problems[f'duplicate field "{path}"'] = None
            seen.add(key)
            field = struct.fields.get(key)
            if field is None:
                self.unknown[path] = None
                self.problems[f'unknown field "{path}"'] = None
                continue
            read = self.value(field.value, each, place.at_field(struct.name, field), into.get(key))
            if read is not None:
                into[key] = read
            elif field.pointer or field.value.kind in ("list", "map", "strings"):
                into.pop(key, None)
        return into

    def value(self, type_: Value, value: Any, place: _Place, before: Any = None) -> Any:
        """Read one value; None for a null. `before` is what stands there already."""
        if value is None and type_.kind != "raw":
            return None
        try:
            return self._value(type_, value, place, before)
        except GoError as error:
            error.place = error.place or str(place)
            raise

    def _value(self, type_: Value, value: Any, place: _Place, before: Any) -> Any:
        match type_.kind:
            case "struct":
                if not isinstance(value, Members | Mapping):
                    raise GoError(_kind_of(value), type_.go)
                return self.struct(type_.name, value, place, before if isinstance(before, dict) else {})
            case "list" | "strings":
                return self.items(type_, value, place)
            case "map":
                return self.map(type_, value, place, before)
            case "raw":
                return plain(value)
            case "schema-or-list" | "schema-or-bool" | "schema-or-strings":
                return _schema(type_.kind, value)
            case _:
                return _scalar(type_, value)

    def items(self, type_: Value, value: Any, place: _Place) -> list[Any]:
        """Read a list; a null among its items is a zero value."""
        if not isinstance(value, list) or isinstance(value, Members):
            raise GoError(_kind_of(value), type_.go)
        assert type_.of is not None  # noqa: S101
        of = type_.of
        read = (self.value(of, each, place.at_index(index)) for index, each in enumerate(value))
        return [_zero(of) if each is None else each for each in read]

    def map(self, type_: Value, value: Any, place: _Place, before: Any) -> dict[str, Any]:
        """Read a map; a null among its values is a zero value."""
        if not isinstance(value, Members | Mapping):
            raise GoError(_kind_of(value), type_.go)
        assert type_.of is not None  # noqa: S101
        out: dict[str, Any] = dict(before) if isinstance(before, dict) else {}
        seen: set[str] = set()
        for key, each in members(value):
            at = place.at_key(key)
            if key in seen:
                self.duplicate[at.path] = None
                self.problems[f'duplicate field "{at.path}"'] = None
            seen.add(key)
            read = self.value(type_.of, each, at)
            out[key] = _zero(type_.of) if read is None else read
        return out

    @staticmethod
    def mismatch(value: Any, go: str, place: _Place) -> GoError:
        """Return the error for a value of another kind than its type."""
        error = GoError(_kind_of(value), go)
        error.place = str(place)
        return error


def _kind_of(value: Any) -> str:
    """Return how Go's errors call a JSON value."""
    if isinstance(value, Members | Mapping):
        return "object"
    names: dict[type, str] = {str: "string", bool: "bool", list: "array"}
    return names.get(type(value), "number")


def _zero(value: Value) -> Any:
    zeros = {
        "string": "",
        "bool": False,
        "quantity": "0",
        "map": {},
        "struct": {},
        "list": [],
        "strings": [],
        "bytes": "",
    }
    if value.kind == "raw":
        return None
    return zeros.get(value.kind, 0)


def _text_of(number: Any) -> str:
    return number.text if isinstance(number, Written) and number.text else json.dumps(number)


def _scalar(type_: Value, value: Any) -> Any:
    """Read a scalar or a special form. Raises GoError."""
    kind = type_.kind
    if kind in _RANGES:
        return _integer(type_.go, _RANGES[kind], value)
    if kind == "int-or-string":
        return value if isinstance(value, str) else _integer("int32", _RANGES["int32"], value)
    if kind == "quantity":
        return _quantity(value)
    if kind == "double":
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise GoError(_kind_of(value), type_.go)
        return float(value) if isinstance(value, float) else value
    if kind == "bool":
        if not isinstance(value, bool):
            raise GoError(_kind_of(value), type_.go)
        return value
    return _text(type_, value)


def _integer(go: str, limits: tuple[int, int], value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise GoError(_kind_of(value), go)
    if isinstance(value, float) or not limits[0] <= value <= limits[1]:
        raise GoError(f"number {_text_of(value)}", go)
    return value


def _quantity(value: Any) -> str:
    text = (
        value.strip() if isinstance(value, str) else _text_of(plain(value) if not isinstance(value, Written) else value)
    )
    try:
        return canonical(text)
    except QuantityError as error:
        raise GoError(str(error)) from error


def _text(type_: Value, value: Any) -> str | None:
    """Read what JSON writes as a string."""
    kind = type_.kind
    if not isinstance(value, str):
        raise GoError(_kind_of(value), "string" if kind in ("time", "micro-time", "duration") else type_.go)
    try:
        if kind == "time":
            return normal_time(value)
        if kind == "micro-time":
            return normal_micro_time(value)
    except TimeError as error:
        raise GoError(str(error)) from error
    return _bytes(value) if kind == "bytes" else value


def _schema(kind: str, value: Any) -> Any:
    """Read a JSONSchemaPropsOr…: it reads its own text, so nothing in it counts as unknown, and its place is one field."""
    try:
        if isinstance(value, list) and not isinstance(value, Members) and kind == "schema-or-list":
            return [_Look().struct(JSON_SCHEMA, each, _Place(), {}) for each in value]
        if isinstance(value, list) and not isinstance(value, Members) and kind == "schema-or-strings":
            return _Look().items(Value("list", "[]string", of=Value("string", "string")), value, _Place())
        if isinstance(value, bool) and kind == "schema-or-bool":
            return value
        if isinstance(value, Members | Mapping):
            return _Look().struct(JSON_SCHEMA, value, _Place(), {})
    except GoError as error:
        error.place = ""
        raise
    name = {"schema-or-bool": "boolean JSON value", "schema-or-strings": "string array"}.get(
        kind, "JSON object or array"
    )
    raise GoError(f"expected a schema or a {name}, not a {_kind_of(value)}")


def _bytes(text: str) -> str:
    """Return the canonical base64. Raises GoError with the place of the first wrong byte, as Go's decoder names it."""
    from base64 import b64decode, b64encode

    digits = text.encode()
    wrong = _wrong_base64(digits)
    if wrong is not None:
        raise GoError(f"illegal base64 data at input byte {wrong}")
    return b64encode(b64decode(digits.replace(b"\n", b"").replace(b"\r", b""))).decode()


_ALPHABET: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


def _wrong_base64(text: bytes) -> int | None:
    """Return the offset at which Go's base64 decoder stops, None if it does not."""
    filled = 0
    for offset, byte in enumerate(text):
        if byte in _ALPHABET:
            filled = (filled + 1) % 4
        elif byte not in b"\r\n":
            return _wrong_padding(text, offset, filled) if byte == ord("=") else offset
    return len(text) - filled if filled else None


def _wrong_padding(text: bytes, offset: int, filled: int) -> int | None:
    """Return where padding that starts at `offset`, after `filled` digits of four, goes wrong."""
    if filled < 2:
        return offset
    rest = offset + 1
    if filled == 2:
        while rest < len(text) and text[rest] in b"\r\n":
            rest += 1
        if rest == len(text):
            return rest
        if text[rest] != ord("="):
            return rest - 1
        rest += 1
    while rest < len(text) and text[rest] in b"\r\n":
        rest += 1
    return rest if rest < len(text) else None
