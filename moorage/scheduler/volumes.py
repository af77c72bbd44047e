"""Volumes and the nodes that reach them: the filters VolumeRestrictions, VolumeBinding and VolumeZone.

All claims of a pod are decided for one node together; a volume that is chosen for one is not chosen for the next.
Source: pkg/scheduler/framework/plugins/{volumerestrictions,volumebinding,volumezone} (v1.37).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from moorage.controllers.volumes import CLAIMS, CLASSES, FREE_VOLUMES, RESERVED_VOLUMES, VOLUMES
from moorage.objects.metadata import Object, annotations_of, controller_of, is_terminating, labels_of, name_of
from moorage.objects.volumes import (
    NO_PROVISIONER,
    ONE_POD,
    SELECTED_NODE,
    access_modes_of,
    best_volume,
    claim_key,
    class_of,
    is_fully_bound,
    is_reachable_from,
    phase_of,
    request_of,
    volume_name_of,
    waits_for_consumer,
)
from moorage.scheduler.demand import Demand
from moorage.scheduler.failure import Failure
from moorage.scheduler.snapshot import Place
from moorage.scheduler.world import Promises, World

RESTRICTIONS: Final = "VolumeRestrictions"
BINDING: Final = "VolumeBinding"
ZONES: Final = "VolumeZone"

IN_USE: Final = Failure(
    RESTRICTIONS,
    (
        "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by"
        " another pod",
    ),
    final=False,
)
UNBOUND: Final = Failure(BINDING, ("pod has unbound immediate PersistentVolumeClaims",), final=True)
OTHER_ZONE: Final = Failure(ZONES, ("node(s) had no available volume zone",), final=True)
_UNREACHABLE: Final = "node(s) didn't match PersistentVolume's node affinity"
_NO_VOLUME: Final = "node(s) didn't find available persistent volumes to bind"

#: Labels of volumes that say where they can be used.
ZONE_LABELS: Final = (
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
)

#: What is read to decide about volumes.
READS: Final = (CLAIMS, VOLUMES, CLASSES)


@dataclass(frozen=True, slots=True)
class Bindings:
    """What must happen before a pod can be bound: volumes with the claims they go to, and claims to provision for."""

    matched: tuple[tuple[Object, Object], ...] = ()
    provisioned: tuple[Object, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiter:
    """A claim that waits for its pod's node: its class and the volumes that may suit it."""

    claim: Object
    storage_class: Object
    candidates: Sequence[Object]
    #: The node that was selected for it already, "" if none was.
    selected: str


@dataclass(frozen=True, slots=True)
class Wants:
    """The claims of a pod: volumes of those that are bound, and those that wait. `exclusive`: used by one pod alone."""

    volumes: tuple[Object, ...]
    waiters: tuple[Waiter, ...]
    exclusive: tuple[str, ...]


def wants_of(pod: Demand, world: World) -> Wants | Failure:
    """Return what the pod's claims need, or why the pod cannot be placed at all."""
    claims: list[Object] = []
    for name, is_own in pod.claims:
        claim = world.view.get(CLAIMS, pod.namespace, name)
        failure = _claim_failure(pod, claim, name, is_own=is_own)
        if failure is not None:
            return failure
        if claim is not None:
            claims.append(claim)
    volumes: list[Object] = []
    waiters: list[Waiter] = []
    for claim in claims:
        if not is_fully_bound(claim):
            storage_class = world.view.get(CLASSES, "", class_of(claim)) if class_of(claim) else None
            if storage_class is None or not waits_for_consumer(storage_class) or volume_name_of(claim):
                return UNBOUND
            waiters.append(_waiter(claim, storage_class, world))
            continue
        volume = world.view.get(VOLUMES, "", volume_name_of(claim))
        if volume is None:
            return Failure(ZONES, (f'persistentvolume "{volume_name_of(claim)}" not found',), final=True)
        volumes.append(volume)
    waiters.sort(key=lambda each: request_of(each.claim))
    exclusive = tuple(name_of(each) for each in claims if ONE_POD in access_modes_of(each))
    return Wants(tuple(volumes), tuple(waiters), exclusive)


def check_exclusive(pod: Demand, wants: Wants, world: World) -> Callable[[Place], Failure | None] | None:
    """Return the filter VolumeRestrictions, None if nobody else uses a claim that is for one pod alone."""
    for name in wants.exclusive:
        if any(uid != pod.uid for uid in world.snapshot.users_of(pod.namespace, name)):
            return lambda place: IN_USE
    return None


def check_volumes(wants: Wants, promises: Promises) -> Callable[[Place], Failure | None]:
    """Return the filter VolumeBinding."""

    def check(place: Place) -> Failure | None:
        reasons: tuple[str, ...] = ()
        if not all(is_reachable_from(volume, place.labels, place.name) for volume in wants.volumes):
            reasons = (_UNREACHABLE,)
        if wants.waiters and bindings_for(wants, place, promises) is None:
            reasons = (*reasons, _NO_VOLUME)
        return Failure(BINDING, reasons, final=True) if reasons else None

    return check


def check_zones(wants: Wants) -> Callable[[Place], Failure | None] | None:
    """Return the filter VolumeZone, None if no volume is tied to a zone by its labels."""
    tied = [
        (key, frozenset(labels_of(volume)[key].split("__")))
        for volume in wants.volumes
        for key in ZONE_LABELS
        if key in labels_of(volume)
    ]
    if not tied:
        return None

    def check(place: Place) -> Failure | None:
        labels = place.labels
        if not any(key in labels for key in ZONE_LABELS):
            return None
        return None if all(labels.get(key) in values for key, values in tied) else OTHER_ZONE

    return check


def bindings_for(wants: Wants, place: Place, promises: Promises) -> Bindings | None:
    """Return which volumes the waiting claims get on a node and which are to be provisioned, None if it cannot be."""
    matched: list[tuple[Object, Object]] = []
    provisioned: list[Object] = []
    chosen: set[str] = set()
    for waiter in wants.waiters:
        if waiter.selected:
            if waiter.selected != place.name:
                return None
            volume = None
        else:
            volume = _volume_for(waiter, place, chosen, promises)
        if volume is not None:
            chosen.add(name_of(volume))
            matched.append((volume, waiter.claim))
        elif _is_provisionable(waiter.storage_class, place):
            provisioned.append(waiter.claim)
        else:
            return None
    return Bindings(tuple(matched), tuple(provisioned))


def _volume_for(waiter: Waiter, place: Place, chosen: set[str], promises: Promises) -> Object | None:
    key = claim_key(waiter.claim)
    free = [
        volume
        for volume in waiter.candidates
        if name_of(volume) not in chosen and promises.volumes.get(name_of(volume), key) == key
    ]
    return best_volume(waiter.claim, free, node=place.node) if free else None


def _waiter(claim: Object, storage_class: Object, world: World) -> Waiter:
    key, view = claim_key(claim), world.view
    candidates = [
        *view.matching(VOLUMES, RESERVED_VOLUMES, key),
        *view.matching(VOLUMES, FREE_VOLUMES, class_of(claim)),
    ]
    promised = [each for each in candidates if world.promises.volumes.get(name_of(each)) == key]
    selected = annotations_of(claim).get(SELECTED_NODE) or world.promises.nodes.get(key, "")
    return Waiter(claim, storage_class, promised or candidates, selected)


def _claim_failure(pod: Demand, claim: Object | None, name: str, *, is_own: bool) -> Failure | None:
    """Return why a claim keeps its pod from being placed anywhere, None if it does not."""
    if claim is None:
        if is_own:
            text = f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"'
            return Failure(BINDING, (text,), final=True)
        return Failure(RESTRICTIONS, (f'persistentvolumeclaim "{name}" not found',), final=True)
    if phase_of(claim) == "Lost":
        text = f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{volume_name_of(claim)}"'
        return Failure(BINDING, (text,), final=True)
    if is_terminating(claim):
        return Failure(BINDING, (f'persistentvolumeclaim "{name}" is being deleted',), final=True)
    if is_own:
        owner: Mapping[str, Any] = controller_of(claim) or {}
        if owner.get("uid") != pod.uid:
            text = f"PVC {claim_key(claim)} was not created for pod {pod.key} (pod is not owner)"
            return Failure(BINDING, (text,), final=True)
    return None


def _is_provisionable(storage_class: Object, place: Place) -> bool:
    """Tell whether volumes of the class can be made for a node."""
    if storage_class.get("provisioner") in ("", None, NO_PROVISIONER):
        return False
    topologies = storage_class.get("allowedTopologies")
    if not topologies:
        return True
    return any(
        all(place.labels.get(each["key"]) in each["values"] for each in term.get("matchLabelExpressions") or ())
        for term in topologies
    )
