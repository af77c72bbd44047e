"""Requests, limits and claims of containers and pods.

Source: pkg/apis/core/validation/validation.go, ValidateContainerResourceRequirements and its like (v1.37).
"""

from collections.abc import Collection, Mapping
from typing import Any

from moorage.objects.errors import Cause
from moorage.objects.quantity import NANO, ZERO, Quantity, parse_quantity
from moorage.objects.validation import (
    NOT_NEGATIVE,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_found,
    not_supported,
    qualified_name_problems,
    required,
    validate_dns_label,
)

Quantities = Mapping[str, str]

_STANDARD_CONTAINER = frozenset({"cpu", "memory", "ephemeral-storage"})
INTEGER_RESOURCES = frozenset(
    {
        "pods",
        "services",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    }
)
STANDARD_RESOURCES = (
    _STANDARD_CONTAINER
    | INTEGER_RESOURCES
    | {f"{kind}.{name}" for kind in ("requests", "limits") for name in _STANDARD_CONTAINER}
    | {"storage", "requests.storage"}
)
_POD_LEVEL = ("cpu", "hugepages-", "memory")


def is_huge_page(name: str) -> bool:
    """Tell whether the resource is pages of a fixed size."""
    return name.startswith("hugepages-")


def is_native(name: str) -> bool:
    """Tell whether the resource is one of Kubernetes' own."""
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    """Tell whether the resource is a well-formed one of somebody else (`example.com/gpu`)."""
    return not (is_native(name) or name.startswith("requests.") or qualified_name_problems(f"requests.{name}"))


def may_overcommit(name: str) -> bool:
    """Tell whether requests may be below limits."""
    return is_native(name) and not is_huge_page(name)


def is_standard(name: str) -> bool:
    """Tell whether the resource is known by name, in quotas as in containers."""
    return name in STANDARD_RESOURCES or name.startswith(("hugepages-", "requests.hugepages-"))


def validate_resource_name(path: str, name: str) -> list[Cause]:
    """Return the causes of a name that is no resource."""
    if problems := qualified_name_problems(name):
        return each_invalid(path, name, problems)
    if "/" not in name and not is_standard(name):
        return [invalid(path, name, "must be a standard resource type or fully qualified")]
    return []


def validate_container_resource_name(path: str, name: str) -> list[Cause]:
    """Return the causes of a name that is no resource of containers."""
    if name in _STANDARD_CONTAINER:
        return []
    causes = validate_resource_name(path, name)
    if "/" not in name:
        if not is_huge_page(name):
            causes.append(invalid(path, name, "must be a standard resource for containers"))
    elif not is_native(name) and not is_extended(name):
        causes.append(invalid(path, name, "doesn't follow extended resource name standard"))
    return causes


def validate_quantity(path: str, name: str, text: str) -> list[Cause]:
    """Return the causes of an amount that is negative, or a fraction of something that has none."""
    nanos = parse_quantity(text).nanos
    causes = [invalid(path, text, NOT_NEGATIVE)] if nanos < 0 else []
    if nanos % NANO and (name in INTEGER_RESOURCES or is_extended(name)):
        causes.append(invalid(path, text, "must be an integer"))
    return causes


def _validate_amount(path: str, name: str, text: str) -> list[Cause]:
    causes = validate_container_resource_name(path, name)
    causes += validate_quantity(path, name, text)
    if is_huge_page(name):
        size = parse_quantity(name.removeprefix("hugepages-"))
        if parse_quantity(text).nanos % size.nanos:
            causes.append(invalid(path, text, f"{text} is not positive integer multiple of {name}"))
    return causes


def validate_resources(path: str, resources: Mapping[str, Any], claims: Collection[str] | None) -> list[Cause]:
    """Return the causes of a container's resources; `claims` are the names of the pod's claims, None to skip them."""
    limits: Quantities = resources.get("limits") or {}
    requests: Quantities = resources.get("requests") or {}
    causes: list[Cause] = []
    for name, text in limits.items():
        causes += _validate_amount(f"{path}.limits[{name}]", name, text)
    for name, text in requests.items():
        causes += _validate_amount(f"{path}.requests[{name}]", name, text)
        causes += _validate_request(path, name, text, limits)
    if any(map(is_huge_page, (*limits, *requests))) and not {"cpu", "memory"} & {*limits, *requests}:
        causes.append(forbidden(path, "HugePages require cpu or memory"))
    if claims is not None and resources.get("claims"):
        causes += _validate_claims(f"{path}.claims", resources["claims"], claims)
    return causes


def _validate_request(path: str, name: str, text: str, limits: Quantities) -> list[Cause]:
    limit = limits.get(name)
    if limit is None:
        if may_overcommit(name):
            return []
        return [required(f"{path}.limits", "Limit must be set for non overcommitable resources")]
    request, most = parse_quantity(text), parse_quantity(limit)
    if request != most and not may_overcommit(name):
        return [invalid(f"{path}.requests", text, f"must be equal to {name} limit of {limit}")]
    if request > most:
        return [invalid(f"{path}.requests", text, f"must be less than or equal to {name} limit of {limit}")]
    return []


def _validate_claims(path: str, claims: list[Mapping[str, Any]], known: Collection[str]) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, claim in enumerate(claims):
        name, request = claim.get("name") or "", claim.get("request") or ""
        place = f"{path}[{index}]"
        if not name:
            causes.append(required(place))
            continue
        key = f"{name}/{request}" if request else name
        if key in seen or name in seen or (not request and any(each.startswith(f"{name}/") for each in seen)):
            causes.append(duplicate(place, key))
        seen.add(key)
        if name not in known:
            detail = "must be one of the names in pod.spec.resourceClaims"
            causes.append(not_found(place, name, detail if known else f"{detail} which is empty"))
        if request:
            causes += validate_dns_label(f"{place}.request", request)
    return causes


def validate_pod_resources(path: str, spec: Mapping[str, Any]) -> list[Cause]:
    """Return the causes of resources of a whole pod, compared with what its containers ask for."""
    resources = spec["resources"]
    place = f"{path}.resources"
    if (spec.get("os") or {}).get("name") == "windows":
        return [forbidden(place, "may not be set for a windows pod")]
    causes: list[Cause] = []
    if resources.get("claims"):
        causes.append(forbidden(f"{place}.claims", "claims may not be set for Resources at pod-level"))
    limits: Quantities = resources.get("limits") or {}
    requests: Quantities = resources.get("requests") or {}
    for name, text in limits.items():
        causes += _validate_pod_amount(f"{place}.limits[{name}]", name, text)
    for name, text in requests.items():
        if name in limits and not _is_pod_level(name):
            continue  # said of the limit already
        causes += _validate_pod_amount(f"{place}.requests[{name}]", name, text)
        causes += _validate_request(place, name, text, limits)
    for name, text in requests.items():
        total = _aggregate(spec, "requests", name)
        if total is not None and parse_quantity(text) < total:
            detail = f"must be greater than or equal to aggregate container requests of {total}"
            causes.append(invalid(f"{place}.requests[{name}]", text, detail))
    for name, most in limits.items():
        causes += _validate_container_limits(f"{place}.containers", spec, name, most)
    return causes


def _is_pod_level(name: str) -> bool:
    return name in {"cpu", "memory"} or is_huge_page(name)


def _validate_pod_amount(path: str, name: str, text: str) -> list[Cause]:
    if not _is_pod_level(name):
        return [not_supported(path, name, _POD_LEVEL)]
    return _validate_amount(path, name, text)


def _validate_container_limits(path: str, spec: Mapping[str, Any], name: str, most: str) -> list[Cause]:
    causes = []
    for index, container in enumerate(spec.get("containers") or ()):
        text = ((container.get("resources") or {}).get("limits") or {}).get(name)
        if text is not None and parse_quantity(text) > parse_quantity(most):
            detail = f"must be less than or equal to pod limits of {most}"
            causes.append(invalid(f"{path}[{index}][{name}].limits", text, detail))
    return causes


def _aggregate(spec: Mapping[str, Any], kind: str, name: str) -> Quantity | None:
    """Return what the containers ask for together at the worst moment; None if nobody asks."""
    regular = [text for each in spec.get("containers") or () if (text := _amount(each, kind, name))]
    total = sum(map(parse_quantity, regular), ZERO)
    sidecars = worst = ZERO
    found = bool(regular)
    for container in spec.get("initContainers") or ():
        if not (text := _amount(container, kind, name)):
            continue
        found = True
        if container.get("restartPolicy") == "Always":
            sidecars += parse_quantity(text)
            worst = max(worst, sidecars)
        else:
            worst = max(worst, sidecars + parse_quantity(text))
    return max(total + sidecars, worst) if found else None


def _amount(container: Mapping[str, Any], kind: str, name: str) -> str | None:
    text: str | None = ((container.get("resources") or {}).get(kind) or {}).get(name)
    return text
