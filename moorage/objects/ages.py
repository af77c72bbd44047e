"""Durations as people read them: `5m30s`, `3d4h`, `25y`. As kubectl prints ages.

Source: apimachinery/pkg/util/duration (v1.37).
"""

from datetime import datetime

from moorage.objects.metadata import parse_time

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_YEAR = 365 * _DAY


def human_duration(seconds: float) -> str:
    """Return the duration with at most two units, more precise the shorter it is."""
    if seconds < -1:
        return "<invalid>"
    whole = max(int(seconds), 0)
    if whole < 2 * _MINUTE:
        return f"{whole}s"
    minutes = whole // _MINUTE
    if minutes < 10:
        return _two(minutes, "m", whole % _MINUTE, "s")
    if minutes < 3 * 60:
        return f"{minutes}m"
    hours = whole // _HOUR
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if hours < 8 * 24:
        return _two(days, "d", hours % 24, "h")
    if hours < 2 * 365 * 24:
        return f"{days}d"
    years = whole // _YEAR
    if hours < 8 * 365 * 24:
        return _two(years, "y", days % 365, "d")
    return f"{years}y"


def _two(big: int, big_unit: str, small: int, small_unit: str) -> str:
    return f"{big}{big_unit}{small}{small_unit}" if small else f"{big}{big_unit}"


def age_since(text: str | None, now: datetime) -> str:
    """Return how long ago the moment was, `<unknown>` if there is none."""
    if not text:
        return "<unknown>"
    return human_duration((now - parse_time(text)).total_seconds())
