"""What an object uses of a namespace's quota. Admission and the quota controller count by the same rule.

Source: pkg/quota/v1/evaluator/core (v1.37).
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from moorage.objects.metadata import Object, annotations_of
from moorage.objects.pods import is_finished
from moorage.objects.quality import quality_for
from moorage.objects.quantity import ZERO, Quantity, parse_quantity
from moorage.objects.volumes import CLASS_BETA

_ONE = parse_quantity("1")
_COUNTED = frozenset(
    {"configmaps", "secrets", "replicationcontrollers", "resourcequotas", "services", "persistentvolumeclaims"}
)
_COMPUTE = frozenset({"cpu", "memory", "ephemeral-storage"})

#: What stands between the name of a storage class and what is counted for it.
_CLASS_MARK = ".storageclass.storage.k8s.io/"


def usage_of(resource: str, obj: Object) -> dict[str, Quantity]:
    """Return what the object uses, by the names that quotas use."""
    used = {f"count/{resource}": _ONE}
    if resource == "pods":
        return used | _pod_usage(obj)
    if resource in _COUNTED:
        used[resource] = _ONE
    if resource == "services":
        used |= _service_usage(obj.get("spec") or {})
    elif resource == "persistentvolumeclaims":
        used |= _claim_usage(obj)
    return used


def _pod_usage(pod: Object) -> dict[str, Quantity]:
    if is_finished(pod):
        return {}
    used = {"pods": _ONE}
    spec = pod.get("spec") or {}
    for name, amount in pod_total(spec, "requests").items():
        used[f"requests.{name}"] = amount
        if name in _COMPUTE or name.startswith("hugepages-"):
            used[name] = amount
    for name, amount in pod_total(spec, "limits").items():
        if name in _COMPUTE:
            used[f"limits.{name}"] = amount
    return used


def _service_usage(spec: Mapping[str, Any]) -> dict[str, Quantity]:
    kind, ports = spec.get("type"), len(spec.get("ports") or ())
    used: dict[str, Quantity] = {}
    if kind == "NodePort" or (kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False):
        used["services.nodeports"] = _ONE * ports
    if kind == "LoadBalancer":
        used["services.loadbalancers"] = _ONE
    return used


def _claim_usage(claim: Object) -> dict[str, Quantity]:
    spec = claim.get("spec") or {}
    size = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    name = annotations_of(claim).get(CLASS_BETA) or spec.get("storageClassName")
    used: dict[str, Quantity] = {}
    if size:
        used["requests.storage"] = parse_quantity(size)
    if name:
        used[f"{name}.storageclass.storage.k8s.io/persistentvolumeclaims"] = _ONE
        if size:
            used[f"{name}.storageclass.storage.k8s.io/requests.storage"] = parse_quantity(size)
    return used


def missing_requests(hard: Mapping[str, str], pod: Object) -> str:
    """Return which limited requests and limits the pod's containers do not name, "" if none is missing."""
    spec = pod.get("spec") or {}
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    of_pod = spec.get("resources") or {}
    parts = []
    for name in sorted(hard):
        kind, _, rest = name.partition(".")
        if kind not in {"requests", "limits"}:
            kind, rest = "requests", name
        if rest not in _COMPUTE or rest in (of_pod.get(kind) or {}):
            continue
        missing = sorted(
            {
                each.get("name") or ""
                for each in containers
                if rest not in ((each.get("resources") or {}).get(kind) or {})
            }
        )
        if missing:
            parts.append(f"{name} for: {','.join(missing)}")
    return "; ".join(parts)


def matches_scopes(quota: Object, resource: str, obj: Object) -> bool:
    """Tell whether the quota is about this object: every scope must match."""
    spec = quota.get("spec") or {}
    wanted = [(scope, "Exists", ()) for scope in spec.get("scopes") or ()]
    wanted += [
        (each.get("scopeName"), each.get("operator"), tuple(each.get("values") or ()))
        for each in (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    ]
    if not wanted:
        return True
    if resource == "persistentvolumeclaims":
        return all(_claim_matches(obj, *each) for each in wanted)
    return resource == "pods" and all(_pod_matches(obj, *each) for each in wanted)


def _pod_matches(pod: Object, scope: str, operator: str, values: tuple[str, ...]) -> bool:
    spec = pod.get("spec") or {}
    if scope in {"Terminating", "NotTerminating"}:
        return (spec.get("activeDeadlineSeconds") is not None) == (scope == "Terminating")
    if scope in {"BestEffort", "NotBestEffort"}:
        return (quality_for(spec) == "BestEffort") == (scope == "BestEffort")
    if scope == "PriorityClass":
        return _is_selected(spec.get("priorityClassName") or "", operator, values)
    return scope == "CrossNamespacePodAffinity" and _crosses_namespaces(spec)


def _claim_matches(claim: Object, scope: str, operator: str, values: tuple[str, ...]) -> bool:
    if scope != "VolumeAttributesClass":
        return False
    return _is_selected((claim.get("spec") or {}).get("volumeAttributesClassName") or "", operator, values)


def _is_selected(name: str, operator: str, values: tuple[str, ...]) -> bool:
    if operator == "In":
        return name in values
    if operator == "NotIn":
        return name not in values
    return bool(name) == (operator == "Exists")


def _crosses_namespaces(spec: Mapping[str, Any]) -> bool:
    affinity = spec.get("affinity") or {}
    for field in ("podAffinity", "podAntiAffinity"):
        pods = affinity.get(field) or {}
        terms = list(pods.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        terms += [
            each.get("podAffinityTerm") or {}
            for each in pods.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        ]
        if any(each.get("namespaces") or each.get("namespaceSelector") is not None for each in terms):
            return True
    return False


def resources_counted(hard: Iterable[str], known: Collection[str]) -> dict[str, list[str]]:
    """Return by resource the names of a quota that its objects count for; names that nothing counts for are left out.

    `known` are the ids of all resources that can be counted by `count/…`.
    """
    counted: dict[str, list[str]] = {}
    for name in hard:
        resource = _resource_counted(name, known)
        if resource:
            counted.setdefault(resource, []).append(name)
    return counted


def _resource_counted(name: str, known: Collection[str]) -> str:
    if name.startswith("count/"):
        resource = name.removeprefix("count/")
        return resource if resource in known else ""
    if name in _COUNTED:
        return name
    if name in {"services.nodeports", "services.loadbalancers"}:
        return "services"
    if name == "requests.storage" or _CLASS_MARK in name:
        return "persistentvolumeclaims"
    kind, _, rest = name.partition(".")
    if name in _COMPUTE | {"pods"} or name.startswith("hugepages-") or (kind == "limits" and rest in _COMPUTE):
        return "pods"
    return "pods" if kind == "requests" and rest else ""


def quota_usage(quota: Object, names: Collection[str], objects_of: Mapping[str, Iterable[Object]]) -> dict[str, str]:
    """Return `status.used` of the quota for these names, counted over the namespace's objects by resource."""
    totals = dict.fromkeys(names, ZERO)
    for resource, objects in objects_of.items():
        for obj in objects:
            if not matches_scopes(quota, resource, obj):
                continue
            for name, amount in usage_of(resource, obj).items():
                if name in totals:
                    totals[name] += amount
    return {name: str(amount) for name, amount in totals.items()}


def pod_total(spec: Mapping[str, Any], kind: str) -> dict[str, Quantity]:
    """Return what a pod needs at its worst moment: all containers and sidecars, or one init container beside them."""
    totals: dict[str, Quantity] = {}
    sidecars: dict[str, Quantity] = {}
    worst: dict[str, Quantity] = {}
    for container in spec.get("containers") or ():
        _add(totals, container, kind)
    for container in spec.get("initContainers") or ():
        if container.get("restartPolicy") == "Always":
            _add(totals, container, kind)
            _add(sidecars, container, kind)
            now = dict(sidecars)
        else:
            now = dict(sidecars)
            _add(now, container, kind)
        for name, amount in now.items():
            worst[name] = max(worst.get(name, ZERO), amount)
    for name, amount in worst.items():
        totals[name] = max(totals.get(name, ZERO), amount)
    for name, text in ((spec.get("resources") or {}).get(kind) or {}).items():
        totals[name] = parse_quantity(text)
    for name, text in (spec.get("overhead") or {}).items():
        if kind == "requests" or name in totals:
            totals[name] = totals.get(name, ZERO) + parse_quantity(text)
    return totals


def _add(totals: dict[str, Quantity], container: Mapping[str, Any], kind: str) -> None:
    for name, text in ((container.get("resources") or {}).get(kind) or {}).items():
        totals[name] = totals.get(name, ZERO) + parse_quantity(text)
