"""Tests of the scale subresource."""

import orjson
import pytest

from moorage.objects.errors import BadRequest, Conflict, Invalid

SCALE = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "w"}, "spec": {"replicas": 2}}
RESOURCE = "replicasets.apps"
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}


@pytest.fixture
async def scaled(world):
    spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}
    await world.create(RESOURCE, {"metadata": {"name": "w"}, "spec": spec}, fieldManager="u")
    return world


async def test_a_scale_is_the_size_of_its_object(scaled):
    assert (await scaled.update(f"{RESOURCE}/scale", SCALE))["spec"] == {"replicas": 2}
    assert (await scaled.patch(f"{RESOURCE}/scale", "w", {"spec": {"replicas": 3}}))["spec"] == {"replicas": 3}
    found = await scaled.get(RESOURCE, "w")
    assert (found["spec"]["replicas"], found["metadata"]["generation"]) == (3, 3)


async def test_who_scales_owns_the_size(scaled):
    await scaled.patch(f"{RESOURCE}/scale", "w", {"spec": {"replicas": 3}}, fieldManager="s")
    owners = {each["manager"]: each for each in (await scaled.get(RESOURCE, "w"))["metadata"]["managedFields"]}
    assert owners["s"]["fieldsV1"] == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in owners["u"]["fieldsV1"]["f:spec"]


async def test_a_size_that_others_own_is_applied_by_force_only(scaled):
    with pytest.raises(Conflict) as refusal:
        await scaled.patch(f"{RESOURCE}/scale", "w", SCALE, "apply", fieldManager="s")
    text = 'Apply failed with 1 conflict: conflict with "u" using autoscaling/v1: .spec.replicas'
    assert refusal.value.message == text
    forced = await scaled.patch(f"{RESOURCE}/scale", "w", SCALE, "apply", fieldManager="s", force="true")
    assert forced["spec"] == {"replicas": 2}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"apiVersion": "apps/v1", "kind": "ReplicaSet"}, "converting (v1.ReplicaSet) to (autoscaling.Scale)"),
        ({"apiVersion": "extensions/v1beta1"}, "the API version in the data (extensions/v1beta1) does not match"),
        ({"metadata": {"name": "other"}}, "the name of the object (other) does not match the name on the URL"),
        ({"spec": {"replicas": "2"}}, "cannot unmarshal string into Go struct field ScaleSpec.spec.replicas"),
        ({"spec": {"foo": 1}}, 'strict decoding error: unknown field "spec.foo"'),
    ],
)
async def test_other_bodies_are_refused(scaled, body, why):
    request = scaled.request("update", f"{RESOURCE}/scale", "w", None, {"fieldValidation": "Strict"})
    with pytest.raises(BadRequest) as refusal:
        await scaled.api.update(request, orjson.loads(orjson.dumps({**SCALE, **body})))
    assert why in refusal.value.message


async def test_a_size_is_not_negative_and_not_of_another_object(scaled):
    with pytest.raises(Invalid):
        await scaled.update(f"{RESOURCE}/scale", {**SCALE, "spec": {"replicas": -1}})
    with pytest.raises(Conflict) as refusal:
        await scaled.update(f"{RESOURCE}/scale", {**SCALE, "metadata": {"name": "w", "uid": "x"}})
    assert "Key: /registry/replicasets/ns/w" in refusal.value.message
