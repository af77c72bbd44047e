"""When a schedule is due: cron expressions as upstream reads them, and which of several missed times counts.

The search through the calendar is cronsim's; what an expression means is said here, because upstream's parser differs
from cron: a field with a step restricts like a list, `?` is `*`, and in the hours that clocks skip or repeat the wall
clock decides (a skipped time does not come, a repeated one comes twice).
Source: robfig/cron v3, pkg/controller/cronjob/utils.go (v1.37).
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

#: A schedule without a time within so many years has none. Source: robfig/cron spec.go.
YEARS_MOST: Final = 5

#: So many missed times are worth a warning.
MISSED_MOST: Final = 100

_DESCRIPTORS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: Final[tuple[tuple[int, int, dict[str, int]], ...]] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    (0, 6, {name: number for number, name in enumerate(_WEEKDAYS)}),
)
_SPANS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_SPAN: Final = re.compile(r"(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)")


class ScheduleError(ValueError):
    """The schedule cannot be read, or its times cannot be told."""


class Schedule(Protocol):
    """Times in order."""

    def after(self, moment: datetime) -> datetime | None:
        """Return the first time after the moment, None if there is none for years."""


class Interval(NamedTuple):
    """`@every`: a time each so many seconds, at least one."""

    seconds: int

    def after(self, moment: datetime) -> datetime | None:
        """Return the moment, in whole seconds, and the interval."""
        return moment.replace(microsecond=0) + timedelta(seconds=self.seconds)


class Calendar(NamedTuple):
    """A cron expression of six fields, as cronsim reads it, in a time zone."""

    expression: str
    zone: tzinfo

    def after(self, moment: datetime) -> datetime | None:
        """Return the next time that the expression names."""
        from cronsim import CronSim, CronSimError

        local = moment.astimezone(self.zone)
        try:
            found = next(CronSim(self.expression, local))
        except (CronSimError, StopIteration):
            return None
        found = found.astimezone(UTC)
        return found if found.year <= local.year + YEARS_MOST else None


class Due(NamedTuple):
    """earliest: from when times were looked for. latest: the last one that has come, None if none has. missed: how many."""

    earliest: datetime
    latest: datetime | None = None
    missed: int = 0


@lru_cache(maxsize=512)
def parse_schedule(text: str, zone: str = "") -> Schedule:
    """Return the schedule that a text names. Raises ScheduleError."""
    where = zone_of(zone)
    if text.startswith("@every "):
        seconds = sum(float(number) * _SPANS[unit] for number, unit in _SPAN.findall(text))
        return Interval(max(1, int(seconds)))
    fields = _DESCRIPTORS.get(text, text).split()
    if len(fields) != len(_FIELDS):
        raise ScheduleError(f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]")
    try:
        parts = [_field(part, *bounds) for part, bounds in zip(fields, _FIELDS, strict=True)]
    except ValueError as error:
        raise ScheduleError(str(error)) from error
    return Calendar(" ".join(["0", *parts]), where)


def zone_of(name: str) -> tzinfo:
    """Return the time zone of a name, UTC for none. Raises ScheduleError."""
    if not name:
        return UTC
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise ScheduleError(f"unknown time zone {name}") from error


def find_due(schedule: Schedule, earliest: datetime, now: datetime) -> Due:
    """Return the last time after `earliest` that has come. Raises ScheduleError if its times cannot be told.

    How many times were missed is estimated from the first two, as upstream does; where that leads beyond the last time
    that has come, the search goes back.
    """
    first = schedule.after(earliest)
    if first is None or now < first:
        return Due(earliest)
    second = schedule.after(first)
    if second is None or now < second:
        return Due(earliest, first)
    step = round((second - first).total_seconds())
    if step < 1:
        raise ScheduleError("time difference between two schedules is less than 1 second")
    missed = int((now - first).total_seconds()) // step + 1
    latest, back = None, missed - 2
    while latest is None and back >= 0:
        latest = _last_before(schedule, first + timedelta(seconds=back * step), now)
        back = back // 2 if back > 1 else back - 1
    return Due(earliest, latest or second, missed)


def _last_before(schedule: Schedule, start: datetime, now: datetime) -> datetime | None:
    """Return the last time after `start` that has come, None if none has."""
    latest = None
    candidate = schedule.after(start)
    while candidate is not None and candidate <= now:
        latest = candidate
        candidate = schedule.after(candidate)
    return latest


def _field(text: str, low: int, high: int, names: dict[str, int]) -> str:
    """Return a field for cronsim: `*`, or the numbers that it names."""
    numbers: set[int] = set()
    for part in filter(None, text.split(",")):
        span, _, steps = part.partition("/")
        step = int(steps) if steps else 1
        if span in {"*", "?"}:
            if step == 1:
                return "*"
            numbers.update(range(low, high + 1, step))
            continue
        first, dash, last = span.partition("-")
        start = _number(first, names)
        end = _number(last, names) if dash else (high if steps else start)
        numbers.update(range(start, end + 1, step))
    if not numbers or min(numbers) < low or max(numbers) > high:
        raise ScheduleError(f"numbers between {low} and {high} are expected: {text}")
    return ",".join(map(str, sorted(numbers)))


def _number(text: str, names: dict[str, int]) -> int:
    return names[text.lower()] if text.lower() in names else int(text)
