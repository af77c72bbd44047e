"""How many pods a budget lets go."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.controllers import disruption_budgets
from moorage.controllers.disruption_budgets import CONTROLLER, STALE_CONTROLLER
from moorage.objects.metadata import Ref, format_time
from tests.controllers.world import World, ready

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BUDGET = Ref(disruption_budgets.RESOURCE, "default", "b")
SELECTOR = {"matchLabels": {"app": "web"}}


def scene(pods: int, replicas: int | None, **spec: Any) -> World:
    """Return a world with a budget and ready pods, of a ReplicaSet of that size if there is one."""
    world = World(NOW)
    metadata = {"name": "b", "namespace": "default"}
    world.create(disruption_budgets.RESOURCE, {"metadata": metadata, "spec": {"selector": SELECTOR, **spec}})
    owners = []
    if replicas is not None:
        set_metadata = {"name": "web", "namespace": "default"}
        made = world.create("replicasets.apps", {"metadata": set_metadata, "spec": {"replicas": replicas}})
        reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "controller": True}
        owners = [{**reference, "uid": made["metadata"]["uid"]}]
    for number in range(pods):
        pod = {"name": f"p{number}", "namespace": "default", "labels": {"app": "web"}, "ownerReferences": owners}
        world.create("pods", {"metadata": pod, "spec": {"nodeName": "n"}})
        ready(world, f"p{number}")
    return world


def status(world: World) -> dict[str, Any]:
    world.run(CONTROLLER, BUDGET)
    return dict((world.get(disruption_budgets.RESOURCE, "default", "b") or {})["status"])


@pytest.mark.parametrize(
    ("spec", "pods", "replicas", "allowed", "desired", "expected"),
    [
        ({"minAvailable": 1}, 2, 2, 1, 1, 2),
        ({"minAvailable": 2}, 2, 2, 0, 2, 2),
        ({"minAvailable": "50%"}, 3, 3, 1, 2, 3),
        ({"maxUnavailable": 1}, 3, 3, 1, 2, 3),
        ({"maxUnavailable": "50%"}, 3, 3, 2, 1, 3),
        ({"maxUnavailable": 1}, 1, 3, 0, 2, 3),
        ({"minAvailable": 1}, 0, None, 0, 1, 0),
        ({"maxUnavailable": 1}, 2, None, 0, 0, 0),
    ],
)
def test_what_is_allowed_follows_from_what_must_stay(
    spec: dict[str, Any], pods: int, replicas: int | None, allowed: int, desired: int, expected: int
) -> None:
    found = status(scene(pods, replicas, **spec))
    assert (found["disruptionsAllowed"], found["desiredHealthy"], found["expectedPods"]) == (allowed, desired, expected)
    [condition] = found["conditions"]
    assert condition["reason"] == ("SufficientPods" if allowed else "InsufficientPods")


def test_a_pod_that_was_let_go_is_not_healthy_until_it_should_be_gone() -> None:
    world = scene(3, 3, minAvailable=1)
    world.set_status(disruption_budgets.RESOURCE, "b", disruptedPods={"p0": format_time(NOW), "gone": format_time(NOW)})
    found = status(world)
    assert (found["currentHealthy"], found["disruptedPods"]) == (2, {"p0": format_time(NOW)})
    assert world.run(CONTROLLER, BUDGET).look_again_in == 120
    world.now += timedelta(seconds=121)
    assert status(world)["currentHealthy"] == 3
    assert "Pod was expected by PDB default/b to be deleted but it wasn't" in world.events


def test_pods_of_what_has_no_scale_cannot_be_counted() -> None:
    world = scene(1, 1, maxUnavailable=1)
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "u", "controller": True}
    world.patch("pods", "default", "p0", {"metadata": {"ownerReferences": [owner]}})
    found = status(world)
    assert found["disruptionsAllowed"] == 0
    assert found["conditions"][0]["reason"] == "SyncFailed"
    assert found["conditions"][0]["message"] == "jobs.batch does not implement the scale subresource"


def test_an_announced_disruption_that_does_not_happen_is_taken_back() -> None:
    world = scene(1, 1)
    condition = {"type": "DisruptionTarget", "status": "True", "lastTransitionTime": format_time(NOW)}
    world.set_status("pods", "p0", conditions=[condition])
    pod = Ref("pods", "default", "p0")
    assert world.run(STALE_CONTROLLER, pod).look_again_in == 120
    world.now += timedelta(seconds=120)
    world.run(STALE_CONTROLLER, pod)
    assert world.pods()["p0"]["status"]["conditions"][0]["status"] == "False"


@given(st.integers(0, 6), st.integers(0, 6), st.one_of(st.integers(0, 6), st.integers(0, 100).map("{}%".format)))
def test_never_more_is_allowed_than_leaves_what_must_stay(pods: int, replicas: int, least: int | str) -> None:
    found = status(scene(pods, replicas, minAvailable=least))
    assert 0 <= found["disruptionsAllowed"] <= max(0, found["currentHealthy"] - found["desiredHealthy"])
