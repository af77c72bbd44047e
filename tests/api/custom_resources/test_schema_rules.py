"""Keywords in schemas of custom resources: lists, maps, patterns, rules."""

from typing import Any

import pytest

from moorage.api.custom_resources.schema_rules import schema_causes
from moorage.objects.patterns import BadPattern, compiled


def said(schema: dict[str, Any]) -> list[tuple[str, str]]:
    root = {"type": "object", "properties": {"a": schema}}
    causes = schema_causes(root, "s", has_status=False)
    return [(cause.field.removeprefix("s.properties"), cause.message) for cause in causes]


def a_list(**more: Any) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "object", "properties": {"k": {"type": "string"}}}, **more}


def test_keys_of_a_list_must_be_there_in_every_item() -> None:
    schema = a_list(**{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]})
    assert [field for field, _ in said(schema)] == ["[a].items.properties[k].default"]
    schema["items"] = {**schema["items"], "required": ["k"]}
    assert said(schema) == []


def test_keys_must_be_names_of_fields() -> None:
    schema = a_list(**{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["z"]})
    assert said(schema) == [
        ("[a].x-kubernetes-list-map-keys", 'Invalid value: ["z"]: entries must all be names of item properties')
    ]


def test_items_of_a_set_are_compared_whole() -> None:
    assert [field for field, _ in said(a_list(**{"x-kubernetes-list-type": "set"}))] == [
        "[a].items.x-kubernetes-map-type"
    ]
    assert said({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}) == []


def test_schemas_are_judged_wherever_they_are() -> None:
    deep = {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "int"}}}
    assert [field for field, _ in said({"type": "object", "properties": {"a": deep}})] == [
        "[a].properties[a].additionalProperties.items.type"
    ]


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("^a$", "a", True),
        ("^a$", "a\n", False),
        ("[[:alpha:]]+", "x", True),
        (r"a\z", "a", True),
        ("(?P<n>x)", "x", True),
        (r"[$]$", "a$", True),
        ("^((?i)mon|tues)day$", "TUESday", True),
        ("^((?i)mon|tues)day$", "monDAY", False),
        ("^(?i)(abort|warn)?$", "WARN", True),
        ("a|(?i)b|c", "C", True),
        ("(?m)^a$", "b\na", True),
        (r"^\p{L}+$", "\u00e9a", True),
        (r"^[\pL_]+$", "\u00e9_", True),
        (r"^\Qa.b\E$", "a.b", True),
        ("^[[]$", "[", True),
        ("(?<n>x){2,3}?", "xx", True),
        (r"^\d$", "\u0661", False),
    ],
)
def test_patterns_of_go_are_taken(pattern: str, text: str, matches: bool) -> None:
    assert (compiled(pattern).search(text) is not None) is matches


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("[", "missing closing ]: `[`"),
        ("*", "missing argument to repetition operator: `*`"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a++", "invalid nested repetition operator: `++`"),
        ("(a", "missing closing ): `(a`"),
    ],
)
def test_a_broken_pattern_is_told_as_go_tells_it(pattern: str, fault: str) -> None:
    with pytest.raises(BadPattern) as error:
        compiled(pattern)
    assert str(error.value) == f"error parsing regexp: {fault}"


def test_a_rule_may_point_to_fields_that_are_declared() -> None:
    rule = {"rule": "true", "fieldPath": ".a['b']"}
    inner = {"type": "object", "properties": {"b": {"type": "string"}}}
    schema = {"type": "object", "properties": {"a": inner}, "x-kubernetes-validations": [rule]}
    assert said(schema) == []
    schema["x-kubernetes-validations"] = [{**rule, "fieldPath": ".z"}]
    assert [message for _, message in said(schema)] == ['Invalid value: ".z": must be a valid path']


def test_a_rule_in_lists_without_end_counts_as_often_as_it_fits_into_a_request() -> None:
    inner = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "x-kubernetes-validations": [{"rule": "self.n > 0"}],
    }
    lists: dict[str, Any] = {"type": "array", "items": {"type": "array", "items": inner}}
    assert said(lists) == []
    inner["x-kubernetes-validations"] = [{"rule": "['a', 'b'].all(x, ['c', 'd'].all(y, x != y))"}]
    assert "estimated rule cost exceeds budget by factor of" in said(lists)[0][1]
