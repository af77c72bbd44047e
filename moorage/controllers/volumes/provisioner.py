"""Makes and removes volumes for classes whose provisioner is one of ours: what upstream leaves to an external provisioner.

The binder has marked a claim that needs a volume; from then on the volume's name (pvc-<uid of the claim>) is its
identity, so that making it can be repeated after a crash at any step. A volume that we made carries a finalizer while
its policy is Delete; its data goes only after it is Released, and before the object.
Source: sig-storage-lib-external-provisioner controller.go (v11), HonorPVReclaimPolicy.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from moorage.controllers.rule import Controller, Decision, View
from moorage.controllers.volumes import CLAIMS, CLASSES, UNNAMED_CLAIMS, VOLUMES
from moorage.objects.actions import DeleteVolumeData, Patch, ProvisionVolume, Record
from moorage.objects.metadata import (
    Object,
    Ref,
    annotations_of,
    finalizers_of,
    is_terminating,
    metadata_of,
    name_of,
    namespace_of,
    uid_of,
)
from moorage.objects.volumes import (
    PROVISIONED_BY,
    PROVISIONER_FINALIZER,
    SELECTED_NODE,
    STORAGE_PROVISIONER,
    class_of,
    is_bound_claim,
    phase_of,
    reclaim_policy_of,
    request_of,
    volume_name_of,
    waits_for_consumer,
)
from moorage.objects.workloads import ref_of


@dataclass(frozen=True, slots=True)
class ObservedClaim:
    """A claim that names no volume, its class, and the volume that was made for it already, if any."""

    claim: Object
    storage_class: Object
    made: Object | None


def volume_name_for(claim: Object) -> str:
    """Return the name of the volume that is made for the claim."""
    return f"pvc-{uid_of(claim)}"


def observe_claim(provisioner: str, view: View, ref: Ref) -> ObservedClaim | None:
    """Select a claim that the binder has given to this provisioner, None for all others."""
    claim = view.get(CLAIMS, ref.namespace, ref.name)
    if claim is None or is_terminating(claim) or volume_name_of(claim) or is_bound_claim(claim):
        return None
    if annotations_of(claim).get(STORAGE_PROVISIONER) != provisioner:
        return None
    storage_class = view.get(CLASSES, "", class_of(claim))
    if storage_class is None or storage_class.get("provisioner") != provisioner:
        return None
    return ObservedClaim(claim, storage_class, view.get(VOLUMES, "", volume_name_for(claim)))


def decide_claim(provisioner: str, observed: ObservedClaim, now: datetime) -> Decision:
    """Say whether to make the volume now."""
    claim, storage_class = observed.claim, observed.storage_class
    if observed.made is not None:
        return Decision(because=f"volume {name_of(observed.made)} is made")
    node = annotations_of(claim).get(SELECTED_NODE, "")
    if waits_for_consumer(storage_class) and not node:
        return Decision(because="waiting for the scheduler to select a node")
    told = f'External provisioner is provisioning volume for claim "{namespace_of(claim)}/{name_of(claim)}"'
    failed = f'failed to provision volume with StorageClass "{name_of(storage_class)}": {{error}}'
    action = ProvisionVolume(
        provisioner,
        claim,
        storage_class,
        volume_name_for(claim),
        request_of(claim).value,
        node,
        done=(Record(claim, "ProvisioningSucceeded", f"Successfully provisioned volume {volume_name_for(claim)}"),),
        failed=(Record(claim, "ProvisioningFailed", failed, kind="Warning"),),
    )
    return Decision((Record(claim, "Provisioning", told), action), because="the claim needs a volume")


def observe_volume(provisioner: str, view: View, ref: Ref) -> Object | None:
    """Select a volume that this provisioner made, None for all others."""
    volume = view.get(VOLUMES, "", ref.name)
    return volume if volume is not None and annotations_of(volume).get(PROVISIONED_BY) == provisioner else None


def decide_volume(provisioner: str, volume: Object, now: datetime) -> Decision:
    """Say whether the volume's data must go, or its finalizer must come or go."""
    deletes = reclaim_policy_of(volume) == "Delete"
    held = PROVISIONER_FINALIZER in finalizers_of(volume)
    if deletes and phase_of(volume) in ("Released", "Failed"):
        failed = Record(volume, "VolumeFailedDelete", "{error}", kind="Warning")
        return Decision((DeleteVolumeData(provisioner, volume, failed=(failed,)),), because="released, policy Delete")
    if deletes and not held and not is_terminating(volume):
        return Decision(
            (_set_finalizers(volume, [*finalizers_of(volume), PROVISIONER_FINALIZER]),), because="policy Delete"
        )
    if held and not deletes:
        left = [each for each in finalizers_of(volume) if each != PROVISIONER_FINALIZER]
        return Decision((_set_finalizers(volume, left),), because=f"policy {reclaim_policy_of(volume)}: its data stays")
    return Decision(because="nothing to do")


def _set_finalizers(volume: Object, finalizers: list[str]) -> Patch:
    guard = {"uid": uid_of(volume), "resourceVersion": metadata_of(volume).get("resourceVersion")}
    return Patch(ref_of(VOLUMES, volume), {"metadata": {**guard, "finalizers": finalizers or None}})


def _claims_of_class(view: View, storage_class: Object) -> list[Ref]:
    return [ref_of(CLAIMS, each) for each in view.matching(CLAIMS, UNNAMED_CLAIMS, name_of(storage_class))]


def controllers_for(provisioners: Collection[str]) -> tuple[Controller, ...]:
    """Return the two controllers of each of these provisioners (names of StorageClass.provisioner)."""
    return tuple(
        controller
        for provisioner in sorted(provisioners)
        for controller in (
            Controller(
                name=provisioner,
                kind=CLAIMS,
                wakes={CLASSES: _claims_of_class},
                observe=partial(observe_claim, provisioner),
                decide=partial(decide_claim, provisioner),
                reads=(VOLUMES,),
            ),
            Controller(
                name=provisioner,
                kind=VOLUMES,
                wakes={},
                observe=partial(observe_volume, provisioner),
                decide=partial(decide_volume, provisioner),
            ),
        )
    )
