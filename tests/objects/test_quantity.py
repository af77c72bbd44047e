from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.objects.quantity import NANO, Quantity, QuantityError, canonical, parse_quantity, rounded_to_milli

DIGITS = st.from_regex(r"[0-9]{1,12}(\.[0-9]{0,9})?", fullmatch=True)
SUFFIXES = st.sampled_from(["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "e3", "E-2", "e6"])
TEXTS = st.builds(
    lambda sign, digits, suffix: sign + digits + suffix, st.sampled_from(["", "-", "+"]), DIGITS, SUFFIXES
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.5", "1500m"),
        ("1.5Gi", "1536Mi"),
        ("1024Ki", "1Mi"),
        ("1000", "1k"),
        ("2000m", "2"),
        ("0.1n", "1n"),
        ("12e6", "12e6"),
        ("1e1", "10"),
        ("0.5Ki", "512"),
        ("-0.5", "-500m"),
        ("0Mi", "0"),
        ("9Ei", "9223372036854775807"),
        ("1.500", "1.500"),
        ("100Ki", "100Ki"),
    ],
)
def test_quantities_are_written_as_upstream_writes_them(text: str, expected: str) -> None:
    assert canonical(text) == expected


@given(TEXTS)
def test_the_canonical_text_means_the_same(text: str) -> None:
    assert parse_quantity(canonical(text)) == parse_quantity(text)


@given(TEXTS)
def test_the_canonical_text_is_its_own_canonical_text(text: str) -> None:
    written = str(parse_quantity(text))
    assert str(parse_quantity(written)) == written
    assert canonical(canonical(text)) == canonical(text)


@given(TEXTS, TEXTS)
def test_sums_and_order_are_exact(left: str, right: str) -> None:
    a, b = parse_quantity(left), parse_quantity(right)
    assert (a + b).nanos == a.nanos + b.nanos
    assert (a + b) - b == a
    assert (a < b) == (a.nanos < b.nanos)
    assert max(a, b) >= min(a, b)


@given(TEXTS)
def test_rounding_never_takes_away(text: str) -> None:
    exact, rounded = parse_quantity(text), parse_quantity(rounded_to_milli(text))
    assert abs(rounded.nanos) >= abs(exact.nanos)
    assert abs(rounded.nanos - exact.nanos) < NANO // 1000


@given(st.text(max_size=12))
def test_any_text_is_a_quantity_or_refused(text: str) -> None:
    with suppress(QuantityError):
        parse_quantity(text)


def test_an_empty_text_is_refused_with_the_pattern() -> None:
    with pytest.raises(QuantityError, match="quantities must match the regular expression"):
        parse_quantity("")


def test_huge_exponents_are_refused_at_once() -> None:
    with pytest.raises(QuantityError):
        parse_quantity("1e999999999999")


def test_values_are_rounded_away_from_zero() -> None:
    assert parse_quantity("1500m").value == 2
    assert parse_quantity("-1500m").value == -2
    assert parse_quantity("1500u").milli_value == 2
    assert not Quantity(0)
