"""The resource quota controller: `status` of a ResourceQuota says what is allowed and what is used.

Source: pkg/controller/resourcequota/resource_quota_controller.go (v1.37).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from moorage.controllers.rule import Controller, Decision, View
from moorage.objects.actions import SetStatus
from moorage.objects.kinds import Resource
from moorage.objects.metadata import Object, Ref, is_terminating, name_of, namespace_of
from moorage.objects.usage import quota_usage, resources_counted

RESOURCE: Final = "resourcequotas"

#: What cannot be counted: Events are many and hold nothing. Source: IgnoredResources.
UNCOUNTED: Final = frozenset({"events", "events.events.k8s.io"})


@dataclass(frozen=True, slots=True)
class Observed:
    """A quota, which of its names objects count for by resource, and those objects."""

    quota: Object
    counted: Mapping[str, Sequence[str]]
    objects: Mapping[str, Sequence[Object]]


def observe(resources: Callable[[], Sequence[str]], view: View, ref: Ref) -> Observed | None:
    """Select the quota at `ref` and all that it counts."""
    quota = view.get(RESOURCE, ref.namespace, ref.name)
    if quota is None or is_terminating(quota):
        return None
    counted = resources_counted(_hard_of(quota), set(resources()))
    return Observed(quota, counted, {resource: view.list(resource, ref.namespace) for resource in counted})


def decide(observed: Observed, now: datetime) -> Decision:
    """Count, and write the result where it differs."""
    quota = observed.quota
    names = {name for names in observed.counted.values() for name in names}
    hard = _hard_of(quota)
    used = quota_usage(quota, [name for name in hard if name in names], observed.objects)
    stored: Mapping[str, Any] = quota.get("status") or {}
    kept = {name: text for name, text in (stored.get("used") or {}).items() if name in hard}
    status = {"hard": dict(hard), "used": {**kept, **used}}
    if status == stored or (not hard and not stored):
        return Decision(because="the quota is counted")
    return Decision((SetStatus(RESOURCE, {**quota, "status": status}),), because="what is used has changed")


def _hard_of(quota: Object) -> Mapping[str, str]:
    return (quota.get("spec") or {}).get("hard") or {}


def is_countable(resource: Resource) -> bool:
    """Tell whether objects of the resource can be counted by a quota."""
    return resource.namespaced and resource.id not in UNCOUNTED and {"create", "list", "watch"} <= set(resource.verbs)


def _wakes(resource: str, view: View, obj: Object) -> Iterable[Ref]:
    """Return the quotas of the object's namespace that count its resource."""
    return [
        Ref(RESOURCE, namespace_of(each), name_of(each))
        for each in view.list(RESOURCE, namespace_of(obj))
        if resource in resources_counted(_hard_of(each), (resource,))
    ]


def controller_for(resources: Callable[[], Sequence[str]]) -> Controller:
    """Return the controller. `resources` gives the ids of all resources that can be counted, now."""
    return Controller(
        name="resourcequota-controller",
        kind=RESOURCE,
        wakes={resource: partial(_wakes, resource) for resource in resources()},
        observe=partial(observe, resources),
        decide=decide,
    )
