"""Namespaces are furnished when they come and emptied when they go."""

from datetime import UTC, datetime
from typing import Any

import pytest

from moorage.controllers import namespaces, service_accounts
from moorage.objects.metadata import Ref
from tests.controllers.settling import settle
from tests.controllers.world import World

RESOURCES = ("configmaps", "pods", "secrets", "events")
CONTROLLER = namespaces.controller_for(lambda: RESOURCES)


@pytest.fixture
def world() -> World:
    made = World(datetime(2026, 1, 1, tzinfo=UTC))
    spec = {"finalizers": ["kubernetes"]}
    made.create("namespaces", {"metadata": {"name": "x", "finalizers": ["held"]}, "spec": spec})
    return made


def make(world: World, resource: str, name: str, **metadata: Any) -> None:
    world.create(resource, {"metadata": {"name": name, "namespace": "x", **metadata}})


def end(world: World) -> None:
    """Delete the namespace as the API does; the finalizer `held` stands for the API's own keeping of it."""
    world.delete("namespaces", "", "x")


def namespace(world: World) -> Any:
    return world.objects["namespaces", "", "x"]


def test_a_living_namespace_is_left_alone(world: World) -> None:
    assert CONTROLLER.observe(world, Ref("namespaces", "", "x")) is None


def test_an_empty_namespace_is_let_go(world: World) -> None:
    end(world)
    world.run(CONTROLLER, Ref("namespaces", "", "x"))
    assert namespace(world)["spec"]["finalizers"] == []


def test_pods_go_before_everything_else(world: World) -> None:
    make(world, "pods", "p")
    make(world, "configmaps", "c")
    end(world)
    world.run(CONTROLLER, Ref("namespaces", "", "x"))
    assert [key[0] for key in world.objects if key[1] == "x"] == ["configmaps"]
    settle(world, [CONTROLLER])
    assert not [key for key in world.objects if key[1] == "x"]
    assert namespace(world)["spec"]["finalizers"] == []


def test_what_holds_the_namespace_is_told_in_its_conditions(world: World) -> None:
    make(world, "configmaps", "c", finalizers=["example.com/hold"])
    make(world, "secrets", "s")
    end(world)
    settle(world, [CONTROLLER])
    told = {
        each["type"]: (each["status"], each["reason"], each["message"])
        for each in namespace(world)["status"]["conditions"]
    }
    assert list(told) == list(namespaces._FINE)
    assert told["NamespaceContentRemaining"] == (
        "True",
        "SomeResourcesRemain",
        "Some resources are remaining: configmaps. has 1 resource instances",
    )
    assert told["NamespaceFinalizersRemaining"] == (
        "True",
        "SomeFinalizersRemain",
        "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances",
    )
    assert told["NamespaceDeletionDiscoveryFailure"][0] == "False"
    assert namespace(world)["spec"]["finalizers"] == ["kubernetes"]
    world.patch("configmaps", "x", "c", {"metadata": {"finalizers": None}})
    settle(world, [CONTROLLER])
    assert namespace(world)["spec"]["finalizers"] == []


def test_what_only_the_api_still_has_holds_the_namespace(world: World) -> None:
    end(world)
    observed = CONTROLLER.observe(world, Ref("namespaces", "", "x"))
    make(world, "secrets", "late", finalizers=["example.com/hold"])
    assert world.perform(CONTROLLER.decide(observed, world.now).actions) is not None
    assert namespace(world)["spec"]["finalizers"] == ["kubernetes"]


def test_every_namespace_has_an_account_and_the_certificate(world: World) -> None:
    both = [service_accounts.ACCOUNT_CONTROLLER, service_accounts.certificate_controller("PEM")]
    settle(world, both)
    assert world.objects["configmaps", "x", "kube-root-ca.crt"]["data"] == {"ca.crt": "PEM"}
    assert ("serviceaccounts", "x", "default") in world.objects
    world.delete("serviceaccounts", "x", "default")
    world.patch("configmaps", "x", "kube-root-ca.crt", {"data": {"ca.crt": "forged"}})
    settle(world, both)
    assert world.objects["configmaps", "x", "kube-root-ca.crt"]["data"] == {"ca.crt": "PEM"}
    assert ("serviceaccounts", "x", "default") in world.objects
