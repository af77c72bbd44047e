"""Merge patches, in the words of RFC 7386."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.objects.errors import BadRequest
from moorage.objects.merge_patch import merge_patch

scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
)
objects = st.dictionaries(st.sampled_from("abc"), values, max_size=3)


@pytest.mark.parametrize(
    ("current", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_the_examples_of_the_rfc_hold(current, patch, result):
    assert merge_patch(current, patch) == result


@given(objects, objects)
def test_a_patch_changes_neither_of_its_arguments_and_is_done_after_one_time(current, patch):
    before = repr((current, patch))
    once = merge_patch(current, patch)
    assert repr((current, patch)) == before
    assert merge_patch(once, patch) == once


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        (None, "Invalid JSON Patch"),
        ([], "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"),
        (1, "error decoding patch: json: cannot unmarshal number into Go value of type map[string]interface {}"),
    ],
)
def test_a_patch_must_be_an_object(patch, message):
    with pytest.raises(BadRequest) as refusal:
        merge_patch({}, patch)
    assert refusal.value.message == message
