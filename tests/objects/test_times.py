from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.objects.times import TimeError, normal_micro_time, normal_time

FULL = "2006-01-02T15:04:05Z07:00"


def test_times_are_written_in_utc_and_whole_seconds() -> None:
    assert normal_time("2026-01-02T03:04:05.999+02:00") == "2026-01-02T01:04:05Z"


def test_micro_times_keep_six_digits() -> None:
    assert normal_micro_time("2026-01-02T03:04:05.123456-01:00") == "2026-01-02T04:04:05.123456Z"


def test_the_zero_time_of_go_is_no_time() -> None:
    assert normal_time("0001-01-01T00:00:00Z") is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("yesterday", f'parsing time "yesterday" as "{FULL}": cannot parse "yesterday" as "2006"'),
        ("2026-01-01", f'parsing time "2026-01-01" as "{FULL}": cannot parse "" as "T"'),
        ("2026-13-01T00:00:00Z", 'parsing time "2026-13-01T00:00:00Z": month out of range'),
        ("2026-02-30T00:00:00Z", 'parsing time "2026-02-30T00:00:00Z": day out of range'),
        ("2026-01-02T03:04:05Zx", 'parsing time "2026-01-02T03:04:05Zx": extra text: "x"'),
        ("2026-01-02T03:04:05", f'parsing time "2026-01-02T03:04:05" as "{FULL}": cannot parse "" as "Z07:00"'),
    ],
)
def test_what_is_no_time_is_refused_in_gos_words(text: str, why: str) -> None:
    with pytest.raises(TimeError) as caught:
        normal_time(text)
    assert str(caught.value) == why


def test_micro_times_need_exactly_six_digits() -> None:
    with pytest.raises(TimeError, match='cannot parse "789Z" as "Z07:00"'):
        normal_micro_time("2026-01-02T03:04:05.123456789Z")


@given(st.text(max_size=30))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    for normal in (normal_time, normal_micro_time):
        with suppress(TimeError):
            normal(text)


@given(st.datetimes())
def test_a_written_time_reads_as_itself(moment: object) -> None:
    text = f"{moment.isoformat(timespec='seconds')}Z"  # type: ignore[attr-defined]
    assert normal_time(text) in (text, None)
