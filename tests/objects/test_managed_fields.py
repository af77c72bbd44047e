"""Owners of fields: what creates, updates and patches leave in managedFields."""

from hypothesis import given
from hypothesis import strategies as st

from moorage.objects.field_changes import compare
from moorage.objects.field_sets import intersection, paths
from moorage.objects.managed_fields import UPDATERS_MOST, Tracking, requested_managed_fields, track_update
from moorage.objects.schema import type_of

CONFIG, POD = type_of("v1", "ConfigMap"), type_of("v1", "Pod")


def at(manager, second=0, kind="ConfigMap", subresource=""):
    type_ = type_of("v1", kind)
    return Tracking(type_, "v1", kind, manager, f"2026-01-01T00:00:{second:02}Z", subresource)


def config(managed=(), **data):
    metadata = {"name": "a", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {**metadata, "managedFields": list(managed)},
        "data": data,
    }


def fields(entries):
    return {entry["manager"]: entry["fieldsV1"] for entry in entries}


def test_the_creator_owns_what_it_set_and_the_maps_it_made():
    draft = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "labels": {"x": "1"}},
        "data": {"k": "1"},
    }
    (entry,) = track_update(None, draft, at("u"))
    assert entry == {
        "manager": "u",
        "operation": "Update",
        "apiVersion": "v1",
        "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:x": {}}}, "f:data": {".": {}, "f:k": {}}},
    }


def test_a_change_moves_the_field_to_who_made_it():
    entries = track_update(None, config(k="1", l="1"), at("u"))
    entries = track_update(config(entries, k="1", l="1"), config(k="2", l="1"), at("v", 1))
    assert fields(entries) == {"u": {"f:data": {".": {}, "f:l": {}}}, "v": {"f:data": {"f:k": {}}}}


def test_a_write_that_changes_nothing_leaves_the_entries_as_they_are():
    entries = track_update(None, config(k="1"), at("u"))
    live = config(entries, k="1")
    assert track_update(live, config(k="1"), at("v", 1)) is live["metadata"]["managedFields"]


def test_a_removed_field_has_no_owner_any_more():
    entries = track_update(None, config(k="1", l="1"), at("u"))
    entries = track_update(config(entries, k="1", l="1"), config(k="1"), at("v", 1))
    assert fields(entries) == {"u": {"f:data": {".": {}, "f:k": {}}}}


def test_an_object_without_owners_stays_so():
    assert track_update(config((), k="1"), config(k="2"), at("u")) == []


def test_an_endpoint_lets_nobody_own_what_it_resets():
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": None}, "status": {}}
    live = {
        **pod,
        "metadata": {
            "name": "p",
            "managedFields": track_update(None, {**pod, "spec": {"nodeName": "n"}}, at("u", 0, "Pod")),
        },
    }
    new = {**pod, "spec": {"nodeName": "m"}, "status": {"phase": "Running"}}
    assert fields(track_update(live, new, at("k", 1, "Pod", "status")))["k"] == {"f:status": {"f:phase": {}}}
    assert fields(track_update(live, new, at("k", 1, "Pod")))["k"] == {"f:spec": {"f:nodeName": {}}}  # fmt: skip


def test_the_oldest_of_too_many_updaters_are_put_together():
    live = config(track_update(None, config(k="0"), at("m0")), k="0")
    for number in range(1, 15):
        new = config(**live["data"], **{f"k{number}": "1"})
        new["metadata"]["managedFields"] = track_update(live, new, at(f"m{number:02}", number))
        live = new
    entries = live["metadata"]["managedFields"]
    assert len(entries) == UPDATERS_MOST
    assert entries[0]["manager"] == "ancient-changes"
    assert "f:k3" in entries[0]["fieldsV1"]["f:data"]


def test_clients_may_forget_owners_but_not_write_nonsense():
    live = config(track_update(None, config(k="1"), at("u")), k="1")
    entries = live["metadata"]["managedFields"]
    assert requested_managed_fields(live, None) is entries
    assert requested_managed_fields(live, []) == requested_managed_fields(live, [{}]) == []
    assert requested_managed_fields(live, [{"manager": "x"}]) is entries
    given_ = [{"manager": "x", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {}}]
    assert requested_managed_fields(live, given_) is given_


names = st.sampled_from("abc")
containers = st.lists(
    st.builds(lambda name, image, args: {"name": name, "image": image, "args": args}, names, names, st.lists(names)),
    unique_by=lambda each: each["name"],
    max_size=3,
)
pods = st.builds(
    lambda found, labels, node: {"metadata": {"labels": labels}, "spec": {"containers": found, **node}},
    containers,
    st.dictionaries(names, names, max_size=2),
    st.dictionaries(st.just("nodeName"), names),
)


@given(pods, pods)
def test_what_was_touched_one_way_is_touched_or_removed_the_other_way(one, other):
    there, back = compare(POD, one, other), compare(POD, other, one)
    assert set(paths(there.removed)) <= set(paths(back.touched))
    assert not set(paths(intersection(there.touched, there.removed)))
    assert compare(POD, one, one) == ({}, {})
