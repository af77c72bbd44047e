"""Tests of autoscalers between their versions."""

from typing import Any

import orjson
import pytest

from moorage.api.autoscaler_versions import BEHAVIOR, CURRENT, METRICS, as_v1, as_v2

CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}
RULES = {"stabilizationWindowSeconds": 60, "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}]}


def autoscaler(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "a"}, "spec": spec, "status": {"desiredReplicas": 0, "currentReplicas": 0}}


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (
            {
                "type": "Pods",
                "pods": {"metric": {"name": "p"}, "target": {"type": "AverageValue", "averageValue": "5"}},
            },
            {"type": "Pods", "pods": {"metricName": "p", "targetAverageValue": "5"}},
        ),
        (
            {
                "type": "Object",
                "object": {
                    "describedObject": {"kind": "Service", "name": "s", "apiVersion": "v1"},
                    "metric": {"name": "m", "selector": {"matchLabels": {"a": "b"}}},
                    "target": {"type": "Value", "value": "10k"},
                },
            },
            {
                "type": "Object",
                "object": {
                    "target": {"kind": "Service", "name": "s", "apiVersion": "v1"},
                    "metricName": "m",
                    "targetValue": "10k",
                    "selector": {"matchLabels": {"a": "b"}},
                },
            },
        ),
        (
            {"type": "External", "external": {"metric": {"name": "q"}, "target": {"type": "Value", "value": "30"}}},
            {"type": "External", "external": {"metricName": "q", "targetValue": "30"}},
        ),
        (
            {
                "type": "ContainerResource",
                "containerResource": {
                    "name": "cpu",
                    "container": "c",
                    "target": {"type": "Utilization", "averageUtilization": 5},
                },
            },
            {
                "type": "ContainerResource",
                "containerResource": {"name": "cpu", "targetAverageUtilization": 5, "container": "c"},
            },
        ),
    ],
)
def test_metrics_that_version_1_does_not_know_go_along_in_its_own_form(new, old):
    stored = {**autoscaler(metrics=[CPU, new]), "apiVersion": "autoscaling/v2"}
    shown = as_v1(stored)
    assert shown["spec"] == {"targetCPUUtilizationPercentage": 70}
    text = shown["metadata"]["annotations"][METRICS]
    assert orjson.loads(text) == [old]
    assert list(orjson.loads(text)[0]) == list(old)
    assert as_v2(shown) == stored


def test_the_behavior_goes_along_under_its_go_names():
    stored = {**autoscaler(behavior={"scaleUp": RULES}), "apiVersion": "autoscaling/v2"}
    shown = as_v1(stored)
    assert shown["metadata"]["annotations"][BEHAVIOR] == (
        '{"ScaleUp":{"StabilizationWindowSeconds":60,"SelectPolicy":null,"Policies":[{"Type":"Pods","Value":4,'
        '"PeriodSeconds":15}],"Tolerance":null},"ScaleDown":null}'
    )
    assert as_v2(shown) == stored


def test_measurements_go_along_too():
    load = {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 9, "averageValue": "1"}}}
    stored = {**autoscaler(), "apiVersion": "autoscaling/v2"}
    stored["status"] = {**stored["status"], "currentMetrics": [load]}
    shown = as_v1(stored)
    assert shown["status"]["currentCPUUtilizationPercentage"] == 9
    assert CURRENT in shown["metadata"]["annotations"]
    assert as_v2(shown) == stored


def test_annotations_that_cannot_be_read_do_not_count():
    broken = {METRICS: "{", BEHAVIOR: "[]", "mine": "stays"}
    obj = {**autoscaler(), "apiVersion": "autoscaling/v1", "metadata": {"name": "a", "annotations": broken}}
    assert as_v2(obj)["metadata"] == {"name": "a", "annotations": {"mine": "stays"}}
    assert as_v2(obj)["spec"] == {}
