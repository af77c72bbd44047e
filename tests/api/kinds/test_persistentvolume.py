"""PersistentVolumes: what of a volume is right, and what of it may change."""

from typing import Any

import pytest

from moorage.objects.errors import Invalid
from tests.api.world import World


def volume(annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    filled = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], **spec}
    return {"metadata": {"name": "v", "annotations": annotations or {}}, "spec": filled}


def on_node(key: str) -> dict[str, Any]:
    return {
        "required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": key, "operator": "In", "values": ["a"]}]}]}
    }


async def refused(world: World, body: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as refusal:
        await world.create("persistentvolumes", body)
    return [(cause.field, cause.message) for cause in refusal.value.causes]


async def test_secrets_of_a_driver_are_named_and_the_one_for_staging_is_not_looked_at(world: World) -> None:
    csi = {"driver": "d", "volumeHandle": "h", "nodePublishSecretRef": {"name": "A_b"}, "nodeStageSecretRef": {}}
    causes = await refused(world, volume(csi=csi))
    assert [field for field, _ in causes] == [
        "spec.csi.nodePublishSecretRef.name",
        "spec.csi.nodePublishSecretRef.namespace",
    ]


async def test_mount_options_are_refused_where_the_source_knows_none(world: World) -> None:
    options = {"volume.beta.kubernetes.io/mount-options": "ro"}
    causes = await refused(world, volume(options, hostPath={"path": "/d"}))
    assert causes == [
        (
            "metadata.annotations.volume.beta.kubernetes.io/mount-options",
            "Forbidden: may not specify mount options for this volume type",
        )
    ]
    await world.create("persistentvolumes", volume(options, nfs={"server": "s", "path": "/"}))
    assert any("deprecated since v1.31" in text for text in world.warnings)


@pytest.mark.parametrize(
    ("source", "field"),
    [
        ({"local": {"path": "/a/../b"}, "nodeAffinity": on_node("x")}, "spec.local.path"),
        ({"local": {"path": "/a"}}, "spec.nodeAffinity"),
        (
            {"hostPath": {"path": "/./"}, "persistentVolumeReclaimPolicy": "Recycle"},
            "spec.persistentVolumeReclaimPolicy",
        ),
        ({"storageos": {"volumeName": "v", "secretRef": {"name": "s"}}}, "spec.storageos.secretRef.namespace"),
        (
            {"glusterfs": {"endpoints": "e", "path": "p", "endpointsNamespace": "A"}},
            "spec.glusterfs.endpointsNamespace",
        ),
    ],
)
async def test_sources_have_rules_of_their_own(world: World, source: dict[str, Any], field: str) -> None:
    assert [each for each, _ in await refused(world, volume(**source))] == [field]


async def test_no_capacity_is_told_from_an_empty_one(world: World) -> None:
    assert 'Unsupported value: {}: supported values: "storage"' in str(
        await refused(world, volume(capacity={}, hostPath={"path": "/d"}))
    )
    assert 'Unsupported value: null: supported values: "storage"' in str(
        await refused(world, volume(capacity=None, hostPath={"path": "/d"}))
    )


async def test_a_label_of_an_affinity_may_become_what_it_is_called_now_and_nothing_else(world: World) -> None:
    local = {"local": {"path": "/d"}}
    await world.create("persistentvolumes", volume(**local, nodeAffinity=on_node("beta.kubernetes.io/arch")))
    with pytest.raises(Invalid, match="except for updating from beta label to GA"):
        await world.update("persistentvolumes", volume(**local, nodeAffinity=on_node("kubernetes.io/os")))
    await world.update("persistentvolumes", volume(**local, nodeAffinity=on_node("kubernetes.io/arch")))


async def test_the_class_of_attributes_does_not_go(world: World) -> None:
    csi = {"driver": "d", "volumeHandle": "h"}
    await world.create("persistentvolumes", volume(csi=csi, volumeAttributesClassName="gold"))
    with pytest.raises(Invalid, match="update from non-nil value to nil is forbidden"):
        await world.update("persistentvolumes", volume(csi=csi))
