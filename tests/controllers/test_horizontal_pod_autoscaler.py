"""An autoscaler without metrics keeps its target within its bounds, and says what it misses."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from moorage.controllers.horizontal_pod_autoscaler import CONTROLLER, RESOURCE, trouble_with
from moorage.objects.metadata import Ref
from tests.controllers.world import World

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCALER = Ref(RESOURCE, "default", "h")
DEPLOYMENTS = "deployments.apps"
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}


def scene(replicas: int | None, kind: str = "Deployment", **spec: Any) -> World:
    """Return a world with an autoscaler, and its target unless `replicas` is None."""
    world = World(NOW)
    target = {"apiVersion": "apps/v1", "kind": kind, "name": "web"}
    metadata = {"name": "h", "namespace": "default"}
    whole = {"scaleTargetRef": target, "maxReplicas": 3, "metrics": [CPU], **spec}
    world.create(RESOURCE, {"metadata": metadata, "spec": whole})
    if replicas is not None:
        made = {"metadata": {"name": "web", "namespace": "default"}, "spec": {"replicas": replicas}}
        world.create(DEPLOYMENTS, made)
    return world


def run(world: World) -> dict[str, Any]:
    assert world.run(CONTROLLER, SCALER).look_again_in == 15
    return dict((world.get(RESOURCE, "default", "h") or {})["status"])


def reasons(status: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(each["type"], each["status"], each["reason"]) for each in status["conditions"]]


def test_a_missing_target_is_told() -> None:
    world = scene(None)
    status = run(world)
    text = 'the HPA controller was unable to get the target\'s current scale: deployments.apps "web" not found'
    assert reasons(status) == [("AbleToScale", "False", "FailedGetScale")]
    assert status["conditions"][0]["message"] == text
    assert (status["desiredReplicas"], status["currentMetrics"]) == (0, None)
    assert world.events == ['deployments.apps "web" not found']


@pytest.mark.parametrize(("before", "after", "least"), [(1, 2, 2), (5, 3, 1)])
def test_a_target_out_of_bounds_is_scaled(before: int, after: int, least: int) -> None:
    world = scene(before, minReplicas=least)
    status = run(world)
    assert (world.get(DEPLOYMENTS, "default", "web") or {})["spec"]["replicas"] == after
    assert reasons(status) == [("AbleToScale", "True", "SucceededRescale")]
    assert (status["currentReplicas"], status["desiredReplicas"]) == (before, after)
    assert world.events[0].startswith(f"New size: {after}; reason: Current number of replicas ")
    assert world.run(CONTROLLER, SCALER).look_again_in == 15
    world.now += timedelta(seconds=15)
    assert reasons(run(world))[1] == ("ScalingActive", "False", "FailedGetResourceMetric")


def test_a_target_within_its_bounds_stays_because_there_are_no_metrics() -> None:
    world = scene(1)
    status = run(world)
    assert reasons(status) == [
        ("AbleToScale", "True", "SucceededGetScale"),
        ("ScalingActive", "False", "FailedGetResourceMetric"),
    ]
    assert (status["currentReplicas"], status["currentMetrics"]) == (1, [{"type": ""}])
    assert world.events[1].startswith(
        "invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource"
    )
    before = world.revision
    run(world)
    assert world.revision == before


def test_a_target_of_size_zero_is_not_scaled() -> None:
    assert reasons(run(scene(0)))[1] == ("ScalingActive", "False", "ScalingDisabled")


def test_every_kind_of_metric_has_its_own_words() -> None:
    scaler = {"metadata": {"namespace": "default"}}
    metric = {"metric": {"name": "m"}, "describedObject": {"kind": "Service", "name": "s"}}
    found = [
        trouble_with(scaler, {"type": kind, field: metric})
        for kind, field in (("Pods", "pods"), ("Object", "object"), ("External", "external"))
    ]
    assert [each.reason for each in found] == [
        "FailedGetPodsMetric",
        "FailedGetObjectMetric",
        "FailedGetExternalMetric",
    ]
    assert found[1].message.startswith("unable to get metric m: Service on default s/unable to fetch metrics")
