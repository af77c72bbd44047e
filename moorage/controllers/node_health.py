"""Tells nodes that have fallen silent, taints nodes by their conditions, and marks the pods of nodes that are not ready.

A node is heard of through its Lease (kube-node-lease/<node>), or through the heartbeat of its condition Ready. Times
are compared with the clock of the process that runs this rule, and every node gets its grace when that process starts:
what it could not say while nobody listened is not held against it.
Source: pkg/controller/nodelifecycle/node_lifecycle_controller.go (v1.37).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from moorage.controllers.rule import Controller, Decision, View
from moorage.objects import pods as pod_facts
from moorage.objects.actions import Action, Patch, Record, SetStatus
from moorage.objects.metadata import (
    Object,
    Ref,
    condition_of,
    format_time,
    is_terminating,
    metadata_of,
    name_of,
    namespace_of,
    parse_time,
    uid_of,
)
from moorage.objects.nodes import NOT_READY, UNREACHABLE, UNSCHEDULABLE, is_node_ready, is_unschedulable, taints_of
from moorage.objects.workloads import ref_of

LEASES: Final = "leases.coordination.k8s.io"
LEASE_NAMESPACE: Final = "kube-node-lease"
COMPONENT: Final = "node-controller"

#: How long a node may be silent. Source: NodeMonitorGracePeriod, NodeStartupGracePeriod.
GRACE_SECONDS: Final = 50.0
STARTUP_SECONDS: Final = 60.0

STOPPED: Final = ("NodeStatusUnknown", "Kubelet stopped posting node status.")
NEVER: Final = ("NodeStatusNeverUpdated", "Kubelet never posted node status.")

_WATCHED: Final = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
_PRESSURES: Final = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
    "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
}
_OURS: Final = frozenset({NOT_READY, UNREACHABLE, UNSCHEDULABLE, *_PRESSURES.values()})


@dataclass(frozen=True, slots=True)
class Observed:
    """A node, its Lease if it has one, and its pods."""

    node: Object
    lease: Object | None
    pods: Sequence[Object]


def observe(view: View, ref: Ref) -> Observed | None:
    """Select a node, its Lease and its pods."""
    node = view.get("nodes", "", ref.name)
    if node is None or is_terminating(node):
        return None
    lease = view.get(LEASES, LEASE_NAMESPACE, ref.name)
    return Observed(node, lease, () if is_node_ready(node) else view.indexed("pods", "spec.nodeName", ref.name))


class NodeHealth:
    """Remembers since when it listens."""

    def __init__(self) -> None:
        self._since: datetime | None = None

    def decide(self, observed: Observed, now: datetime) -> Decision:
        """Say what the node's conditions and taints should be, and what its pods must show."""
        self._since = self._since or now
        silent_in = _silent_in(observed, self._since, now)
        if silent_in <= 0 and (silenced := _silence(observed, now)):
            return Decision(silenced, because="the node has fallen silent")
        actions: list[Action] = []
        node = observed.node
        taints = _wanted_taints(node, now)
        if taints is not None:
            guard = {"uid": uid_of(node), "resourceVersion": metadata_of(node).get("resourceVersion")}
            actions.append(Patch(ref_of("nodes", node), {"metadata": guard, "spec": {"taints": taints or None}}))
        actions += _unready_pods(observed, now)
        because = "the node is silent" if silent_in <= 0 else "the node was heard of"
        return Decision(tuple(actions), look_again_in=silent_in if silent_in > 0 else None, because=because)

    def controller(self) -> Controller:
        """Return the controller with this memory."""
        return Controller(
            name=COMPONENT,
            kind="nodes",
            wakes={LEASES: _node_of_lease},
            observe=observe,
            decide=self.decide,
            reads=("pods",),
        )


def _silence(observed: Observed, now: datetime) -> tuple[Action, ...]:
    """Return what says that the node is silent, nothing if that is said already."""
    node = observed.node
    conditions = _unknown_conditions(observed, now)
    if conditions is None:
        return ()
    write = SetStatus("nodes", {**node, "status": {**(node.get("status") or {}), "conditions": conditions}})
    if not is_node_ready(node):
        return (write,)
    return (write, Record(node, "NodeNotReady", f"Node {name_of(node)} status is now: NodeNotReady"))


def _silent_in(observed: Observed, since: datetime, now: datetime) -> float:
    """Return the seconds until the node counts as silent, zero or less if it does."""
    heard = _last_heard(observed)
    if heard is None:
        created = parse_time(str(metadata_of(observed.node).get("creationTimestamp") or format_time(now)))
        return (max(created, since) + timedelta(seconds=STARTUP_SECONDS) - now).total_seconds()
    return (max(heard, since) + timedelta(seconds=GRACE_SECONDS) - now).total_seconds()


def _last_heard(observed: Observed) -> datetime | None:
    ready = condition_of(observed.node, "Ready") or {}
    renewed = ((observed.lease or {}).get("spec") or {}).get("renewTime")
    said_by_node = ready.get("lastHeartbeatTime") if ready.get("reason") not in (STOPPED[0], NEVER[0]) else None
    times = [parse_time(str(each)) for each in (renewed, said_by_node) if each]
    return max(times, default=None)


def _unknown_conditions(observed: Observed, now: datetime) -> list[Any] | None:
    """Return the conditions of a silent node, None if they say so already."""
    known: Sequence[Object] = (observed.node.get("status") or {}).get("conditions") or ()
    conditions: list[Any] = []
    for condition in known:
        if condition.get("type") in _WATCHED and condition.get("status") != "Unknown":
            reason, message = STOPPED
            changed = {"status": "Unknown", "reason": reason, "message": message}
            conditions.append({**condition, **changed, "lastTransitionTime": format_time(now)})
        else:
            conditions.append(condition)
    present = {condition.get("type") for condition in known}
    for kind in _WATCHED:
        if kind not in present:
            reason, message = NEVER
            created = metadata_of(observed.node).get("creationTimestamp")
            conditions.append(
                {
                    "type": kind,
                    "status": "Unknown",
                    "lastHeartbeatTime": created,
                    "lastTransitionTime": format_time(now),
                    "reason": reason,
                    "message": message,
                }
            )
    return conditions if conditions != list(known) else None


def _wanted_taints(node: Object, now: datetime) -> list[Any] | None:
    """Return the taints that the node should have, None if it has them."""
    wanted: list[tuple[str, str]] = []
    ready = condition_of(node, "Ready")
    status = ready.get("status") if ready is not None else None
    for key, value in ((NOT_READY, "False"), (UNREACHABLE, "Unknown")):
        if status == value:
            wanted += [(key, "NoSchedule"), (key, "NoExecute")]
    if ready is None:
        # A node that has said nothing yet keeps the taint with which admission has received it.
        wanted += [(NOT_READY, "NoSchedule")] if _has(node, NOT_READY, "NoSchedule") else []
    for kind, key in _PRESSURES.items():
        condition = condition_of(node, kind)
        if condition is not None and condition.get("status") == "True":
            wanted.append((key, "NoSchedule"))
    if is_unschedulable(node):
        wanted.append((UNSCHEDULABLE, "NoSchedule"))
    known = list(taints_of(node))
    kept = [each for each in known if each.get("key") not in _OURS or (each["key"], each.get("effect")) in wanted]
    missing = [each for each in wanted if not _has(node, *each)]
    added = [{"key": key, "effect": effect, "timeAdded": format_time(now)} for key, effect in missing]
    return [*kept, *added] if added or kept != known else None


def _has(node: Object, key: str, effect: str) -> bool:
    return any(each.get("key") == key and each.get("effect") == effect for each in taints_of(node))


def _unready_pods(observed: Observed, now: datetime) -> list[Action]:
    """Return what lets the pods of a silent node stop being ready."""
    ready = condition_of(observed.node, "Ready")
    if ready is None or ready.get("status") != "Unknown":
        return []
    actions: list[Action] = []
    for pod in filter(pod_facts.is_ready, observed.pods):
        actions += [_unready(pod, now), Record(pod, "NodeNotReady", "Node is not ready", kind="Warning")]
    return actions


def _unready(pod: Object, now: datetime) -> Patch:
    conditions: list[Mapping[str, Any]] = [
        {**each, "status": "False", "lastTransitionTime": format_time(now)} if each.get("type") == "Ready" else each
        for each in pod_facts.status_of(pod).get("conditions") or ()
    ]
    guard = {"uid": uid_of(pod), "resourceVersion": metadata_of(pod).get("resourceVersion")}
    patch = {"metadata": guard, "status": {"conditions": conditions}}
    return Patch(ref_of("pods", pod), patch, subresource="status")


def _node_of_lease(view: View, lease: Object) -> Iterable[Ref]:
    """Return the node of a Lease, if it counts as silent: that a node goes on being heard of changes nothing."""
    if namespace_of(lease) != LEASE_NAMESPACE:
        return ()
    node = view.get("nodes", "", name_of(lease))
    ready = condition_of(node, "Ready") if node is not None else None
    return (Ref("nodes", "", name_of(lease)),) if ready is None or ready.get("status") == "Unknown" else ()
