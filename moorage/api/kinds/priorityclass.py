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

has_generation = True

#: Higher numbers are for the system's own classes.
USER_MOST = 1_000_000_000
_POLICIES = ("PreemptLowerPriority", "Never")


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a PriorityClass."""
    del request
    name, value = name_of(obj), obj.get("value") or 0
    causes: list[Cause] = []
    if name.startswith("system-"):
        if SYSTEM_CLASSES.get(name) != value:
            text = "priority class names with 'system-' prefix are reserved for system use only"
            causes.append(forbidden("metadata.name", text))
    elif value > USER_MOST:
        causes.append(forbidden("value", f"maximum allowed value of a user defined priority is {USER_MOST}"))
    if (policy := obj.get("preemptionPolicy")) is not None:
        causes += in_list("preemptionPolicy", policy, _POLICIES)
    return causes


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
