"""Nodes: both forms of the pod network, annotations of alpha."""

import pytest

from moorage.objects.errors import Invalid
from tests.api.world import World


async def test_the_single_network_counts_where_both_forms_differ(world: World) -> None:
    made = await world.create("nodes", {"metadata": {"name": "n"}, "spec": {"podCIDRs": ["10.1.0.0/24"]}})
    assert made["spec"]["podCIDR"] == "10.1.0.0/24"
    with pytest.raises(Invalid, match="node updates may not change podCIDR"):
        await world.patch("nodes", "n", {"spec": {"podCIDR": "10.2.0.0/24"}})


@pytest.mark.parametrize(
    ("key", "text", "field"),
    [
        ("preferAvoidPods", "x", "metadata.annotations.AvoidPods"),
        (
            "preferAvoidPods",
            '{"preferAvoidPods": [{}]}',
            "metadata.annotations.scheduler.alpha.kubernetes.io/preferAvoidPods[0].PodSignature",
        ),
        ("taints", "x", "metadata.annotations"),
        ("taints", '[{"key": "a"}]', "metadata.annotations.scheduler.alpha.kubernetes.io/taints[0].effect"),
    ],
)
async def test_annotations_of_alpha_are_judged(world: World, key: str, text: str, field: str) -> None:
    annotations = {f"scheduler.alpha.kubernetes.io/{key}": text}
    with pytest.raises(Invalid) as refusal:
        await world.create("nodes", {"metadata": {"name": "n", "annotations": annotations}})
    assert [cause.field for cause in refusal.value.causes] == [field]


async def test_a_providers_id_is_neither_modified_nor_cleared(world: World) -> None:
    await world.create("nodes", {"metadata": {"name": "n"}, "spec": {"providerID": "p"}})
    for wish, word in (("q", "modified"), (None, "cleared")):
        with pytest.raises(Invalid, match=f"field cannot be {word} once set"):
            await world.patch("nodes", "n", {"spec": {"providerID": wish}})
