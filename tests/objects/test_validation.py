"""The vocabulary of rules says what Kubernetes says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.objects.validation import (
    config_key_problems,
    dns1123_label_problems,
    dns1123_subdomain_problems,
    go_json,
    invalid,
    label_value_problems,
    not_supported,
    port_name_problems,
    qualified_name_problems,
    required,
    too_many,
)


def test_values_are_printed_as_go_prints_json() -> None:
    assert go_json({"a": [1, None, "x<é"]}) == '{"a":[1,null,"x<é"]}'
    assert str(invalid("spec.x", None, "field is immutable")) == "spec.x: Invalid value: null: field is immutable"


def test_allowed_values_keep_their_order() -> None:
    cause = not_supported("spec.x", "X", ("File", "FallbackToLogsOnError"))
    assert cause.message == 'Unsupported value: "X": supported values: "File", "FallbackToLogsOnError"'


def test_a_required_value_may_have_a_reason() -> None:
    assert required("a").message == "Required value"
    assert required("a", "because").message == "Required value: because"
    assert too_many("a", 9, 8).message == "Too many: 9: must have at most 8 items"


@pytest.mark.parametrize(
    ("text", "problem"), [("a.b", "must not contain dots"), ("a" * 64, "must be no more than 63 characters")]
)
def test_a_label_that_is_nearly_right_gets_a_short_answer(text: str, problem: str) -> None:
    assert dns1123_label_problems(text) == (problem,)


@given(st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True))
def test_every_dns_label_is_a_subdomain_a_label_value_and_a_config_key(text: str) -> None:
    assert not dns1123_label_problems(text)
    assert not dns1123_subdomain_problems(text)
    assert not label_value_problems(text)
    assert not config_key_problems(text)
    assert not qualified_name_problems(text)


@given(st.text(max_size=20))
def test_checks_never_fail_on_any_text(text: str) -> None:
    for check in (dns1123_label_problems, qualified_name_problems, port_name_problems, config_key_problems):
        assert isinstance(check(text), tuple)


def test_a_port_name_needs_a_letter() -> None:
    assert port_name_problems("80") == ("must contain at least one letter (a-z)",)
