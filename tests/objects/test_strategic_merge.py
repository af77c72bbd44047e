"""Strategic merge patches: merge keys, directives, order, and what is said about wrong ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.objects.errors import BadRequest, PlainError
from moorage.objects.schema import type_of
from moorage.objects.strategic_merge import strategic_merge

POD = type_of("v1", "Pod")
CONFIG = type_of("v1", "ConfigMap")


def pod(*containers, **spec):
    return {"spec": {"containers": list(containers), **spec}}


A, B = {"name": "a", "image": "x:1", "args": ["1"]}, {"name": "b", "image": "x:2"}


@pytest.mark.parametrize(
    ("patch", "containers"),
    [
        ({"containers": [{"name": "a", "image": "x:9"}]}, [{**A, "image": "x:9"}, B]),
        ({"containers": [{"name": "n"}]}, [{"name": "n"}, A, B]),
        ({"containers": [{"name": "b", "$patch": "delete"}]}, [A]),
        ({"containers": [{"$patch": "replace"}, {"name": "n"}]}, [{"name": "n"}]),
        ({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}, [B, A]),
        (
            {
                "$setElementOrder/containers": [{"name": "a"}, {"name": "n"}, {"name": "b"}],
                "containers": [{"name": "n"}],
            },
            [A, {"name": "n"}, B],
        ),
        ({"containers": [{"name": "a", "$retainKeys": ["name", "image"]}]}, [{"name": "a", "image": "x:1"}, B]),
        ({"containers": [{"name": "a", "args": ["2"], "image": None}, B]}, [{"name": "a", "args": ["2"]}, B]),
    ],
)
def test_containers_merge_by_name(patch, containers):
    assert strategic_merge(pod(A, B), {"spec": patch}, POD) == pod(*containers)


@pytest.mark.parametrize(
    ("patch", "finalizers"),
    [
        ({"finalizers": ["c"]}, ["c", "a", "b"]),
        ({"$deleteFromPrimitiveList/finalizers": ["a"]}, ["b"]),
        ({"$setElementOrder/finalizers": ["b", "a"]}, ["b", "a"]),
        ({"finalizers": None}, None),
    ],
)
def test_lists_of_texts_merge_as_sets(patch, finalizers):
    merged = strategic_merge({"metadata": {"finalizers": ["a", "b"]}}, {"metadata": patch}, CONFIG)
    assert merged["metadata"].get("finalizers") == finalizers


def test_an_object_can_be_replaced_or_emptied():
    assert strategic_merge({"data": {"a": "1"}}, {"data": {"$patch": "replace", "b": "2"}}, CONFIG) == {
        "data": {"b": "2"}
    }
    assert strategic_merge({"data": {"a": "1"}}, {"data": {"$patch": "delete"}}, CONFIG) == {"data": {}}


@pytest.mark.parametrize(
    ("patch", "error", "message"),
    [
        ({"containers": [{"name": "a", "$patch": "drop"}]}, PlainError,
         "unknown patch type: drop in map: map[$patch:drop name:a]"),
        ({"containers": [{"image": "i"}]}, PlainError, "map: map[image:i] does not contain declared merge key: name"),
        ({"$setElementOrder/containers": "c"}, PlainError, "expected a []interface {}, but received a string"),
        ({"$retainKeys": "x"}, BadRequest, "invalid patch format of retainKeys"),
        ({"$retainKeys": ["nodeName"], "hostNetwork": True}, BadRequest, "invalid patch format of retainKeys"),
        ({"containers": ["x"]}, PlainError, "list element types are not identical: [[map[name:a]] [x]]"),
        (
            {"$setElementOrder/containers": [{"name": "b"}], "containers": [{"name": "a"}]},
            PlainError,
            "The order in patch list:\n[map[name:a]]\n doesn't match $setElementOrder list:\n[map[name:b]]\n",
        ),
    ],
)  # fmt: skip
def test_a_wrong_patch_is_refused_in_upstreams_words(patch, error, message):
    with pytest.raises(error) as refusal:
        strategic_merge(pod({"name": "a"}), {"spec": patch}, POD)
    assert refusal.value.message == message


names = st.sampled_from("abcde")
lists = st.lists(
    st.builds(lambda name, image: {"name": name, "image": image}, names, names), unique_by=lambda c: c["name"]
)


@given(lists, lists)
def test_merging_keeps_every_container_and_is_done_after_one_time(current, changes):
    before = repr((current, changes))
    merged = strategic_merge(pod(*current), pod(*changes), POD)
    assert repr((current, changes)) == before
    assert {each["name"] for each in merged["spec"]["containers"]} == {each["name"] for each in (*current, *changes)}
    assert strategic_merge(merged, pod(*changes), POD) == merged
