from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.objects.decoding import Decoded, Irregular, decode_object, reader_of
from moorage.objects.go_types import struct_names
from moorage.objects.inspection import inspect
from moorage.objects.schema import named_type, type_from_structural, type_of
from tests.objects.go_objects import objects

POD = "io.k8s.api.core.v1.Pod"


def decode(text: str, api_version: str = "v1", kind: str = "Pod") -> Decoded:
    type_ = type_of(api_version, kind)
    assert type_ is not None
    return decode_object(type_, orjson.loads(text), text.encode())


def error_of(spec: str, kind: str = "Pod", api_version: str = "v1") -> str | None:
    return decode(f'{{"spec":{spec}}}', api_version, kind).error


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        (
            '{"terminationGracePeriodSeconds":"30"}',
            "string into Go struct field PodSpec.spec.terminationGracePeriodSeconds of type int64",
        ),
        ('{"containers":[{"image":5}]}', "number into Go struct field Container.spec.containers.image of type string"),
        ('{"containers":{}}', "object into Go struct field PodSpec.spec.containers of type []v1.Container"),
        (
            '{"securityContext":[]}',
            "array into Go struct field PodSpec.spec.securityContext of type v1.PodSecurityContext",
        ),
        (
            '{"activeDeadlineSeconds":5.0}',
            "number 5.0 into Go struct field PodSpec.spec.activeDeadlineSeconds of type int64",
        ),
        (
            '{"activeDeadlineSeconds":1e0}',
            "number 1e0 into Go struct field PodSpec.spec.activeDeadlineSeconds of type int64",
        ),
        ('{"restartPolicy":1}', "number into Go struct field PodSpec.spec.restartPolicy of type v1.RestartPolicy"),
        (
            '{"containers":[{"ports":[{"containerPort":3000000000}]}]}',
            "number 3000000000 into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32",
        ),
        (
            '{"containers":[{"livenessProbe":{"tcpSocket":{"port":1.5}}}]}',
            "number 1.5 into Go struct field "
            "TCPSocketAction.spec.containers.livenessProbe.ProbeHandler.tcpSocket.port of type int32",
        ),
    ],
)
def test_wrong_types_are_told_in_gos_words(spec: str, error: str) -> None:
    assert error_of(spec) == f"json: cannot unmarshal {error}"


def test_a_wrong_quantity_is_told_without_its_place() -> None:
    error = error_of('{"containers":[{"resources":{"limits":{"cpu":"much"}}}]}')
    assert error is not None
    assert error.startswith("quantities must match the regular expression")


@pytest.mark.parametrize(
    ("data", "offset"), [("!", 0), ("YQ=", 3), ("YWJj!", 4), ("Y", 0), ("YQ==YQ==", 4), ("Y=", 1), ("YQ=x", 2)]
)
def test_wrong_base64_is_told_with_its_offset(data: str, offset: int) -> None:
    result = decode(orjson.dumps({"data": {"k": data}}).decode(), kind="Secret")
    assert result.error == f"illegal base64 data at input byte {offset}"


def test_unknown_and_duplicate_fields_are_told_in_the_order_of_the_text() -> None:
    result = decode(
        '{"metadata":{"name":"a","name":"b"},"spec":{"x":1,"containers":[{"name":"c","imagez":1}]},"Spec":{}}'
    )
    assert result.error is None
    assert result.unknown == ("spec.x", "spec.containers[0].imagez", "Spec")
    assert result.duplicate == ("metadata.name",)
    assert result.problems[0] == 'duplicate field "metadata.name"'
    assert result.obj["metadata"]["name"] == "b"
    assert result.obj["spec"]["containers"][0] == {"name": "c", "resources": {}}


def test_a_map_that_stands_there_twice_is_one_map() -> None:
    result = decode('{"data":{"k":"1"},"data":{"l":"2"}}', kind="ConfigMap")
    assert result.obj == {"data": {"k": "1", "l": "2"}, "metadata": {}}
    assert result.problems == ('duplicate field "data"',)


def test_nulls_and_empty_values_go_and_structs_come() -> None:
    result = decode(
        '{"metadata":{"creationTimestamp":null,"labels":{}},"spec":{"hostNetwork":false,"hostUsers":false}}'
    )
    assert result.obj == {"metadata": {}, "spec": {"hostUsers": False, "containers": None}, "status": {}}


def test_a_null_in_a_list_is_a_zero_value() -> None:
    result = decode('{"spec":{"containers":[{"name":"c","args":["a",null]}]}}')
    assert result.obj["spec"]["containers"][0]["args"] == ["a", ""]


def test_quantities_and_times_become_canonical() -> None:
    result = decode(
        '{"metadata":{"deletionTimestamp":"2026-01-02T03:04:05+01:00"},'
        '"spec":{"containers":[{"name":"c","resources":{"limits":{"cpu":1.5,"memory":"1024Mi"}}}]}}'
    )
    assert result.obj["metadata"]["deletionTimestamp"] == "2026-01-02T02:04:05Z"
    assert result.obj["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "1500m", "memory": "1Gi"}


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_the_quick_walk_and_the_closer_look_agree(data: Any) -> None:
    name = data.draw(st.sampled_from(struct_names()))
    obj = data.draw(objects(name))
    text = orjson.dumps(obj)
    try:
        quick = reader_of(name)(orjson.loads(text))
    except Irregular:
        return
    slow = inspect(name, orjson.loads(text), text)
    assert slow.error is None
    assert slow.problems == ()
    assert slow.obj == quick


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_what_was_decoded_decodes_to_itself(data: Any) -> None:
    name = data.draw(st.sampled_from(struct_names()))
    first = decode_object(named_type(name), data.draw(objects(name)))
    again = decode_object(named_type(name), orjson.loads(orjson.dumps(first.obj)))
    assert again == first


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["metadata", "spec", "name", "a"]), inner)
    ),
    max_leaves=8,
)


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(struct_names()), st.dictionaries(st.sampled_from(["metadata", "spec", "status", "data", "x"]), JSON)
)
def test_any_json_is_an_object_or_an_error(name: str, obj: dict[str, Any]) -> None:
    result = decode_object(named_type(name), obj)
    assert result.error is None or result.error


WIDGET = type_from_structural(
    {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "l": {"type": "array", "items": {"type": "object", "properties": {"k": {"type": "string"}}}},
                    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                    "pod": {"type": "object", "x-kubernetes-embedded-resource": True},
                },
            }
        },
    }
)


def test_custom_resources_are_pruned_and_told_sorted() -> None:
    obj = {
        "z": 1,
        "kind": "Widget",
        "spec": {"l": [{"k": 1, "q": 2}], "free": {"a": 1}, "b": 2},
        "metadata": {"foo": 1},
    }
    result = decode_object(WIDGET, obj)
    assert result.unknown == ("metadata.foo", "spec.b", "spec.l[0].q", "z")
    assert result.obj == {"kind": "Widget", "spec": {"l": [{"k": 1}], "free": {"a": 1}}, "metadata": {}}


def test_wrong_metadata_in_a_custom_resource_is_refused() -> None:
    obj = {"spec": {"pod": {"kind": "Pod", "metadata": {"name": "x", "labels": {"a": 1}}}}}
    assert decode_object(WIDGET, obj).error == (
        'spec.pod.metadata: Invalid value: {"labels":{"a":1},"name":"x"}: '
        "json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string"
    )
