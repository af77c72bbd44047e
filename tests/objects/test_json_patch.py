"""JSON patches, in the words of RFC 6902 and with upstream's liberties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.objects.errors import BadRequest, Invalid, TooLarge
from moorage.objects.json_patch import OPERATIONS_MOST, json_patch, unknown_members

DOCUMENT = {"a": {"b": "1"}, "l": ["x", "y"], "s/t": {"~": 1}}


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        ({"op": "add", "path": "/a/c", "value": 1}, {**DOCUMENT, "a": {"b": "1", "c": 1}}),
        ({"op": "add", "path": "/l/1", "value": "z"}, {**DOCUMENT, "l": ["x", "z", "y"]}),
        ({"op": "add", "path": "/l/-", "value": "z"}, {**DOCUMENT, "l": ["x", "y", "z"]}),
        ({"op": "add", "path": "/l/-1", "value": "z"}, {**DOCUMENT, "l": ["x", "y", "z"]}),
        ({"op": "remove", "path": "/l/0"}, {**DOCUMENT, "l": ["y"]}),
        ({"op": "replace", "path": "/a/new", "value": 2}, {**DOCUMENT, "a": {"b": "1", "new": 2}}),
        ({"op": "replace", "path": "/s~1t/~0", "value": 2}, {**DOCUMENT, "s/t": {"~": 2}}),
        ({"op": "replace", "path": "", "value": {"z": 1}}, {"z": 1}),
        ({"op": "move", "from": "/a/b", "path": "/l/0"}, {**DOCUMENT, "a": {}, "l": ["1", "x", "y"]}),
        ({"op": "copy", "from": "/a", "path": "/c"}, {**DOCUMENT, "c": {"b": "1"}}),
        ({"op": "test", "path": "/a", "value": {"b": "1"}}, DOCUMENT),
        ({"op": "test", "path": "/gone", "value": None}, DOCUMENT),
    ],
)
def test_an_operation_makes_what_it_says_and_leaves_the_document_alone(operation, result):
    before = repr(DOCUMENT)
    assert json_patch(DOCUMENT, [operation]) == result
    assert repr(DOCUMENT) == before


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/gone"},
        {"op": "remove", "path": "/l/2"},
        {"op": "add", "path": "/gone/x", "value": 1},
        {"op": "add", "path": "/l/3", "value": 1},
        {"op": "add", "path": "/l/x", "value": 1},
        {"op": "replace", "path": "/l/2", "value": 1},
        {"op": "test", "path": "/a/b", "value": 1},
        {"op": "test", "path": "/s~1t/~0", "value": True},
        {"op": "move", "path": "/x"},
        {"op": "merge", "path": "/a"},
        {"path": "/a"},
        {"op": "add", "value": 1},
    ],
)
def test_an_operation_that_does_not_fit_is_refused_without_a_reason(operation):
    with pytest.raises(Invalid) as refusal:
        json_patch(DOCUMENT, [operation])
    assert refusal.value.message == "the server rejected our request due to an error in our request"


def test_what_is_no_list_of_operations_is_refused():
    with pytest.raises(BadRequest, match=r"cannot unmarshal object into Go value of type \[\]handlers.jsonPatchOp"):
        json_patch({}, {})
    with pytest.raises(BadRequest, match=r"cannot unmarshal number into Go value of type handlers.jsonPatchOp"):
        json_patch({}, [1])
    assert json_patch(DOCUMENT, None) is DOCUMENT


def test_there_is_an_end_to_operations_and_to_copies():
    with pytest.raises(TooLarge):
        json_patch({}, [{"op": "test", "path": "/a"}] * (OPERATIONS_MOST + 1))
    doubling = [{"op": "copy", "from": "/a", "path": "/a/-"}] * 30
    with pytest.raises(Invalid):
        json_patch({"a": ["x" * 100]}, doubling)


def test_unknown_members_are_named():
    assert unknown_members([{"op": "add", "comment": 1}]) == ['json patch unknown field "[0].comment"']


@given(st.lists(st.tuples(st.sampled_from(["/l/0", "/l/-", "/a/x", "/a/y"]), st.integers()), max_size=8))
def test_several_operations_do_what_they_do_one_after_the_other(steps):
    operations = [{"op": "add", "path": path, "value": [value]} for path, value in steps]
    expected = DOCUMENT
    for operation in operations:
        expected = json_patch(expected, [operation])
    assert json_patch(DOCUMENT, operations) == expected
