"""LimitRanges: defaults and bounds for what pods and claims ask for.

Source: pkg/apis/core/validation, ValidateLimitRange (v1.37).
"""

from collections.abc import Mapping
from typing import Any

from moorage.api.kinds.pod_spec.resources import (
    may_overcommit,
    validate_container_resource_name,
    validate_resource_name,
)
from moorage.api.request import Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object
from moorage.objects.quantity import parse_quantity
from moorage.objects.validation import duplicate, each_invalid, forbidden, invalid, qualified_name_problems, required

Part = Mapping[str, Any]

_TYPES = frozenset({"Pod", "Container", "PersistentVolumeClaim"})


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a LimitRange."""
    del request
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, limit in enumerate((obj.get("spec") or {}).get("limits") or ()):
        path, kind = f"spec.limits[{index}]", limit.get("type") or ""
        causes += _validate_type(f"{path}.type", kind)
        if kind in seen:
            causes.append(duplicate(f"{path}.type", kind))
        seen.add(kind)
        causes += _validate_limit(path, limit, kind)
    return causes


def _validate_type(path: str, kind: str) -> list[Cause]:
    if problems := qualified_name_problems(kind):
        return each_invalid(path, kind, problems)
    if "/" not in kind and kind not in _TYPES:
        return [invalid(path, kind, "must be a standard limit type or fully qualified")]
    return []


def _validate_limit(path: str, limit: Part, kind: str) -> list[Cause]:
    causes: list[Cause] = []
    check = validate_container_resource_name if kind in {"Container", "Pod"} else validate_resource_name
    for field in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio"):
        for name in limit.get(field) or ():
            causes += check(f"{path}.{field}[{name}]", name)
    if kind == "Pod":
        text = "may not be specified when `type` is 'Pod'"
        causes += [forbidden(f"{path}.{field}", text) for field in ("default", "defaultRequest") if limit.get(field)]
    if kind == "PersistentVolumeClaim" and not any("storage" in (limit.get(field) or {}) for field in ("min", "max")):
        text = "either minimum or maximum storage value is required, but neither was provided"
        causes.append(required(f"{path}.limits", text))
    names = dict.fromkeys(
        name
        for field in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")
        for name in limit.get(field) or ()
    )
    for name in names:
        causes += _validate_numbers(path, limit, name)
    return causes


def _validate_numbers(path: str, limit: Part, name: str) -> list[Cause]:
    least, most, request, default, ratio = (
        (limit.get(field) or {}).get(name)
        for field in ("min", "max", "defaultRequest", "default", "maxLimitRequestRatio")
    )
    causes: list[Cause] = []

    def over(field: str, shown: str, what: str, low: str | None, high: str | None) -> None:
        if low is not None and high is not None and parse_quantity(low) > parse_quantity(high):
            causes.append(invalid(f"{path}.{field}[{name}]", shown, what.format(low=low, high=high)))

    over("min", least or "", "min value {low} is greater than max value {high}", least, most)
    over(
        "defaultRequest", request or "", "min value {low} is greater than default request value {high}", least, request
    )
    over("defaultRequest", request or "", "default request value {low} is greater than max value {high}", request, most)
    over(
        "defaultRequest",
        request or "",
        "default request value {low} is greater than default limit value {high}",
        request,
        default,
    )
    over("default", least or "", "min value {low} is greater than default value {high}", least, default)
    over("default", most or "", "default value {low} is greater than max value {high}", default, most)
    causes += _validate_ratio(f"{path}.maxLimitRequestRatio[{name}]", ratio, least, most)
    if default is not None and request is not None and not may_overcommit(name) and default != request:
        text = f"default value {default} must equal to defaultRequest value {request} in {name}"
        causes.append(invalid(f"{path}.defaultRequest[{name}]", request, text))
    return causes


def _validate_ratio(path: str, ratio: str | None, least: str | None, most: str | None) -> list[Cause]:
    if ratio is None:
        return []
    number = parse_quantity(ratio).nanos
    causes = []
    if number < parse_quantity("1").nanos:
        causes.append(invalid(path, ratio, f"ratio {ratio} is less than 1"))
    if least is not None and most is not None and parse_quantity(least):
        highest = parse_quantity(most).nanos / parse_quantity(least).nanos
        if number / parse_quantity("1").nanos > highest:
            causes.append(invalid(path, ratio, f"ratio {ratio} is greater than max/min = {highest:f}"))
    return causes
