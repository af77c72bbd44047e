import json
import re

from moorage.api.openapi_custom import Published
from moorage.api.openapi_v2 import as_json, as_protobuf
from moorage.objects.protobuf import fields_of as fields
from tests.api.test_discovery import WIDGETS

SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "default": {"type": "string", "default": "x"},
                "size": {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True},
            },
        }
    },
}
CUSTOM = (Published(WIDGETS, SCHEMA),)


def test_every_reference_is_defined() -> None:
    text = as_json(CUSTOM).decode()
    assert set(re.findall(r'"#/definitions/([^"]+)"', text)) <= set(json.loads(text)["definitions"])


def test_what_v2_has_no_words_for_is_left_out_of_custom_schemas() -> None:
    spec = json.loads(as_json(CUSTOM))["definitions"]["com.example.v1.Widget"]["properties"]["spec"]
    assert spec["properties"] == {"default": {"type": "string"}, "size": {"x-kubernetes-int-or-string": True}}


def test_the_protobuf_form_has_the_same_definitions() -> None:
    document = json.loads(as_json(CUSTOM))
    top = dict(fields(memoryview(as_protobuf(CUSTOM))))
    assert bytes(top[1]) == b"2.0"
    names = [bytes(dict(fields(named))[1]).decode() for _, named in fields(top[9])]
    assert names == list(document["definitions"])


def test_the_protobuf_form_has_every_path_that_can_be_patched() -> None:
    document = json.loads(as_json(CUSTOM))
    top = dict(fields(memoryview(as_protobuf(CUSTOM))))
    paths = [bytes(dict(fields(named))[1]).decode() for _, named in fields(top[8])]
    assert paths == [path for path, item in document["paths"].items() if "patch" in item]
