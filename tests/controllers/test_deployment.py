"""The Deployment controller, together with the ReplicaSet controller."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.controllers import deployment, replicaset
from moorage.controllers.deployment.replica_sets import DESIRED, HASH_LABEL, MOST, REVISION, REVISION_HISTORY
from moorage.objects.errors import forbidden
from moorage.objects.metadata import Ref
from moorage.objects.pods import is_ready
from tests.controllers.world import World, ready, unready

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=1)
SETS = "replicasets.apps"
WEB = Ref(deployment.RESOURCE, "default", "web")


def web(world: World, **spec: Any) -> None:
    template = {"metadata": {"labels": {"app": "web", "v": "1"}}, "spec": {"containers": [{"name": "c"}]}}
    selector = {"matchLabels": {"app": "web"}}
    spec = {"replicas": 4, "progressDeadlineSeconds": 600, "selector": selector, "template": template, **spec}
    metadata = {"name": "web", "namespace": "default", "annotations": {"note": "x"}}
    obj = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
    world.create(deployment.RESOURCE, obj)


def change(world: World, **spec: Any) -> None:
    world.patch(deployment.RESOURCE, "default", "web", {"spec": spec})


def set_version(world: World, version: str) -> None:
    change(world, template={"metadata": {"labels": {"v": version}}})


def turn(world: World) -> None:
    """Let both controllers act once."""
    world.run(deployment.CONTROLLER, WEB)
    for each in world.list(SETS):
        world.run(replicaset.CONTROLLER, Ref(SETS, "default", each["metadata"]["name"]))


def settle(world: World, *, become_ready: bool = True) -> None:
    for _ in range(80):
        before = world.revision
        turn(world)
        if become_ready:
            for name, pod in world.pods().items():
                if not is_ready(pod):
                    ready(world, name, LONG_AGO)
        if world.revision == before:
            return
    raise AssertionError("does not settle")


def status(world: World) -> dict[str, Any]:
    return dict((world.get(deployment.RESOURCE, "default", "web") or {}).get("status") or {})


def reasons(world: World) -> list[str]:
    return [condition["reason"] for condition in status(world)["conditions"]]


def of_version(world: World, version: str) -> Any:
    [found] = [each for each in world.list(SETS) if each["metadata"]["labels"].get("v") == version]
    return found


def size(world: World, version: str) -> int:
    return int(of_version(world, version)["spec"]["replicas"])


def annotations(world: World, version: str) -> dict[str, str]:
    return dict(of_version(world, version)["metadata"]["annotations"])


def rolling(surge: object, unavailable: object) -> dict[str, object]:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def scalings(world: World) -> list[str]:
    return [
        event.split(" ", 4)[0] + event[event.index(" from") :] for event in world.events if event.startswith("Scaled")
    ]


@pytest.fixture
def world() -> World:
    return World(NOW)


def test_a_new_deployment_makes_one_replica_set_and_comes_to_rest(world: World) -> None:
    web(world, replicas=2)
    settle(world)
    made = of_version(world, "1")
    hashed = made["metadata"]["labels"][HASH_LABEL]
    assert made["metadata"]["name"] == f"web-{hashed}"
    assert made["spec"]["selector"]["matchLabels"] == {"app": "web", HASH_LABEL: hashed}
    assert annotations(world, "1") == {"note": "x", REVISION: "1", DESIRED: "2", MOST: "3"}
    assert scalings(world) == ["Scaled from 0 to 2"]
    found = status(world)
    conditions = found.pop("conditions")
    assert found == {
        "observedGeneration": 1,
        "replicas": 2,
        "updatedReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 2,
        "terminatingReplicas": 0,
    }
    assert [each["reason"] for each in conditions] == ["MinimumReplicasAvailable", "NewReplicaSetAvailable"]
    assert conditions[1]["message"] == f'ReplicaSet "web-{hashed}" has successfully progressed.'


def test_a_deployment_without_ready_pods_is_not_available(world: World) -> None:
    web(world, replicas=2)
    settle(world, become_ready=False)
    assert reasons(world) == ["MinimumReplicasUnavailable", "ReplicaSetUpdated"]
    assert status(world)["unavailableReplicas"] == 2


@pytest.mark.parametrize(
    ("strategy", "new", "old"),
    [
        ({}, 2, 3),
        (rolling(1, 0), 1, 4),
        (rolling(0, 1), 1, 3),
        (rolling("50%", "50%"), 4, 2),
        (rolling("100%", 0), 4, 4),
    ],
)
def test_a_rolling_update_goes_as_far_as_surge_and_availability_admit(
    world: World, strategy: dict[str, object], new: int, old: int
) -> None:
    web(world, strategy=strategy)
    settle(world)
    set_version(world, "2")
    settle(world, become_ready=False)
    assert (size(world, "2"), size(world, "1")) == (new, old)
    settle(world)
    assert (size(world, "2"), size(world, "1")) == (4, 0)
    assert annotations(world, "2")[REVISION] == "2"


def test_recreate_waits_until_the_old_pods_have_ended(world: World) -> None:
    web(world, replicas=2, strategy={"type": "Recreate"})
    settle(world)
    for name in world.pods():
        world.patch("pods", "default", name, {"metadata": {"finalizers": ["hold"]}})
    set_version(world, "2")
    settle(world, become_ready=False)
    assert size(world, "1") == 0
    assert len(world.list(SETS)) == 1
    for name in list(world.pods()):
        world.patch("pods", "default", name, {"metadata": {"finalizers": []}})
    settle(world)
    assert size(world, "2") == 2


def test_going_back_uses_the_old_replica_set_with_a_new_revision(world: World) -> None:
    web(world, replicas=1)
    for version in ("2", "1"):
        settle(world)
        set_version(world, version)
    settle(world)
    assert len(world.list(SETS)) == 2
    assert annotations(world, "1")[REVISION] == "3"
    assert annotations(world, "1")[REVISION_HISTORY] == "1"
    workload = world.get(deployment.RESOURCE, "default", "web") or {}
    assert workload["metadata"]["annotations"][REVISION] == "3"


def test_a_paused_deployment_scales_but_does_not_roll_out(world: World) -> None:
    web(world, replicas=2)
    settle(world)
    change(world, paused=True)
    settle(world)
    assert reasons(world)[1] == "DeploymentPaused"
    set_version(world, "2")
    change(world, replicas=3)
    settle(world)
    assert len(world.list(SETS)) == 1
    assert size(world, "1") == 3
    assert "updatedReplicas" not in status(world)
    change(world, paused=False)
    settle(world)
    assert size(world, "2") == 3


def test_in_the_middle_of_a_rollout_a_new_size_is_shared_in_proportion(world: World) -> None:
    web(world, replicas=10, strategy=rolling(3, 2))
    settle(world)
    set_version(world, "2")
    settle(world, become_ready=False)
    assert (size(world, "1"), size(world, "2")) == (8, 5)
    change(world, replicas=15)
    settle(world, become_ready=False)
    assert (size(world, "1"), size(world, "2")) == (11, 7)
    assert annotations(world, "1")[DESIRED] == "15"


def test_old_replica_sets_beyond_the_limit_are_forgotten(world: World) -> None:
    web(world, replicas=0, revisionHistoryLimit=1)
    for version in "234":
        settle(world)
        set_version(world, version)
    settle(world)
    assert sorted(each["metadata"]["labels"]["v"] for each in world.list(SETS)) == ["3", "4"]


def test_a_rollout_that_stands_still_misses_its_deadline_and_may_recover(world: World) -> None:
    web(world, replicas=1, progressDeadlineSeconds=10)
    settle(world, become_ready=False)
    assert world.run(deployment.CONTROLLER, WEB).look_again_in == 11
    world.now = NOW + timedelta(seconds=11)
    settle(world, become_ready=False)
    assert reasons(world)[1] == "ProgressDeadlineExceeded"
    settle(world)
    assert reasons(world)[1] == "NewReplicaSetAvailable"


def test_the_failure_of_a_replica_set_shows_in_the_deployment(world: World) -> None:
    world.refuse = lambda verb, resource, obj: forbidden("pods", "", "web-", "no") if resource == "pods" else None
    web(world, replicas=1)
    settle(world, become_ready=False)
    assert [each["type"] for each in status(world)["conditions"]] == ["Progressing", "Available", "ReplicaFailure"]


def test_a_replica_set_that_cannot_be_made_is_told(world: World) -> None:
    world.refuse = lambda verb, resource, obj: forbidden(SETS, "", "x", "no") if resource == SETS else None
    web(world, replicas=1)
    turn(world)
    assert reasons(world) == ["ReplicaSetCreateError"]
    assert any(event.startswith('Failed to create new replica set "web-') for event in world.events)


def test_a_name_that_is_taken_is_avoided_and_counted(world: World) -> None:
    web(world, replicas=0)
    settle(world)
    [first] = world.list(SETS)
    world.delete(deployment.RESOURCE, "default", "web")
    spec = {"replicas": 0, "selector": {"matchLabels": {"z": "y"}}, "template": {"metadata": {}, "spec": {}}}
    stranger = {"metadata": {"name": first["metadata"]["name"], "namespace": "default"}, "spec": spec}
    world.create(SETS, stranger)
    web(world, replicas=0)
    settle(world)
    assert status(world)["collisionCount"] == 1


def test_a_matching_replica_set_is_adopted_as_the_new_one(world: World) -> None:
    template = {"metadata": {"labels": {"app": "web", "v": "1"}}, "spec": {"containers": [{"name": "c"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    labels = {"app": "web", "v": "1"}
    world.create(
        SETS,
        {
            "kind": "ReplicaSet",
            "apiVersion": "apps/v1",
            "metadata": {"name": "mine", "namespace": "default", "labels": labels},
            "spec": spec,
        },
    )
    web(world, replicas=1)
    for _ in range(3):
        turn(world)
    [only] = world.list(SETS)
    assert only["metadata"]["ownerReferences"][0]["kind"] == "Deployment"
    assert only["metadata"]["annotations"][REVISION] == "1"


@settings(max_examples=40, deadline=None)
@given(
    disturbances=st.lists(
        st.tuples(
            st.sampled_from(["scale", "update", "kill", "fail", "pause", "resume"]),
            st.integers(0, 6),
            st.integers(0, 4),
        ),
        max_size=8,
    ),
    surge=st.integers(0, 3),
    unavailable=st.integers(0, 3),
)
def test_whatever_happens_the_rollout_ends_with_the_wanted_pods_of_the_wanted_version(
    disturbances: list[tuple[str, int, int]], surge: int, unavailable: int
) -> None:
    world = World(NOW)
    web(world, strategy=rolling(surge, unavailable))
    for name, number, rounds in disturbances:
        match name:
            case "scale":
                change(world, replicas=number)
            case "update":
                set_version(world, str(number % 3))
            case "pause" | "resume":
                change(world, paused=name == "pause")
            case _ if number < len(world.pods()):
                victim = list(world.pods())[number]
                world.delete("pods", "default", victim) if name == "kill" else unready(world, victim, phase="Failed")
        for _ in range(rounds):
            turn(world)
    change(world, paused=False)
    for name, pod in list(world.pods().items()):
        if pod["status"]["phase"] == "Failed":
            world.delete("pods", "default", name)
    settle(world)
    workload = world.get(deployment.RESOURCE, "default", "web") or {}
    wanted, version = workload["spec"]["replicas"], workload["spec"]["template"]["metadata"]["labels"]["v"]
    assert [pod["metadata"]["labels"]["v"] for pod in world.pods().values()] == [version] * wanted
    assert "NewReplicaSetAvailable" in reasons(world)


@settings(max_examples=40, deadline=None)
@given(
    replicas=st.integers(1, 6),
    surge=st.integers(0, 3),
    unavailable=st.integers(0, 3),
    ready_each_turn=st.integers(0, 3),
)
def test_a_rolling_update_never_leaves_its_fenceposts(
    replicas: int, surge: int, unavailable: int, ready_each_turn: int
) -> None:
    world = World(NOW)
    web(world, replicas=replicas, strategy=rolling(surge, unavailable))
    settle(world)
    set_version(world, "2")
    lowest = replicas - min(replicas, max(unavailable, 0 if surge else 1))
    for _ in range(30):
        turn(world)
        available = sum(is_ready(pod) for pod in world.pods().values())
        assert available >= lowest
        assert sum(each["spec"]["replicas"] for each in world.list(SETS)) <= replicas + surge
        starting = [name for name, pod in world.pods().items() if not is_ready(pod)]
        for name in starting[:ready_each_turn]:
            ready(world, name, LONG_AGO)
