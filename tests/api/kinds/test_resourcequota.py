"""ResourceQuotas: what a status may say."""

import pytest

from moorage.objects.errors import Invalid
from tests.api.world import World


async def test_a_status_counts_what_quotas_count_and_nothing_negative(world: World) -> None:
    await world.create("resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "2"}}})
    await world.patch("resourcequotas/status", "q", {"status": {"used": {"pods": "1"}}})
    with pytest.raises(Invalid) as refusal:
        await world.patch("resourcequotas/status", "q", {"status": {"used": {"pods": "-1"}, "hard": {"a b": "1"}}})
    assert [cause.field for cause in refusal.value.causes] == [
        "status.hard[a b]",
        "status.hard[a b]",
        "status.used[pods]",
    ]
