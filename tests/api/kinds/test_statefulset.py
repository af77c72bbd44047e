"""StatefulSets: the order in which broken rules are told."""

from typing import Any

import pytest

from moorage.objects.errors import Invalid
from tests.api.world import World

RESOURCE = "statefulsets.apps"


def stateful_set(**spec: Any) -> dict[str, Any]:
    container = {"name": "c", "image": "i"}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}}
    wish = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    claim = {"metadata": {"name": "data"}, "spec": wish}
    filled = {"selector": {"matchLabels": {"a": "b"}}, "template": template, "volumeClaimTemplates": [claim], **spec}
    return {"metadata": {"name": "w"}, "spec": filled}


async def refused(world: World, verb: str, body: dict[str, Any]) -> list[str]:
    with pytest.raises(Invalid) as refusal:
        await (world.create(RESOURCE, body) if verb == "create" else world.update(RESOURCE, body))
    return [cause.field for cause in refusal.value.causes]


async def test_claims_are_judged_once_and_before_numbers(world: World) -> None:
    broken = stateful_set(replicas=-1, volumeClaimTemplates=[{"metadata": {"name": "data"}, "spec": {}}])
    claim = "spec.volumeClaimTemplates[0].spec"
    assert await refused(world, "create", broken) == [
        f"{claim}.accessModes",
        f"{claim}.resources[storage]",
        "spec.replicas",
    ]
    await world.create(RESOURCE, stateful_set())
    assert await refused(world, "update", broken) == ["spec.replicas", "spec.volumeClaimTemplates"]


async def test_what_may_not_change_is_told_in_upstreams_order(world: World) -> None:
    await world.create(RESOURCE, stateful_set())
    changed = stateful_set(serviceName="s", podManagementPolicy="Parallel", volumeClaimTemplates=[])
    assert await refused(world, "update", changed) == [
        "spec.volumeClaimTemplates",
        "spec.serviceName",
        "spec.podManagementPolicy",
    ]
