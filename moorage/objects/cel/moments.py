"""Moments and spans of time: from texts, and their parts.

Source: cel-go 0.26 common/types/{timestamp,duration}.go.
"""

import math
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from moorage.objects.cel.values import NANOS, Duration, EvaluationError, Timestamp, is_number

_UNITS: Final = {"h": 3600 * NANOS, "m": 60 * NANOS, "s": NANOS, "ms": 10**6, "us": 1000, "µs": 1000, "ns": 1}
_DURATION: Final = re.compile(r"([-+]?)((?:(?:\d+(?:\.\d*)?|\.\d+)(?:h|ms|us|µs|ns|m|s))+|0)")
_PART: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|us|µs|ns|m|s)")
_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)


def to_duration(value: Any) -> Duration:
    """Return the span that a text such as `1h30m` names. Raises EvaluationError."""
    if isinstance(value, Duration):
        return value
    match = _DURATION.fullmatch(value)
    if match is None:
        raise EvaluationError("type conversion error from 'string' to 'google.protobuf.Duration'")
    nanos = sum(round(float(number) * _UNITS[unit]) for number, unit in _PART.findall(match[2]))
    return Duration(-nanos if match[1] == "-" else nanos)


def to_timestamp(value: Any) -> Timestamp:
    """Return the moment that a text in RFC 3339, or seconds since 1970, mean. Raises EvaluationError."""
    if isinstance(value, Timestamp):
        return value
    if is_number(value):
        return Timestamp(value * NANOS)
    match = _MOMENT.fullmatch(value)
    try:
        moment = datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00")) if match else None
    except ValueError:
        moment = None
    if match is None or moment is None:
        raise EvaluationError("type conversion error from 'string' to 'google.protobuf.Timestamp'")
    return Timestamp(int(moment.timestamp()) * NANOS + int(f"{(match[2] or '.')[1:]:0<9}"[:9] or 0))


def of_time(part: Callable[[datetime], int], unit: int) -> Callable[..., int]:
    """Return what reads a part of a moment in a time zone, or counts units in a span."""

    def read(value: Any, zone: str = "UTC") -> int:
        if isinstance(value, Duration):
            return int(math.copysign(1, value.nanos)) * (abs(value.nanos) // unit) if unit else _fail()
        return part(_in_zone(value.moment, zone))

    return read


def _fail() -> int:
    raise EvaluationError("no such overload")


def _in_zone(moment: datetime, zone: str) -> datetime:
    from datetime import timedelta, timezone
    from zoneinfo import ZoneInfo

    if match := re.fullmatch(r"([+-]?)(\d\d):(\d\d)", zone):
        shift = timedelta(hours=int(match[2]), minutes=int(match[3]))
        return moment.astimezone(timezone(-shift if match[1] == "-" else shift))
    try:
        return moment.astimezone(ZoneInfo(zone))
    except (KeyError, ValueError, OSError):
        raise EvaluationError(f"unknown time zone {zone}") from None
