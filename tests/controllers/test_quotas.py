"""Quotas are counted, and roles gather rules."""

from datetime import UTC, datetime
from typing import Any

import pytest

from moorage.controllers import cluster_role_aggregation, quotas
from moorage.objects.metadata import Ref
from moorage.objects.usage import resources_counted
from tests.controllers.world import World

NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUOTA = Ref(quotas.RESOURCE, "default", "q")
CONTROLLER = quotas.controller_for(lambda: ["configmaps", "pods", "widgets.example.com"])


def scene(**hard: str) -> World:
    world = World(NOW)
    world.create(quotas.RESOURCE, {"metadata": {"name": "q", "namespace": "default"}, "spec": {"hard": hard}})
    return world


def status(world: World) -> dict[str, Any]:
    world.run(CONTROLLER, QUOTA)
    return dict((world.get(quotas.RESOURCE, "default", "q") or {}).get("status") or {})


def pod(world: World, name: str, cpu: str) -> None:
    containers = [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]
    world.create("pods", {"metadata": {"name": name, "namespace": "default"}, "spec": {"containers": containers}})


def test_what_pods_ask_for_is_added_up_until_they_end() -> None:
    world = scene(pods="5", cpu="2")
    pod(world, "a", "600m")
    pod(world, "b", "500m")
    assert status(world) == {"hard": {"pods": "5", "cpu": "2"}, "used": {"pods": "2", "cpu": "1100m"}}
    world.set_status("pods", "a", phase="Succeeded")
    assert status(world)["used"] == {"pods": "1", "cpu": "500m"}


def test_any_kind_can_be_counted_and_what_nothing_counts_for_is_left_out() -> None:
    world = scene(**{"count/widgets.example.com": "3", "count/nothing": "1", "limits.nonsense": "1"})
    world.create("widgets.example.com", {"metadata": {"name": "w", "namespace": "default"}})
    assert status(world)["used"] == {"count/widgets.example.com": "1"}


def test_only_quotas_that_count_a_resource_look_again_when_it_changes() -> None:
    world = scene(pods="1")
    obj = {"metadata": {"name": "x", "namespace": "default"}}
    assert list(CONTROLLER.wakes["pods"](world, obj)) == [QUOTA]
    assert list(CONTROLLER.wakes["configmaps"](world, obj)) == []


@pytest.mark.parametrize(
    ("name", "resource"),
    [
        ("requests.storage", "persistentvolumeclaims"),
        ("gold.storageclass.storage.k8s.io/persistentvolumeclaims", "persistentvolumeclaims"),
        ("services.nodeports", "services"),
        ("requests.example.com/gpu", "pods"),
        ("hugepages-2Mi", "pods"),
        ("limits.memory", "pods"),
        ("count/pods", "pods"),
        ("limits.example.com/gpu", None),
        ("requests", None),
    ],
)
def test_each_name_of_a_quota_is_counted_by_one_resource(name: str, resource: str | None) -> None:
    assert resources_counted([name], ["pods"]) == ({resource: [name]} if resource else {})


def test_a_role_gathers_the_rules_of_roles_with_its_labels() -> None:
    world = World(NOW)
    selector = {"clusterRoleSelectors": [{"matchLabels": {"to": "all"}}]}
    world.create(cluster_role_aggregation.RESOURCE, {"metadata": {"name": "all"}, "aggregationRule": selector})
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
    part = {"metadata": {"name": "part", "labels": {"to": "all"}}, "rules": [rule]}
    made = world.create(cluster_role_aggregation.RESOURCE, part)
    controller = cluster_role_aggregation.CONTROLLER
    [ref] = controller.wakes[cluster_role_aggregation.RESOURCE](world, made)
    world.run(controller, ref)
    found = world.get(cluster_role_aggregation.RESOURCE, "", "all") or {}
    assert found["rules"] == [rule]
    before = world.revision
    world.run(controller, ref)
    assert world.revision == before
