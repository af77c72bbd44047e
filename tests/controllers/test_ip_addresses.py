"""What a crash or a user leaves of services and their addresses is repaired."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from moorage.controllers.ip_addresses import ADDRESS_CONTROLLER, LEAK_SECONDS, SERVICE_CONTROLLER
from moorage.objects.metadata import Ref
from moorage.objects.service_networks import IP_ADDRESSES, SERVICE_CIDRS, ip_address_for, is_address_of
from tests.controllers.world import World

START = datetime(2026, 1, 1, tzinfo=UTC)
IP = "10.96.1.7"


@pytest.fixture
def world() -> World:
    world = World(START)
    world.create(SERVICE_CIDRS, {"metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.96.0.0/16"]}})
    return world


def service(world: World, name: str = "s", address: str = IP) -> dict[str, Any]:
    spec = {"type": "ClusterIP", "clusterIPs": [address]}
    return world.create("services", {"metadata": {"name": name, "namespace": "n"}, "spec": spec})


def repair(world: World, name: str = "s") -> None:
    world.run(SERVICE_CONTROLLER, Ref("services", "n", name))


def check(world: World, address: str = IP) -> Any:
    return world.run(ADDRESS_CONTROLLER, Ref(IP_ADDRESSES, "", address))


def test_an_address_without_a_service_waits_for_one_and_goes(world: World) -> None:
    world.create(IP_ADDRESSES, ip_address_for({"metadata": {"name": "s", "namespace": "n"}}, IP))
    assert check(world).look_again_in > LEAK_SECONDS
    world.now += timedelta(seconds=LEAK_SECONDS + 1)
    check(world)
    assert not world.list(IP_ADDRESSES)
    assert any("appears to have leaked: cleaning up" in each for each in world.events)


def test_an_address_that_its_service_has_stays(world: World) -> None:
    world.create(IP_ADDRESSES, ip_address_for(service(world), IP))
    world.now += timedelta(seconds=600)
    assert check(world).actions == ()


def test_an_address_that_its_service_does_not_have_goes(world: World) -> None:
    world.create(IP_ADDRESSES, ip_address_for(service(world), "10.96.1.8"))
    assert check(world, "10.96.1.8").actions == ()
    world.now += timedelta(seconds=6)
    check(world, "10.96.1.8")
    assert not world.list(IP_ADDRESSES)


def test_what_others_made_is_left_alone(world: World) -> None:
    metadata = {"name": IP, "labels": {"ipaddress.kubernetes.io/managed-by": "somebody"}}
    parent = {"resource": "gateways", "name": "g"}
    world.create(IP_ADDRESSES, {"metadata": metadata, "spec": {"parentRef": parent}})
    assert check(world).actions == ()


def test_a_service_gets_its_address_back(world: World) -> None:
    made = service(world)
    repair(world)
    (found,) = world.list(IP_ADDRESSES)
    assert is_address_of(found, made)
    assert any(f"Cluster IP [IPv4]: {IP} is not allocated; repairing" in each for each in world.events)
    before = world.revision
    repair(world)
    assert world.revision == before


def test_an_address_of_nobody_is_given_to_who_has_it(world: World) -> None:
    made = service(world)
    world.create(IP_ADDRESSES, ip_address_for({"metadata": {"name": "gone", "namespace": "n"}}, IP))
    repair(world)
    (found,) = world.list(IP_ADDRESSES)
    assert is_address_of(found, made)


def test_two_services_with_one_address_are_told(world: World) -> None:
    world.create(IP_ADDRESSES, ip_address_for(service(world, "first"), IP))
    service(world, "second")
    repair(world, "second")
    assert any("was assigned to multiple services; please recreate service" in each for each in world.events)


def test_an_address_outside_of_every_network_is_told(world: World) -> None:
    service(world, address="10.1.1.1")
    repair(world)
    assert any("is not within any configured Service CIDR" in each for each in world.events)
