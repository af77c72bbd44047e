"""Values held against schemas."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.api.custom_resources.formats import is_of_format
from moorage.api.custom_resources.invariants import invariant_causes
from moorage.api.custom_resources.values import value_causes

STRICT = {"type": "object", "properties": {"a": {"type": "string", "maxLength": 3}, "b": {"type": "string"}}}
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def said(schema: dict[str, Any], value: Any) -> list[str]:
    return [str(cause) for cause in value_causes(schema, value)]


@given(json)
def test_a_schema_that_says_nothing_allows_everything(value: Any) -> None:
    assert value_causes({}, value) == []


@given(json)
def test_what_has_not_changed_is_not_judged_again(value: Any) -> None:
    assert value_causes({"type": "boolean", "enum": [True]}, value, "", value) == []


def test_only_the_changed_field_is_judged() -> None:
    old = {"a": "too long", "b": "x"}
    assert value_causes(STRICT, {"a": "too long", "b": "y"}, "", old) == []
    assert [cause.field for cause in value_causes(STRICT, {"a": "longer", "b": "x"}, "", old)] == ["a"]


def test_items_of_keyed_lists_are_the_same_wherever_they_stand() -> None:
    item = {"type": "object", "properties": {"v": {"type": "integer", "maximum": 1}}}
    schema = {"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}
    old = [{"k": "a", "v": 5}]
    assert value_causes(schema, [{"k": "b", "v": 1}, {"k": "a", "v": 5}], "l", old) == []
    assert [cause.field for cause in value_causes(schema, [{"k": "b", "v": 5}], "l", old)] == ["l.[0].v"]


@pytest.mark.parametrize(
    ("schema", "value", "cause"),
    [
        ({"type": "string"}, 1, 'Invalid value: "integer":  in body must be of type string: "integer"'),
        ({"type": "integer", "maximum": 1000000}, 1000001, "in body should be less than or equal to 1000000"),
        ({"type": "array", "maxItems": 1}, [1, 2], "Too many: 2: must have at most 1 items"),
        ({"type": "object", "minProperties": 1}, {}, "should have at least 1 properties"),
        ({"type": "boolean", "enum": [True]}, False, "Unsupported value: false: supported values: "),
        ({"allOf": [{"minimum": 3}]}, 1, "must validate all the schemas (allOf). None validated"),
    ],
)
def test_what_is_wrong_is_told_as_upstream_tells_it(schema: dict[str, Any], value: Any, cause: str) -> None:
    assert cause in said(schema, value)[-1]


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        ("date-time", "2026-01-01T00:00:00.5+01:00", "2026-01-01T25:00:00Z"),
        ("uuid4", "0e984725-c51c-4bf4-9960-e1c80e27aba0", "0e984725-c51c-1bf4-9960-e1c80e27aba0"),
        ("email", "a@b.c", "a@"),
        ("isbn10", "3-598-21508-8", "3-598-21508-9"),
        ("creditcard", "4111111111111111", "4111111111111112"),
        ("ipv4", "1.2.3.4", "1.2.3"),
        ("hexcolor", "#fff", "#ff"),
        ("no-such-format", "x", ""),
    ],
)
def test_formats_tell_texts_apart(form: str, good: str, bad: str) -> None:
    assert is_of_format(good, form)
    assert not bad or not is_of_format(bad, form)


def test_sets_have_no_duplicates_and_embedded_objects_have_names_that_can_be() -> None:
    schema = {"properties": {"l": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "integer"}}}}
    assert [str(each) for each in invariant_causes(schema, {"l": [1, 2, 1]})] == ["l[2]: Duplicate value: 1"]
    embedding = {"properties": {"t": {"type": "object", "x-kubernetes-embedded-resource": True}}}
    wrong = {"t": {"apiVersion": "", "kind": "a_b", "metadata": {"name": "a/b"}}}
    fields = [each.field for each in invariant_causes(embedding, wrong)]
    assert fields == ["t.apiVersion", "t.kind", "t.metadata.name"]
