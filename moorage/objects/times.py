"""Times and durations as Go reads and writes them: RFC 3339 in, UTC out, and Go's words for what cannot be read.

Source: Go's time.Parse (format.go), metav1.Time and metav1.MicroTime (apimachinery v1.37).
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

_LAYOUT: Final = "2006-01-02T15:04:05Z07:00"
_MICRO_LAYOUT: Final = "2006-01-02T15:04:05.000000Z07:00"

_DIGITS4: Final = re.compile(r"[0-9]{4}", re.ASCII)
_DIGITS2: Final = re.compile(r"[0-9]{2}", re.ASCII)
_DIGITS1: Final = re.compile(r"[0-9]{1,2}", re.ASCII)
_FRACTION: Final = re.compile(r"[.,][0-9]+", re.ASCII)
_MICROS: Final = re.compile(r"[.,][0-9]{6}", re.ASCII)
_ZONE: Final = re.compile(r"Z|([+-])([0-9]{2}):([0-9]{2})", re.ASCII)

#: What a layout is made of, in order: the text before, the placeholder, its pattern, its name and range.
_PARTS: Final = (
    ("", "2006", _DIGITS4, "year", 0, 9999),
    ("-", "01", _DIGITS2, "month", 1, 12),
    ("-", "02", _DIGITS2, "day", 0, 99),
    ("T", "15", _DIGITS1, "hour", 0, 23),
    (":", "04", _DIGITS2, "minute", 0, 59),
    (":", "05", _DIGITS2, "second", 0, 59),
)

#: The moment that Go takes for no time at all; it is written as null.
_ZERO: Final = "0001-01-01T00:00:00Z"


class TimeError(ValueError):
    """The text is no time; the message is Go's."""


@lru_cache(maxsize=256)
def normal_time(text: str) -> str | None:
    """Return RFC 3339 text as metav1.Time writes it: UTC, whole seconds; None for Go's zero time. Raises TimeError."""
    moment = _parsed(text, _LAYOUT)
    written = moment.isoformat(timespec="seconds") + "Z"
    return None if written == _ZERO and not moment.microsecond else written


@lru_cache(maxsize=256)
def normal_micro_time(text: str) -> str | None:
    """Return RFC 3339 text with six digits as metav1.MicroTime writes it, None for Go's zero time. Raises TimeError."""
    moment = _parsed(text, _MICRO_LAYOUT)
    written = moment.isoformat(timespec="microseconds") + "Z"
    return None if moment == datetime.min else written  # noqa: DTZ901 (naive UTC, as _parsed returns it)


def _parsed(text: str, layout: str) -> datetime:
    """Return the moment in UTC, without a zone."""
    numbers = []
    rest = text
    for before, placeholder, pattern, name, least, most in _PARTS:
        rest = _skipped(text, layout, rest, before)
        match = pattern.match(rest)
        if match is None:
            raise _refused(text, layout, rest, placeholder)
        number = int(match[0])
        if not least <= number <= most:
            raise TimeError(f'parsing time "{text}": {name} out of range')
        numbers.append(number)
        rest = rest[match.end() :]
    micros, rest = _fraction(text, layout, rest)
    shift, rest = _zone(text, layout, rest)
    if rest:
        raise TimeError(f'parsing time "{text}": extra text: "{rest}"')
    try:
        year, month, day, hour, minute, second = numbers
        moment = datetime(year, month, day, hour, minute, second, micros, timezone(shift))
        return moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError) as error:
        raise TimeError(f'parsing time "{text}": day out of range') from error


def _skipped(text: str, layout: str, rest: str, before: str) -> str:
    if not rest.startswith(before):
        raise _refused(text, layout, rest, before)
    return rest[len(before) :]


def _fraction(text: str, layout: str, rest: str) -> tuple[int, str]:
    """Return the microseconds, and what follows them."""
    match = (_FRACTION if layout == _LAYOUT else _MICROS).match(rest)
    if match is None:
        if layout == _LAYOUT:
            return 0, rest
        raise _refused(text, layout, rest, ".000000")
    return int(match[0][1:7].ljust(6, "0")), rest[match.end() :]


def _zone(text: str, layout: str, rest: str) -> tuple[timedelta, str]:
    """Return how far the zone is from UTC, and what follows it."""
    match = _ZONE.match(rest)
    if match is None:
        raise _refused(text, layout, rest, "Z07:00")
    if match[0] == "Z":
        return timedelta(), rest[1:]
    hours, minutes = int(match[2]), int(match[3])
    if hours > 23 or minutes > 59:
        raise TimeError(f'parsing time "{text}": time zone offset hour out of range')
    shift = timedelta(hours=hours, minutes=minutes)
    return (shift if match[1] == "+" else -shift), rest[match.end() :]


def _refused(text: str, layout: str, rest: str, expected: str) -> TimeError:
    return TimeError(f'parsing time "{text}" as "{layout}": cannot parse "{rest}" as "{expected}"')
