"""Groups of definitions have APIServices while somebody serves them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from moorage.controllers.api_services import CONTROLLER
from moorage.controllers.custom_resources import RESOURCE as DEFINITIONS
from moorage.objects.api_services import MANAGED_LABEL, PRIORITIES, RESOURCE, builtin_api_services
from moorage.objects.kinds import group_versions
from moorage.objects.metadata import Ref
from tests.controllers.world import World


@pytest.fixture
def world() -> World:
    return World(datetime(2026, 1, 1, tzinfo=UTC))


def definition(world: World, *versions: str, plural: str = "widgets") -> dict[str, Any]:
    spec = {"group": "example.com", "versions": [{"name": each, "served": True} for each in versions]}
    status = {"conditions": [{"type": "Established", "status": "True"}]}
    metadata = {"name": f"{plural}.example.com"}
    return world.create(DEFINITIONS, {"metadata": metadata, "spec": spec, "status": status})


def look(world: World, name: str) -> None:
    world.run(CONTROLLER, Ref(RESOURCE, "", name))


def test_a_definition_wakes_each_version_and_gets_an_api_service(world: World) -> None:
    made = definition(world, "v1", "v2")
    for ref in CONTROLLER.wakes[DEFINITIONS](world, made):
        look(world, ref.name)
    assert [each["metadata"]["name"] for each in world.list(RESOURCE)] == ["v1.example.com", "v2.example.com"]
    first = world.list(RESOURCE)[0]
    assert first["metadata"]["labels"] == {MANAGED_LABEL: "true"}
    priorities = {"groupPriorityMinimum": 1000, "versionPriority": 100}
    assert first["spec"] == {"group": "example.com", "version": "v1", **priorities}


def test_it_stays_until_the_last_definition_of_the_version_goes(world: World) -> None:
    definition(world, "v1")
    definition(world, "v1", plural="gadgets")
    look(world, "v1.example.com")
    world.delete(DEFINITIONS, "", "widgets.example.com")
    look(world, "v1.example.com")
    assert world.list(RESOURCE)
    world.delete(DEFINITIONS, "", "gadgets.example.com")
    look(world, "v1.example.com")
    assert not world.list(RESOURCE)


def test_somebody_elses_is_left_alone(world: World) -> None:
    definition(world, "v1")
    world.create(RESOURCE, {"metadata": {"name": "v1.example.com"}, "spec": {"service": {"name": "s"}}})
    before = world.revision
    look(world, "v1.example.com")
    assert world.revision == before


def test_every_group_of_the_server_has_one_but_the_aggregators_own() -> None:
    assert set(group_versions()) - set(PRIORITIES) == {"apiregistration.k8s.io/v1"}
    assert next(builtin_api_services())["spec"] == {
        "version": "v1",
        "groupPriorityMinimum": 18000,
        "versionPriority": 1,
    }
