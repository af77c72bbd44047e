"""The names of services and pods, as the cluster's DNS answers them. Pure.

Source: the DNS specification of Kubernetes (github.com/kubernetes/dns, docs/specification.md, version 1.1).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address
from typing import NamedTuple

from moorage.node.network.endpoints import Endpoint, endpoints_of, is_headless, usable
from moorage.objects.metadata import Object, name_of, namespace_of


class Target(NamedTuple):
    """Where an SRV record points."""

    name: str
    port: int


@dataclass(slots=True)
class Records:
    """All that is known of one name."""

    addresses: list[str] = field(default_factory=list)
    services: list[Target] = field(default_factory=list)
    alias: str = ""
    pointers: list[str] = field(default_factory=list)


class Zone:
    """The cluster's names. Build a new one when services or slices change: looking up takes no lock."""

    def __init__(self, services: Iterable[Object], slices: Iterable[Object], domain: str = "cluster.local") -> None:
        self.domain = domain.strip(".").lower()
        self._records: dict[str, Records] = {}
        self._namespaces: set[str] = set()
        behind = endpoints_of(slices)
        for service in services:
            self._add(service, behind.get((namespace_of(service), name_of(service)), ()))

    def covers(self, name: str) -> bool:
        """Tell whether this zone alone knows the name."""
        return name == self.domain or name.endswith(f".{self.domain}") or name in self._records

    def find(self, name: str) -> Records | None:
        """Return what is known of the name (lower case, no dot at the end); None when there is no such name."""
        known = self._records.get(name)
        return known if known is not None else self._pod(name)

    def _put(self, name: str) -> Records:
        """Return the records of a name; the names above it exist with it, empty."""
        parent = name.partition(".")[2]
        while parent.endswith(self.domain) and parent not in self._records:
            self._records[parent] = Records()
            parent = parent.partition(".")[2]
        return self._records.setdefault(name, Records())

    def _add(self, service: Object, endpoints: Sequence[Endpoint]) -> None:
        spec = service["spec"]
        name = f"{name_of(service)}.{namespace_of(service)}.svc.{self.domain}"
        self._namespaces.add(namespace_of(service))
        if spec.get("type") == "ExternalName":
            self._put(name).alias = str(spec.get("externalName") or "").rstrip(".").lower()
        elif is_headless(service):
            listed = endpoints if spec.get("publishNotReadyAddresses") is True else usable(endpoints)
            self._add_headless(name, spec.get("ports") or (), listed)
        elif spec.get("clusterIP"):
            address = spec["clusterIP"]
            self._put(name).addresses.append(address)
            self._put(reverse_name_for(address)).pointers.append(name)
            for port in spec.get("ports") or ():
                self._add_port(name, port, Target(name, port["port"]))

    def _add_headless(self, name: str, ports: Sequence[Mapping[str, object]], endpoints: Sequence[Endpoint]) -> None:
        records = self._put(name)
        for endpoint in endpoints:
            host = f"{endpoint.hostname or endpoint.address.replace('.', '-')}.{name}"
            own = self._put(host)
            if endpoint.address not in own.addresses:
                own.addresses.append(endpoint.address)
            if endpoint.address not in records.addresses:
                records.addresses.append(endpoint.address)
            self._put(reverse_name_for(endpoint.address)).pointers.append(host)
            for port in ports:
                number = endpoint.ports.get(str(port.get("name") or ""))
                if number:
                    self._add_port(name, port, Target(host, number))

    def _add_port(self, name: str, port: Mapping[str, object], target: Target) -> None:
        if port.get("name"):
            protocol = str(port.get("protocol") or "TCP").lower()
            self._put(f"_{port['name']}._{protocol}.{name}").services.append(target)

    def _pod(self, name: str) -> Records | None:
        """Answer `1-2-3-4.<namespace>.pod.<domain>` for any address, as CoreDNS does by default ("insecure")."""
        dashed, _, rest = name.partition(".")
        namespace, _, rest = rest.partition(".")
        if rest != f"pod.{self.domain}" or namespace not in self._namespaces:
            return None
        try:
            return Records([str(IPv4Address(dashed.replace("-", ".")))])
        except AddressValueError:
            return None


def reverse_name_for(address: str) -> str:
    """Return the name under which an address is looked up."""
    return ".".join(reversed(address.split("."))) + ".in-addr.arpa"
