"""The garbage collector: what has lost its owners goes, owners in the foreground wait, orphans are let go.

It decides about objects of every resource that can be listed, watched and deleted, custom ones included. A change wakes
only whom it concerns: the object itself when one of its owners is gone or waits, its dependents when it goes, its
owners when they wait for it. What a cache does not show is asked of the API before anything is deleted.

    an object that is being deleted
      with finalizer foregroundDeletion: waits for the dependents that block it, then lets go
      with finalizer orphan:             its dependents lose their reference, then it lets go
    an object whose owners are
      all gone:                          is deleted (as its own finalizers say, otherwise in the background)
      some alive:                        loses the references to those that are gone or wait
      gone or waiting:                   is deleted in the foreground if it has dependents; a circle is unblocked first
Source: pkg/controller/garbagecollector/{garbagecollector,graph_builder}.go (v1.37).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from moorage.controllers.rule import Controller, Decision, View
from moorage.objects.actions import Action, ConfirmGone, Delete, Patch, Record
from moorage.objects.kinds import Resource
from moorage.objects.metadata import (
    Object,
    Ref,
    finalizers_of,
    is_terminating,
    metadata_of,
    name_of,
    namespace_of,
    owners_of,
    revision_of,
    uid_of,
)
from moorage.objects.object_meta import FOREGROUND, ORPHAN
from moorage.objects.workloads import ref_of

#: Resources whose objects are never collected. Source: DefaultIgnoredResources.
IGNORED: Final = frozenset({"events", "events.events.k8s.io"})

#: How long an owner of a kind that is not known is waited for before it is looked at again.
UNKNOWN_KIND_SECONDS: Final = 30.0

#: What the collector must know of resources: by apiVersion and kind, and the ids of all that it looks after.
ResourceOf = Callable[[str, str], Resource | None]
Resources = Callable[[], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Owner:
    """An owner reference and whom it means.

    state: alive, gone, waiting (deleted in the foreground), unknown (of a kind that is not known), invalid (a namespaced
           owner of a cluster-scoped object).
    elsewhere: there is an object of this uid in another namespace.
    """

    reference: Object
    ref: Ref
    state: str
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Observed:
    """One object, its owners, and (where they matter) its dependents with their resources."""

    resource: str
    obj: Object
    owners: tuple[Owner, ...]
    dependents: tuple[tuple[str, Object], ...]


class Collector:
    """Ties the rules to a catalogue of resources, which may grow."""

    def __init__(self, resource_of: ResourceOf, resources: Resources) -> None:
        self._resource_of = resource_of
        self._resources = resources

    def observe(self, view: View, ref: Ref) -> Observed | None:
        """Select an object and those around it. None if there is nothing to decide."""
        obj = view.get(ref.resource, ref.namespace, ref.name)
        if obj is None:
            return None
        if is_terminating(obj):
            if not _lets_go(obj):
                return None
            return Observed(ref.resource, obj, (), self._dependents(view, obj))
        if not owners_of(obj):
            return None
        owners = tuple(self._owner(view, obj, each) for each in owners_of(obj))
        if not any(each.state == "waiting" for each in owners):
            return Observed(ref.resource, obj, owners, ())
        return Observed(ref.resource, obj, owners, self._dependents(view, obj))

    def wakes(self, resource: str, view: View, obj: Object) -> Iterable[Ref]:
        """Return whom a change of an object concerns."""
        here = view.get(resource, namespace_of(obj), name_of(obj))
        gone = here is None or uid_of(here) != uid_of(obj)
        refs: list[Ref] = []
        if gone or _waits(obj):
            refs += [ref_of(kind, each) for kind, each in self._dependents(view, obj)]
        if not gone and _lets_go(obj):
            refs.append(ref_of(resource, obj))
        is_settled = True
        for reference in owners_of(obj):
            owner = self._owner(view, obj, reference)
            if owner.state == "waiting":
                refs.append(owner.ref)
            is_settled = is_settled and owner.state == "alive"
        if not gone and not is_settled:
            refs.append(ref_of(resource, obj))
        return refs

    def _dependents(self, view: View, owner: Object) -> tuple[tuple[str, Object], ...]:
        uid = uid_of(owner)
        namespace = namespace_of(owner)
        return tuple(
            (resource, each)
            for resource in self._resources()
            for each in view.owned(resource, uid)
            if not namespace or namespace_of(each) == namespace
        )

    def _owner(self, view: View, obj: Object, reference: Object) -> Owner:
        resource = self._resource_of(str(reference.get("apiVersion")), str(reference.get("kind")))
        name, uid = str(reference.get("name")), str(reference.get("uid"))
        if resource is None:
            return Owner(reference, Ref("", "", name, uid), "unknown")
        namespace = namespace_of(obj) if resource.namespaced else ""
        ref = Ref(resource.id, namespace, name, uid)
        if resource.namespaced and not namespace:
            return Owner(reference, ref, "invalid", _is_elsewhere(view, ref))
        found = view.get(resource.id, namespace, name)
        if found is not None and uid_of(found) == uid:
            return Owner(reference, ref, "waiting" if _waits(found) else "alive")
        return Owner(reference, ref, "gone", resource.namespaced and _is_elsewhere(view, ref))


def decide(observed: Observed, now: datetime) -> Decision:
    """Say what becomes of the object."""
    if is_terminating(observed.obj):
        return _decide_terminating(observed)
    by_state: dict[str, list[Owner]] = {}
    for owner in observed.owners:
        by_state.setdefault(owner.state, []).append(owner)
    told = tuple(_misplaced(observed.obj, owner) for owner in observed.owners if owner.elsewhere)
    gone, waiting = by_state.get("gone", []), by_state.get("waiting", [])
    if by_state.get("unknown") or by_state.get("invalid"):
        look_again = UNKNOWN_KIND_SECONDS if by_state.get("unknown") else None
        return Decision(told, look_again_in=look_again, because="an owner cannot be looked up")
    checks = tuple(ConfirmGone(owner.ref) for owner in gone)
    if by_state.get("alive"):
        if not gone and not waiting:
            return Decision(because="its owners are there")
        lost = {str(owner.reference.get("uid")) for owner in (*gone, *waiting)}
        return Decision((*told, *checks, _without_owners(observed, lost)), because="some of its owners are gone")
    return Decision((*told, *checks, *_removal(observed, waiting)), because="its owners are gone")


def _decide_terminating(observed: Observed) -> Decision:
    obj, uid = observed.obj, uid_of(observed.obj)
    if FOREGROUND in finalizers_of(obj):
        blocking = [name_of(each) for _, each in observed.dependents if _blocks(each, uid)]
        if blocking:
            return Decision(because=f"waiting for {blocking[0]} to go first")
        return Decision((_without_finalizer(observed, FOREGROUND),), because="nothing blocks its deletion")
    freed = tuple(_without_owners(Observed(resource, each, (), ()), {uid}) for resource, each in observed.dependents)
    return Decision((*freed, _without_finalizer(observed, ORPHAN)), because="its dependents stay as orphans")


def _removal(observed: Observed, waiting: Sequence[Owner]) -> tuple[Action, ...]:
    """Return the deletion of an object without owners, in the way that its surroundings ask for."""
    obj = observed.obj
    ref = ref_of(observed.resource, obj)
    if waiting and observed.dependents:
        circular = any(_waits(each) for _, each in observed.dependents)
        unblock = (_unblocked(observed),) if circular and any(_is_blocking(each) for each in owners_of(obj)) else ()
        return (*unblock, Delete(ref, propagation="Foreground"))
    propagation = "Background"
    if ORPHAN in finalizers_of(obj):
        propagation = "Orphan"
    elif FOREGROUND in finalizers_of(obj):
        propagation = "Foreground"
    return (Delete(ref, propagation=propagation, revision=revision_of(obj)),)


def _misplaced(obj: Object, owner: Owner) -> Record:
    reference = owner.reference
    core = f"{reference.get('apiVersion')}/{reference.get('kind')}"
    identity = f"[{core}, namespace: {namespace_of(obj)}, name: {reference.get('name')}, uid: {reference.get('uid')}]"
    message = f'ownerRef {identity} does not exist in namespace "{namespace_of(obj)}"'
    return Record(obj, "OwnerRefInvalidNamespace", message, kind="Warning")


def _without_owners(observed: Observed, uids: set[str]) -> Patch:
    left = [each for each in owners_of(observed.obj) if each.get("uid") not in uids]
    return _patch(observed, {"ownerReferences": left or None})


def _without_finalizer(observed: Observed, finalizer: str) -> Patch:
    left = [each for each in finalizers_of(observed.obj) if each != finalizer]
    return _patch(observed, {"finalizers": left or None})


def _unblocked(observed: Observed) -> Patch:
    owners = [{**each, "blockOwnerDeletion": False} for each in owners_of(observed.obj)]
    return _patch(observed, {"ownerReferences": owners})


def _patch(observed: Observed, changed: Mapping[str, Any]) -> Patch:
    guard = {"uid": uid_of(observed.obj), "resourceVersion": metadata_of(observed.obj).get("resourceVersion")}
    return Patch(ref_of(observed.resource, observed.obj), {"metadata": {**guard, **changed}})


def _waits(obj: Object) -> bool:
    """Tell whether the object is being deleted and waits for its dependents."""
    return is_terminating(obj) and FOREGROUND in finalizers_of(obj)


def _lets_go(obj: Object) -> bool:
    """Tell whether the object is being deleted and has one of the collector's finalizers."""
    return is_terminating(obj) and (FOREGROUND in finalizers_of(obj) or ORPHAN in finalizers_of(obj))


def _blocks(dependent: Object, uid: str) -> bool:
    return any(each.get("uid") == uid and _is_blocking(each) for each in owners_of(dependent))


def _is_blocking(reference: Object) -> bool:
    return bool(reference.get("blockOwnerDeletion"))


def _is_elsewhere(view: View, ref: Ref) -> bool:
    return any(namespace_of(each) != ref.namespace for each in view.indexed(ref.resource, "metadata.uid", ref.uid))


def is_collectable(resource: Resource) -> bool:
    """Tell whether objects of the resource have owners that the collector looks after."""
    return resource.id not in IGNORED and {"delete", "list", "watch"} <= set(resource.verbs)


def controller_for(collector: Collector, resources: Iterable[str]) -> Controller:
    """Return the controller over these resources (ids). For resources that come later make another one.

    All controllers of one collector see the dependents of all of its resources.
    """
    ids = sorted(set(resources))
    return Controller(
        name="garbage-collector-controller",
        kind=ids[0],
        wakes={resource: partial(collector.wakes, resource) for resource in ids},
        observe=collector.observe,
        decide=decide,
        sweeps=True,
    )
