"""What every cluster has from the start: namespaces, the API's own Service, classes. Made once, then left alone.

Source: kube-apiserver's bootstrap controllers and scheduling's system classes (v1.37).
"""

import asyncio
from collections.abc import Iterable
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.flow.mandatory import mandatory_objects
from moorage.client.client import Client
from moorage.cluster.config import API_SERVICE_ADDRESS, DNS_SERVICE_ADDRESS
from moorage.objects.errors import AlreadyExists
from moorage.objects.metadata import name_of, namespace_of
from moorage.objects.service_networks import (
    IP_ADDRESSES,
    SERVICE_CIDRS,
    cluster_addresses_of,
    default_service_cidr,
    ip_address_for,
)

#: The provisioner of the default class: directories on the node's own disk.
LOCAL_PROVISIONER = "moorage.dev/local"

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


def namespaces() -> Iterable[tuple[str, dict[str, Any]]]:
    """Yield (resource id, object) of the namespaces that every cluster has."""
    for name in NAMESPACES:
        yield "namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def service_network(lookup: Lookup) -> Iterable[tuple[str, dict[str, Any]]]:
    """Yield (resource id, object) of where services get addresses: the ServiceCIDR, and IPAddresses of older services."""
    yield SERVICE_CIDRS, default_service_cidr()
    for service in lookup.list("services"):
        for address in cluster_addresses_of(service):
            yield IP_ADDRESSES, ip_address_for(service, address)


def system_objects(port: int) -> Iterable[tuple[str, dict[str, Any]]]:
    """Yield (resource id, object) of what else a cluster starts with."""
    yield "priorityclasses.scheduling.k8s.io", _priority_class("system-node-critical", 2000001000)
    yield "priorityclasses.scheduling.k8s.io", _priority_class("system-cluster-critical", 2000000000)
    yield "storageclasses.storage.k8s.io", _storage_class()
    yield from mandatory_objects()
    yield "services", _api_service(port)
    yield "services", _dns_service()


def _priority_class(name: str, value: int) -> dict[str, Any]:
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": name},
        "value": value,
        "description": f"Used for system critical pods that must {'not be moved from their current node' if 'node' in name else 'run in the cluster, but can be moved to another node if necessary'}.",  # noqa: E501
    }


def _storage_class() -> dict[str, Any]:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": "standard",
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": LOCAL_PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def _api_service(port: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "clusterIP": API_SERVICE_ADDRESS,
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}],
        },
    }


def api_endpoints(address: str, port: int) -> Iterable[tuple[str, dict[str, Any]]]:
    """Yield (resource id, object) of what stands behind the API's own Service."""
    named = {"name": "kubernetes", "namespace": "default"}
    ports = [{"name": "https", "port": port, "protocol": "TCP"}]
    yield (
        "endpoints",
        {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {**named, "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
            "subsets": [{"addresses": [{"ip": address}], "ports": ports}],
        },
    )
    yield (
        "endpointslices.discovery.k8s.io",
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**named, "labels": {"kubernetes.io/service-name": "kubernetes"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
            "ports": ports,
        },
    )


async def publish_api(client: Client, lookup: Lookup, address: str, port: int) -> None:
    """Make the API's own Endpoints say where it listens now. Source: the reconcilers of pkg/controlplane (v1.37)."""
    for resource, wanted in api_endpoints(address, port):
        found = lookup.get(resource, "default", "kubernetes")
        if found is None:
            await create_missing(client, lookup, [(resource, wanted)])
        elif any(found.get(key) != wanted[key] for key in ("subsets", "endpoints", "ports") if key in wanted):
            await client.update(resource, {**found, **wanted, "metadata": found["metadata"]})
    service = lookup.get("services", "default", "kubernetes")
    if service is not None and service["spec"]["ports"][0].get("targetPort") != port:
        ports = [{**service["spec"]["ports"][0], "targetPort": port}, *service["spec"]["ports"][1:]]
        await client.update("services", {**service, "spec": {**service["spec"], "ports": ports}})


def _dns_service() -> dict[str, Any]:
    ports = [("dns", "UDP"), ("dns-tcp", "TCP")]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "kube-dns",
            "namespace": "kube-system",
            "labels": {"k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"},
        },
        "spec": {
            "clusterIP": DNS_SERVICE_ADDRESS,
            "ports": [{"name": name, "port": 53, "protocol": protocol, "targetPort": 53} for name, protocol in ports],
        },
    }


async def create_missing(client: Client, lookup: Lookup, objects: Iterable[tuple[str, dict[str, Any]]]) -> None:
    """Create what is not there yet; what is there stays as it is. Writes go to the disk together."""
    missing = [
        client.create(resource, obj)
        for resource, obj in objects
        if lookup.get(resource, namespace_of(obj), name_of(obj)) is None
    ]
    for outcome in await asyncio.gather(*missing, return_exceptions=True):
        if isinstance(outcome, BaseException) and not isinstance(outcome, AlreadyExists):
            raise outcome
