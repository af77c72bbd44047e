"""Whether a schedule and its time zone can be read, in the words of the parser that upstream uses.

Source: robfig/cron v3 parser.go, as CronJobs use it (v1.37).
"""

import re
from functools import cache

_NAMES = {name: number for number, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
_DAYS = {name: number for number, name in enumerate("sun mon tue wed thu fri sat".split())}
_BOUNDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, _NAMES),
    (0, 6, _DAYS),
)
_DESCRIPTORS = frozenset({"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"})
_duration = re.compile(r"[+-]?(\d+(\.\d*)?(ns|us|µs|ms|s|m|h))+|0").fullmatch


def schedule_problem(schedule: str) -> str:
    """Return what is wrong with a schedule, "" if nothing."""
    if "TZ" in schedule:
        return "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
    if schedule.startswith("@"):
        return _descriptor_problem(schedule)
    fields = schedule.split()
    if len(fields) != len(_BOUNDS):
        return f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]"
    for text, (low, high, names) in zip(fields, _BOUNDS, strict=True):
        for part in (each for each in text.split(",") if each):
            if problem := _part_problem(part, low, high, names):
                return problem
    return ""


def _descriptor_problem(text: str) -> str:
    if text in _DESCRIPTORS:
        return ""
    if text.startswith("@every "):
        span = text.removeprefix("@every ")
        return "" if _duration(span) else f'failed to parse duration {text}: time: invalid duration "{span}"'
    return f"unrecognized descriptor: {text}"


def _part_problem(part: str, low: int, high: int, names: dict[str, int]) -> str:
    span, *steps = part.split("/")
    ends = span.split("-")
    if ends[0] in {"*", "?"}:
        start, end = low, high
    else:
        if problem := _number_problem(ends[0], names):
            return problem
        start = end = _number(ends[0], names)
        if len(ends) == 2:
            if problem := _number_problem(ends[1], names):
                return problem
            end = _number(ends[1], names)
        elif len(ends) > 2:
            return f"too many hyphens: {part}"
    if len(steps) > 1:
        return f"too many slashes: {part}"
    step = 1
    if steps:
        if problem := _number_problem(steps[0], {}):
            return problem
        step = int(steps[0])
        end = high if len(ends) == 1 and ends[0] not in {"*", "?"} else end
    return _range_problem(part, (start, end, step), low, high)


def _range_problem(part: str, span: tuple[int, int, int], low: int, high: int) -> str:
    start, end, step = span
    if start < low:
        return f"beginning of range ({start}) below minimum ({low}): {part}"
    if end > high:
        return f"end of range ({end}) above maximum ({high}): {part}"
    if start > end:
        return f"beginning of range ({start}) beyond end of range ({end}): {part}"
    return f"step of range should be a positive number: {part}" if step == 0 else ""


def _number_problem(text: str, names: dict[str, int]) -> str:
    if text.lower() in names or re.fullmatch(r"\+?\d+", text):
        return ""
    return f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax'


def _number(text: str, names: dict[str, int]) -> int:
    return names.get(text.lower(), -1) if text.lower() in names else int(text)


@cache
def zone_problem(zone: str) -> str:
    """Return what is wrong with a time zone, "" if it is one of the tz database."""
    from zoneinfo import ZoneInfo

    if not zone:
        return "timeZone must be nil or non-empty string"
    if zone.lower() == "local":
        return "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
    try:
        found = ZoneInfo(zone)
    except (ValueError, OSError, KeyError):
        return f"unknown time zone {zone}"
    del found
    return ""
