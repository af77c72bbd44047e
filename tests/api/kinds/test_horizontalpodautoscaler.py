"""Tests of the rules of autoscalers."""

import pytest

from moorage.objects.errors import Invalid
from tests.api.world import World

RESOURCE = "horizontalpodautoscalers.autoscaling"
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}


def autoscaler(**spec):
    return {"metadata": {"name": "a"}, "spec": {"scaleTargetRef": TARGET, "maxReplicas": 3, **spec}}


async def test_no_policies_are_not_the_same_as_an_empty_list_of_them(world: World):
    with pytest.raises(Invalid) as refusal:
        await world.create(RESOURCE, autoscaler(behavior={"scaleUp": {"policies": []}}))
    assert [str(cause) for cause in refusal.value.causes] == [
        "spec.behavior.scaleUp.policies: Required value: must specify at least one Policy"
    ]
    made = await world.create(RESOURCE, autoscaler(behavior={"scaleUp": {}}))
    assert len(made["spec"]["behavior"]["scaleUp"]["policies"]) == 2


async def test_the_object_that_is_measured_may_be_of_the_core_group(world: World):
    source = {"describedObject": {}, "metric": {"name": "m"}, "target": {"type": "Value", "value": "1"}}
    with pytest.raises(Invalid) as refusal:
        await world.create(RESOURCE, autoscaler(metrics=[{"type": "Object", "object": source}]))
    fields = [cause.field.rpartition(".")[2] for cause in refusal.value.causes]
    assert fields == ["kind", "name"]


POSITIVE = {"type": "Value", "value": "1"}


@pytest.mark.parametrize(
    ("metric", "fields"),
    [
        (
            {"type": "Resource", "pods": {"metric": {"name": "m"}, "target": POSITIVE}},
            ["pods.target.averageValue", "resource"],
        ),
        (
            {"type": "Object", "resource": {}, "external": {"metric": {"name": "a/b"}, "target": POSITIVE}},
            ["external.metric.name", "object", "external", "resource"],
        ),
        (
            {"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "A", "target": POSITIVE}},
            ["containerResource.container", "containerResource.target.averageUtilization"],
        ),
        (
            {
                "type": "Pods",
                "pods": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "0Gi"}},
            },
            ["pods.target.averageValue"],
        ),
    ],
)
async def test_the_first_source_is_judged_and_others_are_too_many(world: World, metric, fields):
    with pytest.raises(Invalid) as refusal:
        await world.create(RESOURCE, autoscaler(metrics=[metric]))
    assert [cause.field.removeprefix("spec.metrics[0].") for cause in refusal.value.causes] == fields
