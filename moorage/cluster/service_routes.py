"""From the Service of a webhook or of an aggregated API to somebody who answers: a pod, or an address.

A pod of this cluster is reached through its node, as port-forward reaches it: so it does not matter whether its address
can be routed to from here.

Differs from Kubernetes: a ready endpoint is called itself, not the service's cluster address, which this process cannot
reach; a service without endpoints is refused at once instead of after a time out.
Source: apiserver/pkg/util/proxy/proxy.go (v1.37).
"""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from moorage.aio.entropy import Entropy
from moorage.api.admission.webhooks.caller import ServiceReference
from moorage.cluster.webhooks.faults import dial_fault, tls_fault
from moorage.objects.endpoint_slices import SLICES, slices_of
from moorage.objects.errors import StatusError
from moorage.objects.metadata import Object


class Reader(Protocol):
    """Read access to objects, as moorage.api.kind_rules.Lookup has it."""

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        """Return one object, None if there is none."""

    def list(self, resource: str, namespace: str = "") -> "list[Object]":
        """Return all objects, or those of one namespace."""


class Dialer(Protocol):
    """Reaches ports inside pods (moorage.server.gateway.PodGateway)."""

    async def dial(self, pod: Object, port: int) -> socket.socket:
        """Return a non-blocking connection to a TCP port inside the pod. Raises OSError, StatusError."""


class NoRoute(Exception):
    """Nobody answers for a service; the text is what Kubernetes says of it."""


class NotConnected(Exception):
    """A route leads to nobody whom we trust; the text is what Kubernetes says of it."""


class Route(NamedTuple):
    """Where to connect to. pod: the pod that has the address, if one of this cluster does."""

    address: str
    port: int
    pod: Object | None = None


def route_to(service: ServiceReference, reader: Reader, entropy: Entropy) -> Route:
    """Return any of those who answer for a port of a service. Raises NoRoute."""
    routes = routes_to(service, reader)
    return routes[int(entropy.fraction() * len(routes))]


def routes_to(service: ServiceReference, reader: Reader) -> list[Route]:
    """Return everybody who answers for a port of a service. Raises NoRoute."""
    found = reader.get("services", service.namespace, service.name)
    if found is None:
        raise NoRoute(f'service "{service.name}" not found')
    spec = found.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return [Route(spec["externalName"], service.port)]
    if spec.get("clusterIP") == "None":
        raise NoRoute('cannot route to service with ClusterIP "None"')
    port = next((each for each in spec.get("ports") or () if each["port"] == service.port), None)
    if port is None:
        raise NoRoute(f'no service port {service.port} found for service "{service.name}"')
    routes = list(_ready(service, port.get("name") or "", reader))
    if not routes:
        raise NoRoute(f'no endpoints available for service "{service.name}"')
    return routes


async def connected(
    route: Route, dialer: Dialer | None, context: ssl.SSLContext, server_name: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a connection whose other side is who the context wants `server_name` to be.

    dialer: what reaches pods, if anything does. Raises NotConnected.
    """
    try:
        return await _open_tls(route, dialer, context, server_name)
    except ssl.SSLError as error:
        raise NotConnected(tls_fault(error, server_name)) from error
    except OSError as error:
        raise NotConnected(dial_fault(error, route.address, route.port)) from error
    except StatusError as error:
        raise NotConnected(f"dial tcp {route.address}:{route.port}: {error.message}") from error


async def _open_tls(
    route: Route, dialer: Dialer | None, context: ssl.SSLContext, server_name: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if route.pod is not None and dialer is not None:
        inside = await dialer.dial(route.pod, route.port)
        return await asyncio.open_connection(sock=inside, ssl=context, server_hostname=server_name)
    return await asyncio.open_connection(route.address, route.port, ssl=context, server_hostname=server_name)


def _ready(service: ServiceReference, port_name: str, reader: Reader) -> Iterator[Route]:
    for slice_ in slices_of(service.name, reader.list(SLICES, service.namespace)):
        ports = [each for each in slice_.get("ports") or () if (each.get("name") or "") == port_name]
        if not ports or not ports[0].get("port"):
            continue
        for endpoint in slice_.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready") is False:
                continue
            address = endpoint["addresses"][0]
            yield Route(address, ports[0]["port"], _pod_at(address, endpoint, service.namespace, reader))


def _pod_at(address: str, endpoint: Object, namespace: str, reader: Reader) -> Object | None:
    """Return the pod that an endpoint names, if it is of the service's namespace and really has the address."""
    target = endpoint.get("targetRef") or {}
    if target.get("kind") != "Pod" or target.get("namespace") != namespace:
        return None
    pod = reader.get("pods", namespace, target.get("name") or "")
    addresses = ((pod or {}).get("status") or {}).get("podIPs") or ()
    return pod if any(each.get("ip") == address for each in addresses) else None
