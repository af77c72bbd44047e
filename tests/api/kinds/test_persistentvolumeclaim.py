"""PersistentVolumeClaims: sources, and what of a claim may change."""

from typing import Any

import pytest

from moorage.objects.errors import Invalid
from tests.api.world import World


def claim(size: str = "2Gi", **spec: Any) -> dict[str, Any]:
    filled = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **spec}
    return {"metadata": {"name": "c"}, "spec": filled}


async def bind(world: World, **status: Any) -> None:
    await world.patch("persistentvolumeclaims/status", "c", {"status": {"phase": "Bound", **status}})


async def test_a_source_without_a_name_is_refused_not_forgotten(world: World) -> None:
    with pytest.raises(Invalid) as refusal:
        await world.create("persistentvolumeclaims", claim(dataSource={"kind": "PersistentVolumeClaim", "name": ""}))
    assert [cause.field for cause in refusal.value.causes] == ["spec.dataSource.name", "spec.dataSourceRef.name"]


async def test_an_old_source_of_another_kind_is_forgotten_only_without_a_new_one(world: World) -> None:
    other = {"apiGroup": "example.com", "kind": "Thing", "name": "x"}
    made = await world.create("persistentvolumeclaims", claim(dataSource=other), dryRun="All")
    assert "dataSource" not in made["spec"]
    made = await world.create("persistentvolumeclaims", claim(dataSource=other, dataSourceRef=other))
    assert made["spec"]["dataSource"] == made["spec"]["dataSourceRef"] == other


async def test_a_claim_without_a_class_is_given_one_once(world: World) -> None:
    await world.create("persistentvolumeclaims", claim())
    await world.patch("persistentvolumeclaims", "c", {"spec": {"storageClassName": "late"}})
    with pytest.raises(Invalid, match="spec is immutable after creation"):
        await world.patch("persistentvolumeclaims", "c", {"spec": {"storageClassName": "later"}})


async def test_a_bound_claim_shrinks_only_above_what_its_volume_has(world: World) -> None:
    await world.create("persistentvolumeclaims", claim("5Gi"))
    await bind(world, capacity={"storage": "2Gi"})
    await world.patch("persistentvolumeclaims", "c", {"spec": {"resources": {"requests": {"storage": "3Gi"}}}})
    with pytest.raises(Invalid, match=r"field can not be less than status\.capacity"):
        await world.patch("persistentvolumeclaims", "c", {"spec": {"resources": {"requests": {"storage": "2Gi"}}}})


@pytest.mark.parametrize(("wish", "word"), [(None, "nil"), ("", "empty string")])
async def test_attributes_that_a_volume_has_are_not_taken_from_its_claim(
    world: World, wish: str | None, word: str
) -> None:
    await world.create("persistentvolumeclaims", claim(volumeAttributesClassName="gold"))
    await bind(world, currentVolumeAttributesClassName="gold")
    with pytest.raises(Invalid, match=f"update to {word} is forbidden"):
        await world.patch("persistentvolumeclaims", "c", {"spec": {"volumeAttributesClassName": wish}})


async def test_resources_of_kubernetes_other_than_storage_are_not_allocated_to_claims(world: World) -> None:
    await world.create("persistentvolumeclaims", claim())
    with pytest.raises(Invalid) as refusal:
        await bind(
            world, allocatedResources={"cpu": "1", "kubernetes.io/x": "1", "example.com/x": "1", "storage": "1.5"}
        )
    assert [cause.field for cause in refusal.value.causes] == ["status.allocatedResources"] * 2
