"""Validating policies are held against the types of what they match, once for each generation."""

from datetime import UTC, datetime
from typing import Any

import pytest

from moorage.controllers.admission_policies import Observed, decide, observe
from moorage.objects.actions import SetStatus
from moorage.objects.metadata import Ref

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DEFINITION = {
    "spec": {
        "group": "example.com",
        "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [
            {
                "name": "v1",
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}},
                    }
                },
            }
        ],
    }
}


def policy(
    expression: str, group: str = "", resources: tuple[str, ...] = ("configmaps",), **spec: Any
) -> dict[str, Any]:
    rule = {"apiGroups": [group], "apiVersions": ["v1"], "operations": ["*"], "resources": list(resources)}
    validations = [{"expression": expression}]
    spec = {"matchConstraints": {"resourceRules": [rule]}, "validations": validations, **spec}
    return {"metadata": {"name": "p", "generation": 2}, "spec": spec, "status": {"observedGeneration": 1}}


def status_of(obj: dict[str, Any]) -> dict[str, Any]:
    (action,) = decide(Observed(obj, [DEFINITION]), NOW).actions
    assert isinstance(action, SetStatus)
    return dict(action.obj["status"])


def warning_of(obj: dict[str, Any]) -> str:
    checked = status_of(obj)["typeChecking"]
    return str(checked["expressionWarnings"][0]["warning"]) if checked else ""


def test_what_does_not_fit_is_told_with_the_kind() -> None:
    obj = policy("object.data.foo.bar == 1")
    assert status_of(obj) == {
        "observedGeneration": 2,
        "typeChecking": {
            "expressionWarnings": [
                {
                    "fieldRef": "spec.validations[0].expression",
                    "warning": "/v1, Kind=ConfigMap: ERROR: <input>:1:16: type 'string' does not support field selection\n"
                    " | object.data.foo.bar == 1\n | ...............^\n",
                }
            ]
        },
    }


@pytest.mark.parametrize(
    ("obj", "fault"),
    [
        (policy("object.data.foo == '1'"), ""),
        (policy("object.metadata.namespace == '' && object.metadata.creationTimestamp < timestamp(0)"), ""),
        (policy("object.spec.replicas > '1'", "apps", ("deployments",)), "no matching overload for '_>_'"),
        (policy("object.spec.size > 1", "example.com", ("widgets",)), ""),
        (policy("object.spec.color == 1", "example.com", ("widgets",)), "undefined field 'color'"),
        (policy("object.spec.color == 1", "*", ("widgets",)), ""),
        (policy("object.spec.nope == 1", "", ("pods/status", "unknowns")), ""),
        (policy("params.data.a == 1", paramKind={"apiVersion": "v1", "kind": "ConfigMap"}), "'(string, int)'"),
        (policy("variables.n == 'a'", variables=[{"name": "n", "expression": "size(object.data)"}]), "'(int, string)'"),
    ],
)
def test_an_expression_is_held_against_what_the_rules_name(obj: dict[str, Any], fault: str) -> None:
    found = warning_of(obj)
    assert fault in found if fault else not found


def test_two_kinds_are_told_apart() -> None:
    found = warning_of(policy("object.data == 1", "", ("secrets", "pods")))
    assert found.index("/v1, Kind=Pod: ERROR") < found.index("\n\n/v1, Kind=Secret: ERROR")


def test_a_policy_is_checked_once_for_each_generation() -> None:
    obj = policy("true")

    class View:
        def get(self, *_: object) -> dict[str, Any]:
            return obj

        def list(self, *_: object) -> list[Any]:
            return []

    ref = Ref("validatingadmissionpolicies.admissionregistration.k8s.io", "", "p")
    assert observe(View(), ref) is not None  # type: ignore[arg-type]
    obj["status"]["observedGeneration"] = 2
    assert observe(View(), ref) is None  # type: ignore[arg-type]
