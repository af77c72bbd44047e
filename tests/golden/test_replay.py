"""The replayer itself: what it names, what it compares, what it fills in."""

import pytest

from tests.golden.comparison import differences, without
from tests.golden.names import Names
from tests.golden.run import substituted, value_at

UID = "12345678-1234-1234-1234-123456789abc"


def test_uids_are_numbered_in_order_of_appearance():
    names = Names("g-1-case")
    other = UID.replace("1", "2")
    assert names.clean([UID, other, UID]) == ["<uid1>", "<uid2>", "<uid1>"]


def test_times_hashes_addresses_and_the_namespace_have_names():
    names = Names("g-1-case")
    cleaned = names.clean("g-1-case/web-6bcd784f9c at 2026-01-02T03:04:05Z from 10.96.3.4")
    assert cleaned == "$ns/web-<hash> at <time> from <ip>"


def test_generated_names_are_replaced_wherever_they_appear():
    names = Names("g-1-case")
    names.learn({"items": [{"metadata": {"generateName": "web-", "name": "web-x7k2p"}}]})
    assert names.clean("Created pod: web-x7k2p") == "Created pod: web-<gen>"


def test_revisions_are_named_only_where_they_stand_for_one():
    names = Names("g-1-case")
    assert names.clean({"resourceVersion": "12", "port": "12"}) == {"resourceVersion": "<rv>", "port": "12"}
    assert names.clean({"resourceVersion": "0"}) == {"resourceVersion": "0"}
    assert names.clean("too old resource version: 5 (17)") == "too old resource version: <rv> (<rv>)"


def test_managed_fields_are_compared_only_in_cases_about_them():
    entries = [{"manager": "b", "time": "x"}, {"manager": "a", "time": "y"}]
    assert Names("g-1-case").clean({"managedFields": entries}) == {}
    about_them = Names("g-1-case", managed_fields=True)
    assert about_them.clean({"managedFields": entries}) == {"managedFields": [{"manager": "a"}, {"manager": "b"}]}


def test_differences_tell_missing_unexpected_and_other_values():
    lines = differences({"a": 1, "b": [1, 2], "c": 1}, {"a": 1.0, "b": [1], "d": None})
    assert [line.split(" = ")[0].split(":")[0] for line in lines] == ["! a", "- b[1]", "- c", "+ d"]


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("spec.port", {"spec": {"ports": [{"port": 1}]}}),
        ("**.port", {"spec": {"ports": [{}]}}),
        ("spec.ports.0", {"spec": {"port": 1, "ports": [None]}}),
        ("*.*", {"spec": {}}),
    ],
)
def test_paths_are_left_out_by_pattern(pattern, left):
    assert without({"spec": {"port": 1, "ports": [{"port": 1}]}}, pattern) == left


def test_variables_keep_their_type_when_they_are_the_whole_text():
    assert substituted({"replicas": "$n", "name": "web-$n$m"}, {"n": 3}) == {"replicas": 3, "name": "web-3$m"}


def test_paths_index_lists_and_escape_dots():
    value = {"items": [{"labels": {"a.b": "c"}}]}
    assert value_at(value, "items.0.labels.a~1b") == "c"
    assert value_at(value, "items.1.labels") is None
