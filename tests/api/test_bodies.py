"""Tests of request bodies against the types of endpoints."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from moorage.api.bodies import Unreadable, expected_of, read_body
from moorage.api.request import SYSTEM, Request
from moorage.objects.errors import BadRequest
from moorage.objects.kinds import builtin

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def read(resource_id: str, body: Any, **query: str) -> tuple[dict[str, Any], list[str]]:
    resource = builtin(resource_id)
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    request = Request(SYSTEM, "create", resource, "ns", "", NOW, query=query, raw=raw)
    return read_body(expected_of(resource, ""), request, orjson.loads(raw), raw), request.warnings


def test_oddities_are_told_in_the_order_of_the_text():
    text = b'{"metadata":{"name":"a","name":"b"},"x":1,"data":{"k":"1","k":"2"}}'
    obj, warnings = read("configmaps", text)
    assert obj["metadata"]["name"] == "b"
    assert warnings == ['duplicate field "metadata.name"', 'unknown field "x"', 'duplicate field "data.k"']
    with pytest.raises(Unreadable) as refusal:
        read("configmaps", text, fieldValidation="Strict")
    assert refusal.value.why == f"strict decoding error: {', '.join(warnings)}"
    assert read("configmaps", text, fieldValidation="Ignore")[1] == []


def test_numbers_are_shown_as_they_were_written():
    with pytest.raises(Unreadable) as refusal:
        read("deployments.apps", b'{"spec":{"replicas":1e0}}')
    assert "number 1e0 into Go struct field DeploymentSpec.spec.replicas of type int32" in refusal.value.why


@pytest.mark.parametrize(
    ("resource", "api_version", "kind", "why"),
    [
        ("configmaps", "v1", "Status", "converting (v1.Status) to (core.ConfigMap): unknown conversion"),
        ("replicasets.apps", "v1", "ConfigMap", "converting (v1.ConfigMap) to (apps.ReplicaSet): unknown conversion"),
        ("roles.rbac.authorization.k8s.io", "v1", "Pod", "converting (v1.Pod) to (rbac.Role): unknown conversion"),
        (
            "configmaps",
            "v1",
            "Nothing",
            'no kind "Nothing" is registered for version "v1" in scheme "pkg/runtime/scheme.go:111"',
        ),
    ],
)
def test_a_body_of_another_kind_is_refused(resource, api_version, kind, why):
    with pytest.raises(Unreadable) as refusal:
        read(resource, {"apiVersion": api_version, "kind": kind})
    assert refusal.value.why == why


def test_a_body_of_another_kind_is_first_read_as_what_it_says_it_is():
    with pytest.raises(Unreadable) as refusal:
        read("replicasets.apps", {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": {}}})
    assert refusal.value.why.startswith("json: cannot unmarshal object into Go struct field ConfigMap.data")


@pytest.mark.parametrize(
    ("resource", "api_version"),
    [("deployments.apps", "apps/v1beta1"), ("horizontalpodautoscalers.autoscaling", "autoscaling/v1")],
)
def test_a_body_of_another_version_is_refused(resource, api_version):
    with pytest.raises(BadRequest) as refusal:
        read(resource, {"apiVersion": api_version, "kind": builtin(resource).kind})
    assert refusal.value.message.startswith(f"the API version in the data ({api_version}) does not match")


def test_deeply_nested_text_is_no_obstacle():
    obj, warnings = read("configmaps", b'{"metadata":{"name":"a"},"x":' + b"[" * 400 + b"]" * 400 + b"}")
    assert (obj["metadata"]["name"], warnings) == ("a", ['unknown field "x"'])


def test_subresources_take_kinds_of_their_own():
    pods, deployments = builtin("pods"), builtin("deployments.apps")
    assert expected_of(pods, "eviction")[:2] == ("policy/v1", "Eviction")
    assert expected_of(pods, "binding")[:2] == ("v1", "Binding")
    assert expected_of(deployments, "scale")[:2] == ("autoscaling/v1", "Scale")
