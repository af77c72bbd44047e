"""Values of expressions that Python has no type for, and how any two values compare.

int, float, str, bytes, bool, None, list and dict stand for themselves; UInt is in moorage.objects.cel.syntax.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import total_ordering
from typing import Any, Final

from moorage.objects.cel.syntax import UInt

NANOS: Final = 10**9
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LEAST, _MOST = -62135596800 * NANOS, 253402300800 * NANOS


class EvaluationError(Exception):
    """An expression has no value: the message says why, as cel-go does."""


@total_ordering
@dataclass(frozen=True, slots=True)
class Duration:
    """A span of time in nanoseconds."""

    nanos: int

    def __lt__(self, other: "Duration") -> bool:
        return self.nanos < other.nanos

    def __str__(self) -> str:
        seconds = self.nanos / NANOS
        return f"{int(seconds)}s" if seconds.is_integer() else f"{seconds}s"


@total_ordering
@dataclass(frozen=True, slots=True)
class Timestamp:
    """A moment in nanoseconds since 1970."""

    nanos: int

    def __post_init__(self) -> None:
        if not _LEAST <= self.nanos < _MOST:
            raise EvaluationError("timestamp overflow")

    def __lt__(self, other: "Timestamp") -> bool:
        return self.nanos < other.nanos

    def __str__(self) -> str:
        text = self.moment.strftime("%Y-%m-%dT%H:%M:%S")
        rest = self.nanos % NANOS
        fraction = f".{rest:09d}".rstrip("0") if rest else ""
        return f"{text}{fraction}Z"

    @property
    def moment(self) -> datetime:
        """The moment, cut to microseconds."""
        return _EPOCH + timedelta(microseconds=self.nanos // 1000)


@dataclass(frozen=True, slots=True)
class Optional:
    """A value, or none."""

    items: tuple[Any, ...] = ()


class Struct(dict[str, Any]):
    """An object that an expression made, of the type that it named."""

    def __init__(self, kind: str, fields: Mapping[str, Any]) -> None:
        super().__init__(fields)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class TypeValue:
    """The value of `type(x)`."""

    name: str


@dataclass(frozen=True, slots=True)
class Opaque:
    """A value that only functions understand. kind: url, ip, cidr, quantity, semver, format."""

    kind: str
    value: Any


def type_name(value: Any) -> str:
    """Return the name of a value's type."""
    if value is None:
        return "null_type"
    if isinstance(value, Opaque | Struct):
        return value.kind
    if isinstance(value, Mapping):
        return "map"
    names: Mapping[type, str] = {
        bool: "bool",
        int: "int",
        UInt: "uint",
        float: "double",
        str: "string",
        bytes: "bytes",
        list: "list",
        Duration: "google.protobuf.Duration",
        Timestamp: "google.protobuf.Timestamp",
        Optional: "optional_type",
        TypeValue: "type",
    }
    return names.get(type(value), "dyn")


def is_number(value: Any) -> bool:
    """Tell whether a value is int, uint or double; in Python true is an int as well."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def are_equal(one: Any, other: Any) -> bool:
    """Compare any two values: numbers by value, all else only with their like."""
    if is_number(one) and is_number(other):
        return bool(one == other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(are_equal(*pair) for pair in zip(one, other, strict=True))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(are_equal(one[key], other[key]) for key in one)
    if isinstance(one, Optional) and isinstance(other, Optional):
        return are_equal(list(one.items), list(other.items))
    return type(one) is type(other) and bool(one == other)
