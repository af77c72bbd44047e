from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.objects.decoding import decode_object
from moorage.objects.default_rules import pull_policy_for
from moorage.objects.defaults import apply_defaults, apply_on_create
from moorage.objects.kinds import group_versions, resources_in
from moorage.objects.schema import type_of
from tests.objects.go_objects import objects

KINDS = sorted(
    {(api_version, row.kind) for api_version in group_versions() for row in resources_in(api_version).values()}
)


def defaulted(api_version: str, kind: str, obj: dict[str, Any]) -> dict[str, Any]:
    type_ = type_of(api_version, kind)
    assert type_ is not None
    result = decode_object(type_, obj)
    assert result.error is None
    apply_defaults(api_version, kind, result.obj)
    return result.obj


def spec_of(kind: str, spec: dict[str, Any], api_version: str = "apps/v1") -> dict[str, Any]:
    filled: dict[str, Any] = defaulted(api_version, kind, {"spec": spec})["spec"]
    return filled


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_object_of_every_kind_takes_its_defaults(kind: tuple[str, str]) -> None:
    obj = defaulted(*kind, {})
    apply_on_create(*kind, obj)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_defaults_of_a_defaulted_object_change_nothing(data: Any) -> None:
    api_version, kind = data.draw(st.sampled_from(KINDS))
    type_ = type_of(api_version, kind)
    assert type_ is not None
    decoded = decode_object(type_, data.draw(objects(type_.name)))
    if decoded.error:
        return
    obj = decoded.obj
    apply_defaults(api_version, kind, obj)
    again = defaulted(api_version, kind, orjson.loads(orjson.dumps(obj)))
    assert again == obj


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.25", "IfNotPresent"),
        ("registry:5000/nginx", "Always"),
        ("registry:5000/nginx:1.25", "IfNotPresent"),
        (f"nginx@sha256:{'0' * 64}", "IfNotPresent"),
        (f"nginx:latest@sha256:{'0' * 64}", "Always"),
        ("Registry.example:5000/a/b_c/d__e-f.g", "Always"),
        ("Not An Image!", "IfNotPresent"),
        ("nginx@sha256:0123", "IfNotPresent"),
        ("a" * 2000, "IfNotPresent"),
    ],
)
def test_images_that_may_move_are_always_pulled(image: str, policy: str) -> None:
    assert pull_policy_for(image) == policy


def test_a_container_gets_what_kubernetes_gives_it() -> None:
    container = {
        "name": "c",
        "image": "nginx",
        "livenessProbe": {"httpGet": {"port": 80}},
        "ports": [{"containerPort": 80}],
    }
    spec = spec_of("Pod", {"containers": [container]}, "v1")
    assert spec["containers"][0] == {
        "name": "c",
        "image": "nginx",
        "ports": [{"containerPort": 80, "protocol": "TCP"}],
        "resources": {},
        "livenessProbe": {
            "httpGet": {"path": "/", "port": 80, "scheme": "HTTP"},
            "timeoutSeconds": 1,
            "periodSeconds": 10,
            "successThreshold": 1,
            "failureThreshold": 3,
        },
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "Always",
    }


def test_pods_request_what_they_limit_but_templates_do_not() -> None:
    def containers() -> list[Any]:
        return [{"name": "c", "resources": {"limits": {"cpu": "1"}}}]

    pod = spec_of("Pod", {"containers": containers()}, "v1")
    assert pod["containers"][0]["resources"]["requests"] == {"cpu": "1"}
    template = spec_of("Deployment", {"template": {"spec": {"containers": containers()}}})["template"]["spec"]
    assert "requests" not in template["containers"][0]["resources"]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ({}, {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, "maxUnavailable": 1}}),
        ({"type": "RollingUpdate"}, {"type": "RollingUpdate"}),
        (
            {"rollingUpdate": {"partition": 2}},
            {"type": "RollingUpdate", "rollingUpdate": {"partition": 2, "maxUnavailable": 1}},
        ),
        ({"type": "OnDelete"}, {"type": "OnDelete"}),
    ],
)
def test_a_stateful_set_fills_its_strategy_unless_only_the_type_was_named(strategy: Any, expected: Any) -> None:
    assert spec_of("StatefulSet", {"updateStrategy": strategy})["updateStrategy"] == expected


def test_a_job_completes_once_unless_something_else_was_asked() -> None:
    job = {"template": {}}
    assert spec_of("Job", dict(job), "batch/v1")["completions"] == 1
    assert "completions" not in spec_of("Job", {**job, "parallelism": 2}, "batch/v1")


def test_what_the_client_said_stays() -> None:
    spec = spec_of("Deployment", {"replicas": 0, "revisionHistoryLimit": 0, "strategy": {"type": "Recreate"}})
    assert (spec["replicas"], spec["revisionHistoryLimit"], spec["strategy"]) == (0, 0, {"type": "Recreate"})


def test_values_of_defaults_are_never_shared() -> None:
    first = defaulted("v1", "Pod", {})
    first["spec"]["securityContext"]["runAsUser"] = 1
    assert defaulted("v1", "Pod", {})["spec"]["securityContext"] == {}


def test_a_new_object_has_a_generation_and_an_empty_status() -> None:
    obj = defaulted("apps/v1", "StatefulSet", {"spec": {"volumeClaimTemplates": [{}]}, "status": {"replicas": 3}})
    apply_on_create("apps/v1", "StatefulSet", obj)
    assert obj["metadata"]["generation"] == 1
    assert obj["status"] == {"replicas": 0, "availableReplicas": 0}
    assert obj["spec"]["volumeClaimTemplates"][0]["kind"] == "PersistentVolumeClaim"
