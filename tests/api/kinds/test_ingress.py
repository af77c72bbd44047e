"""Ingresses: an empty list of rules."""

import pytest

from moorage.objects.errors import Invalid
from tests.api.world import World

BACKEND = {"service": {"name": "s", "port": {"number": 80}}}


async def test_an_empty_list_of_rules_is_shown_when_it_is_refused_and_not_stored(world: World) -> None:
    resource, body = "ingresses.networking.k8s.io", {"metadata": {"name": "i"}, "spec": {"rules": []}}
    with pytest.raises(Invalid, match=r"Invalid value: \[\]: either"):
        await world.create(resource, body)
    made = await world.create(resource, {**body, "spec": {"rules": [], "defaultBackend": BACKEND}})
    assert "rules" not in made["spec"]
