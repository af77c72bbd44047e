"""Deletes pods from nodes with a NoExecute taint that they do not tolerate, or no longer.

The only rule with a memory, as upstream's: when a taint was seen first is nowhere written down for taints that users
set, and that an eviction was called off is told only if it had been planned. After a restart the time runs anew.
Source: pkg/controller/tainteviction/taint_eviction.go (v1.37).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from moorage.controllers.rule import Controller, Decision, View
from moorage.objects import pods as pod_facts
from moorage.objects.actions import Action, Delete, Patch, Record
from moorage.objects.metadata import (
    Object,
    Ref,
    format_time,
    generation_of,
    is_terminating,
    metadata_of,
    name_of,
    namespace_of,
    uid_of,
)
from moorage.objects.nodes import taints_of, tolerating, tolerations_of
from moorage.objects.workloads import ref_of, with_condition

COMPONENT: Final = "taint-eviction-controller"


@dataclass(frozen=True, slots=True)
class Observed:
    """A pod with a node (None: it is gone, as `ref` says), and the NoExecute taints of that node."""

    ref: Ref
    pod: Object | None
    taints: Sequence[Object]


class TaintEviction:
    """Plans evictions and remembers them by pod."""

    def __init__(self) -> None:
        #: (namespace, name) -> uid of the pod, and since when the taints are known.
        self._planned: dict[tuple[str, str], tuple[str, datetime]] = {}

    def observe(self, view: View, ref: Ref) -> Observed | None:
        """Select a pod that has a node, and what that node does to it. None for pods that taints do not concern."""
        if ref.resource != "pods":
            return None
        pod = view.get("pods", ref.namespace, ref.name)
        if pod is None or is_terminating(pod) or not pod_facts.node_of(pod):
            return Observed(ref, None, ()) if (ref.namespace, ref.name) in self._planned else None
        node = view.get("nodes", "", pod_facts.node_of(pod))
        taints = [each for each in taints_of(node or {}) if each.get("effect") == "NoExecute"]
        if not taints and (ref.namespace, ref.name) not in self._planned:
            return None
        return Observed(ref, pod, taints)

    def decide(self, observed: Observed, now: datetime) -> Decision:
        """Say whether the pod must go, now or later."""
        key = (observed.ref.namespace, observed.ref.name)
        pod = observed.pod
        if pod is None:
            self._planned.pop(key, None)
            return Decision(because="it is going already")
        seconds = tolerated_seconds(observed.taints, tolerations_of(pod))
        if seconds is None:
            return self._call_off(key, pod)
        if seconds <= 0:
            self._planned.pop(key, None)
            return Decision(_evict(pod, now), because="it does not tolerate a taint")
        uid, since = self._planned.get(key, ("", now))
        if uid != uid_of(pod):
            since = now
        left = (since + timedelta(seconds=seconds) - now).total_seconds()
        if left <= 0:
            self._planned.pop(key, None)
            return Decision(_evict(pod, now), because="it has tolerated a taint for long enough")
        self._planned[key] = uid_of(pod), since
        return Decision(look_again_in=left, because=f"it tolerates a taint for {left:.0f} more seconds")

    def _call_off(self, key: tuple[str, str], pod: Object) -> Decision:
        planned = self._planned.pop(key, None)
        if planned is None or planned[0] != uid_of(pod):
            return Decision(because="it tolerates every taint")
        message = f"Cancelling deletion of Pod {namespace_of(pod)}/{name_of(pod)}"
        return Decision((Record(pod, "TaintManagerEviction", message),), because="it tolerates every taint again")

    def _wakes(self, view: View, pod: Object) -> Iterable[Ref]:
        """Return the pod if a taint of its node or a plan concerns it: most pods wake nobody."""
        node = view.get("nodes", "", pod_facts.node_of(pod)) if pod_facts.node_of(pod) else None
        if (namespace_of(pod), name_of(pod)) in self._planned or (node is not None and _evicts(node)):
            return (ref_of("pods", pod),)
        return ()

    def controller(self) -> Controller:
        """Return the controller with this memory."""
        return Controller(
            name=COMPONENT,
            kind="nodes",
            wakes={"nodes": _pods_of_node, "pods": self._wakes},
            observe=self.observe,
            decide=self.decide,
            sweeps=True,
        )


def tolerated_seconds(taints: Sequence[Object], tolerations: Sequence[Object]) -> float | None:
    """Return for how long all taints are tolerated: zero if one is not at all, None if all are for ever."""
    used: list[Object] = []
    for taint in taints:
        found = tolerating(tolerations, taint)
        if not found:
            return 0.0
        used += found
    limits = [float(each["tolerationSeconds"]) for each in used if each.get("tolerationSeconds") is not None]
    return max(0.0, min(limits)) if limits else None


def _evict(pod: Object, now: datetime) -> tuple[Action, ...]:
    """Return what tells of the eviction, marks the pod, and deletes it."""
    told = Record(pod, "TaintManagerEviction", f"Marking for deletion Pod {namespace_of(pod)}/{name_of(pod)}")
    message = "Taint manager: deleting due to NoExecute taint"
    return (told, disrupt(pod, "DeletionByTaintManager", message, now), Delete(ref_of("pods", pod)))


def disrupt(pod: Object, reason: str, message: str, now: datetime, *, phase: str = "") -> Patch:
    """Return the patch by which a pod shows that it is deleted from outside; `phase`: and that it ended so."""
    condition: dict[str, Any] = {
        "type": "DisruptionTarget",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": format_time(now),
        "reason": reason,
        "message": message,
    }
    if generation := generation_of(pod):
        condition["observedGeneration"] = generation
    conditions = with_condition(pod_facts.status_of(pod).get("conditions") or (), condition)
    guard = {"uid": uid_of(pod), "resourceVersion": metadata_of(pod).get("resourceVersion")}
    status = {"conditions": conditions, **({"phase": phase} if phase else {})}
    return Patch(ref_of("pods", pod), {"metadata": guard, "status": status}, subresource="status")


def _pods_of_node(view: View, node: Object) -> Iterable[Ref]:
    """Return the pods of a node; both the old and the new state of a node come here, so that lost taints wake too."""
    if not _evicts(node):
        return ()
    return [ref_of("pods", pod) for pod in view.indexed("pods", "spec.nodeName", name_of(node))]


def _evicts(node: Object) -> bool:
    return any(each.get("effect") == "NoExecute" for each in taints_of(node))
