"""Addresses that are written unusually are stored, and warned about."""

from typing import Any

import pytest

from tests.api.world import World, pod

LONG = "2001:0db8::1"
TEXT = 'IPv6 address "2001:0db8::1" should be in RFC 5952 canonical format ("2001:db8::1")'


def policy(block: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "spec": {"podSelector": {}, "ingress": [{"from": [{"ipBlock": block}]}]}}


@pytest.mark.parametrize(
    ("resource", "body", "path"),
    [
        ("pods", pod(hostAliases=[{"ip": LONG, "hostnames": ["h"]}]), "spec.hostAliases[0].ip"),
        ("pods", pod(dnsConfig={"nameservers": [LONG]}), "spec.dnsConfig.nameservers[0]"),
        (
            "endpoints",
            {"metadata": {"name": "e"}, "subsets": [{"addresses": [{"ip": LONG}]}]},
            "subsets[0].addresses[0].ip",
        ),
        (
            "endpointslices.discovery.k8s.io",
            {"metadata": {"name": "e"}, "addressType": "IPv6", "endpoints": [{"addresses": [LONG]}]},
            "endpoints[0].addresses[0]",
        ),
    ],
)
async def test_an_address_is_warned_about(world: World, resource: str, body: dict[str, Any], path: str) -> None:
    await world.create(resource, body)
    assert f"{path}: {TEXT}" in world.warnings


async def test_blocks_of_policies_are_warned_about(world: World) -> None:
    await world.create("networkpolicies.networking.k8s.io", policy({"cidr": "2001:0db8::/64"}))
    assert world.warnings == [
        'spec.ingress[0].from[0].ipBlock.cidr: IPv6 CIDR value "2001:0db8::/64" should be in RFC 5952 canonical format '
        '("2001:db8::/64")'
    ]


async def test_what_a_service_ignores_is_said(world: World) -> None:
    spec = {"clusterIP": "None", "externalIPs": ["192.0.2.1"], "loadBalancerIP": "192.0.2.1", "externalName": "x.y"}
    await world.create("services", {"metadata": {"name": "s"}, "spec": {**spec, "ports": [{"port": 1}]}})
    assert world.warnings == [
        "spec.loadBalancerIP is ignored for headless services",
        "spec.externalIPs is ignored for headless services",
        'spec.externalName is ignored when spec.type is not "ExternalName"',
    ]
