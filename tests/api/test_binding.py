"""Tests of giving pods to nodes."""

import pytest

from moorage.objects.errors import BadRequest, Conflict, NotFound, PlainError
from tests.api.world import pod

BINDING = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}


async def test_a_bound_pod_has_its_node_and_its_topology(world):
    await world.create("nodes", {"metadata": {"name": "n", "labels": {"topology.kubernetes.io/zone": "z"}}})
    await world.create("pods", pod())
    labelled = {**BINDING, "metadata": {"name": "p", "annotations": {"x": "y"}, "labels": {"c": "d"}}}
    assert (await world.create("pods/binding", labelled, "p"))["code"] == 201
    bound = await world.get("pods", "p")
    assert bound["spec"]["nodeName"] == "n"
    assert bound["metadata"]["labels"] == {"a": "b", "c": "d", "topology.kubernetes.io/zone": "z"}
    assert bound["metadata"]["annotations"] == {"x": "y"}
    assert bound["status"]["conditions"][0]["type"] == "PodScheduled"


async def test_the_old_way_binds_too(world):
    await world.create("pods", pod())
    await world.create("bindings", BINDING)
    assert (await world.get("pods", "p"))["spec"]["nodeName"] == "n"


async def test_a_pod_is_bound_once(world):
    await world.create("pods", pod())
    await world.create("pods/binding", BINDING, "p")
    with pytest.raises(Conflict) as refusal:
        await world.create("pods/binding", BINDING, "p")
    assert refusal.value.message.endswith('"p": pod p is already assigned to node "n"')


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ({"kind": "Pod", "name": "x"}, 'target.kind: Unsupported value: "Pod": supported values: "Node", "<empty>"'),
        ({}, "target.name: Required value"),
        ({"name": "A_"}, 'target.name: Invalid value: "A_": a lowercase RFC 1123 subdomain'),
    ],
)
async def test_the_target_is_a_node(world, target, why):
    await world.create("pods", pod())
    with pytest.raises(PlainError) as refusal:
        await world.create("pods/binding", {**BINDING, "target": target}, "p")
    assert refusal.value.message.startswith(why)


async def test_the_binding_names_its_pod(world):
    with pytest.raises(BadRequest) as refusal:
        await world.create("pods/binding", {**BINDING, "metadata": {"name": "q"}}, "p")
    assert refusal.value.message == "name in URL does not match name in Binding object"
    with pytest.raises(NotFound):
        await world.create("pods/binding", BINDING, "p")


async def test_the_binding_means_this_pod(world):
    await world.create("pods", pod())
    with pytest.raises(Conflict) as refusal:
        await world.create("pods/binding", {**BINDING, "metadata": {"name": "p", "uid": "x"}}, "p")
    assert "Key: /registry/pods/ns/p" in refusal.value.message
