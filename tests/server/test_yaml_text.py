"""YAML as Go has it."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.server import yaml_text
from moorage.server.yaml_text import YamlFault

texts = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=15,
)


@given(values)
def test_what_is_written_is_read_back(value):
    assert yaml_text.load(yaml_text.dump(value))[0] == value


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data):
    with suppress(YamlFault):
        yaml_text.load(data)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True),
        ("n", False),
        ("0644", 420),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", 1000),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("~", None),
        ("08", 8),
        ("!!binary aGk=", "aGk="),
    ],
)
def test_scalars_are_resolved_as_go_does(text, value):
    assert yaml_text.load(text.encode())[0] == value


def test_keys_become_text():
    assert yaml_text.load(b"1: a\ntrue: b\n~: c\n1.5: d\n")[0] == {"1": "a", "true": "b", "null": "c", "1.5": "d"}


def test_a_bomb_of_aliases_is_refused():
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 9))
    with pytest.raises(YamlFault, match="excessive aliasing"):
        yaml_text.load(f"l0: &l0 [x]\n{levels}\n".encode())


def test_long_texts_are_folded_as_upstream_does():
    message = "only the following media types are accepted: application/json;stream=watch, application/vnd.kubernetes"
    assert yaml_text.dump({"message": message, "code": 406}) == (
        b"code: 406\nmessage: 'only the following media types are accepted: application/json;stream=watch,\n"
        b"  application/vnd.kubernetes'\n"
    )
