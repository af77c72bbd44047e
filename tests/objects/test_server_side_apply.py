"""Server-side apply: merging, conflicts, and what goes when an applier does not name it any more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.objects.errors import BadRequest, Conflict, PlainError
from moorage.objects.managed_fields import Tracking, track_update
from moorage.objects.scale_fields import scale_conflict, track_scale
from moorage.objects.schema import type_from_structural, type_of
from moorage.objects.server_side_apply import LAST_APPLIED, apply


def by(manager, second=0, kind="ConfigMap", type_=None):
    return Tracking(type_ or type_of("v1", kind), "v1", kind, manager, f"2026-01-01T00:00:{second:02}Z")


def config(**data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, **({"data": data} if data else {})}


def template(*containers):
    spec = {"containers": list(containers)}
    return {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "t"}, "template": {"spec": spec}}


def done(result):
    return {**result.obj, "metadata": {**result.obj["metadata"], "managedFields": result.managed}}


def fields(entries):
    return {entry["manager"]: entry["fieldsV1"] for entry in entries}


def test_an_applier_owns_what_it_says():
    result = apply(None, config(k="1"), by("a"))
    assert result.obj["data"] == {"k": "1"}
    assert fields(result.managed) == {"a": {"f:data": {"f:k": {}}}}


def test_what_an_applier_does_not_say_any_more_goes_unless_another_one_owns_it():
    live = done(apply(None, config(k="1", l="1"), by("a")))
    live = done(apply(live, config(k="1"), by("b", 1)))
    result = apply(live, config(), by("a", 2))
    assert result.obj["data"] == {"k": "1"}
    assert fields(result.managed) == {"b": {"f:data": {"f:k": {}}}}


def test_a_field_of_another_owner_is_a_conflict_unless_forced():
    live = done(apply(None, config(k="1"), by("b")))
    with pytest.raises(Conflict) as refusal:
        apply(live, config(k="2"), by("a", 1))
    assert refusal.value.message == 'Apply failed with 1 conflict: conflict with "b": .data.k'
    assert refusal.value.details == {
        "causes": [{"reason": "FieldManagerConflict", "message": 'conflict with "b"', "field": ".data.k"}]
    }
    assert fields(apply(live, config(k="2"), by("a", 1), force=True).managed) == {"a": {"f:data": {"f:k": {}}}}


def test_the_same_value_may_have_two_owners_and_takes_no_time():
    live = done(apply(None, config(k="1"), by("b")))
    entry = next(each for each in apply(live, config(k="1"), by("a", 1)).managed if each["manager"] == "a")
    assert "time" not in entry


def test_fields_that_nobody_tracked_belong_to_whoever_came_before():
    with pytest.raises(Conflict, match=r'conflict with "before-first-apply" using v1: \.data\.k'):
        apply(config(k="1"), config(k="2"), by("a"))


def test_containers_merge_by_name_and_stay_where_they_were():
    live = done(apply(None, template({"name": "c", "image": "x"}), by("a", 0, "PodTemplate")))
    live = done(apply(live, template({"name": "s", "image": "y"}), by("b", 1, "PodTemplate")))
    assert [each["name"] for each in live["template"]["spec"]["containers"]] == ["c", "s"]
    result = apply(live, template(), by("a", 2, "PodTemplate"))
    assert result.obj["template"]["spec"]["containers"] == [{"name": "s", "image": "y"}]


def test_kubectl_takes_over_what_its_client_side_apply_owned():
    old = config(k="1")
    text = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"k":"1"}}'
    old["metadata"]["annotations"] = {LAST_APPLIED: text}
    old["metadata"]["managedFields"] = track_update(None, old, by("kubectl-client-side-apply"))
    result = apply(old, config(k="2"), by("kubectl", 1))
    annotation = result.obj["metadata"]["annotations"][LAST_APPLIED]
    assert annotation == '{"apiVersion":"v1","data":{"k":"2"},"kind":"ConfigMap","metadata":{"name":"a"}}\n'
    with pytest.raises(Conflict):
        apply(old, config(k="2"), by("argocd", 1))


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        ({"apiVersion": "v1", "kind": "Secret"}, BadRequest, "invalid object type: /v1, Kind=Secret"),
        (
            {**config(), "metadata": {"name": "a", "managedFields": []}},
            BadRequest,
            "metadata.managedFields must be nil",
        ),
        (
            {**config(), "foo": 1},
            PlainError,
            "failed to create typed patch object (/a; /v1, Kind=ConfigMap): .foo: field not declared in schema",
        ),
        (
            config(k=1),
            PlainError,
            "failed to create typed patch object (/a; /v1, Kind=ConfigMap): "
            ".data.k: expected string, got &value.valueUnstructured{Value:1}",
        ),
        (
            {**config(), "metadata": {"name": "a", "finalizers": ["x", "x"]}},
            PlainError,
            "failed to create typed patch object (/a; /v1, Kind=ConfigMap): "
            '.metadata.finalizers: duplicate entries for key [="x"]',
        ),
    ],
)
def test_what_cannot_be_applied_is_refused_in_upstreams_words(body, error, message):
    with pytest.raises(error) as refusal:
        apply(None, body, by("a"))
    assert refusal.value.message == message


def test_custom_resources_merge_as_their_schema_says():
    text = {"type": "string"}
    items = {"type": "object", "properties": {"k": text, "v": text}}
    schema = {
        "st": {"type": "array", "items": text, "x-kubernetes-list-type": "set"},
        "at": {"type": "array", "items": text},
        "mp": {"type": "array", "items": items, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]},
    }
    spec = {"type": "object", "properties": schema}
    type_ = type_from_structural({"type": "object", "properties": {"spec": spec}})

    def widget(**spec):
        return {"apiVersion": "v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": spec}

    live = done(apply(None, widget(st=["x", "y"], mp=[{"k": "1"}]), by("a", 0, "Widget", type_)))
    result = apply(live, widget(st=["z", "y"]), by("b", 1, "Widget", type_))
    assert result.obj["spec"] == {"st": ["x", "z", "y"], "mp": [{"k": "1"}]}
    assert fields(result.managed)["a"] == {
        "f:spec": {"f:mp": {'k:{"k":"1"}': {".": {}, "f:k": {}}}, "f:st": {'v:"x"': {}, 'v:"y"': {}}}
    }


def test_scaling_moves_the_replicas_and_names_no_time():
    entry = {"manager": "u", "operation": "Update", "apiVersion": "apps/v1", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    scaling = Tracking(None, "apps/v1", "ReplicaSet", "s", "2026-01-01T00:00:00Z", "scale")
    assert track_scale([entry], scaling) == [
        {
            "manager": "s",
            "operation": "Update",
            "apiVersion": "apps/v1",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {"f:replicas": {}}},
            "subresource": "scale",
        }
    ]
    refusal = scale_conflict([entry], scaling)
    assert refusal.message == 'Apply failed with 1 conflict: conflict with "u" using autoscaling/v1: .spec.replicas'
    assert track_scale([], scaling) == []


data = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), max_size=3)


@given(st.lists(st.tuples(st.sampled_from("xyz"), data), min_size=1, max_size=8))
def test_the_last_to_force_a_value_gets_it_and_nothing_unowned_stays(steps):
    live, wanted = None, {}
    for second, (manager, values) in enumerate(steps):
        live = done(apply(live, config(**values), by(manager, second), force=True))
        wanted[manager] = values
        assert {key: (live.get("data") or {}).get(key) for key in values} == values
        owned = {
            step[2:]
            for entry in live["metadata"]["managedFields"]
            for step in entry["fieldsV1"].get("f:data", {})
            if step != "."
        }
        assert set(live.get("data") or {}) == owned
