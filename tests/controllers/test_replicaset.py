"""The ReplicaSet controller, and the ReplicationController's."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.controllers import replicaset
from moorage.controllers.replicaset import CONTROLLER, REPLICATION, rank_for_deletion
from moorage.objects.errors import forbidden
from moorage.objects.metadata import Ref, format_time
from moorage.objects.pods import is_active
from tests.controllers.world import World, ready, unready

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SETS = "replicasets.apps"
WEB = Ref(SETS, "default", "web")


def web(world: World, **spec: Any) -> None:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "pause"}]}}
    selector = {"matchLabels": {"app": "web"}}
    spec = {"replicas": 3, "selector": selector, "template": template, **spec}
    metadata = {"name": "web", "namespace": "default"}
    world.create(SETS, {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata, "spec": spec})


def scale(world: World, replicas: int) -> None:
    world.patch(SETS, "default", "web", {"spec": {"replicas": replicas}})


def settle(world: World) -> None:
    for _ in range(20):
        before = world.revision
        world.run(CONTROLLER, WEB)
        if world.revision == before:
            return
    raise AssertionError("does not settle")


def status(world: World) -> dict[str, Any]:
    return dict((world.get(SETS, "default", "web") or {})["status"])


def bare_pod(name: str, node: str = "", cost: str | None = None) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "namespace": "default", "labels": {"app": "web"}}
    if cost is not None:
        metadata["annotations"] = {replicaset.DELETION_COST: cost}
    return {"metadata": metadata, "spec": {"nodeName": node} if node else {}}


@pytest.fixture
def world() -> World:
    return World(NOW)


def test_all_pods_are_created_at_once_with_generated_names(world: World) -> None:
    web(world)
    world.run(CONTROLLER, WEB)
    assert len(world.pods()) == 3
    assert all(name.startswith("web-") for name in world.pods())
    settle(world)
    assert status(world) == {
        "replicas": 3,
        "fullyLabeledReplicas": 3,
        "terminatingReplicas": 0,
        "observedGeneration": 1,
    }


def test_ready_and_available_pods_are_counted(world: World) -> None:
    web(world, replicas=2, minReadySeconds=10)
    settle(world)
    first, second = world.pods()
    ready(world, first, NOW - timedelta(seconds=4))
    ready(world, second, NOW - timedelta(days=1))
    decision = world.run(CONTROLLER, WEB)
    assert decision.look_again_in == 6
    assert (status(world)["readyReplicas"], status(world)["availableReplicas"]) == (2, 1)


def test_bare_pods_are_adopted_and_too_many_deleted(world: World) -> None:
    world.create("pods", bare_pod("a"))
    ready(world, "a")
    world.create("pods", bare_pod("b"))
    web(world, replicas=1)
    settle(world)
    assert list(world.pods()) == ["a"]
    assert world.pods()["a"]["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet"
    assert world.events == ["Deleted pod: b"]


def test_a_released_pod_is_replaced(world: World) -> None:
    web(world, replicas=1)
    settle(world)
    [name] = world.pods()
    world.patch("pods", "default", name, {"metadata": {"labels": {"app": "x"}}})
    settle(world)
    assert not world.pods()[name]["metadata"].get("ownerReferences")
    assert len(world.pods()) == 2


def test_a_failed_pod_is_replaced_and_kept(world: World) -> None:
    web(world, replicas=1)
    settle(world)
    [name] = world.pods()
    unready(world, name, phase="Failed")
    settle(world)
    assert len(world.pods()) == 2
    assert status(world)["replicas"] == 1


def test_a_refused_pod_leaves_a_condition_that_goes_once_it_succeeds(world: World) -> None:
    web(world, replicas=1)
    world.refuse = lambda verb, resource, obj: forbidden("pods", "", "web-", "no") if resource == "pods" else None
    world.run(CONTROLLER, WEB)
    [condition] = status(world)["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("ReplicaFailure", "True", "FailedCreate")
    assert world.events == ['Error creating: pods "web-" is forbidden: no']
    before = world.revision
    world.run(CONTROLLER, WEB)
    assert world.revision == before
    world.refuse = lambda verb, resource, obj: None
    settle(world)
    assert "conditions" not in status(world)


def test_a_set_that_is_being_deleted_creates_nothing(world: World) -> None:
    web(world)
    world.patch(SETS, "default", "web", {"metadata": {"finalizers": ["foregroundDeletion"]}})
    world.delete(SETS, "default", "web")
    settle(world)
    assert not world.pods()


def test_terminating_pods_are_counted_apart(world: World) -> None:
    web(world, replicas=1)
    world.create("pods", bare_pod("a", node="ghost"))
    settle(world)
    world.delete("pods", "default", "a")
    settle(world)
    assert (status(world)["replicas"], status(world)["terminatingReplicas"]) == (1, 1)


def test_a_replication_controller_follows_the_same_rule(world: World) -> None:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {}}
    spec = {"replicas": 2, "selector": {"app": "web"}, "template": template}
    metadata = {"name": "web", "namespace": "default"}
    made = {"apiVersion": "v1", "kind": "ReplicationController", "metadata": metadata, "spec": spec}
    world.create("replicationcontrollers", made)
    ref = Ref("replicationcontrollers", "default", "web")
    world.run(REPLICATION, ref)
    world.run(REPLICATION, ref)
    found = world.get("replicationcontrollers", "default", "web") or {}
    assert found["status"] == {"replicas": 2, "fullyLabeledReplicas": 2, "observedGeneration": 1}
    assert world.pods().popitem()[1]["metadata"]["ownerReferences"][0]["kind"] == "ReplicationController"


def pod(name: str, **facts: Any) -> dict[str, Any]:
    since = facts.get("ready", NOW - timedelta(days=400))
    condition = {"type": "Ready", "status": "True", "lastTransitionTime": format_time(since)} if since else {}
    status: dict[str, Any] = {"phase": facts.get("phase", "Running"), "conditions": [condition] if since else []}
    status["containerStatuses"] = [{"name": "c", "restartCount": facts.get("restarts", 0)}]
    annotations = {replicaset.DELETION_COST: facts["cost"]} if "cost" in facts else {}
    created = format_time(facts.get("created", NOW - timedelta(days=500)))
    metadata = {"name": name, "uid": name, "creationTimestamp": created, "annotations": annotations}
    return {"metadata": metadata, "spec": {"nodeName": facts.get("node", "n1")}, "status": status}


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ({"node": "", "cost": "100"}, {}),
        ({"phase": "Pending"}, {"phase": "Unknown"}),
        ({"phase": "Unknown"}, {}),
        ({"ready": None, "cost": "100"}, {"cost": "-100"}),
        ({"cost": "-5"}, {"cost": "0"}),
        ({"node": "crowded", "ready": NOW - timedelta(days=900)}, {"ready": NOW - timedelta(days=1)}),
        ({"ready": NOW - timedelta(days=10)}, {}),
        ({"restarts": 5}, {"restarts": 1}),
        ({"created": NOW - timedelta(days=1)}, {}),
    ],
)
def test_the_pod_that_is_missed_less_goes_first(less: dict[str, Any], more: dict[str, Any]) -> None:
    pods = [pod("a", **more), pod("b", **less)]
    ranked = rank_for_deletion(pods, {"crowded": 3, "n1": 1}, NOW)
    assert [each["metadata"]["name"] for each in ranked] == ["b", "a"]


def test_pods_that_became_ready_at_about_the_same_time_go_by_uid() -> None:
    pods = [pod("b", ready=NOW - timedelta(seconds=1000)), pod("a", ready=NOW - timedelta(seconds=1040))]
    assert [each["metadata"]["name"] for each in rank_for_deletion(pods, {}, NOW)] == ["a", "b"]


@pytest.mark.parametrize("text", ["+1", "01", "x", "", "99999999999", "1.5"])
def test_a_deletion_cost_that_cannot_be_read_is_nothing(text: str) -> None:
    assert replicaset.deletion_cost_of(pod("a", cost=text)) == 0


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["scale", "kill", "fail", "ready"]), st.integers(0, 6), st.integers(0, 3)),
        max_size=10,
    )
)
def test_whatever_happens_the_set_comes_to_have_as_many_active_pods_as_it_asks_for(
    disturbances: list[tuple[str, int, int]],
) -> None:
    world = World(NOW)
    web(world)
    for name, number, rounds in disturbances:
        names = list(world.pods())
        if name == "scale":
            scale(world, number)
        elif number < len(names):
            victim = names[number]
            if name == "kill":
                world.delete("pods", "default", victim)
            elif name == "fail":
                unready(world, victim, phase="Failed")
            else:
                ready(world, victim)
        for _ in range(rounds):
            world.run(CONTROLLER, WEB)
    settle(world)
    wanted = (world.get(SETS, "default", "web") or {})["spec"]["replicas"]
    assert sum(map(is_active, world.pods().values())) == wanted == status(world)["replicas"]
