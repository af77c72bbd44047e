"""PodDisruptionBudgets: how many pods may be missing at once.

Source: pkg/apis/policy/validation (v1.37).
"""

from datetime import datetime
from typing import Any

from moorage.api.kinds.workload.cells import age_of
from moorage.api.kinds.workload.numbers import validate_amounts, validate_int_or_percent, validate_not_over_all
from moorage.api.request import Request
from moorage.objects.condition_rules import validate_conditions
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, name_of
from moorage.objects.selector_rules import validate_label_selector
from moorage.objects.validation import in_list, invalid

has_generation = True


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a PodDisruptionBudget."""
    del request
    spec = obj.get("spec") or {}
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    causes: list[Cause] = []
    if least is not None and most is not None:
        shown = _shown(spec)
        causes.append(invalid("spec", shown, "minAvailable and maxUnavailable cannot be both set"))
    for field, value in (("minAvailable", least), ("maxUnavailable", most)):
        if value is not None:
            causes += validate_int_or_percent(f"spec.{field}", value)
            causes += validate_not_over_all(f"spec.{field}", value)
    causes += validate_label_selector("spec.selector", spec.get("selector"))
    if (policy := spec.get("unhealthyPodEvictionPolicy")) is not None:
        causes += in_list("spec.unhealthyPodEvictionPolicy", policy, ("AlwaysAllow", "IfHealthyBudget"))
    return causes


def _shown(spec: Any) -> dict[str, Any]:
    return {
        "MinAvailable": spec.get("minAvailable"),
        "Selector": spec.get("selector"),
        "MaxUnavailable": spec.get("maxUnavailable"),
        "UnhealthyPodEvictionPolicy": spec.get("unhealthyPodEvictionPolicy"),
    }


def validate_status(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what a status may not say."""
    del old, request
    numbers = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
    status = obj.get("status") or {}
    causes = validate_conditions("status.conditions", status.get("conditions") or ())
    amounts = validate_amounts("", status, *numbers)
    return causes + [cause._replace(field=cause.field.lstrip(".")) for cause in amounts]


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, min available, max unavailable, allowed disruptions, age."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    shown = ["N/A" if spec.get(field) is None else str(spec[field]) for field in ("minAvailable", "maxUnavailable")]
    return [name_of(obj), *shown, status.get("disruptionsAllowed") or 0, age_of(obj, now)]
