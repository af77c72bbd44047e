"""Request bodies, and what is said about those that cannot be read."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.objects.errors import BadRequest, UnsupportedMediaType
from moorage.objects.protobuf import decode
from moorage.server.decoding import PATCHES, patch_type_of, read_object, read_options, read_patch

BEFORE = "the object provided is unrecognized (must be of type ConfigMap): "
HEAD = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'


def read(data: bytes, content_type: str | None = "application/json", *, strict: bool = False):
    return read_object(data, content_type, "ConfigMap", strict=strict, protobuf=decode)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)"),
        (
            b'{"apiVersion":"v1",',
            'couldn\'t get version/kind; json parse error: unexpected end of JSON input ({"apiVersion":"v1",)',
        ),
        (
            b"[]",
            f"couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type {HEAD} (5b5d)",
        ),
        (
            b'{"apiVersion": "v1", "kind": 5, "metadata": {}}',
            "couldn't get version/kind; json parse error: json: cannot unmarshal number into Go struct field .kind of type "
            'string ({"apiVersion": "v1", "kind": 5 ...)',
        ),
        (b'{"apiVersion":"a/b/c"}', 'unexpected GroupVersion string: a/b/c ({"apiVersion":"a/b/c"})'),
        (
            b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n",
            "couldn't get version/kind; json parse error: invalid character 'a' looking for beginning of value "
            "(61706956657273696f6e3a2076310a6b696e643a20436f6e6669674d6170 ...)",
        ),
    ],
)
def test_unreadable_json_is_told_as_upstream_does(data, said):
    with pytest.raises(BadRequest) as refusal:
        read(data)
    assert refusal.value.message == BEFORE + said


def test_null_is_an_empty_object_and_no_type_is_json():
    assert read(b"null").value == {}
    assert read(b'{"a":1}', None).value == {"a": 1}
    assert read(b'{"a":1}', "application/json; charset=utf-8").value == {"a": 1}


def test_yaml_is_read_as_go_does():
    text = b"kind: ConfigMap\ndata: {x: &a 'v', y: *a}\nmode: 0644\n"
    assert read(text, "application/yaml").value == {"kind": "ConfigMap", "data": {"x": "v", "true": "v"}, "mode": 420}
    with pytest.raises(BadRequest) as refusal:
        read(b"a: [1\n", "application/yaml")
    assert refusal.value.message == f"{BEFORE}yaml: line 1: did not find expected ',' or ']' (613a205b310a)"


def test_repeated_keys_are_reported():
    text = b"a: 1\nb: 1\na: 2\n"
    assert read(text, "application/yaml").duplicates == ('line 3: key "a" already set in map',)
    said = 'yaml: unmarshal errors:\n  line 3: key "a" already set in map'
    assert read(text, "application/yaml", strict=True).duplicates == (said,)


def test_json_goes_along_as_it_was_written():
    text = b'{"data":{"k":"1","k":"2"}}'
    assert read(text).raw == text
    assert read(b"data: {}\n", "application/yaml").raw is None


def test_other_media_types_are_refused():
    with pytest.raises(UnsupportedMediaType) as refusal:
        read(b"{}", "application/x-yaml")
    assert refusal.value.message == (
        "the body of the request was in an unknown format - accepted media types include: application/json, "
        "application/yaml, application/vnd.kubernetes.protobuf"
    )
    with pytest.raises(BadRequest) as bad:
        read(b"hello", "application/vnd.kubernetes.protobuf")
    assert bad.value.message == (
        f"{BEFORE}provided data does not appear to be a protobuf message, expected prefix [107 56 115 0] (68656c6c6f)"
    )


@given(
    st.binary(max_size=60),
    st.sampled_from(["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"]),
)
def test_any_body_is_read_or_refused(data, content_type):
    with suppress(BadRequest):
        assert isinstance(read(data, content_type).value, dict)


@pytest.mark.parametrize(
    ("data", "kind", "said"),
    [
        (b"", 0, "invalid JSON patch"),
        (b"{}", 0, "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"),
        (b"[1]", 0, "error decoding patch: json: cannot unmarshal number into Go value of type handlers.jsonPatchOp"),
        (b"[]", 1, "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"),
        (b"null", 1, "Invalid JSON Patch"),
        (b"[]", 2, "json: cannot unmarshal array into Go value of type map[string]interface {}"),
        (b"a\n  b: [\n", 3, "error encoding patch: yaml: line 2: mapping values are not allowed in this context"),
        (
            b"- a\n",
            3,
            "error decoding patch: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go "
            "value of type map[string]interface {}",
        ),
    ],
)
def test_unreadable_patches_are_told_as_upstream_does(data, kind, said):
    with pytest.raises(BadRequest) as refusal:
        read_patch(data, PATCHES[kind], strict=False)
    assert refusal.value.message == said


def test_patches_are_read():
    assert read_patch(b"null", PATCHES[0], strict=False) == ([], ())
    assert read_patch(b'{"a":1,"a":2}', PATCHES[1], strict=True) == ({"a": 2}, ('duplicate field "a"',))
    assert read_patch(b"a: 1\n", PATCHES[3], strict=False) == ({"a": 1}, ())
    assert patch_type_of("application/merge-patch+json; charset=utf-8") == PATCHES[1]
    with pytest.raises(UnsupportedMediaType):
        patch_type_of(None)


def test_delete_options_are_read_or_refused():
    assert read_options(b"", None) == {}
    assert read_options(b'{"kind":"DeleteOptions","gracePeriodSeconds":0}', None)["gracePeriodSeconds"] == 0
    for data, said in (
        (b"{", "couldn't get version/kind; json parse error: unexpected end of JSON input"),
        (
            b'{"orphanDependents":"x"}',
            "json: cannot unmarshal string into Go struct field DeleteOptions.orphanDependents of type bool",
        ),
    ):
        with pytest.raises(BadRequest) as refusal:
            read_options(data, None)
        assert refusal.value.message == said
