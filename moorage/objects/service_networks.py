"""Where cluster addresses come from (ServiceCIDRs), and the IPAddress objects that say who has them. Pure.

Source: pkg/registry/core/service/ipallocator (v1.37).
"""

import ipaddress
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from moorage.objects.metadata import Object, condition_of, is_terminating, name_of, namespace_of

SERVICE_CIDRS: Final = "servicecidrs.networking.k8s.io"
IP_ADDRESSES: Final = "ipaddresses.networking.k8s.io"

#: The ServiceCIDR that every cluster starts with, and its network.
DEFAULT_NAME: Final = "kubernetes"
DEFAULT_NETWORK: Final = "10.96.0.0/16"

#: What tells the allocator's own IPAddresses apart from those that others make.
FAMILY_LABEL: Final = "ipaddress.kubernetes.io/ip-family"
MANAGED_LABEL: Final = "ipaddress.kubernetes.io/managed-by"
MANAGER: Final = "ipallocator.k8s.io"

#: How many addresses at the beginning of a network are left to services that ask for one by name: at least, at most,
#: and as a part of the network; none of a network of sixteen addresses or less.
_STATIC_LEAST, _STATIC_MOST, _STATIC_PART = 16, 256, 16


class Network(NamedTuple):
    """One network of IPv4 addresses as integers. Free ones are sought from `dynamic` to `last`, then from `first`."""

    text: str
    first: int
    dynamic: int
    last: int

    def __contains__(self, address: object) -> bool:
        return isinstance(address, ipaddress.IPv4Address) and address in ipaddress.IPv4Network(self.text)

    def candidates(self) -> Iterator[str]:
        """Yield every address that a service may get, in the order in which they are tried."""
        for number in (*range(self.dynamic, self.last + 1), *range(self.first, self.dynamic)):
            yield str(ipaddress.IPv4Address(number))


@lru_cache(64)
def network_of(text: str) -> Network:
    """Return the network of a CIDR. Its own address and the one for broadcasts are nobody's."""
    network = ipaddress.IPv4Network(text)
    size, first = network.num_addresses, int(network.network_address) + 1
    static = min(max(size // _STATIC_PART, _STATIC_LEAST), _STATIC_MOST) if size > _STATIC_LEAST else 0
    return Network(text, first, first + static, int(network.broadcast_address) - 1)


def is_ready(service_cidr: Object) -> bool:
    """Tell whether addresses may be taken from a ServiceCIDR. The cluster's own is ready before anybody has said so."""
    if is_terminating(service_cidr):
        return False
    ready = condition_of(service_cidr, "Ready")
    return name_of(service_cidr) == DEFAULT_NAME if ready is None else ready.get("status") == "True"


def ready_networks(service_cidrs: Sequence[Object]) -> Sequence[Network]:
    """Return the networks of those that are ready, the cluster's own first; a cluster without any has that one alone."""
    if not service_cidrs:
        return (network_of(DEFAULT_NETWORK),)
    ready = sorted((each for each in service_cidrs if is_ready(each)), key=lambda each: name_of(each) != DEFAULT_NAME)
    texts = [text for each in ready for text in each["spec"].get("cidrs") or () if ":" not in text]
    return tuple(network_of(text) for text in dict.fromkeys(texts))


def default_service_cidr() -> dict[str, Any]:
    """Return the ServiceCIDR that every cluster has."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": DEFAULT_NAME},
        "spec": {"cidrs": [DEFAULT_NETWORK]},
    }


def cluster_addresses_of(service: Object | None) -> tuple[str, ...]:
    """Return the cluster addresses that a service has: none if it is headless, or another name for something else."""
    spec = (service or {}).get("spec") or {}
    if spec.get("type") == "ExternalName":
        return ()
    return tuple(each for each in spec.get("clusterIPs") or () if each and each != "None")


def ip_address_for(service: Object, address: str) -> dict[str, Any]:
    """Return the IPAddress by which a service has an address."""
    family = "IPv6" if ":" in address else "IPv4"
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IPAddress",
        "metadata": {"name": address, "labels": {FAMILY_LABEL: family, MANAGED_LABEL: MANAGER}},
        "spec": {
            "parentRef": {"resource": "services", "namespace": namespace_of(service), "name": name_of(service)},
        },
    }


def is_address_of(ip_address: Object, service: Object) -> bool:
    """Tell whether an IPAddress says that the service has it."""
    parent = (ip_address.get("spec") or {}).get("parentRef") or {}
    named = (parent.get("group") or "", parent.get("resource"), parent.get("namespace"), parent.get("name"))
    return named == ("", "services", namespace_of(service), name_of(service))


def is_inside(address: str, service_cidrs: Sequence[Object]) -> bool:
    """Tell whether an address lies in the network of any ServiceCIDR, ready or not."""
    number = ipaddress.ip_address(address)
    texts = (text for each in service_cidrs for text in (each.get("spec") or {}).get("cidrs") or ())
    return any(number in ipaddress.ip_network(text) for text in texts)
