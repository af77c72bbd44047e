"""What the functions of CEL itself and of its usual extensions do; which arguments they take is in the table of types.

A wrong argument raises TypeError or EvaluationError.
Source: cel-go 0.26 common/stdlib and ext.
"""

import math
import operator
import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Final

from moorage.objects.cel.authorizers import AUTHORIZATION
from moorage.objects.cel.extensions import extensions_for
from moorage.objects.cel.libraries import LIBRARIES
from moorage.objects.cel.moments import of_time, to_duration, to_timestamp
from moorage.objects.cel.syntax import UInt
from moorage.objects.cel.values import (
    NANOS,
    Duration,
    EvaluationError,
    Opaque,
    Optional,
    Timestamp,
    TypeValue,
    are_equal,
    is_number,
    type_name,
)
from moorage.objects.patterns import BadPattern, compiled

_INT: Final = (-(2**63), 2**63 - 1)
_NO_OVERLOAD: Final = "no such overload"


def _whole(value: int, like: Any) -> int:
    """Return a whole number of the same type. Raises EvaluationError if it does not fit."""
    if isinstance(like, UInt):
        if not 0 <= value < 2**64:
            raise EvaluationError("unsigned integer overflow")
        return UInt(value)
    if not _INT[0] <= value <= _INT[1]:
        raise EvaluationError("integer overflow")
    return value


def _add(one: Any, other: Any) -> Any:
    if is_number(one) and type(one) is type(other):
        return one + other if isinstance(one, float) else _whole(int(one) + int(other), one)
    if isinstance(one, str | bytes | list) and type(one) is type(other):
        return operator.add(one, other)
    if isinstance(one, Duration) and isinstance(other, Duration | Timestamp):
        return type(other)(one.nanos + other.nanos)
    if isinstance(one, Timestamp) and isinstance(other, Duration):
        return Timestamp(one.nanos + other.nanos)
    raise EvaluationError(_NO_OVERLOAD)


def _subtract(one: Any, other: Any) -> Any:
    if is_number(one) and type(one) is type(other):
        return one - other if isinstance(one, float) else _whole(int(one) - int(other), one)
    if isinstance(one, Timestamp | Duration) and isinstance(other, Timestamp | Duration):
        kind = Duration if type(one) is type(other) else Timestamp
        return kind(one.nanos - other.nanos)
    raise EvaluationError(_NO_OVERLOAD)


def _multiply(one: Any, other: Any) -> Any:
    _same_numbers(one, other)
    return one * other if isinstance(one, float) else _whole(int(one) * int(other), one)


def _divide(one: Any, other: Any) -> Any:
    _same_numbers(one, other)
    if isinstance(one, float):
        return one / other if other else math.nan if not one or math.isnan(one) else math.copysign(math.inf, one)
    if not other:
        raise EvaluationError("division by zero")
    quotient = abs(int(one)) // abs(int(other))
    return _whole(quotient if (one < 0) == (other < 0) else -quotient, one)


def _modulo(one: Any, other: Any) -> Any:
    _same_numbers(one, other)
    if not other:
        raise EvaluationError("modulus by zero")
    return _whole(int(math.copysign(1, one)) * (abs(int(one)) % abs(int(other))), one)


def _same_numbers(one: Any, other: Any) -> None:
    if not is_number(one) or type(one) is not type(other):
        raise EvaluationError(_NO_OVERLOAD)


def _negate(value: Any) -> Any:
    if isinstance(value, Duration):
        return Duration(-value.nanos)
    if isinstance(value, UInt) or not is_number(value):
        raise EvaluationError(_NO_OVERLOAD)
    return -value if isinstance(value, float) else _whole(-value, value)


def _not(value: Any) -> bool:
    if not isinstance(value, bool):
        raise EvaluationError(_NO_OVERLOAD)
    return not value


def _comparison(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def check(one: Any, other: Any) -> bool:
        if not (is_number(one) and is_number(other)) and type(one) is not type(other):
            raise EvaluationError(_NO_OVERLOAD)
        return bool(compare(one, other))

    return check


def _index(owner: Any, key: Any) -> Any:
    found = _optional_index(owner, key)
    if isinstance(owner, Optional):
        return found
    if not found.items:
        text = f"index out of bounds: {key}" if isinstance(owner, list) else f"no such key: {key}"
        raise EvaluationError(text)
    return found.items[0]


def _optional_index(owner: Any, key: Any) -> Optional:
    if isinstance(owner, Optional):
        return _optional_index(owner.items[0], key) if owner.items else owner
    if isinstance(owner, list):
        if not is_number(key):
            raise EvaluationError(_NO_OVERLOAD)
        return Optional((owner[int(key)],)) if 0 <= key < len(owner) else Optional()
    if isinstance(owner, Mapping):
        return Optional((owner[key],)) if key in owner else Optional()
    raise EvaluationError(_NO_OVERLOAD)


def _in(value: Any, owner: Any) -> bool:
    if isinstance(owner, Mapping):
        return value in owner
    if isinstance(owner, list):
        return any(are_equal(value, each) for each in owner)
    raise EvaluationError(_NO_OVERLOAD)


def _size(value: Any) -> int:
    if isinstance(value, str | bytes | list | Mapping):
        return len(value)
    raise EvaluationError(_NO_OVERLOAD)


def _to_int(value: Any) -> int:
    if isinstance(value, Timestamp):
        return value.nanos // NANOS
    if isinstance(value, Duration):
        return value.nanos
    if isinstance(value, float) and (math.isnan(value) or not _INT[0] < value < _INT[1]):
        raise EvaluationError("integer overflow")
    if isinstance(value, str):
        return _whole(_parsed(value, r"[-+]?\d+", "int"), 0)
    if not is_number(value):
        raise EvaluationError(_NO_OVERLOAD)
    return _whole(int(value), 0)


def _to_uint(value: Any) -> int:
    if isinstance(value, str):
        return _whole(_parsed(value, r"\d+", "uint"), UInt(0))
    if not is_number(value):
        raise EvaluationError(_NO_OVERLOAD)
    return _whole(int(value), UInt(0))


def _parsed(text: str, form: str, kind: str) -> int:
    if not re.fullmatch(form, text, re.ASCII):
        raise EvaluationError(f"type conversion error from 'string' to '{kind}'")
    return int(text)


def _to_double(value: Any) -> float:
    try:
        return float(value)
    except ValueError:
        raise EvaluationError("type conversion error from 'string' to 'double'") from None


def _to_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e21 else repr(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise EvaluationError("invalid UTF-8 in bytes, cannot convert to string") from None
    if isinstance(value, Opaque):
        return str(value.value)
    return str(value)


def _to_bool(value: Any) -> bool:
    words = {"true": True, "True": True, "TRUE": True, "t": True, "1": True}
    words |= {"false": False, "False": False, "FALSE": False, "f": False, "0": False}
    if isinstance(value, bool):
        return value
    if value not in words:
        raise EvaluationError("type conversion error from 'string' to 'bool'")
    return words[value]


def _regex(pattern: str) -> re.Pattern[str]:
    try:
        return compiled(pattern)
    except BadPattern as error:
        raise EvaluationError(str(error)) from error


def _find_all(text: str, pattern: str, most: int = -1) -> list[str]:
    found = [match.group() for match in _regex(pattern).finditer(text)]
    return found if most < 0 else found[:most]


def _find(text: str, pattern: str) -> str:
    match = _regex(pattern).search(text)
    return match.group() if match else ""


def _char_at(text: str, index: int) -> str:
    if not 0 <= index <= len(text):
        raise EvaluationError(f"index out of range: {index}")
    return text[index : index + 1]


def _index_of(owner: Any, part: Any, start: int = 0) -> int:
    if isinstance(owner, list):
        return next((index for index, each in enumerate(owner) if are_equal(each, part)), -1)
    if not 0 <= start <= len(owner):
        raise EvaluationError(f"index out of range: {start}")
    return int(owner.find(part, start))


def _last_index_of(owner: Any, part: Any, last: int | None = None) -> int:
    if isinstance(owner, list):
        return next((index for index in reversed(range(len(owner))) if are_equal(owner[index], part)), -1)
    if last is None:
        return int(owner.rfind(part))
    if not 0 <= last <= len(owner):
        raise EvaluationError(f"index out of range: {last}")
    return int(owner.rfind(part, 0, last + len(part)))


def _substring(text: str, start: int, end: int | None = None) -> str:
    end = len(text) if end is None else end
    if not 0 <= start <= len(text):
        raise EvaluationError(f"index out of range: {start}")
    if not 0 <= end <= len(text):
        raise EvaluationError(f"index out of range: {end}")
    if start > end:
        raise EvaluationError(f"invalid substring range. start: {start}, end: {end}")
    return text[start:end]


def _split(text: str, separator: str, most: int = -1) -> list[str]:
    if most == 0:
        return []
    if not separator:
        parts = list(text)
        return parts if most < 0 or len(parts) <= most else [*parts[: most - 1], "".join(parts[most - 1 :])]
    return text.split(separator, most - 1 if most > 0 else -1)


def _is_sorted(items: list[Any]) -> bool:
    return all(_comparison(operator.le)(one, other) for one, other in pairwise(items))


def _sum(items: list[Any]) -> Any:
    if not items:
        return 0
    total = items[0]
    for each in items[1:]:
        total = _add(total, each)
    return total


def _least(items: list[Any]) -> Any:
    if not items:
        raise EvaluationError("min called on empty list")
    return min(items)


def _most(items: list[Any]) -> Any:
    if not items:
        raise EvaluationError("max called on empty list")
    return max(items)


def _has_all(one: list[Any], other: list[Any]) -> bool:
    return all(_in(each, one) for each in other)


def _value(optional: Optional) -> Any:
    if not optional.items:
        raise EvaluationError("optional.none() dereference")
    return optional.items[0]


def _non_zero(value: Any) -> Optional:
    return Optional((value,)) if value or isinstance(value, Opaque | Timestamp) else Optional()


#: name -> what it does; a method's receiver is its first argument.
FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "!_": _not,
    "-_": _negate,
    "_==_": are_equal,
    "_!=_": lambda one, other: not are_equal(one, other),
    "_<_": _comparison(operator.lt),
    "_<=_": _comparison(operator.le),
    "_>_": _comparison(operator.gt),
    "_>=_": _comparison(operator.ge),
    "_+_": _add,
    "_-_": _subtract,
    "_*_": _multiply,
    "_/_": _divide,
    "_%_": _modulo,
    "_[_]": _index,
    "_[?_]": _optional_index,
    "@in": _in,
    "size": _size,
    "type": lambda value: TypeValue(type_name(value)),
    "dyn": lambda value: value,
    "int": _to_int,
    "uint": _to_uint,
    "double": _to_double,
    "string": _to_text,
    "bytes": lambda value: value.encode() if isinstance(value, str) else value,
    "bool": _to_bool,
    "duration": to_duration,
    "timestamp": to_timestamp,
    "contains": lambda text, part: part in text,
    "startsWith": lambda text, part: text.startswith(part),
    "endsWith": lambda text, part: text.endswith(part),
    "matches": lambda text, pattern: _regex(pattern).search(text) is not None,
    "charAt": _char_at,
    "indexOf": _index_of,
    "lastIndexOf": _last_index_of,
    "join": lambda items, separator="": separator.join(items),
    "lowerAscii": lambda text: re.sub("[A-Z]+", lambda match: match.group().lower(), text),
    "upperAscii": lambda text: re.sub("[a-z]+", lambda match: match.group().upper(), text),
    "replace": lambda text, old, new, most=-1: text.replace(old, new, most),
    "split": _split,
    "substring": _substring,
    "trim": lambda text: text.strip(),
    "reverse": lambda text: text[::-1],
    "find": _find,
    "findAll": _find_all,
    "isSorted": _is_sorted,
    "sum": _sum,
    "min": _least,
    "max": _most,
    "getFullYear": of_time(lambda it: it.year, 0),
    "getMonth": of_time(lambda it: it.month - 1, 0),
    "getDate": of_time(lambda it: it.day, 0),
    "getDayOfMonth": of_time(lambda it: it.day - 1, 0),
    "getDayOfWeek": of_time(lambda it: it.isoweekday() % 7, 0),
    "getDayOfYear": of_time(lambda it: it.timetuple().tm_yday - 1, 0),
    "getHours": of_time(lambda it: it.hour, 3600 * NANOS),
    "getMinutes": of_time(lambda it: it.minute, 60 * NANOS),
    "getSeconds": of_time(lambda it: it.second, NANOS),
    "getMilliseconds": of_time(lambda it: it.microsecond // 1000, 10**6),
    **LIBRARIES,
    **AUTHORIZATION,
    **extensions_for(_to_text),
    "sets.contains": _has_all,
    "sets.equivalent": lambda one, other: _has_all(one, other) and _has_all(other, one),
    "sets.intersects": lambda one, other: any(_in(each, one) for each in other),
    "optional.of": lambda value: Optional((value,)),
    "optional.ofNonZeroValue": _non_zero,
    "optional.none": Optional,
    "hasValue": lambda optional: bool(optional.items),
    "value": _value,
    "or": lambda optional, other: optional if optional.items else other,
    "orValue": lambda optional, other: optional.items[0] if optional.items else other,
}
