"""Numbers of pods in specifications and statuses, and percentages of them.

Source: apimachinery/pkg/api/validation, pkg/apis/apps/validation (v1.37).
"""

from collections.abc import Mapping
from typing import Any

from moorage.objects.errors import Cause
from moorage.objects.validation import NOT_NEGATIVE, each_invalid, invalid, not_negative, percent_problems

Part = Mapping[str, Any]


def validate_amounts(path: str, part: Part, *fields: str) -> list[Cause]:
    """Return the causes of fields below zero, in the given order."""
    causes: list[Cause] = []
    for field in fields:
        causes += not_negative(f"{path}.{field}", part.get(field))
    return causes


def validate_int_or_percent(path: str, value: int | str) -> list[Cause]:
    """Return the causes of a value that is neither a percentage nor a number of at least zero."""
    if isinstance(value, str):
        return each_invalid(path, value, percent_problems(value))
    return [invalid(path, value, NOT_NEGATIVE)] if value < 0 else []


def validate_not_over_all(path: str, value: int | str | None) -> list[Cause]:
    """Return the cause of a percentage above 100."""
    if isinstance(value, str) and not percent_problems(value) and int(value[:-1]) > 100:
        return [invalid(path, value, "must not be greater than 100%")]
    return []


def number_of(value: int | str | None) -> int:
    """Return the number, or the number before the percent sign; 0 if there is none or it is no percentage."""
    if isinstance(value, str):
        return 0 if percent_problems(value) else int(value[:-1])
    return value or 0


def not_greater(path: str, value: int, most: int, what: str) -> list[Cause]:
    """Return the cause of a number that is greater than another field's."""
    return [invalid(path, value, f"cannot be greater than {what}")] if value > most else []
