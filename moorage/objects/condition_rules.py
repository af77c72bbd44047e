"""The rules of metav1.Condition, as the conditions of newer kinds are. Older kinds have conditions without rules.

Source: apimachinery/pkg/apis/meta/v1/validation ValidateConditions (v1.37).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from moorage.objects.errors import Cause
from moorage.objects.validation import (
    duplicate,
    in_list,
    invalid,
    required,
    too_long,
    validate_qualified_name,
)

REASON_MOST: Final = 1024
MESSAGE_MOST: Final = 32 * 1024

_PATTERN: Final = "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?"
_reason = re.compile(_PATTERN).fullmatch
_REASON_TEXT: Final = (
    "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters "
    "or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName',  or "
    f"'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is '{_PATTERN}')"
)


def validate_conditions(path: str, conditions: Sequence[Mapping[str, Any]]) -> list[Cause]:
    """Return every broken rule of a list of conditions."""
    causes: list[Cause] = []
    first: dict[str, int] = {}
    for index, condition in enumerate(conditions):
        kind = condition.get("type") or ""
        if kind in first:
            causes.append(duplicate(f"{path}[{index}].type", kind))
        first.setdefault(kind, index)
        causes += _validate_condition(f"{path}[{index}]", condition)
    return causes


def _validate_condition(path: str, condition: Mapping[str, Any]) -> list[Cause]:
    causes = validate_qualified_name(f"{path}.type", condition.get("type") or "")
    causes += in_list(f"{path}.status", condition.get("status") or "", ("False", "True", "Unknown"))
    generation = condition.get("observedGeneration") or 0
    if generation < 0:
        causes.append(invalid(f"{path}.observedGeneration", generation, "must be greater than or equal to zero"))
    if not condition.get("lastTransitionTime"):
        causes.append(required(f"{path}.lastTransitionTime"))
    reason = condition.get("reason") or ""
    if not reason:
        causes.append(required(f"{path}.reason"))
    else:
        if not _reason(reason):
            causes.append(invalid(f"{path}.reason", reason, _REASON_TEXT))
        if len(reason) > REASON_MOST:
            causes.append(too_long(f"{path}.reason", REASON_MOST))
    if len(condition.get("message") or "") > MESSAGE_MOST:
        causes.append(too_long(f"{path}.message", MESSAGE_MOST))
    return causes
