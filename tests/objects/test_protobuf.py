from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.objects.decoding import Decoded, decode_object
from moorage.objects.go_types import has_struct
from moorage.objects.kinds import group_versions, resources_in
from moorage.objects.protobuf import ProtobufError, decode
from moorage.objects.schema import definition_of, named_type
from tests.objects.go_objects import body_of, field, objects

KINDS = sorted(
    {
        (api_version, row.kind)
        for api_version in group_versions()
        for row in resources_in(api_version).values()
        if has_struct(definition_of(api_version, row.kind)) and row.kind != "CustomResourceDefinition"
    }
    | {("v1", "DeleteOptions")}
)


def object_of(kind: tuple[str, str], obj: dict[str, Any]) -> dict[str, Any]:
    return {**obj, "apiVersion": kind[0], "kind": kind[1]}


def decoded(kind: tuple[str, str], obj: dict[str, Any]) -> Decoded:
    return decode_object(named_type(definition_of(*kind)), orjson.loads(orjson.dumps(obj)))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_an_object_means_the_same_in_protobuf_and_in_json(data: Any) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    definition = definition_of(*kind)
    obj = object_of(kind, decoded(kind, data.draw(objects(definition, in_protobuf=True))).obj)
    assert decode(body_of(*kind, definition, obj))[:2] == kind
    assert decoded(kind, decode(body_of(*kind, definition, obj))[2]) == decoded(kind, obj)


def test_embedded_structs_are_lifted_into_their_parent() -> None:
    pod = {"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}
    _, _, obj = decode(body_of("v1", "Pod", "io.k8s.api.core.v1.Pod", pod))
    assert obj["spec"]["volumes"] == [{"name": "v", "emptyDir": {}}]


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(KINDS), st.binary(max_size=200))
def test_any_bytes_are_an_object_or_a_protobuf_error(kind: tuple[str, str], junk: bytes) -> None:
    head = body_of(*kind, definition_of(*kind), {})
    for body in (junk, b"k8s\x00" + junk, head + junk, head[:-1] + bytes([min(len(junk), 127)]) + junk):
        with suppress(ProtobufError):
            decode(body)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_a_damaged_body_is_an_object_or_a_protobuf_error(data: Any) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    definition = definition_of(*kind)
    body = bytearray(body_of(*kind, definition, object_of(kind, data.draw(objects(definition)))))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(4, len(body) - 1))] = data.draw(st.integers(0, 255))
    with suppress(ProtobufError):
        decode(bytes(body))


def test_a_body_of_another_form_is_refused() -> None:
    with pytest.raises(ProtobufError, match=r"expected prefix \[107 56 115 0\]"):
        decode(b"hello")


def test_a_kind_that_is_not_there_is_refused() -> None:
    with pytest.raises(ProtobufError, match='no kind "Nothing" is registered for version "v1"'):
        decode(body_of("v1", "Nothing", "io.k8s.api.core.v1.Pod", {}))


def test_depth_is_bounded() -> None:
    schema = field(5, b"object")
    for _ in range(400):
        schema = field(28, schema)
    version = field(1, b"v1") + field(4, field(1, schema))
    meta = field(1, field(1, b"apiextensions.k8s.io/v1") + field(2, b"CustomResourceDefinition"))
    with pytest.raises(ProtobufError, match="depth"):
        decode(b"k8s\x00" + meta + field(2, field(2, field(7, version))))
