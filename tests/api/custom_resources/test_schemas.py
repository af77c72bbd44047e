"""Schemas of custom resources: lists, maps, patterns, rules."""

from typing import Any

import pytest

from moorage.api.kinds.definitions.schemas import pattern_problem, validate_schema


def said(schema: dict[str, Any]) -> list[tuple[str, str]]:
    return [(cause.field, cause.message) for cause in validate_schema("s", schema)]


def a_list(**more: Any) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "object", "properties": {"k": {"type": "string"}}}, **more}


def test_keys_of_a_list_must_be_there_in_every_item() -> None:
    schema = a_list(**{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]})
    assert [field for field, _ in said(schema)] == ["s.items.properties[k].default"]
    schema["items"] = {**schema["items"], "required": ["k"]}
    assert said(schema) == []


def test_keys_must_be_names_of_fields() -> None:
    schema = a_list(**{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["z"]})
    assert said(schema) == [
        ("s.x-kubernetes-list-map-keys", 'Invalid value: ["z"]: entries must all be names of item properties')
    ]


def test_items_of_a_set_are_compared_whole() -> None:
    assert [field for field, _ in said(a_list(**{"x-kubernetes-list-type": "set"}))] == [
        "s.items.x-kubernetes-map-type"
    ]
    assert said({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}) == []


def test_schemas_are_judged_wherever_they_are() -> None:
    deep = {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "int"}}}
    assert [field for field, _ in said({"type": "object", "properties": {"a": deep}})] == [
        "s.properties[a].additionalProperties.items.type"
    ]


@pytest.mark.parametrize("pattern", ["^a$", r"\p{L}+", "[[:alpha:]]", r"a\z", "(?P<n>x)"])
def test_patterns_of_go_are_taken(pattern: str) -> None:
    assert pattern_problem(pattern) == ""


def test_a_broken_pattern_is_told_as_go_tells_it() -> None:
    assert pattern_problem("[") == "error parsing regexp: missing closing ]: `[`"
    assert pattern_problem("*") == "error parsing regexp: missing argument to repetition operator: `*`"


def test_a_rule_may_point_to_fields_that_are_declared() -> None:
    rule = {"rule": "true", "fieldPath": ".a['b']"}
    inner = {"type": "object", "properties": {"b": {"type": "string"}}}
    schema = {"type": "object", "properties": {"a": inner}, "x-kubernetes-validations": [rule]}
    assert said(schema) == []
    schema["x-kubernetes-validations"] = [{**rule, "fieldPath": ".z"}]
    assert [message for _, message in said(schema)] == ['Invalid value: ".z": must be a valid path']
