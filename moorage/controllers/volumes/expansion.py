"""Lets bound claims grow: at once where the volume is one of our drivers', otherwise by saying whose turn it is.

Admission has checked that the class allows it. A directory has no size of its own, so that growing is writing down the
new size: first on the volume, then on the claim.
Source: pkg/controller/volume/expand/expand_controller.go (v1.37), external-resizer for the two writes.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from moorage.controllers.rule import Controller, Decision, View
from moorage.controllers.volumes import CLAIMS, NAMING_CLAIMS, VOLUMES
from moorage.objects.actions import Action, Patch, Record
from moorage.objects.metadata import Object, Ref, annotations_of, metadata_of, name_of, uid_of
from moorage.objects.quantity import parse_quantity
from moorage.objects.volumes import (
    PROVISIONED_BY,
    STORAGE_PROVISIONER,
    capacity_of,
    is_for,
    is_fully_bound,
    phase_of,
    request_of,
    volume_name_of,
)
from moorage.objects.workloads import ref_of


@dataclass(frozen=True, slots=True)
class Observed:
    """A claim that asks for more than it has, and its volume."""

    claim: Object
    volume: Object


def observe(view: View, ref: Ref) -> Observed | None:
    """Select a bound claim that asks for more than its volume has, None for all others."""
    claim = view.get(CLAIMS, ref.namespace, ref.name)
    if claim is None or not is_fully_bound(claim) or phase_of(claim) != "Bound":
        return None
    has = ((claim.get("status") or {}).get("capacity") or {}).get("storage")
    if has is None or request_of(claim) <= parse_quantity(str(has)):
        return None
    volume = view.get(VOLUMES, "", volume_name_of(claim))
    return Observed(claim, volume) if volume is not None and is_for(volume, claim) else None


def decide(provisioners: Collection[str], observed: Observed, now: datetime) -> Decision:
    """Say how the volume grows."""
    claim, volume = observed.claim, observed.volume
    if annotations_of(volume).get(PROVISIONED_BY) not in provisioners:
        told = "waiting for an external controller to expand this PVC"
        kind = "Normal" if STORAGE_PROVISIONER in annotations_of(claim) else "Warning"
        return Decision((Record(claim, "ExternalExpanding", told, kind=kind),), because=told)
    size = claim["spec"]["resources"]["requests"]["storage"]
    actions: list[Action] = []
    if capacity_of(volume) < request_of(claim):
        guard = {"uid": uid_of(volume), "resourceVersion": metadata_of(volume).get("resourceVersion")}
        actions.append(Patch(ref_of(VOLUMES, volume), {"metadata": guard, "spec": {"capacity": {"storage": size}}}))
    grown = Record(claim, "VolumeResizeSuccessful", "Resize volume succeeded")
    patch = {"status": {"capacity": {"storage": size}}}
    actions.append(Patch(ref_of(CLAIMS, claim), patch, subresource="status", done=(grown,)))
    return Decision(tuple(actions), because=f"volume {name_of(volume)} grows to {size}")


def controller_for(provisioners: Collection[str]) -> Controller:
    """Return the controller; volumes of these provisioners are grown here, all others by somebody else."""
    return Controller(
        name="volume_expand",
        kind=CLAIMS,
        wakes={VOLUMES: _claims},
        observe=observe,
        decide=partial(decide, frozenset(provisioners)),
    )


def _claims(view: View, volume: Object) -> list[Ref]:
    return [ref_of(CLAIMS, each) for each in view.matching(CLAIMS, NAMING_CLAIMS, name_of(volume))]
