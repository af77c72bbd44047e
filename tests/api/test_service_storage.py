"""A service and its IPAddress come and go together, and nobody shares one."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from moorage.objects.errors import AlreadyExists, Invalid
from tests.api.world import World

ADDRESSES = "ipaddresses.networking.k8s.io"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    await world.api.load()
    yield world
    await world.store.close()


def service(name: str, **spec: object) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"ports": [{"port": 80}], **spec},
    }


def addresses(world: World) -> dict[str, str]:
    return {each["metadata"]["name"]: each["spec"]["parentRef"]["name"] for each in world.api.lookup.list(ADDRESSES)}


async def test_an_address_is_made_with_its_service_and_goes_with_it(world: World) -> None:
    made = await world.create("services", service("a"))
    assert addresses(world) == {made["spec"]["clusterIP"]: "a"}
    await world.api.delete(world.request("delete", "services", "a", None, {}), {})
    assert addresses(world) == {}


async def test_services_at_the_same_time_get_different_addresses(world: World) -> None:
    made = await asyncio.gather(*(world.create("services", service(f"s{index}")) for index in range(8)))
    assert len({each["spec"]["clusterIP"] for each in made}) == len(made)
    assert addresses(world) == {each["spec"]["clusterIP"]: each["metadata"]["name"] for each in made}


async def test_of_two_that_want_the_same_address_one_gets_it(world: World) -> None:
    wanted = [world.create("services", service(name, clusterIP="10.96.0.77")) for name in "ab"]
    made = await asyncio.gather(*wanted, return_exceptions=True)
    assert [type(each) for each in made if isinstance(each, Exception)] == [Invalid]
    assert list(addresses(world)) == ["10.96.0.77"]


async def test_what_is_not_made_takes_no_address(world: World) -> None:
    await world.create("services", service("a"))
    with pytest.raises(AlreadyExists):
        await world.create("services", service("a"))
    await world.create("services", service("b"), dryRun="All")
    assert list(addresses(world).values()) == ["a"]


async def test_a_service_that_becomes_a_name_lets_its_address_go_and_gets_one_back(world: World) -> None:
    made = await world.create("services", service("a"))
    spec = {"type": "ExternalName", "externalName": "example.com", "clusterIP": None, "clusterIPs": None}
    await world.patch("services", "a", {"spec": spec})
    assert addresses(world) == {}
    back = await world.patch("services", "a", {"spec": {"type": "ClusterIP", "externalName": None}})
    assert addresses(world) == {back["spec"]["clusterIP"]: "a"}
    assert made["spec"]["clusterIP"] == back["spec"]["clusterIP"]
