"""Takes a namespace down: everything in it, pods first, then its finalizer `kubernetes`.

The API lets nothing new into a terminating namespace, so that what is gone stays gone; before the finalizer goes the API
is asked whether really nothing is left, because caches may be behind.
Source: pkg/controller/namespace/deletion/{namespaced_resources_deleter,status_condition_utils}.go (v1.37).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from moorage.controllers.rule import Controller, Decision, View
from moorage.objects.actions import Action, ConfirmNone, DeleteAll, SetStatus, Update
from moorage.objects.kinds import Resource
from moorage.objects.metadata import Object, Ref, finalizers_of, format_time, is_terminating, name_of, namespace_of

RESOURCE: Final = "namespaces"
FINALIZER: Final = "kubernetes"

#: What is many and holds nothing: deleted with the rest, but not worth a cache.
UNWATCHED: Final = frozenset({"events", "events.events.k8s.io"})

#: How long to wait for what is still there, where no change tells. Pods may take their grace period.
LOOK_AGAIN_SECONDS: Final = 5.0

#: type -> reason and message when all is well, in the order in which they appear.
_FINE: Final = {
    "NamespaceDeletionDiscoveryFailure": ("ResourcesDiscovered", "All resources successfully discovered"),
    "NamespaceDeletionGroupVersionParsingFailure": (
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    "NamespaceDeletionContentFailure": (
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    "NamespaceContentRemaining": ("ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
}


@dataclass(frozen=True, slots=True)
class Observed:
    """A terminating namespace, what is in it by resource (without empty ones), and all resources that could be."""

    namespace: Object
    content: Mapping[str, Sequence[Object]]
    resources: Sequence[str]


def observe(resources: Callable[[], Sequence[str]], view: View, ref: Ref) -> Observed | None:
    """Select a terminating namespace that still has our finalizer, None for all others."""
    namespace = view.get(RESOURCE, "", ref.name)
    if namespace is None or not is_terminating(namespace) or FINALIZER not in _finalizers(namespace):
        return None
    known = sorted(resources())
    found = {resource: view.list(resource, ref.name) for resource in known if resource not in UNWATCHED}
    return Observed(namespace, {resource: objs for resource, objs in found.items() if objs}, known)


def decide(observed: Observed, now: datetime) -> Decision:
    """Say what of the content to delete now, or let the namespace go."""
    name = name_of(observed.namespace)
    if not observed.content:
        left = [each for each in _finalizers(observed.namespace) if each != FINALIZER]
        spec = {**(observed.namespace.get("spec") or {}), "finalizers": left}
        checks = tuple(ConfirmNone(resource, name) for resource in observed.resources)
        sweep = tuple(DeleteAll(resource, name) for resource in observed.resources)
        final = Update(RESOURCE, {**observed.namespace, "spec": spec}, subresource="finalize")
        return Decision((*sweep, *checks, final), look_again_in=LOOK_AGAIN_SECONDS, because="it is empty")
    now_due = ["pods"] if "pods" in observed.content else list(observed.content)
    deletions: tuple[Action, ...] = tuple(
        DeleteAll(resource, name)
        for resource in now_due
        if not all(is_terminating(each) for each in observed.content[resource])
    )
    because = f"{now_due[0]} are still there"
    actions = (*deletions, *_set_conditions(observed, now))
    return Decision(actions, look_again_in=LOOK_AGAIN_SECONDS, because=because)


def _set_conditions(observed: Observed, now: datetime) -> tuple[SetStatus, ...]:
    status: Mapping[str, Any] = observed.namespace.get("status") or {}
    told = _told(observed)
    known = {each["type"]: each for each in status.get("conditions") or ()}
    conditions = []
    for kind, fine in _FINE.items():
        value = "True" if kind in told else "False"
        reason, message = told.get(kind, fine)
        old = known.get(kind)
        if old is not None and (old.get("status"), old.get("reason"), old.get("message")) == (value, reason, message):
            conditions.append(old)
            continue
        since = old["lastTransitionTime"] if old is not None and old.get("status") == value else format_time(now)
        conditions.append(
            {"type": kind, "status": value, "lastTransitionTime": since, "reason": reason, "message": message}
        )
    if conditions == (status.get("conditions") or []):
        return ()
    return (SetStatus(RESOURCE, {**observed.namespace, "status": {**status, "conditions": conditions}}),)


def _told(observed: Observed) -> dict[str, tuple[str, str]]:
    """Return reason and message of the conditions that are true: what is left, and whose finalizers hold it."""
    counts = {_gvr(resource): len(objs) for resource, objs in observed.content.items()}
    left = ", ".join(f"{resource} has {count} resource instances" for resource, count in sorted(counts.items()))
    told = {"NamespaceContentRemaining": ("SomeResourcesRemain", f"Some resources are remaining: {left}")}
    holders = Counter(
        finalizer for objs in observed.content.values() for obj in objs for finalizer in finalizers_of(obj)
    )
    if holders:
        text = ", ".join(f"{finalizer} in {count} resource instances" for finalizer, count in sorted(holders.items()))
        told["NamespaceFinalizersRemaining"] = (
            "SomeFinalizersRemain",
            f"Some content in the namespace has finalizers remaining: {text}",
        )
    return told


def _gvr(resource: str) -> str:
    """Return `plural.group` as upstream writes it: with a dot even where there is no group."""
    return resource if "." in resource else f"{resource}."


def _finalizers(namespace: Object) -> Sequence[str]:
    return (namespace.get("spec") or {}).get("finalizers") or ()


def is_content(resource: Resource) -> bool:
    """Tell whether objects of the resource are content of namespaces that can be deleted at once."""
    return resource.namespaced and {"deletecollection", "list"} <= set(resource.verbs)


def _wakes(view: View, obj: Object) -> Iterable[Ref]:
    namespace = view.get(RESOURCE, "", namespace_of(obj))
    if namespace is None or not is_terminating(namespace):
        return ()
    return (Ref(RESOURCE, "", namespace_of(obj)),)


def controller_for(resources: Callable[[], Sequence[str]]) -> Controller:
    """Return the controller. `resources` gives the ids of all namespaced resources that can be deleted, now."""
    return Controller(
        name="namespace-controller",
        kind=RESOURCE,
        wakes=dict.fromkeys(set(resources()) - UNWATCHED, _wakes),
        observe=partial(observe, resources),
        decide=decide,
    )
