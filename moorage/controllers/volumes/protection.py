"""Keeps claims that pods use, and volumes that claims use, from vanishing; tells of claims that nobody uses.

A claim stays while a pod that has a node mounts it, be the pod finished or not; the API is asked again before its
finalizer goes, because a cache may be behind. A volume stays while it is Bound.
Source: pkg/controller/volume/{pvcprotection,pvprotection} (v1.37).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from moorage.controllers.rule import Controller, Decision, View
from moorage.controllers.volumes import CLAIMS, PODS_BY_CLAIM, VOLUMES
from moorage.objects import pods as pod_facts
from moorage.objects.actions import Action, ConfirmNone, Patch
from moorage.objects.metadata import (
    Object,
    Ref,
    condition_of,
    finalizers_of,
    format_time,
    is_terminating,
    metadata_of,
    name_of,
    namespace_of,
    uid_of,
)
from moorage.objects.volumes import CLAIM_PROTECTION, VOLUME_PROTECTION, claim_key, phase_of
from moorage.objects.workloads import ref_of, with_condition

#: The condition by which a claim says whether a pod refers to it, and its reasons and messages.
UNUSED: Final = "Unused"
_USES: Final = {
    "True": ("NoPodsUsingPVC", "No pods are currently referencing this PVC"),
    "False": ("PodUsingPVC", "A pod is currently referencing this PVC"),
}


@dataclass(frozen=True, slots=True)
class ObservedClaim:
    """A claim and the pods that mount it."""

    claim: Object
    pods: Sequence[Object]


def observe_claim(view: View, ref: Ref) -> ObservedClaim | None:
    """Select a claim and the pods that mount it."""
    claim = view.get(CLAIMS, ref.namespace, ref.name)
    if claim is None:
        return None
    return ObservedClaim(claim, view.matching("pods", PODS_BY_CLAIM, claim_key(claim)))


def decide_claim(observed: ObservedClaim, now: datetime) -> Decision:
    """Say whether the claim may go, must be protected, or must tell of its use."""
    claim, pods = observed.claim, observed.pods
    held = CLAIM_PROTECTION in finalizers_of(claim)
    if is_terminating(claim):
        if not held:
            return Decision(because="protected by others only")
        name = name_of(claim)
        users = [name_of(pod) for pod in pods if holds(pod, name)]
        if users:
            return Decision(because=f"pod {users[0]} uses it")
        check = ConfirmNone("pods", namespace_of(claim), lambda pod: holds(pod, name))
        return Decision((check, _without_finalizer(CLAIMS, claim, CLAIM_PROTECTION)), because="no pod uses it")
    if not held:
        return Decision((_with_finalizer(CLAIMS, claim, CLAIM_PROTECTION),), because="it must be protected")
    return Decision(_tell_use(claim, pods, now), because="protected")


def decide_volume(volume: Object, now: datetime) -> Decision:
    """Say whether the volume may go, or must be protected."""
    held = VOLUME_PROTECTION in finalizers_of(volume)
    if is_terminating(volume):
        if held and phase_of(volume) != "Bound":
            return Decision((_without_finalizer(VOLUMES, volume, VOLUME_PROTECTION),), because="no claim uses it")
        return Decision(because="a claim uses it" if held else "protected by others only")
    if not held:
        return Decision((_with_finalizer(VOLUMES, volume, VOLUME_PROTECTION),), because="it must be protected")
    return Decision(because="protected")


def holds(pod: Object, claim: str) -> bool:
    """Tell whether the pod keeps the claim of this name in its namespace: it has a node and mounts it."""
    return bool(pod_facts.node_of(pod)) and claim in pod_facts.claims_of(pod)


def _tell_use(claim: Object, pods: Sequence[Object], now: datetime) -> tuple[Action, ...]:
    """Return the write of the condition Unused of a bound claim."""
    if phase_of(claim) != "Bound":
        return ()
    unused = "False" if any(not pod_facts.is_finished(pod) for pod in pods) else "True"
    known = condition_of(claim, UNUSED)
    if known is not None and known.get("status") == unused:
        return ()
    reason, message = _USES[unused]
    condition = {
        "type": UNUSED,
        "status": unused,
        "lastProbeTime": None,
        "lastTransitionTime": format_time(now),
        "reason": reason,
        "message": message,
    }
    conditions = with_condition((claim.get("status") or {}).get("conditions") or (), condition)
    patch = {"metadata": _guard(claim), "status": {"conditions": conditions}}
    return (Patch(ref_of(CLAIMS, claim), patch, subresource="status"),)


def _with_finalizer(resource: str, obj: Object, finalizer: str) -> Patch:
    return Patch(ref_of(resource, obj), {"metadata": {**_guard(obj), "finalizers": [*finalizers_of(obj), finalizer]}})


def _without_finalizer(resource: str, obj: Object, finalizer: str) -> Patch:
    left = [each for each in finalizers_of(obj) if each != finalizer]
    return Patch(ref_of(resource, obj), {"metadata": {**_guard(obj), "finalizers": left or None}})


def _guard(obj: Object) -> dict[str, Any]:
    return {"uid": uid_of(obj), "resourceVersion": metadata_of(obj).get("resourceVersion")}


def _claims_of_pod(view: View, pod: Object) -> Iterable[Ref]:
    return [Ref(CLAIMS, namespace_of(pod), name) for name in pod_facts.claims_of(pod)]


CLAIM_CONTROLLER = Controller(
    name="pvc-protection-controller",
    kind=CLAIMS,
    wakes={"pods": _claims_of_pod},
    observe=observe_claim,
    decide=decide_claim,
)

VOLUME_CONTROLLER = Controller(
    name="pv-protection-controller",
    kind=VOLUMES,
    wakes={},
    observe=lambda view, ref: view.get(VOLUMES, "", ref.name),
    decide=decide_volume,
)
