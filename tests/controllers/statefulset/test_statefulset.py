"""The StatefulSet controller: what becomes of a set in a world that answers."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.controllers import statefulset
from moorage.controllers.statefulset import CONTROLLER
from moorage.objects.errors import forbidden
from moorage.objects.metadata import Ref, is_terminating
from moorage.objects.pods import is_ready
from tests.controllers.world import World, ready, unready

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SETS = statefulset.RESOURCE
WEB = Ref(SETS, "default", "web")
CLAIMS = "persistentvolumeclaims"
REVISIONS = "controllerrevisions.apps"


def web(world: World, name: str = "web", **spec: Any) -> None:
    template = {
        "metadata": {"labels": {"app": name}, "annotations": {"v": "1"}},
        "spec": {"containers": [{"name": "c", "image": "pause"}]},
    }
    selector = {"matchLabels": {"app": name}}
    spec = {"replicas": 3, "serviceName": name, "selector": selector, "template": template, **spec}
    spec.setdefault("updateStrategy", {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, "maxUnavailable": 1}})
    metadata = {"name": name, "namespace": "default"}
    world.create(SETS, {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": spec})


def change(world: World, **spec: Any) -> None:
    world.patch(SETS, "default", "web", {"spec": spec})


def set_version(world: World, version: str) -> None:
    change(world, template={"metadata": {"annotations": {"v": version}}})


def settle(world: World, *, become_ready: bool = True, most: int = 60) -> None:
    """Let the controller and the nodes take turns until nothing changes."""
    for _ in range(most):
        before = world.revision
        world.run(CONTROLLER, WEB)
        if become_ready:
            for name, pod in world.pods().items():
                if not is_ready(pod) and not is_terminating(pod):
                    ready(world, name, NOW - timedelta(days=1))
        if world.revision == before:
            return
    raise AssertionError("does not settle")


def status(world: World) -> dict[str, Any]:
    return dict((world.get(SETS, "default", "web") or {})["status"])


def versions(world: World) -> dict[str, str]:
    return {name: pod["metadata"]["annotations"]["v"] for name, pod in world.pods().items()}


@pytest.fixture
def world() -> World:
    return World(NOW)


WWW = {"metadata": {"name": "www"}, "spec": {"accessModes": ["ReadWriteOnce"]}}


def retention(deleted: str, scaled: str) -> dict[str, str]:
    return {"whenDeleted": deleted, "whenScaled": scaled}


def owners(world: World, claim: str) -> list[str]:
    found = world.get(CLAIMS, "default", claim) or {"metadata": {}}
    return [owner["kind"] for owner in found["metadata"].get("ownerReferences") or []]


def test_pods_are_created_one_after_the_other_as_each_becomes_ready(world: World) -> None:
    web(world)
    for count in (1, 2, 3):
        for _ in range(3):
            world.run(CONTROLLER, WEB)
        assert sorted(world.pods()) == [f"web-{ordinal}" for ordinal in range(count)]
        ready(world, f"web-{count - 1}")
    assert [event for event in world.events if "web-0" in event] == ["Create Pod web-0 in StatefulSet web successful"]


def test_a_pod_carries_its_identity(world: World) -> None:
    web(world, replicas=1, volumeClaimTemplates=[WWW])
    world.run(CONTROLLER, WEB)
    pod = world.pods()["web-0"]
    assert pod["metadata"]["labels"] == {
        "app": "web",
        "statefulset.kubernetes.io/pod-name": "web-0",
        "apps.kubernetes.io/pod-index": "0",
        "controller-revision-hash": status(world)["updateRevision"],
    }
    assert pod["metadata"]["generateName"] == "web-"
    assert pod["spec"]["hostname"] == "web-0"
    assert pod["spec"]["subdomain"] == "web"
    assert pod["spec"]["volumes"] == [{"name": "www", "persistentVolumeClaim": {"claimName": "www-web-0"}}]
    assert pod["metadata"]["ownerReferences"][0]["controller"] is True


def test_claims_come_before_their_pod_with_the_labels_of_the_selector(world: World) -> None:
    web(world, replicas=1, volumeClaimTemplates=[WWW])
    world.run(CONTROLLER, WEB)
    made = [(resource, obj["metadata"]["name"]) for _, kind, resource, obj in world.log if kind == "ADDED"]
    assert made[-2:] == [(CLAIMS, "www-web-0"), ("pods", "web-0")]
    assert (world.get(CLAIMS, "default", "www-web-0") or {})["metadata"]["labels"] == {"app": "web"}
    assert "Create Claim www-web-0 Pod web-0 in StatefulSet web success" in world.events


def test_at_rest_the_status_is_complete(world: World) -> None:
    web(world)
    settle(world)
    found = status(world)
    assert found.pop("currentRevision") == found.pop("updateRevision")
    assert found == {
        "observedGeneration": 1,
        "replicas": 3,
        "readyReplicas": 3,
        "currentReplicas": 3,
        "updatedReplicas": 3,
        "availableReplicas": 3,
        "collisionCount": 0,
    }


def test_what_others_write_into_the_status_goes_with_the_next_report(world: World) -> None:
    web(world, replicas=1)
    settle(world)
    world.set_status(SETS, "web", conditions=[{"type": "Mine", "status": "True"}])
    before = world.revision
    world.run(CONTROLLER, WEB)
    assert world.revision == before
    world.set_status(SETS, "web", readyReplicas=5)
    world.run(CONTROLLER, WEB)
    assert "conditions" not in status(world)
    assert status(world)["readyReplicas"] == 1


def test_a_set_at_rest_is_left_alone(world: World) -> None:
    web(world, volumeClaimTemplates=[WWW])
    settle(world)
    before = world.revision
    world.run(CONTROLLER, WEB)
    assert world.revision == before


def test_scaling_down_takes_the_highest_ordinal_first_and_keeps_claims(world: World) -> None:
    web(world, volumeClaimTemplates=[WWW])
    settle(world)
    change(world, replicas=1)
    world.run(CONTROLLER, WEB)
    assert sorted(world.pods()) == ["web-0", "web-1"]
    settle(world)
    assert sorted(world.pods()) == ["web-0"]
    assert len(world.list(CLAIMS)) == 3


def test_an_update_goes_from_the_top_and_waits_for_each_pod(world: World) -> None:
    web(world)
    settle(world)
    set_version(world, "2")
    for _ in range(4):
        world.run(CONTROLLER, WEB)
    assert versions(world) == {"web-0": "1", "web-1": "1", "web-2": "2"}
    assert status(world)["currentReplicas"] == 2
    settle(world)
    assert set(versions(world).values()) == {"2"}
    assert status(world)["currentRevision"] == status(world)["updateRevision"]


def test_the_status_counts_a_pod_as_gone_from_the_current_revision_when_its_update_begins(world: World) -> None:
    web(world, replicas=2)
    settle(world)
    world.patch("pods", "default", "web-1", {"metadata": {"finalizers": ["example.com/hold"]}})
    set_version(world, "2")
    world.run(CONTROLLER, WEB)
    world.run(CONTROLLER, WEB)
    assert status(world)["currentReplicas"] == 1
    assert "updatedReplicas" not in status(world)


def test_below_the_partition_even_new_pods_keep_the_current_revision(world: World) -> None:
    web(world, updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 2}})
    settle(world)
    set_version(world, "2")
    settle(world)
    world.delete("pods", "default", "web-0")
    settle(world)
    assert versions(world) == {"web-0": "1", "web-1": "1", "web-2": "2"}


def test_on_delete_only_pods_that_the_user_deletes_are_updated(world: World) -> None:
    web(world, replicas=2, updateStrategy={"type": "OnDelete"})
    settle(world)
    set_version(world, "2")
    settle(world)
    assert set(versions(world).values()) == {"1"}
    for name in ("web-1", "web-0"):
        world.delete("pods", "default", name)
        settle(world)
    assert set(versions(world).values()) == {"2"}
    assert status(world)["currentRevision"] == status(world)["updateRevision"]


def test_a_parallel_set_does_all_at_once_and_recovers_from_a_broken_revision(world: World) -> None:
    web(world, podManagementPolicy="Parallel")
    world.run(CONTROLLER, WEB)
    assert len(world.pods()) == 3
    set_version(world, "2")
    settle(world)
    assert set(versions(world).values()) == {"2"}


def test_going_back_to_an_older_template_renumbers_its_revision(world: World) -> None:
    web(world, replicas=0)
    for version in ("2", "1"):
        settle(world)
        set_version(world, version)
    settle(world)
    numbers = {
        obj["data"]["spec"]["template"]["metadata"]["annotations"]["v"]: obj["revision"]
        for obj in world.list(REVISIONS)
    }
    assert numbers == {"1": 3, "2": 2}


def test_revisions_beyond_the_limit_are_forgotten_oldest_first(world: World) -> None:
    web(world, replicas=0, revisionHistoryLimit=1)
    for version in "2345":
        settle(world)
        set_version(world, version)
    settle(world)
    world.run(CONTROLLER, WEB)
    assert sorted(obj["revision"] for obj in world.list(REVISIONS)) == [4, 5]


def test_a_revision_name_that_is_taken_is_avoided_and_counted(world: World) -> None:
    web(world, replicas=0)
    settle(world)
    taken = status(world)["updateRevision"]
    world.delete(SETS, "default", "web")
    stranger = {"metadata": {"name": taken, "namespace": "default"}, "revision": 7, "data": {"spec": {"other": 1}}}
    world.create(REVISIONS, stranger)
    web(world, replicas=0)
    settle(world)
    assert status(world)["collisionCount"] == 1
    assert status(world)["updateRevision"] != taken


def test_the_revision_keeps_the_template_as_a_patch_that_replaces(world: World) -> None:
    web(world, replicas=0)
    settle(world)
    [revision] = world.list(REVISIONS)
    template = revision["data"]["spec"]["template"]
    assert template["$patch"] == "replace"
    assert set(revision["metadata"]["labels"]) == {"app", "controller.kubernetes.io/hash"}
    assert revision["metadata"]["name"] == f"web-{revision['metadata']['labels']['controller.kubernetes.io/hash']}"


def test_a_pod_that_ended_is_deleted_and_comes_back(world: World) -> None:
    web(world)
    settle(world)
    unready(world, "web-1", phase="Failed")
    world.run(CONTROLLER, WEB)
    assert "web-1" not in world.pods()
    settle(world)
    assert len(world.pods()) == 3


def test_a_refused_pod_leaves_an_event_and_the_status(world: World) -> None:
    web(world, replicas=1)
    world.refuse = lambda verb, resource, obj: forbidden("pods", "", "web-0", "no") if resource == "pods" else None
    world.run(CONTROLLER, WEB)
    assert world.events == ['Create Pod web-0 in StatefulSet web failed error: pods "web-0" is forbidden: no']
    assert status(world)["observedGeneration"] == 1


def test_a_refused_claim_is_told_for_the_claim_and_for_its_pod(world: World) -> None:
    web(world, replicas=1, volumeClaimTemplates=[WWW])
    world.refuse = lambda verb, resource, obj: forbidden("x", "", "y", "no") if resource == CLAIMS else None
    world.run(CONTROLLER, WEB)
    assert world.events == [
        'Create Claim www-web-0 for Pod web-0 in StatefulSet web failed error: x "y" is forbidden: no',
        'Create Pod web-0 in StatefulSet web failed error: failed to create PVC www-web-0: x "y" is forbidden: no',
    ]
    assert not world.pods()


def test_a_claim_on_its_way_out_blocks_the_pod(world: World) -> None:
    claim = {"metadata": {"name": "www-web-0", "namespace": "default", "finalizers": ["hold"]}}
    world.create(CLAIMS, claim)
    world.delete(CLAIMS, "default", "www-web-0")
    web(world, replicas=1, volumeClaimTemplates=[WWW])
    world.run(CONTROLLER, WEB)
    assert world.events == ["Create Pod web-0 in StatefulSet web failed error: pvc www-web-0 is being deleted"]
    assert not world.pods()


def test_a_pending_pod_gets_back_a_claim_that_was_deleted(world: World) -> None:
    web(world, replicas=1, volumeClaimTemplates=[WWW])
    world.run(CONTROLLER, WEB)
    world.delete(CLAIMS, "default", "www-web-0")
    world.run(CONTROLLER, WEB)
    assert world.get(CLAIMS, "default", "www-web-0")


@pytest.mark.parametrize(
    ("deleted", "scaled", "in_range", "condemned"),
    [
        ("Retain", "Retain", [], []),
        ("Delete", "Retain", ["StatefulSet"], ["StatefulSet"]),
        ("Retain", "Delete", [], ["Pod"]),
        ("Delete", "Delete", ["StatefulSet"], ["Pod"]),
    ],
)
def test_claims_are_owned_as_the_retention_policy_says(
    world: World, deleted: str, scaled: str, in_range: list[str], condemned: list[str]
) -> None:
    policy = retention(deleted, scaled)
    web(world, replicas=2, volumeClaimTemplates=[WWW], persistentVolumeClaimRetentionPolicy=policy)
    settle(world)
    assert owners(world, "www-web-1") == in_range
    world.patch("pods", "default", "web-1", {"metadata": {"finalizers": ["hold"]}})
    change(world, replicas=1)
    settle(world)
    assert owners(world, "www-web-0") == in_range
    assert owners(world, "www-web-1") == condemned


def test_a_changed_policy_is_told_as_an_update_of_the_pod(world: World) -> None:
    web(world, replicas=1, volumeClaimTemplates=[WWW])
    settle(world)
    change(world, persistentVolumeClaimRetentionPolicy=retention("Delete", "Retain"))
    settle(world)
    assert owners(world, "www-web-0") == ["StatefulSet"]
    assert world.events[-1] == "Update Pod web-0 in StatefulSet web successful"


def test_a_claim_that_somebody_else_controls_is_left_alone_with_a_warning(world: World) -> None:
    other = {"apiVersion": "v1", "kind": "ConfigMap", "name": "cm", "uid": "u", "controller": True}
    world.create(CLAIMS, {"metadata": {"name": "www-web-0", "namespace": "default", "ownerReferences": [other]}})
    policy = retention("Delete", "Delete")
    web(world, replicas=1, volumeClaimTemplates=[WWW], persistentVolumeClaimRetentionPolicy=policy)
    settle(world)
    assert owners(world, "www-web-0") == ["ConfigMap"]
    assert any("conflicting OwnerReference" in event for event in world.events)


def bare_pod(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default", "labels": labels}, "spec": {"containers": []}}


def test_a_bare_pod_of_its_name_and_labels_is_adopted_and_updated(world: World) -> None:
    world.create("pods", bare_pod("web-0", app="web"))
    ready(world, "web-0", NOW - timedelta(days=1))
    web(world, replicas=1)
    world.run(CONTROLLER, WEB)
    settle(world)
    assert world.pods()["web-0"]["metadata"]["labels"]["controller-revision-hash"] == status(world)["updateRevision"]


@pytest.mark.parametrize("name", ["other-0", "web-a", "web-x-0", "web"])
def test_pods_of_other_names_are_not_adopted(world: World, name: str) -> None:
    world.create("pods", bare_pod(name, app="web"))
    web(world, replicas=0)
    settle(world, become_ready=False)
    assert not world.pods()[name]["metadata"].get("ownerReferences")


def test_a_pod_whose_labels_no_longer_match_is_released(world: World) -> None:
    web(world, replicas=2)
    settle(world)
    world.patch("pods", "default", "web-1", {"metadata": {"labels": {"app": "free"}}})
    world.run(CONTROLLER, WEB)
    assert not world.pods()["web-1"]["metadata"].get("ownerReferences")
    world.run(CONTROLLER, WEB)
    assert status(world)["replicas"] == 1


def test_a_lost_identity_is_repaired(world: World) -> None:
    web(world, replicas=1)
    settle(world)
    world.patch("pods", "default", "web-0", {"metadata": {"labels": {statefulset.POD_NAME: None}}})
    settle(world)
    assert world.pods()["web-0"]["metadata"]["labels"][statefulset.POD_NAME] == "web-0"
    assert world.events[-1] == "Update Pod web-0 in StatefulSet web successful"


def test_a_set_that_is_being_deleted_only_reports(world: World) -> None:
    web(world, replicas=2)
    settle(world)
    world.patch(SETS, "default", "web", {"metadata": {"finalizers": ["hold"]}})
    world.delete(SETS, "default", "web")
    unready(world, "web-1", phase="Failed")
    settle(world, become_ready=False)
    assert sorted(world.pods()) == ["web-0", "web-1"]
    assert status(world)["readyReplicas"] == 1


def test_moving_the_first_ordinal_creates_new_pods_before_it_removes_old_ones(world: World) -> None:
    web(world, replicas=2)
    settle(world)
    change(world, ordinals={"start": 2})
    settle(world)
    assert sorted(world.pods()) == ["web-2", "web-3"]


def test_time_alone_makes_a_pod_available_so_the_rule_asks_to_look_again(world: World) -> None:
    web(world, replicas=2, minReadySeconds=30)
    world.run(CONTROLLER, WEB)
    ready(world, "web-0", NOW - timedelta(seconds=10))
    decision = world.run(CONTROLLER, WEB)
    assert decision.look_again_in == 20
    assert sorted(world.pods()) == ["web-0"]
    world.now = NOW + timedelta(seconds=20)
    world.run(CONTROLLER, WEB)
    assert sorted(world.pods()) == ["web-0", "web-1"]


Disturbance = Callable[[World, int], None]

DISTURBANCES: dict[str, Disturbance] = {
    "scale": lambda world, number: change(world, replicas=number % 5),
    "update": lambda world, number: set_version(world, str(number % 3)),
    "start": lambda world, number: change(world, ordinals={"start": number % 3}),
    "policy": lambda world, number: change(
        world,
        persistentVolumeClaimRetentionPolicy=retention(*[("Retain", "Delete")[number >> bit & 1] for bit in (0, 1)]),
    ),
    "kill": lambda world, number: (
        [world.delete("pods", "default", name) for name in list(world.pods())[: number % 2 + 1] if name in world.pods()]
        and None
    ),
    "fail": lambda world, number: (
        [unready(world, name, phase="Failed") for name in list(world.pods())[number % 3 : number % 3 + 1]] and None
    ),
}


@settings(max_examples=60, deadline=None)
@given(
    disturbances=st.lists(
        st.tuples(st.sampled_from(sorted(DISTURBANCES)), st.integers(0, 11), st.integers(0, 6)), max_size=8
    ),
    parallel=st.booleans(),
    most=st.integers(1, 2),
)
def test_whatever_happens_a_fair_world_comes_to_rest_as_the_spec_says(
    disturbances: list[tuple[str, int, int]], parallel: bool, most: int
) -> None:
    world = World(NOW)
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, "maxUnavailable": most}}
    policy = "Parallel" if parallel else "OrderedReady"
    web(world, podManagementPolicy=policy, updateStrategy=strategy, volumeClaimTemplates=[WWW])
    for name, number, rounds in disturbances:
        DISTURBANCES[name](world, number)
        for _ in range(rounds):
            world.run(CONTROLLER, WEB)
    settle(world)
    workload = world.get(SETS, "default", "web") or {}
    start = (workload["spec"].get("ordinals") or {}).get("start", 0)
    count = workload["spec"]["replicas"]
    assert sorted(world.pods()) == [f"web-{ordinal}" for ordinal in range(start, start + count)]
    wanted = workload["spec"]["template"]["metadata"]["annotations"]["v"]
    assert set(versions(world).values()) <= {wanted}
    assert status(world)["currentRevision"] == status(world)["updateRevision"]
    assert status(world)["replicas"] == status(world)["availableReplicas"] == count
