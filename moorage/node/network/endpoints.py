"""Which addresses stand behind a service, from its EndpointSlices. Pure.

Source: pkg/proxy (v1.37): ready endpoints; when none is ready, those that still serve while they end.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from moorage.objects.endpoint_slices import SERVICE_NAME
from moorage.objects.metadata import Object, labels_of, name_of, namespace_of


class Backend(NamedTuple):
    """Where a connection can go."""

    address: str
    port: int


class Front(NamedTuple):
    """What clients connect to. protocol: TCP or UDP."""

    address: str
    port: int
    protocol: str


class Endpoint(NamedTuple):
    """One address behind a service. ports: the port's name → its number."""

    address: str
    hostname: str
    node: str
    ready: bool
    serving: bool
    ports: Mapping[str, int]


def endpoints_of(slices: Iterable[Object]) -> dict[tuple[str, str], list[Endpoint]]:
    """Return (namespace, service) → its IPv4 endpoints, in the order of the slices' names."""
    found: dict[tuple[str, str], list[Endpoint]] = {}
    for one in sorted(slices, key=lambda one: (namespace_of(one), name_of(one))):
        service = labels_of(one).get(SERVICE_NAME)
        if service and one.get("addressType", "IPv4") == "IPv4":
            found.setdefault((namespace_of(one), service), []).extend(_endpoints_in(one))
    return found


def _endpoints_in(one: Object) -> Iterable[Endpoint]:
    ports = {port.get("name") or "": port["port"] for port in one.get("ports") or () if port.get("port")}
    for endpoint in one.get("endpoints") or ():
        conditions = endpoint.get("conditions") or {}
        ready = conditions.get("ready") is not False
        serving = conditions.get("serving") is not False if "serving" in conditions else ready
        for address in (endpoint.get("addresses") or ())[:1]:
            yield Endpoint(
                address, endpoint.get("hostname") or "", endpoint.get("nodeName") or "", ready, serving, ports
            )


def usable(endpoints: Sequence[Endpoint]) -> list[Endpoint]:
    """Return the ready endpoints or, when there are none, those that still serve."""
    return [one for one in endpoints if one.ready] or [one for one in endpoints if one.serving]


def is_headless(service: Object) -> bool:
    """Tell whether the service has no address of its own."""
    return bool(service["spec"].get("clusterIP") == "None")


def fronts_for(
    services: Iterable[Object], slices: Iterable[Object], node: str = ""
) -> dict[Front, tuple[Backend, ...]]:
    """Return what each service address leads to; a front without backends refuses connections.

    node: this node's name, for services whose internalTrafficPolicy is Local.
    """
    behind = endpoints_of(slices)
    fronts: dict[Front, tuple[Backend, ...]] = {}
    for service in services:
        spec = service["spec"]
        if not spec.get("clusterIP") or is_headless(service) or spec.get("type") == "ExternalName":
            continue
        endpoints = behind.get((namespace_of(service), name_of(service)), [])
        if spec.get("internalTrafficPolicy") == "Local":
            endpoints = [one for one in endpoints if one.node == node]
        for port in spec.get("ports") or ():
            name = port.get("name") or ""
            backends = tuple(Backend(one.address, one.ports[name]) for one in usable(endpoints) if name in one.ports)
            addresses = [spec["clusterIP"], *(spec.get("externalIPs") or ())]
            for address in (one for one in addresses if ":" not in one):
                fronts[Front(address, port["port"], port.get("protocol") or "TCP")] = backends
    return fronts
