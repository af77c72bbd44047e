"""Nodes fall silent, and what becomes of their pods."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.controllers.node_health import LEASES, NodeHealth
from moorage.controllers.pod_cleanup import PodCleanup
from moorage.controllers.rule import Controller, Decision
from moorage.controllers.taint_eviction import TaintEviction, tolerated_seconds
from moorage.objects.metadata import Ref, format_micro_time, format_time
from tests.controllers.world import World, ready

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def world() -> World:
    return World(START)


def node(world: World, name: str = "n", *, heard: bool = True, **spec: Any) -> None:
    condition = {
        "type": "Ready",
        "status": "True",
        "reason": "KubeletReady",
        "lastHeartbeatTime": format_time(world.now),
    }
    status = {"conditions": [condition] if heard else []}
    world.create("nodes", {"metadata": {"name": name}, "spec": spec, "status": status})


def pod(world: World, name: str = "p", *, on: str = "n", **spec: Any) -> None:
    placed = {"nodeName": on} if on else {}
    world.create("pods", {"metadata": {"name": name, "namespace": "default"}, "spec": {**placed, **spec}})


def run(world: World, controller: Controller, name: str = "p", resource: str = "pods") -> Decision:
    namespace = "default" if resource == "pods" else ""
    return world.run(controller, Ref(resource, namespace, name))


def taints(world: World, name: str = "n") -> list[tuple[str, str]]:
    found = world.objects["nodes", "", name]["spec"].get("taints") or []
    return [(each["key"].rpartition("/")[2], each["effect"]) for each in found]


def pass_time(world: World, seconds: float) -> None:
    world.now += timedelta(seconds=seconds)


def test_a_silent_node_is_unknown_unreachable_and_its_pods_are_not_ready(world: World) -> None:
    health = NodeHealth().controller()
    node(world)
    pod(world)
    ready(world, "p")
    assert run(world, health, "n", "nodes").look_again_in == 50
    pass_time(world, 51)
    run(world, health, "n", "nodes")
    condition = world.objects["nodes", "", "n"]["status"]["conditions"][0]
    assert (condition["status"], condition["reason"]) == ("Unknown", "NodeStatusUnknown")
    assert condition["message"] == "Kubelet stopped posting node status."
    run(world, health, "n", "nodes")
    assert taints(world) == [("unreachable", "NoSchedule"), ("unreachable", "NoExecute")]
    assert world.pods()["p"]["status"]["conditions"][0]["status"] == "False"
    assert world.events == ["Node n status is now: NodeNotReady", "Node is not ready"]


def test_a_node_that_renews_its_lease_stays_ready(world: World) -> None:
    health = NodeHealth().controller()
    node(world)
    run(world, health, "n", "nodes")
    pass_time(world, 49)
    lease = {
        "metadata": {"name": "n", "namespace": "kube-node-lease"},
        "spec": {"renewTime": format_micro_time(world.now)},
    }
    world.create(LEASES, lease)
    pass_time(world, 10)
    assert run(world, health, "n", "nodes").look_again_in == 40
    assert taints(world) == []


def test_a_process_that_starts_gives_every_node_its_grace(world: World) -> None:
    node(world)
    pass_time(world, 3600)
    assert run(world, NodeHealth().controller(), "n", "nodes").look_again_in == 50


def test_a_node_that_never_speaks_is_unknown_in_the_end(world: World) -> None:
    health = NodeHealth().controller()
    node(world, heard=False, taints=[{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}])
    assert run(world, health, "n", "nodes").look_again_in == 60
    assert taints(world) == [("not-ready", "NoSchedule")]
    pass_time(world, 61)
    run(world, health, "n", "nodes")
    reasons = {each["reason"] for each in world.objects["nodes", "", "n"]["status"]["conditions"]}
    assert reasons == {"NodeStatusNeverUpdated"}


def test_taints_come_and_go_with_conditions_and_others_stay(world: World) -> None:
    health = NodeHealth().controller()
    own = {"key": "example.com/mine", "effect": "NoExecute"}
    stale = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    node(world, unschedulable=True, taints=[own, stale])
    run(world, health, "n", "nodes")
    assert taints(world) == [("mine", "NoExecute"), ("unschedulable", "NoSchedule")]
    world.patch("nodes", "", "n", {"spec": {"unschedulable": None}})
    run(world, health, "n", "nodes")
    assert taints(world) == [("mine", "NoExecute")]


def test_a_pod_that_does_not_tolerate_a_taint_is_deleted(world: World) -> None:
    eviction = TaintEviction().controller()
    node(world, taints=[{"key": "k", "value": "v", "effect": "NoExecute"}])
    pod(world)
    run(world, eviction)
    found = world.pods()["p"]
    assert found["metadata"]["deletionTimestamp"]
    condition = found["status"]["conditions"][0]
    assert condition["reason"] == "DeletionByTaintManager"
    assert condition["message"] == "Taint manager: deleting due to NoExecute taint"
    assert world.events == ["Marking for deletion Pod default/p"]


def test_a_pod_that_tolerates_for_a_while_stays_for_a_while(world: World) -> None:
    eviction = TaintEviction().controller()
    node(world, taints=[{"key": "k", "effect": "NoExecute"}])
    pod(world, tolerations=[{"key": "k", "operator": "Exists", "tolerationSeconds": 300}])
    assert run(world, eviction).look_again_in == 300
    pass_time(world, 200)
    assert run(world, eviction).look_again_in == 100
    pass_time(world, 100)
    run(world, eviction)
    assert "deletionTimestamp" in world.pods()["p"]["metadata"]


def test_an_eviction_is_called_off_when_the_taint_goes(world: World) -> None:
    eviction = TaintEviction().controller()
    node(world, taints=[{"key": "k", "effect": "NoExecute"}])
    pod(world, tolerations=[{"key": "k", "operator": "Exists", "tolerationSeconds": 3}])
    run(world, eviction)
    world.patch("nodes", "", "n", {"spec": {"taints": None}})
    run(world, eviction)
    pass_time(world, 10)
    run(world, eviction)
    assert world.events == ["Cancelling deletion of Pod default/p"]
    assert "deletionTimestamp" not in world.pods()["p"]["metadata"]


def test_only_pods_that_a_taint_concerns_wake_the_eviction(world: World) -> None:
    eviction = TaintEviction().controller()
    node(world)
    pod(world)
    assert list(eviction.wakes["pods"](world, world.pods()["p"])) == []
    world.patch("nodes", "", "n", {"spec": {"taints": [{"key": "k", "effect": "NoExecute"}]}})
    assert [ref.name for ref in eviction.wakes["nodes"](world, world.objects["nodes", "", "n"])] == ["p"]


@given(st.lists(st.integers(0, 400) | st.none(), min_size=1))
def test_the_shortest_toleration_counts(limits: list[int | None]) -> None:
    tolerations = [
        {"operator": "Exists", **({"tolerationSeconds": each} if each is not None else {})} for each in limits
    ]
    known = [each for each in limits if each is not None]
    assert tolerated_seconds([{"key": "k", "effect": "NoExecute"}], tolerations) == min(known, default=None)


def test_pods_of_a_vanished_node_go_after_a_while(world: World) -> None:
    cleanup = PodCleanup().controller()
    pod(world)
    assert run(world, cleanup).look_again_in == 40
    pass_time(world, 41)
    decision = run(world, cleanup)
    condition = decision.actions[1].patch["status"]["conditions"][0]
    assert condition["reason"] == "DeletionByPodGC"
    assert condition["message"] == "PodGC: node no longer exists"
    assert decision.actions[1].patch["status"]["phase"] == "Failed"
    assert decision.actions[2].grace_seconds == 0


def test_a_new_pod_waits_as_long_for_a_node_that_has_been_missing(world: World) -> None:
    cleanup = PodCleanup().controller()
    pod(world)
    run(world, cleanup)
    pass_time(world, 41)
    pod(world, "late")
    assert cleanup.decide(cleanup.observe(world, Ref("pods", "default", "late")), world.now).look_again_in == 40


def test_a_node_that_comes_back_saves_its_pods(world: World) -> None:
    cleanup = PodCleanup().controller()
    pod(world)
    run(world, cleanup)
    node(world)
    pass_time(world, 41)
    assert not run(world, cleanup).actions
    del world.objects["nodes", "", "n"]
    assert run(world, cleanup).look_again_in == 40


def test_a_node_that_only_the_cache_misses_saves_its_pods(world: World) -> None:
    cleanup = PodCleanup().controller()
    pod(world)
    run(world, cleanup)
    pass_time(world, 41)
    observed = cleanup.observe(world, Ref("pods", "default", "p"))
    decision = cleanup.decide(observed, world.now)
    node(world)
    assert world.perform(decision.actions) is not None
    assert "p" in world.pods()


def test_the_oldest_finished_pods_go_when_there_are_too_many(world: World) -> None:
    cleanup = PodCleanup(finished_most=2).controller()
    node(world)
    woken = set()
    for number in range(4):
        pod(world, f"p{number}")
        world.set_status("pods", f"p{number}", phase="Succeeded")
        woken |= {ref.name for ref in cleanup.wakes["pods"](world, world.pods()[f"p{number}"])}
    assert woken == {"p0", "p1"}
    assert [run(world, cleanup, f"p{number}").because[:9] for number in range(4)][:2] == ["more than", "more than"]
    assert [len(run(world, cleanup, f"p{number}").actions) for number in (2, 3)] == [0, 0]


def test_pods_of_a_node_out_of_service_go_by_force(world: World) -> None:
    cleanup = PodCleanup().controller()
    node(world, heard=False, taints=[{"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}])
    pod(world)
    assert not run(world, cleanup).actions
    world.delete("pods", "default", "p")
    assert run(world, cleanup).actions[-1].grace_seconds == 0
