"""Which requests webhooks and policies are about."""

from typing import Any

import pytest

from moorage.api.kinds.webhooks.rules import validate_conditions, validate_rule

RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}


def said(**more: Any) -> list[str]:
    return [f"{cause.field}: {cause.message}" for cause in validate_rule("r", {**RULE, **more})]


@pytest.mark.parametrize("resources", [["pods"], ["*"], ["*/*"], ["pods", "pods/*"], ["*", "pods/log"], ["*/scale"]])
def test_resources_that_do_not_overlap_are_fine(resources: list[str]) -> None:
    assert said(resources=resources) == []


@pytest.mark.parametrize(
    ("resources", "problem"),
    [
        (["*/*", "pods"], 'r.resources: Invalid value: ["*/*","pods"]: if \'*/*\' is present, must not specify other'),
        (
            ["pods/*", "pods/log"],
            "r.resources[1]: Invalid value: \"pods/log\": if 'pods/*' is present, must not specify",
        ),
        (["*/log", "pods/log"], "r.resources[1]: Invalid value: \"pods/log\": if '*/log' is present, must not specify"),
    ],
)
def test_resources_within_others_are_refused(resources: list[str], problem: str) -> None:
    found = said(resources=resources)
    assert len(found) == 1
    assert found[0].startswith(problem)


def test_a_rule_needs_all_of_its_lists() -> None:
    assert said(operations=[], apiGroups=[], apiVersions=[], resources=[]) == [
        f"r.{field}: Required value" for field in ("operations", "apiGroups", "apiVersions", "resources")
    ]


def test_conditions_have_names_of_their_own() -> None:
    conditions = [{"name": "a", "expression": "true"}, {"name": "a", "expression": " "}]
    assert [cause.field for cause in validate_conditions("c", conditions)] == ["c[1].expression", "c[1].name"]
