"""The larger a cluster, the longer its nodes may keep what they read."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.controllers.node_ttl import ANNOTATION, Observed, decide, seconds_for
from moorage.objects.actions import Update

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("count", "before", "seconds"),
    [
        (1, "", 0),
        (100, "0", 0),
        (101, "0", 15),
        (90, "15", 15),
        (89, "15", 0),
        (451, "0", 15),
        (501, "15", 30),
        (5000, "", 300),
        (3, "300", 0),
        (3, "what", 0),
    ],
)
def test_the_limits_of_a_step_overlap_with_its_neighbours(count: int, before: str, seconds: int) -> None:
    assert seconds_for(count, before) == seconds


@given(st.integers(0, 3000), st.sampled_from(["", "0", "15", "30", "60", "300"]))
def test_once_written_it_stays_while_the_cluster_does(count: int, before: str) -> None:
    first = seconds_for(count, before)
    assert seconds_for(count, str(first)) == first


def test_other_annotations_of_the_node_stay() -> None:
    node = {"metadata": {"name": "n", "annotations": {"a": "b"}}}
    (action,) = decide(Observed(node, 1), NOW).actions
    assert isinstance(action, Update)
    assert action.obj["metadata"]["annotations"] == {"a": "b", ANNOTATION: "0"}
    assert not decide(Observed(action.obj, 1), NOW).actions
