"""PriorityClasses: how much pods matter.

Source: pkg/apis/scheduling/validation (v1.37).
"""

from datetime import datetime
from typing import Any

from moorage.api.admission.priority import SYSTEM_CLASSES
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, name_of
from moorage.objects.validation import forbidden, in_list, invalid

#: The highest priority that is not the system's.
HIGHEST_OF_USERS = 1000000000

_PREFIX = "system-"
_POLICIES = ("PreemptLowerPriority", "Never")


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a PriorityClass."""
    del request
    causes: list[Cause] = []
    if name_of(obj).startswith(_PREFIX):
        if problem := _system_problem(obj):
            text = f"priority class names with '{_PREFIX}' prefix are reserved for system use only. error: {problem}"
            causes.append(forbidden("metadata.name", text))
    elif (obj.get("value") or 0) > HIGHEST_OF_USERS:
        causes.append(forbidden("value", f"maximum allowed value of a user defined priority is {HIGHEST_OF_USERS}"))
    if (policy := obj.get("preemptionPolicy")) is not None:
        causes += in_list("preemptionPolicy", policy, _POLICIES)
    return causes


def _system_problem(obj: Object) -> str:
    name = name_of(obj)
    if name not in SYSTEM_CLASSES:
        return f"{name} is not a known system priority class"
    if (obj.get("value") or 0) != SYSTEM_CLASSES[name]:
        return f"value of {name} PriorityClass must be {SYSTEM_CLASSES[name]}"
    if obj.get("globalDefault"):
        return f"globalDefault of {name} PriorityClass must be false"
    return ""


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a PriorityClass may not change."""
    del request
    causes = []
    if (obj.get("value") or 0) != (old.get("value") or 0):
        causes.append(forbidden("value", "may not be changed in an update."))
    if obj.get("preemptionPolicy") != old.get("preemptionPolicy"):
        causes.append(invalid("preemptionPolicy", obj.get("preemptionPolicy"), "field is immutable"))
    return causes


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, value, default, age, preemption policy."""
    policy = obj.get("preemptionPolicy") or ""
    return [name_of(obj), obj.get("value") or 0, bool(obj.get("globalDefault")), age_of(obj, now), policy]
