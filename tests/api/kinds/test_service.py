"""Services get addresses and ports that nobody else has."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.api.kinds.service_parts.allocation import NODE_PORTS, allocate
from moorage.objects.errors import InternalError, Invalid
from moorage.objects.metadata import Object
from moorage.objects.service_networks import IP_ADDRESSES
from tests.api.world import World


class Services:
    """The services of a cluster."""

    def __init__(self) -> None:
        self.all: list[Object] = []
        self.networks: list[Object] = []

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        """Return the IPAddress of a service that has this address."""
        has = [each for each in self.all if name in (each["spec"].get("clusterIPs") or ())]
        return {"metadata": {"name": name}} if has and resource == IP_ADDRESSES else None

    def list(self, resource: str, namespace: str = "") -> Sequence[Object]:
        """Return every service, or every ServiceCIDR."""
        return self.all if resource == "services" else self.networks


def a_service(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "n"}, "spec": {"ports": [{"port": 80, "protocol": "TCP"}], **spec}}


@given(st.lists(st.sampled_from(["ClusterIP", "NodePort"]), max_size=20))
def test_no_two_services_share_an_address_or_a_port(kinds: list[str]) -> None:
    services = Services()
    for index, kind in enumerate(kinds):
        service = a_service(f"s{index}", type=kind)
        allocate(service, None, services)
        services.all.append(service)
    ips = [each["spec"]["clusterIP"] for each in services.all]
    ports = [each["spec"]["ports"][0].get("nodePort") for each in services.all if each["spec"]["type"] == "NodePort"]
    assert len(set(ips)) == len(ips)
    assert len(set(ports)) == len(ports)
    assert all(port in NODE_PORTS for port in ports)


def test_an_address_that_is_taken_is_refused() -> None:
    services = Services()
    services.all.append(a_service("a", type="ClusterIP", clusterIPs=["10.96.3.3"]))
    with pytest.raises(Invalid, match="provided IP is already allocated"):
        allocate(a_service("b", type="ClusterIP", clusterIP="10.96.3.3"), None, services)


def a_network(name: str, *cidrs: str, ready: str = "True") -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": {"cidrs": list(cidrs)},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


def test_an_address_may_come_from_any_network_that_is_ready() -> None:
    services = Services()
    services.networks = [a_network("b", "fd00::/112", "172.31.3.0/28"), a_network("a", "172.31.4.0/28", ready="False")]
    asked = a_service("a", type="ClusterIP", clusterIP="172.31.3.5")
    allocate(asked, None, services)
    assert asked["spec"]["clusterIPs"] == ["172.31.3.5"]
    for address, why in {
        "172.31.4.5": "the provided network does not match the current range",
        "10.96.0.9": "the provided network does not match the current range",
        "172.31.3.15": "the provided IP .172.31.3.15. is not in the valid range. The range of valid IPs is 172.31.3.0/28",
    }.items():
        with pytest.raises(Invalid, match=why):
            allocate(a_service("b", type="ClusterIP", clusterIP=address), None, services)


def test_a_full_network_leads_to_the_next_and_the_end_is_told() -> None:
    services = Services()
    services.networks = [a_network("kubernetes", "172.31.3.0/30"), a_network("b", "172.31.4.0/30")]
    for index in range(4):
        service = a_service(f"s{index}", type="ClusterIP")
        allocate(service, None, services)
        services.all.append(service)
    ips = [each["spec"]["clusterIP"] for each in services.all]
    assert ips == ["172.31.3.1", "172.31.3.2", "172.31.4.1", "172.31.4.2"]
    with pytest.raises(InternalError, match='failed to allocate a serviceIP for Service "x": range is full'):
        allocate(a_service("x", type="ClusterIP"), None, services)


async def made(world: World, **spec: Any) -> dict[str, Any]:
    body = {"metadata": {"name": "s"}, "spec": {"selector": {"a": "b"}, "ports": [{"port": 80}], **spec}}
    return await world.create("services", body)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"clusterIPs": ["10.96.0.90"]}, "first value must match `clusterIP`"),
        ({"ipFamilies": ["IPv6"]}, "expected an IPv6 value as indicated by `ipFamilies[0]`"),
    ],
)
async def test_addresses_that_contradict_each_other_are_refused_and_nothing_else_is_said(
    world: World, change: dict[str, Any], text: str
) -> None:
    await made(world)
    body = {"metadata": {"name": "s"}, "spec": {"selector": {"a": "b"}, "ports": [{"port": 0}], **change}}
    with pytest.raises(Invalid) as refusal:
        await world.update("services", body)
    assert [cause.message.partition(": ")[2].rpartition(": ")[2] for cause in refusal.value.causes] == [text]


async def test_a_port_keeps_its_node_port_by_its_name(world: World) -> None:
    before = await made(world, type="NodePort", ports=[{"name": "a", "port": 80}, {"name": "b", "port": 81}])
    ports = {each["name"]: each["nodePort"] for each in before["spec"]["ports"]}
    swapped = [{"name": "a", "port": 81}, {"name": "b", "port": 80}]
    spec = {"selector": {"a": "b"}, "type": "NodePort", "ports": swapped}
    after = await world.update("services", {"metadata": {"name": "s"}, "spec": spec})
    assert {each["name"]: each["nodePort"] for each in after["spec"]["ports"]} == ports


RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
MODE, HINTS = "service.kubernetes.io/topology-mode", "service.kubernetes.io/topology-aware-hints"


@pytest.mark.parametrize(
    ("annotations", "fields"),
    [
        ({RANGES: "10.0.0.0/8"}, [f"metadata.annotations[{RANGES}]"]),
        ({RANGES: "10.0.0.0/8, x"}, [f"metadata.annotations[{RANGES}]"] * 2),
        ({MODE: "auto", HINTS: "off"}, [f"metadata.annotations[{MODE}]"]),
    ],
)
async def test_annotations_that_mean_fields_are_judged(
    world: World, annotations: dict[str, str], fields: list[str]
) -> None:
    body = {"metadata": {"name": "s", "annotations": annotations}, "spec": {"ports": [{"port": 80}]}}
    with pytest.raises(Invalid) as refusal:
        await world.create("services", body)
    assert [cause.field for cause in refusal.value.causes] == fields


async def test_what_may_not_change_is_told_before_what_may_not_be(world: World) -> None:
    before = await made(world, type="LoadBalancer", externalTrafficPolicy="Local", ports=[{"port": 80}])
    spec = {**before["spec"], "healthCheckNodePort": 31999, "sessionAffinity": "X"}
    with pytest.raises(Invalid) as refusal:
        await world.update("services", {"metadata": {"name": "s"}, "spec": spec})
    assert [str(cause) for cause in refusal.value.causes] == [
        "spec.healthCheckNodePort: Forbidden: field is immutable",
        'spec.sessionAffinity: Unsupported value: "X": supported values: "ClientIP", "None"',
    ]
