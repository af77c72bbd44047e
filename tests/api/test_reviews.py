"""Tests of questions that are asked by creating an object."""

import pytest

from moorage.aio.clock import SystemClock
from moorage.api.authorization import Rbac
from moorage.api.reviews import Reviews
from moorage.objects.errors import Invalid
from tests.api.world import World

REVIEW = "subjectaccessreviews.authorization.k8s.io"


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        ({}, ["spec", "spec.user"]),
        ({"user": "u"}, ["spec"]),
        ({"resourceAttributes": {"verb": "get"}}, ["spec.user"]),
        ({"user": "u", "resourceAttributes": {}, "nonResourceAttributes": {"path": "/x"}}, ["spec"]),
    ],
)
async def test_everything_that_is_wrong_with_a_question_is_told_at_once(world: World, spec, fields):
    reviews = Reviews(Rbac(world.api.lookup), None, SystemClock())  # type: ignore[arg-type] (no token is asked for)
    world.api.creations |= reviews.creations()
    with pytest.raises(Invalid) as refusal:
        await world.create(REVIEW, {"spec": spec})
    assert [cause.field for cause in refusal.value.causes] == fields
