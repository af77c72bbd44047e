"""ServiceCIDRs are ready, and stay as long as somebody's address comes from them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from moorage.controllers.service_cidrs import CONTROLLER, FINALIZER, GRACE_SECONDS
from moorage.objects.metadata import Ref, condition_of
from moorage.objects.service_networks import IP_ADDRESSES, SERVICE_CIDRS, ip_address_for
from tests.controllers.world import World

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def world() -> World:
    return World(START)


def service_cidr(world: World, name: str, *cidrs: str) -> None:
    world.create(SERVICE_CIDRS, {"metadata": {"name": name}, "spec": {"cidrs": list(cidrs)}})
    look(world, name)


def look(world: World, name: str) -> Any:
    return world.run(CONTROLLER, Ref(SERVICE_CIDRS, "", name))


def take(world: World, address: str) -> None:
    service = {"metadata": {"name": "s", "namespace": "n"}}
    world.create(IP_ADDRESSES, ip_address_for(service, address))


def test_a_new_one_is_held_and_ready(world: World) -> None:
    service_cidr(world, "a", "172.31.0.0/24")
    found = world.get(SERVICE_CIDRS, "", "a") or {}
    assert found["metadata"]["finalizers"] == [FINALIZER]
    ready = condition_of(found, "Ready") or {}
    assert (ready["status"], ready["reason"], ready["message"]) == ("True", "", "Kubernetes Service CIDR is ready")
    before = world.revision
    look(world, "a")
    assert world.revision == before


def test_one_without_addresses_goes_after_a_while(world: World) -> None:
    service_cidr(world, "a", "172.31.0.0/24")
    take(world, "172.31.1.7")
    world.delete(SERVICE_CIDRS, "", "a")
    decision = look(world, "a")
    assert decision.look_again_in == GRACE_SECONDS
    world.now += timedelta(seconds=GRACE_SECONDS)
    look(world, "a")
    assert not (world.get(SERVICE_CIDRS, "", "a") or {"metadata": {}})["metadata"].get("finalizers")


def test_one_that_an_address_comes_from_stays(world: World) -> None:
    service_cidr(world, "a", "172.31.0.0/24")
    take(world, "172.31.0.7")
    world.delete(SERVICE_CIDRS, "", "a")
    world.now += timedelta(seconds=60)
    look(world, "a")
    ready = condition_of(world.get(SERVICE_CIDRS, "", "a") or {}, "Ready") or {}
    assert (ready["status"], ready["reason"]) == ("False", "Terminating")
    assert ready["message"].startswith("There are still IPAddresses referencing the ServiceCIDR")
    address = world.list(IP_ADDRESSES)[0]
    assert Ref(SERVICE_CIDRS, "", "a") in CONTROLLER.wakes[IP_ADDRESSES](world, address)


def test_one_inside_of_another_may_go(world: World) -> None:
    service_cidr(world, "a", "172.31.0.0/24")
    service_cidr(world, "b", "172.31.0.0/16")
    take(world, "172.31.0.7")
    world.delete(SERVICE_CIDRS, "", "a")
    world.now += timedelta(seconds=60)
    look(world, "a")
    assert not (world.get(SERVICE_CIDRS, "", "a") or {"metadata": {}})["metadata"].get("finalizers")


def test_the_clusters_own_comes_back(world: World) -> None:
    look(world, "kubernetes")
    assert (world.get(SERVICE_CIDRS, "", "kubernetes") or {})["spec"] == {"cidrs": ["10.96.0.0/16"]}
