"""Removes pods that nobody else will: of nodes that are gone, of nodes out of service, never scheduled, or too many.

Source: pkg/controller/podgc/gc_controller.go (v1.37).
"""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from moorage.controllers.rule import Controller, Decision, View
from moorage.controllers.taint_eviction import disrupt
from moorage.objects import pods as pod_facts
from moorage.objects.actions import Action, ConfirmGone, Delete
from moorage.objects.metadata import Object, Ref, is_terminating, name_of, namespace_of, parse_time
from moorage.objects.nodes import OUT_OF_SERVICE, is_node_ready, taints_of
from moorage.objects.workloads import created_order, ref_of

COMPONENT: Final = "pod-garbage-collector"

#: How long a node must be gone before its pods follow. Source: quarantineTime.
QUARANTINE_SECONDS: Final = 40.0
#: How many finished pods may stay. Source: TerminatedPodGCThreshold.
FINISHED_MOST: Final = 12_500


@dataclass(frozen=True, slots=True)
class Observed:
    """A pod, and its node if that exists."""

    pod: Object
    node: Object | None


class PodCleanup:
    """Remembers since when nodes are gone (after a restart the time runs anew, as upstream's does) and what is finished."""

    def __init__(self, finished_most: int = FINISHED_MOST) -> None:
        self._finished_most = finished_most
        self._gone: dict[str, datetime] = {}
        #: Finished pods by (namespace, name), with what sorts them by age.
        self._finished: dict[tuple[str, str], tuple[str, str]] = {}

    def observe(self, view: View, ref: Ref) -> Observed | None:
        """Select a pod with its node. None if the pod is gone."""
        pod = view.get("pods", ref.namespace, ref.name) if ref.resource == "pods" else None
        if pod is None:
            return None
        name = pod_facts.node_of(pod)
        node = view.get("nodes", "", name) if name else None
        if node is not None:
            self._gone.pop(name, None)
        return Observed(pod, node)

    def decide(self, observed: Observed, now: datetime) -> Decision:
        """Say whether the pod must go."""
        pod, node = observed.pod, observed.node
        name = pod_facts.node_of(pod)
        if (namespace_of(pod), name_of(pod)) in self._surplus():
            return Decision(_remove(pod, ()), because=f"more than {self._finished_most} pods have finished")
        if not name:
            if is_terminating(pod):
                return Decision(_remove(pod, ()), because="it is being deleted and has never had a node")
            return Decision(because="it waits for a node")
        if node is None:
            return self._decide_without_node(pod, name, now)
        if is_terminating(pod) and not is_node_ready(node) and _is_out_of_service(node):
            return Decision(_remove(pod, _ended(pod, "", now)), because=f"node {name} is out of service")
        return Decision(because="its node is there")

    def _decide_without_node(self, pod: Object, name: str, now: datetime) -> Decision:
        # A pod that was bound to a missing node afterwards gives it as much time to appear.
        since = max(self._gone.setdefault(name, now), parse_time(pod["metadata"]["creationTimestamp"]))
        left = (since + timedelta(seconds=QUARANTINE_SECONDS) - now).total_seconds()
        if left > 0:
            return Decision(look_again_in=left, because=f"node {name} is not there, it may come back")
        ended = _ended(pod, "PodGC: node no longer exists", now)
        check = ConfirmGone(Ref("nodes", "", name))
        return Decision((check, *_remove(pod, ended)), because=f"node {name} no longer exists")

    def _surplus(self) -> set[tuple[str, str]]:
        """Return the oldest finished pods, as many as there are too many."""
        too_many = len(self._finished) - self._finished_most
        return set(heapq.nsmallest(too_many, self._finished, key=self._finished.__getitem__)) if too_many > 0 else set()

    def _wakes(self, view: View, pod: Object) -> Iterable[Ref]:
        """Return the pods that a change of one concerns: most wake nobody."""
        key = (namespace_of(pod), name_of(pod))
        here = view.get("pods", *key)
        if here is None or not pod_facts.is_finished(here):
            self._finished.pop(key, None)
        elif key not in self._finished:
            self._finished[key] = created_order(here)
        refs = [Ref("pods", *each) for each in sorted(self._surplus())]
        name = pod_facts.node_of(pod)
        node = view.get("nodes", "", name) if name else None
        if here is not None and (is_terminating(here) if not name else node is None or _is_out_of_service(node)):
            refs.append(Ref("pods", *key))
        return refs

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


def _remove(pod: Object, before: Sequence[Action]) -> tuple[Action, ...]:
    return (*before, Delete(ref_of("pods", pod), grace_seconds=0))


def _ended(pod: Object, message: str, now: datetime) -> tuple[Action, ...]:
    """Return what a pod shows of its end when nobody is left on its node to say it."""
    if pod_facts.is_finished(pod):
        return ()
    text = message or "PodGC: node is out of service"
    return (disrupt(pod, "DeletionByPodGC", text, now, phase="Failed"),)


def _is_out_of_service(node: Object) -> bool:
    return any(each.get("key") == OUT_OF_SERVICE for each in taints_of(node))


def _pods_of_node(view: View, node: Object) -> Iterable[Ref]:
    """Return the pods of a node that is gone, or out of service."""
    if view.get("nodes", "", name_of(node)) is not None and not _is_out_of_service(node):
        return ()
    return [ref_of("pods", pod) for pod in view.indexed("pods", "spec.nodeName", name_of(node))]
