"""Brings claims and volumes together: the two halves of the persistent volume controller.

A claim is in one of these states, and so is a volume; each has one answer:

    claim, never bound                                claim, bound once
    1  a volume suits: bind                           7  names no volume any more: Lost
    2  waits for its first consumer: say so           8  its volume is gone: Lost
    3  has a class: have a volume provisioned         9  its volume refers to nobody or to it: bind (again)
    4  nothing suits, no class: say so               10  its volume belongs to another claim: Lost
    5  names a volume that is free and suits: bind
    6  names a volume that is missing, unsuitable or taken: Pending

    volume
    A  refers to no claim, or to one without a uid: Available
    B  its claim is gone: Released, then what the reclaim policy says
    C  its claim names it: Bound
    D  its claim names another volume: Released if it was made for that claim alone, otherwise Available again
    E  its claim names no volume yet: the claim's turn

A bind writes the volume's reference, the volume's phase, the claim's reference, the claim's phase, in this order; a
round that was cut off is completed by the next one. The first write of either object carries the revision that was
observed, so that no volume serves two claims.
Source: pkg/controller/volume/persistentvolume/pv_controller.go (v1.37).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from moorage.controllers.rule import Controller, Decision, View
from moorage.controllers.volumes import (
    CLAIMS,
    CLASSES,
    FREE_VOLUMES,
    NAMING_CLAIMS,
    PODS_BY_CLAIM,
    RESERVED_VOLUMES,
    UNNAMED_CLAIMS,
    VOLUMES,
)
from moorage.objects import pods as pod_facts
from moorage.objects.actions import Action, ConfirmGone, Patch, Record
from moorage.objects.metadata import (
    Object,
    Ref,
    annotations_of,
    format_time,
    metadata_of,
    name_of,
    namespace_of,
    uid_of,
)
from moorage.objects.volumes import (
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    SELECTED_NODE,
    STORAGE_PROVISIONER,
    STORAGE_PROVISIONER_BETA,
    access_modes_of,
    best_volume,
    claim_key,
    claim_ref_of,
    class_of,
    default_class,
    has_class,
    is_bound_claim,
    is_dynamic,
    is_for,
    mismatch_of,
    mode_of,
    phase_of,
    reclaim_policy_of,
    reserved_for,
    spec_of,
    volume_name_of,
    waits_for_consumer,
)
from moorage.objects.workloads import ref_of

COMPONENT: Final = "persistentvolume-controller"

#: How often a claim that waits is told so again. Source: pvClaimBinderSyncPeriod.
RESYNC_SECONDS: Final = 15.0

#: Provisioners with this prefix were built into Kubernetes; none of them is left.
BUILT_IN: Final = "kubernetes.io/"


@dataclass(frozen=True, slots=True)
class ObservedClaim:
    """One claim and what may concern it.

    named:         the volume that it names, if that exists.
    candidates:    volumes that are reserved for it, or free and of its class.
    storage_class: the class that it names, if that exists.
    classes:       all classes, where the claim has none and the default one matters.
    pods:          those that mount it.
    """

    claim: Object
    named: Object | None
    candidates: Sequence[Object]
    storage_class: Object | None
    classes: Sequence[Object]
    pods: Sequence[Object]


@dataclass(frozen=True, slots=True)
class ObservedVolume:
    """One volume, and the claim that it refers to (same uid), if that exists."""

    volume: Object
    claim: Object | None


def observe_claim(view: View, ref: Ref) -> ObservedClaim | None:
    """Select a claim and the volumes that may serve it."""
    claim = view.get(CLAIMS, ref.namespace, ref.name)
    if claim is None:
        return None
    named = volume_name_of(claim)
    if named or is_bound_claim(claim):
        return ObservedClaim(claim, view.get(VOLUMES, "", named) if named else None, (), None, (), ())
    name = class_of(claim)
    return ObservedClaim(
        claim,
        None,
        [*view.matching(VOLUMES, RESERVED_VOLUMES, claim_key(claim)), *view.matching(VOLUMES, FREE_VOLUMES, name)],
        view.get(CLASSES, "", name) if name else None,
        () if has_class(claim) else view.list(CLASSES),
        view.matching("pods", PODS_BY_CLAIM, claim_key(claim)),
    )


def observe_volume(view: View, ref: Ref) -> ObservedVolume | None:
    """Select a volume and its claim."""
    volume = view.get(VOLUMES, "", ref.name)
    if volume is None:
        return None
    reference = claim_ref_of(volume) or {}
    claim = view.get(CLAIMS, str(reference.get("namespace")), str(reference.get("name"))) if reference else None
    if claim is not None and reference.get("uid") and uid_of(claim) != reference["uid"]:
        claim = None
    return ObservedVolume(volume, claim)


def decide_claim(observed: ObservedClaim, now: datetime) -> Decision:
    """Say what the claim needs next."""
    if is_bound_claim(observed.claim):
        return _decide_bound(observed, now)
    if volume_name_of(observed.claim):
        return _decide_naming(observed, now)
    return _decide_unbound(observed, now)


def decide_volume(observed: ObservedVolume, now: datetime) -> Decision:
    """Say what the volume needs next."""
    volume, claim = observed.volume, observed.claim
    reference = claim_ref_of(volume)
    if reference is None or not reference.get("uid"):
        return Decision(_phase(volume, "Available", now), because="no claim has it")  # A
    if claim is None:
        return _decide_released(volume, now)  # B
    if volume_name_of(claim) == name_of(volume):
        return Decision(_phase(volume, "Bound", now), because=f"claim {claim_key(claim)} has it")  # C
    if volume_name_of(claim):
        return _decide_passed_over(volume, now)  # D
    return _decide_expected(volume, claim)  # E


def _decide_unbound(observed: ObservedClaim, now: datetime) -> Decision:
    claim = observed.claim
    waits = waits_for_consumer(observed.storage_class) and SELECTED_NODE not in annotations_of(claim)
    volume = best_volume(claim, observed.candidates, only_reserved=waits_for_consumer(observed.storage_class))
    if volume is not None:
        return Decision(_bind(volume, claim, now), because=f"volume {name_of(volume)} suits")  # 1
    default = None if has_class(claim) else default_class(observed.classes)
    if default is not None:
        patch = {"metadata": _guard(claim), "spec": {"storageClassName": name_of(default)}}
        return Decision((Patch(ref_of(CLAIMS, claim), patch),), because=f"class {name_of(default)} is the default")
    if waits:
        return Decision(  # 2
            (_wait_event(observed), *_claim_phase(claim, "Pending")),
            look_again_in=RESYNC_SECONDS,
            because="waiting for the first pod that mounts it",
        )
    if class_of(claim):
        return _decide_provisioning(observed)  # 3
    message = "no persistent volumes available for this claim and no storage class is set"
    actions = (Record(claim, "FailedBinding", message), *_claim_phase(claim, "Pending"))
    return Decision(actions, look_again_in=RESYNC_SECONDS, because="no volume suits and no class is set")  # 4


def _decide_provisioning(observed: ObservedClaim) -> Decision:
    claim, storage_class = observed.claim, observed.storage_class
    if storage_class is None:
        message = f'storageclass.storage.k8s.io "{class_of(claim)}" not found'
        return _refusal(claim, "ProvisioningFailed", message, because=message)
    provisioner = str(storage_class.get("provisioner") or "")
    if provisioner.startswith(BUILT_IN):
        message = f"no volume plugin matched name: {provisioner}"
        return _refusal(claim, "ProvisioningFailed", message, because=message)
    message = (
        f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the "
        "system administrator. If volume creation is delayed, please verify that the provisioner is running and "
        "correctly registered."
    )
    actions: list[Action] = []
    if annotations_of(claim).get(STORAGE_PROVISIONER) != provisioner:
        wanted = {STORAGE_PROVISIONER: provisioner, STORAGE_PROVISIONER_BETA: provisioner}
        actions.append(Patch(ref_of(CLAIMS, claim), {"metadata": {**_guard(claim), "annotations": wanted}}))
    actions.append(Record(claim, "ExternalProvisioning", message))
    return Decision(tuple(actions), look_again_in=RESYNC_SECONDS, because=f"{provisioner} shall make a volume")


def _decide_naming(observed: ObservedClaim, now: datetime) -> Decision:
    claim, volume = observed.claim, observed.named
    name = volume_name_of(claim)
    if volume is None:
        return Decision(  # 6
            _claim_phase(claim, "Pending"), look_again_in=RESYNC_SECONDS, because=f"volume {name} does not exist"
        )
    if claim_ref_of(volume) is None:
        reason = mismatch_of(volume, claim)
        if not reason:
            return Decision(_bind(volume, claim, now), because=f"volume {name} is free")  # 5
        message = f'Cannot bind to requested volume "{name}": {reason}'
        return _refusal(claim, "VolumeMismatch", message, because=f"volume {name} does not suit: {reason}")
    if is_for(volume, claim):
        return Decision(_bind(volume, claim, now), because=f"volume {name} is reserved for it")
    message = f'volume "{name}" already bound to a different claim.'
    return _refusal(claim, "FailedBinding", message, because=f"volume {name} is taken")


def _decide_bound(observed: ObservedClaim, now: datetime) -> Decision:
    claim, volume = observed.claim, observed.named
    if not volume_name_of(claim):
        return _lose(
            claim, "ClaimLost", "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
        )
    if volume is None:
        return _lose(claim, "ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!")  # 8
    reference = claim_ref_of(volume)
    if reference is None or is_for(volume, claim):
        return Decision(_bind(volume, claim, now), because=f"bound to {name_of(volume)}")  # 9
    message = "Two claims are bound to the same volume, this one is bound incorrectly"
    return _lose(claim, "ClaimMisbound", message)  # 10


def _decide_released(volume: Object, now: datetime) -> Decision:
    phase = phase_of(volume)
    if phase not in ("Released", "Failed"):
        reference = claim_ref_of(volume) or {}
        claim = Ref(CLAIMS, str(reference.get("namespace")), str(reference.get("name")), str(reference.get("uid")))
        return Decision((ConfirmGone(claim), *_phase(volume, "Released", now)), because="its claim is gone")
    if phase == "Failed":
        return Decision(because="reclaiming it failed")
    policy = reclaim_policy_of(volume)
    if policy == "Recycle":
        message = "No recycler plugin found for the volume!"
        failed = Record(volume, "VolumeFailedRecycle", message, kind="Warning")
        return Decision((*_phase(volume, "Failed", now, message), failed), because="recycling is not supported")
    if policy == "Delete" and not is_dynamic(volume) and (message := _undeletable(volume)):
        failed = Record(volume, "VolumeFailedDelete", message, kind="Warning")
        return Decision((*_phase(volume, "Failed", now, message), failed), because="nobody here may delete its data")
    return Decision(because="its claim is gone")


def _undeletable(volume: Object) -> str:
    """Return why a volume that no provisioner made cannot be deleted; "" where that is up to a CSI driver.

    Differs from Kubernetes: a hostPath below /tmp is not deleted either, because only drivers delete data here.
    """
    spec = spec_of(volume)
    if "csi" in spec:
        return ""
    if "hostPath" in spec:
        return f"host_path deleter only supports /tmp/.+ but received provided {spec['hostPath'].get('path')}"
    return f'error getting deleter volume plugin for volume "{name_of(volume)}": no deletable volume plugin matched'


def _decide_passed_over(volume: Object, now: datetime) -> Decision:
    if is_dynamic(volume) and reclaim_policy_of(volume) == "Delete":
        if phase_of(volume) in ("Released", "Failed"):
            return Decision(because="its claim took another volume")
        return Decision(_phase(volume, "Released", now), because="its claim took another volume")
    if BOUND_BY_CONTROLLER in annotations_of(volume):
        freed: dict[str, Any] = {
            "metadata": {**_guard(volume), "annotations": {BOUND_BY_CONTROLLER: None}},
            "spec": {"claimRef": None},
        }
    else:
        freed = {"metadata": _guard(volume), "spec": {"claimRef": {"uid": None, "resourceVersion": None}}}
    actions = (Patch(ref_of(VOLUMES, volume), freed), *_phase(volume, "Available", now, written=True))
    return Decision(actions, because="its claim took another volume")


def _decide_expected(volume: Object, claim: Object) -> Decision:
    if mode_of(volume) == mode_of(claim):
        return Decision(because=f"claim {claim_key(claim)} has not bound it yet")
    told = "due to incompatible volumeMode."
    return Decision(
        (
            Record(
                volume,
                "VolumeMismatch",
                f'Cannot bind PersistentVolume to requested PersistentVolumeClaim "{name_of(claim)}" {told}',
                kind="Warning",
            ),
            Record(
                claim,
                "VolumeMismatch",
                f'Cannot bind PersistentVolume "{name_of(volume)}" to requested PersistentVolumeClaim {told}',
                kind="Warning",
            ),
        ),
        because="its claim wants another volumeMode",
    )


def _bind(volume: Object, claim: Object, now: datetime) -> tuple[Action, ...]:
    """Return what is missing of a complete binding, in upstream's order."""
    refer, name = _refer(volume, claim), _name(claim, volume)
    return (
        *refer,
        *_phase(volume, "Bound", now, written=bool(refer)),
        *name,
        *_claim_phase(claim, "Bound", volume, written=bool(name)),
    )


def _refer(volume: Object, claim: Object) -> tuple[Action, ...]:
    reference = claim_ref_of(volume)
    patch: dict[str, Any] = {"metadata": _guard(volume)}
    if reference is None or not is_for(volume, claim) or reference.get("uid") != uid_of(claim):
        patch["spec"] = {
            "claimRef": {
                "kind": "PersistentVolumeClaim",
                "apiVersion": "v1",
                "namespace": namespace_of(claim),
                "name": name_of(claim),
                "uid": uid_of(claim),
                "resourceVersion": metadata_of(claim).get("resourceVersion"),
            }
        }
    if not is_for(volume, claim) and BOUND_BY_CONTROLLER not in annotations_of(volume):
        patch["metadata"]["annotations"] = {BOUND_BY_CONTROLLER: "yes"}
    return (Patch(ref_of(VOLUMES, volume), patch),) if len(patch) > 1 or "annotations" in patch["metadata"] else ()


def _name(claim: Object, volume: Object) -> tuple[Action, ...]:
    annotations: dict[str, str] = {}
    patch: dict[str, Any] = {}
    if volume_name_of(claim) != name_of(volume):
        patch["spec"] = {"volumeName": name_of(volume)}
        if BOUND_BY_CONTROLLER not in annotations_of(claim):
            annotations[BOUND_BY_CONTROLLER] = "yes"
    if not is_bound_claim(claim):
        annotations[BIND_COMPLETED] = "yes"
    if not patch and not annotations:
        return ()
    metadata = {**_guard(claim), **({"annotations": annotations} if annotations else {})}
    return (Patch(ref_of(CLAIMS, claim), {"metadata": metadata, **patch}),)


def _phase(
    volume: Object, phase: str, now: datetime, message: str = "", *, written: bool = False
) -> tuple[Action, ...]:
    """Return the write of a volume's phase. `written`: this round has changed the volume before."""
    status = volume.get("status") or {}
    if status.get("phase") == phase and (status.get("message") or "") == message:
        return ()
    changed: dict[str, Any] = {"phase": phase}
    if message or status.get("message"):
        changed["message"] = message or None
    if status.get("phase") != phase:
        changed["lastPhaseTransitionTime"] = format_time(now)
    return (_status_patch(VOLUMES, volume, changed, written=written),)


def _claim_phase(
    claim: Object, phase: str, volume: Object | None = None, *, written: bool = False
) -> tuple[Action, ...]:
    """Return the write of a claim's phase, and of what it shows of its volume."""
    status: Mapping[str, Any] = claim.get("status") or {}
    wanted: dict[str, Any] = {"phase": phase, "accessModes": None, "capacity": None}
    if volume is not None:
        wanted["accessModes"] = list(access_modes_of(volume))
        # The size is copied while binding only: later it is the expansion's to tell.
        wanted["capacity"] = {"storage": (spec_of(volume).get("capacity") or {}).get("storage")}
        if status.get("phase") == "Bound" and status.get("capacity"):
            wanted["capacity"] = status["capacity"]
        # While binding, the volume tells what it is modified to; later that is told by whoever modifies it.
        if status.get("phase") == "Pending" and phase == "Bound":
            wanted["currentVolumeAttributesClassName"] = spec_of(volume).get("volumeAttributesClassName")
    else:
        wanted["currentVolumeAttributesClassName"] = None
    changed = {key: value for key, value in wanted.items() if status.get(key) != value}
    return (_status_patch(CLAIMS, claim, changed, written=written),) if changed else ()


def _status_patch(resource: str, obj: Object, status: Mapping[str, Any], *, written: bool) -> Patch:
    """Return the patch of a status, bound to the observed revision unless this round has changed the object before."""
    guard: dict[str, Any] = {} if written else {"metadata": _guard(obj)}
    return Patch(ref_of(resource, obj), {**guard, "status": status}, subresource="status")


def _lose(claim: Object, reason: str, message: str) -> Decision:
    if phase_of(claim) == "Lost":
        return Decision(because="it has lost its volume")
    told = Record(claim, reason, message, kind="Warning")
    return Decision((*_claim_phase(claim, "Lost"), told), because="it has lost its volume")


def _refusal(claim: Object, reason: str, message: str, *, because: str) -> Decision:
    told = Record(claim, reason, message, kind="Warning")
    return Decision((told, *_claim_phase(claim, "Pending")), look_again_in=RESYNC_SECONDS, because=because)


def _wait_event(observed: ObservedClaim) -> Record:
    waiting = [name_of(pod) for pod in observed.pods if not pod_facts.node_of(pod) and not pod_facts.is_finished(pod)]
    if not waiting:
        message = "waiting for first consumer to be created before binding"
        return Record(observed.claim, "WaitForFirstConsumer", message)
    noun = "pod" if len(waiting) == 1 else "pods"
    return Record(observed.claim, "WaitForPodScheduled", f"waiting for {noun} {','.join(waiting)} to be scheduled")


def _guard(obj: Object) -> dict[str, Any]:
    return {"uid": uid_of(obj), "resourceVersion": metadata_of(obj).get("resourceVersion")}


def _claims_of_volume(view: View, volume: Object) -> Iterable[Ref]:
    """Return the claims that a changed volume concerns: those that name it, it names, or that look for its like."""
    refs = [ref_of(CLAIMS, claim) for claim in view.matching(CLAIMS, NAMING_CLAIMS, name_of(volume))]
    if reserved := reserved_for(volume):
        namespace, _, name = reserved.partition("/")
        refs.append(Ref(CLAIMS, namespace, name))
    elif phase_of(volume) == "Available":
        refs += [ref_of(CLAIMS, claim) for claim in view.matching(CLAIMS, UNNAMED_CLAIMS, class_of(volume))]
    return refs


def _claims_of_class(view: View, storage_class: Object) -> Iterable[Ref]:
    names = {name_of(storage_class), ""}
    return [ref_of(CLAIMS, each) for name in sorted(names) for each in view.matching(CLAIMS, UNNAMED_CLAIMS, name)]


def _volumes_of_claim(view: View, claim: Object) -> Iterable[Ref]:
    refs = [ref_of(VOLUMES, volume) for volume in view.matching(VOLUMES, RESERVED_VOLUMES, claim_key(claim))]
    if name := volume_name_of(claim):
        refs.append(Ref(VOLUMES, "", name))
    return refs


CLAIM_CONTROLLER = Controller(
    name=COMPONENT,
    kind=CLAIMS,
    wakes={VOLUMES: _claims_of_volume, CLASSES: _claims_of_class},
    observe=observe_claim,
    decide=decide_claim,
    reads=("pods",),
)

VOLUME_CONTROLLER = Controller(
    name=COMPONENT,
    kind=VOLUMES,
    wakes={CLAIMS: _volumes_of_claim},
    observe=observe_volume,
    decide=decide_volume,
)
