"""Endpoints and EndpointSlices follow pods as upstream's do."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.controllers import endpoints, endpointslices
from moorage.controllers.endpointslices import SLICES
from tests.controllers.settling import settle
from tests.controllers.world import World

ALL = (endpoints.CONTROLLER, endpointslices.CONTROLLER, endpointslices.MIRROR_CONTROLLER)
KEY = ("endpoints", "default", "s")


@pytest.fixture
def world() -> World:
    return World(datetime(2026, 1, 1, tzinfo=UTC))


def service(world: World, *, name: str = "s", labels: Any = None, **spec: Any) -> None:
    whole = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}], "clusterIP": "10.0.0.1", **spec}
    metadata = {"name": name, "namespace": "default", **({"labels": labels} if labels else {})}
    world.create("services", {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": whole})


def pod(world: World, name: str, ip: str, *, ready: bool = True, phase: str = "Running", **spec: Any) -> None:
    condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": "2020-01-01T00:00:00Z"}
    status = {"phase": phase, "podIP": ip, "podIPs": [{"ip": ip}], "conditions": [condition]}
    metadata = {"name": name, "namespace": "default", "labels": {"app": "web"}}
    world.create("pods", {"metadata": metadata, "spec": {"nodeName": "node-0", **spec}, "status": status})


def subsets(world: World) -> Any:
    return [
        {
            **{
                kind: [each["ip"] for each in subset[kind]]
                for kind in ("addresses", "notReadyAddresses")
                if kind in subset
            },
            "ports": subset.get("ports"),
        }
        for subset in world.objects[KEY]["subsets"]
    ]


def slices(world: World) -> list[Any]:
    return list(world.list(SLICES))


TCP = [{"port": 8080, "protocol": "TCP"}]


def test_a_ready_pod_is_an_address(world: World) -> None:
    pod(world, "a", "192.0.2.1")
    service(world, labels={"l": "1"})
    settle(world, ALL)
    made = world.objects[KEY]
    uid = world.pods()["a"]["metadata"]["uid"]
    target = {"kind": "Pod", "namespace": "default", "name": "a", "uid": uid}
    assert made["metadata"]["labels"] == {"endpoints.kubernetes.io/managed-by": "endpoint-controller", "l": "1"}
    assert made["metadata"]["annotations"] == {
        "endpoints.kubernetes.io/last-change-trigger-time": "2020-01-01T00:00:00Z"
    }
    assert made["subsets"] == [
        {"addresses": [{"ip": "192.0.2.1", "nodeName": "node-0", "targetRef": target}], "ports": TCP}
    ]
    (slice_,) = slices(world)
    assert slice_["metadata"]["labels"] == {
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        "kubernetes.io/service-name": "s",
        "l": "1",
    }
    assert slice_["addressType"] == "IPv4"
    assert slice_["ports"] == [{"name": "", "protocol": "TCP", "port": 8080}]
    assert slice_["endpoints"] == [
        {
            "addresses": ["192.0.2.1"],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "targetRef": target,
            "nodeName": "node-0",
        }
    ]


def test_addresses_are_sorted_by_ip(world: World) -> None:
    pod(world, "a", "192.0.2.9")
    pod(world, "b", "192.0.2.1")
    service(world)
    settle(world, ALL)
    assert subsets(world) == [{"addresses": ["192.0.2.1", "192.0.2.9"], "ports": TCP}]


@pytest.mark.parametrize(
    ("publishes", "kind", "ready"), [(False, "notReadyAddresses", False), (True, "addresses", True)]
)
def test_a_pod_that_is_not_ready_is_told_apart_unless_published(
    world: World, publishes: bool, kind: str, ready: bool
) -> None:
    pod(world, "a", "192.0.2.1", ready=False)
    service(world, publishNotReadyAddresses=publishes)
    settle(world, ALL)
    assert subsets(world) == [{kind: ["192.0.2.1"], "ports": TCP}]
    assert slices(world)[0]["endpoints"][0]["conditions"] == {"ready": ready, "serving": False, "terminating": False}


def test_a_headless_service_says_so_and_names_its_pods(world: World) -> None:
    pod(world, "a", "192.0.2.1", hostname="h", subdomain="s")
    service(world, clusterIP="None", ports=[])
    settle(world, ALL)
    made = world.objects[KEY]
    assert made["metadata"]["labels"]["service.kubernetes.io/headless"] == ""
    assert made["subsets"][0]["addresses"][0]["hostname"] == "h"
    assert "ports" not in made["subsets"][0]
    assert slices(world)[0]["endpoints"][0]["hostname"] == "h"
    assert slices(world)[0]["ports"] is None


def test_a_named_port_means_what_the_pod_says(world: World) -> None:
    pod(world, "a", "192.0.2.1", containers=[{"ports": [{"name": "web", "containerPort": 8000}]}])
    service(world, ports=[{"name": "x", "port": 80, "targetPort": "web"}])
    service(world, name="t", ports=[{"port": 80, "targetPort": "nope"}])
    settle(world, ALL)
    assert subsets(world) == [{"addresses": ["192.0.2.1"], "ports": [{"name": "x", "port": 8000, "protocol": "TCP"}]}]
    assert world.objects["endpoints", "default", "t"]["subsets"] == []
    (slice_,) = [each for each in slices(world) if each["metadata"]["labels"]["kubernetes.io/service-name"] == "t"]
    assert slice_["ports"] is None
    assert slice_["endpoints"]


def test_pods_that_go_leave_an_empty_slice(world: World) -> None:
    pod(world, "a", "192.0.2.1")
    service(world)
    settle(world, ALL)
    world.patch("pods", "default", "a", {"metadata": {"labels": {"app": None}}})
    settle(world, ALL)
    assert world.objects[KEY]["subsets"] == []
    assert not world.objects[KEY]["metadata"]["annotations"]
    (slice_,) = slices(world)
    assert slice_["endpoints"] is None
    assert slice_["addressType"] == "IPv4"


def test_a_terminating_pod_stays_in_the_slice_only(world: World) -> None:
    pod(world, "a", "192.0.2.1")
    service(world)
    world.delete("pods", "default", "a")
    settle(world, ALL)
    assert world.objects[KEY]["subsets"] == []
    assert slices(world)[0]["endpoints"][0]["conditions"] == {"ready": False, "serving": True, "terminating": True}


def test_finished_pods_and_pods_without_address_are_left_out(world: World) -> None:
    pod(world, "a", "192.0.2.1", ready=False, phase="Failed")
    pod(world, "b", "")
    service(world)
    settle(world, ALL)
    assert world.objects[KEY]["subsets"] == []


@pytest.mark.parametrize("spec", [{"selector": None}, {"type": "ExternalName"}])
def test_without_a_selector_nothing_is_made(world: World, spec: Any) -> None:
    service(world, **spec)
    settle(world, ALL)
    assert KEY not in world.objects
    assert not slices(world)


def test_endpoints_go_with_their_service(world: World) -> None:
    service(world)
    settle(world, ALL)
    world.delete("services", "default", "s")
    observed = endpoints.CONTROLLER.observe(world, endpoints.Ref("services", "default", "s"))
    world.perform(endpoints.CONTROLLER.decide(observed, world.now).actions)
    assert KEY not in world.objects
    assert not slices(world)


def hand_made(world: World, **metadata: Any) -> None:
    subset = {"addresses": [{"ip": "192.0.2.5"}], "ports": [{"port": 99}]}
    whole = {"name": "s", "namespace": "default", **metadata}
    world.create("endpoints", {"apiVersion": "v1", "kind": "Endpoints", "metadata": whole, "subsets": [subset]})


def test_endpoints_written_by_hand_are_mirrored(world: World) -> None:
    service(world, selector=None)
    hand_made(world)
    settle(world, ALL)
    (slice_,) = slices(world)
    assert slice_["metadata"]["labels"] == {
        "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
        "kubernetes.io/service-name": "s",
    }
    assert slice_["endpoints"] == [{"addresses": ["192.0.2.5"], "conditions": {"ready": True}}]
    assert slice_["ports"] == [{"name": "", "protocol": "TCP", "port": 99}]
    world.patch(*KEY, {"subsets": [{"addresses": [{"ip": "192.0.2.6"}], "ports": [{"port": 98}]}]})
    settle(world, ALL)
    (slice_,) = slices(world)
    assert slice_["endpoints"] == [{"addresses": ["192.0.2.6"], "conditions": {"ready": True}}]
    assert slice_["ports"][0]["port"] == 98


def test_endpoints_without_service_or_with_the_label_are_not_mirrored(world: World) -> None:
    hand_made(world)
    settle(world, ALL)
    assert not slices(world)
    service(world, selector=None)
    world.patch(*KEY, {"metadata": {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}}})
    settle(world, ALL)
    assert not slices(world)


STEPS = st.lists(st.tuples(st.sampled_from("+-!"), st.integers(0, 250)), max_size=12)


@settings(max_examples=30, deadline=None)
@given(STEPS)
def test_slices_hold_every_pod_once_and_no_more_than_they_may(steps: Any) -> None:
    world = World(datetime(2026, 1, 1, tzinfo=UTC))
    service(world)
    for verb, count in steps:
        there = sorted(world.pods())
        if verb == "+":
            for number in range(count):
                if f"p{number}" not in there:
                    pod(world, f"p{number}", f"10.0.{number // 250}.{number % 250}")
        elif verb == "-":
            for name in there[:count]:
                world.delete("pods", "default", name, force=True)
        settle(world, [endpointslices.CONTROLLER])
        held = [each["targetRef"]["name"] for slice_ in slices(world) for each in slice_["endpoints"] or ()]
        assert sorted(held) == sorted(world.pods())
        assert all(len(slice_["endpoints"] or ()) <= 100 for slice_ in slices(world))
        assert all(slice_["endpoints"] for slice_ in slices(world)) or len(slices(world)) == 1
