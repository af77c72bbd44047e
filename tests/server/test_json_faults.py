"""Faults of JSON texts, in Go's words."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.server.json_faults import fault_of, may_repeat, read_with_repeats

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)
documents = st.dictionaries(st.text(max_size=6), values, max_size=5)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"", "unexpected end of JSON input"),
        (b'{"a":', "unexpected end of JSON input"),
        (b"{'a':1}", "invalid character '\\'' looking for beginning of object key string"),
        (b'{"a":1} x', "invalid character 'x' after top-level value"),
        (b"[1,]", "invalid character ']' looking for beginning of value"),
        (b'{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b'{"a":1 "b":2}', "invalid character '\"' after object key:value pair"),
        (b"[1 2]", "invalid character '2' after array element"),
        (b"trux", "invalid character 'x' in literal true (expecting 'e')"),
        (b"-x", "invalid character 'x' in numeric literal"),
        (b"1.x", "invalid character 'x' after decimal point in numeric literal"),
        (b"1e+x", "invalid character 'x' in exponent of numeric literal"),
        (b'"\\q"', "invalid character 'q' in string escape code"),
        (b'"\\u12x4"', "invalid character 'x' in \\u hexadecimal character escape"),
        (b'"\n"', "invalid character '\\n' in string literal"),
        (b"apiVersion: v1", "invalid character 'a' looking for beginning of value"),
        (b"[" * 20_000, "exceeded max depth"),
    ],
)
def test_faults_have_the_words_of_go(text, fault):
    assert fault_of(text) == fault


@given(values, st.sampled_from([None, 2]))
def test_well_formed_texts_have_no_fault(value, indent):
    assert fault_of(json.dumps(value, indent=indent).encode()) == ""


@given(st.binary(max_size=30) | st.text('{}[]":,0123456789.eE+-truefalsn\\u ', max_size=30).map(str.encode))
def test_a_text_without_fault_can_be_read_and_only_that(text):
    try:
        json.loads(text.decode("latin-1"), parse_constant=_refuse)
        is_read = True
    except (ValueError, RecursionError):
        is_read = False
    assert (fault_of(text) == "") == is_read


def _refuse(text):
    raise ValueError(text)


@given(documents, st.sampled_from([None, 2]))
def test_a_text_without_repeated_keys_has_none(value, indent):
    text = json.dumps(value, indent=indent, ensure_ascii=False).encode("utf-8", "surrogatepass")
    read, repeats = read_with_repeats(text)
    assert (read, repeats) == (value, ())


@given(documents, st.text('abc" :\\', min_size=1, max_size=4), values, values)
def test_a_repeated_key_is_never_missed(value, key, first, second):
    value.pop(key, None)
    inside = "".join(f"{json.dumps(k)}:{json.dumps(v)}," for k, v in value.items())
    text = f"{{{inside}{json.dumps(key)}:{json.dumps(first)},{json.dumps(key)}:{json.dumps(second)}}}".encode()
    assert may_repeat(text, orjson.dumps(orjson.loads(text)))
    read, repeats = read_with_repeats(text)
    assert key in repeats or any(each.endswith(key) for each in repeats)
    assert key in read


def test_plain_texts_are_not_suspicious():
    text = b'{"apiVersion":"v1","metadata":{"name":"a","annotations":{"x":"{\\"a\\":1}"}}}'
    assert not may_repeat(text, orjson.dumps(orjson.loads(text)))
    spaced = json.dumps({"a": {"b": [1, 2]}}).encode()
    assert not may_repeat(spaced, orjson.dumps(orjson.loads(spaced)))


def test_objects_that_are_given_twice_are_merged():
    text = b'{"data":{"k":"1","o":{"x":1}},"data":{"l":"2","o":{"y":2}},"list":[1],"list":[2]}'
    assert read_with_repeats(text) == (
        {"data": {"k": "1", "l": "2", "o": {"x": 1, "y": 2}}, "list": [2]},
        ("data", "list"),
    )


def test_paths_of_repeated_keys_have_indexes():
    text = b'{"spec":{"containers":[{"image":"x"},{"image":"x","image":"y"}]}}'
    assert read_with_repeats(text)[1] == ("spec.containers[1].image",)
