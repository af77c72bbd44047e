"""Nodes, pods and worlds in one line each, for tests of the scheduler."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from moorage.scheduler.decide import Choice, Refusal, Turn, decide
from moorage.scheduler.demand import demand_of
from moorage.scheduler.preemption import Outcome, preempt
from moorage.scheduler.snapshot import Snapshot
from moorage.scheduler.world import Promises, World
from tests.controllers.world import World as Objects

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def make_node(name: str, *, labels: Mapping[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """A node of 4 cores, 8 GiB and room for 20 pods, unless `allocatable` says otherwise."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "uid": f"node-{name}", "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
        "spec": {key: more[key] for key in ("taints", "unschedulable") if key in more},
        "status": {
            "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "20", **more.get("allocatable", {})},
            "images": more.get("images", []),
        },
    }


def make_pod(name: str, *, requests: Mapping[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """A pod of one container; `labels`, `namespace` and `ports` have their place, everything else goes to the spec."""
    labels, namespace, ports = more.pop("labels", {}), more.pop("namespace", "default"), more.pop("ports", [])
    owners = more.pop("owners", [])
    container = {"name": "c", "image": "nginx", "ports": ports, "resources": {"requests": dict(requests or {})}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"{namespace}-{name}",
            "generation": 1,
            "labels": labels,
            "creationTimestamp": more.pop("created", "2026-01-01T00:00:00Z"),
            "ownerReferences": owners,
        },
        "spec": {"schedulerName": "default-scheduler", "containers": [container], **more},
        "status": {"phase": "Pending"},
    }


def make_world(
    nodes: Iterable[Mapping[str, Any]], placed: Iterable[Mapping[str, Any]] = (), objects: Objects | None = None
) -> World:
    """A world of these nodes; `placed` pods name their node."""
    snapshot = Snapshot()
    for node in nodes:
        snapshot.set_node(node)
    for pod in placed:
        demand = demand_of(pod)
        snapshot.set_pod(demand, demand.node)
    return World(snapshot, objects or Objects(NOW), Promises())


def first(count: int) -> int:
    """Choose the first of equals."""
    return 0


def place(pod: Mapping[str, Any], world: World) -> Choice | Refusal:
    return decide(demand_of(pod), world, Turn(), first)


def node_for(pod: Mapping[str, Any], world: World) -> str:
    """The node that the pod gets, "" for none."""
    found = place(pod, world)
    return found.place.name if isinstance(found, Choice) else ""


def refusal_of(pod: Mapping[str, Any], world: World) -> Refusal:
    found = place(pod, world)
    assert isinstance(found, Refusal), f"placed on {found.place.name}"
    return found


def preemption_of(pod: Mapping[str, Any], world: World) -> Outcome:
    return preempt(demand_of(pod), world, refusal_of(pod, world), first)


def message_of(pod: Mapping[str, Any], world: World) -> str:
    """What users read, preemption included."""
    refusal = refusal_of(pod, world)
    if refusal.whole is not None or not refusal.nodes:
        return refusal.message()
    return refusal.message(preempt(demand_of(pod), world, refusal, first).told)


def near(key: str, value: str, topology: str = "kubernetes.io/hostname") -> dict[str, Any]:
    return {"labelSelector": {"matchLabels": {key: value}}, "topologyKey": topology}


def required(kind: str, *terms: Mapping[str, Any]) -> dict[str, Any]:
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": list(terms)}}
