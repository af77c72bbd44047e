"""Quotas: nothing is created beyond what the namespace may use.

Usage is counted from the objects themselves, so a quota holds from the moment it exists; `status.used` is for people to
read (moorage.api.quota_status).
Differs from Kubernetes: there a quota holds once its controller has counted.
Source: apiserver/pkg/admission/plugin/resourcequota, pkg/quota/v1/evaluator/core (v1.37).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from moorage.api.admission.refusals import refused
from moorage.api.kind_rules import Lookup
from moorage.api.request import Request
from moorage.objects.metadata import Object, name_of
from moorage.objects.quantity import ZERO, Quantity, parse_quantity
from moorage.objects.usage import matches_scopes, missing_requests, usage_of

RESOURCES: frozenset[str] = frozenset()

#: What an update can use more of; every other update is free.
GROWING = frozenset({"pods", "services", "persistentvolumeclaims"})


def validate(obj: Object, old: Object | None, request: Request, lookup: Lookup) -> None:
    """Refuse what a quota of the namespace does not allow any more."""
    if not request.namespace or request.verb == "delete" or request.subresource not in {"", "resize"}:
        return
    if old is not None and request.resource.id not in GROWING:
        return
    quotas = lookup.list("resourcequotas", request.namespace)
    if not quotas:
        return
    resource = request.resource.id
    wanted = usage_of(resource, obj)
    if old is not None:
        before = usage_of(resource, old)
        wanted = {name: amount - before.get(name, ZERO) for name, amount in wanted.items()}
    wanted = {name: amount for name, amount in wanted.items() if amount > ZERO}
    matching = [each for each in sorted(quotas, key=name_of) if wanted and matches_scopes(each, resource, obj)]
    if resource == "pods":
        for quota in matching:
            _check_named(quota, obj, request)
    for quota in matching:
        _check(quota, obj, request, lookup, wanted)


def _check_named(quota: Object, obj: Object, request: Request) -> None:
    """Refuse a pod that does not say how much it wants of what the quota limits."""
    if missing := missing_requests((quota.get("spec") or {}).get("hard") or {}, obj):
        raise refused(obj, request, f"failed quota: {name_of(quota)}: must specify {missing}")


def _check(quota: Object, obj: Object, request: Request, lookup: Lookup, wanted: Mapping[str, Quantity]) -> None:
    hard: Mapping[str, str] = (quota.get("spec") or {}).get("hard") or {}
    resource = request.resource.id
    limited = {name: parse_quantity(text) for name, text in hard.items() if name in wanted}
    if not limited:
        return
    others = (each for each in lookup.list(resource, request.namespace) if name_of(each) != name_of(obj))
    used = _used(resource, others, quota, limited)
    old = lookup.get(resource, request.namespace, name_of(obj)) if name_of(obj) else None
    if old is not None:
        used = _plus(used, usage_of(resource, old), limited)
    over = sorted(name for name, most in limited.items() if used.get(name, ZERO) + wanted[name] > most)
    if over:
        text = (
            f"exceeded quota: {name_of(quota)}, requested: {_shown(over, wanted)}, used: {_shown(over, used)}, "
            f"limited: {_shown(over, limited)}"
        )
        raise refused(obj, request, text)


def _used(resource: str, objects: Iterable[Object], quota: Object, names: Mapping[str, Any]) -> dict[str, Quantity]:
    used = dict.fromkeys(names, ZERO)
    for each in objects:
        if matches_scopes(quota, resource, each):
            used = _plus(used, usage_of(resource, each), names)
    return used


def _plus(used: dict[str, Quantity], more: Mapping[str, Quantity], names: Mapping[str, Any]) -> dict[str, Quantity]:
    return {name: used.get(name, ZERO) + more.get(name, ZERO) for name in names}


def _shown(names: list[str], amounts: Mapping[str, Quantity]) -> str:
    return ",".join(f"{name}={amounts.get(name, ZERO)}" for name in names)
