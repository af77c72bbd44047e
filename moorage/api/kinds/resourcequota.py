"""ResourceQuotas: how much a namespace may use.

Source: pkg/apis/core/validation, ValidateResourceQuota (v1.37).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.pod_spec.resources import is_standard, validate_quantity, validate_resource_name
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Draft, Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, name_of
from moorage.objects.validation import invalid, required

Part = Mapping[str, Any]

_SCOPES = frozenset(
    {
        "Terminating",
        "NotTerminating",
        "BestEffort",
        "NotBestEffort",
        "PriorityClass",
        "CrossNamespacePodAffinity",
        "VolumeAttributesClass",
    }
)
_ONLY_EXISTS = _SCOPES - {"PriorityClass", "VolumeAttributesClass"}
_COMPUTE = ("cpu", "memory", "ephemeral-storage")


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Start uncounted."""
    del request, lookup
    draft["status"] = {}
    draft.setdefault("spec", {})


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a ResourceQuota."""
    del request
    spec = obj.get("spec") or {}
    causes: list[Cause] = []
    hard: Mapping[str, str] = spec.get("hard") or {}
    causes += _validate_amounts("spec.hard", hard)
    causes += _validate_scopes(spec.get("scopes") or [], hard)
    return causes + _validate_selector(spec.get("scopeSelector"), hard)


def _validate_amounts(path: str, amounts: Mapping[str, str]) -> list[Cause]:
    causes: list[Cause] = []
    for name, text in amounts.items():
        place = f"{path}[{name}]"
        causes += validate_resource_name(place, name)
        if "/" not in name and not is_standard(name):
            causes.append(invalid(place, name, "must be a standard resource for quota"))
        causes += validate_quantity(place, name, text)
    return causes


def validate_status(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what a status may not say."""
    del old, request
    status = obj.get("status") or {}
    return [
        cause for field in ("hard", "used") for cause in _validate_amounts(f"status.{field}", status.get(field) or {})
    ]


def _applies(scope: str, name: str) -> bool:
    if scope == "BestEffort":
        return name in {"pods", "count/pods"}
    if scope == "VolumeAttributesClass":
        return name == "persistentvolumeclaims" or "storage" in name
    stem = name.partition(".")[2] if name.startswith(("requests.", "limits.")) else name
    return name in {"pods", "count/pods"} or stem in _COMPUTE or "/" in name


def _validate_scopes(scopes: list[str], hard: Mapping[str, str]) -> list[Cause]:
    path = "spec.scopes"
    causes: list[Cause] = []
    for scope in scopes:
        if scope not in _SCOPES:
            causes.append(invalid(path, scopes, "unsupported scope"))
        elif any(not _applies(scope, name) for name in hard):
            causes.append(invalid(path, scopes, "unsupported scope applied to resource"))
    pairs = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})
    return causes + [invalid(path, scopes, "conflicting scopes") for pair in pairs if pair <= set(scopes)]


def _validate_selector(selector: Part | None, hard: Mapping[str, str]) -> list[Cause]:
    path = "spec.scopeSelector.matchExpressions"
    causes: list[Cause] = []
    for each in (selector or {}).get("matchExpressions") or ():
        scope, operator, values = each.get("scopeName") or "", each.get("operator") or "", each.get("values") or []
        if scope not in _SCOPES:
            causes.append(invalid(f"{path}.scopeName", scope, "unsupported scope"))
        elif any(not _applies(scope, name) for name in hard):
            causes.append(invalid(f"{path}.scopeName", scope, "unsupported scope applied to resource"))
        if scope in _ONLY_EXISTS and operator != "Exists":
            text = (
                "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
                "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or "
                "ResourceQuotaScopeCrossNamespacePodAffinity"
            )
            causes.append(invalid(f"{path}.operator", operator, text))
        causes += _validate_values(path, operator, values)
    return causes


def _validate_values(path: str, operator: str, values: list[str]) -> list[Cause]:
    if operator in {"In", "NotIn"}:
        if values:
            return []
        text = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
        return [required(f"{path}.values", text)]
    if operator in {"Exists", "DoesNotExist"}:
        text = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
        return [invalid(f"{path}.values", values, text)] if values else []
    return [invalid(f"{path}.operator", operator, "not a valid selector operator")]


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a ResourceQuota may not change."""
    del request
    new, before = (obj.get("spec") or {}).get("scopes") or [], (old.get("spec") or {}).get("scopes") or []
    return [] if set(new) == set(before) else [invalid("spec.scopes", new or None, "field is immutable")]


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, requests, limits, age."""
    status = obj.get("status") or {}
    used, hard = status.get("used") or {}, status.get("hard") or {}
    requests: list[str] = []
    limits: list[str] = []
    for name in sorted(hard):
        (limits if name.startswith("limits.") else requests).append(f"{name}: {used.get(name, '0')}/{hard[name]}")
    return [name_of(obj), ", ".join(requests), ", ".join(limits), age_of(obj, now)]
