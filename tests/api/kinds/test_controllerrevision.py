"""Tests of the rules of ControllerRevisions."""

from datetime import UTC, datetime

import pytest

from moorage.api.kinds.controllerrevision import validate
from moorage.api.request import SYSTEM, Request
from moorage.objects.kinds import builtin

REQUEST = Request(SYSTEM, "create", builtin("controllerrevisions.apps"), "ns", "", datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (None, "Required value: data is mandatory"),
        ("x", "Required value: data must be a valid JSON object"),
        ([1], "Required value: data must be a valid JSON object"),
    ],
)
def test_the_state_is_an_object(data, why):
    causes = validate({"metadata": {"name": "a"}, "data": data, "revision": 1}, REQUEST)
    assert [cause.message for cause in causes] == [why]
    assert validate({"metadata": {"name": "a"}, "data": {}, "revision": 1}, REQUEST) == []
