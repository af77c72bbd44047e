"""Cluster addresses and node ports: the lowest free ones of what the cluster's services use.

An address is taken by the IPAddress of its name (moorage.api.service_storage makes it before the service).
Differs from Kubernetes: it draws at random from the range; here the first free address of the upper part is taken, so
that a cluster repeats itself.
Source: pkg/registry/core/service/{ipallocator,portallocator} (v1.37).
"""

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.request import Draft
from moorage.objects.errors import Cause, InternalError
from moorage.objects.errors import invalid as invalid_object
from moorage.objects.metadata import Object, name_of, namespace_of
from moorage.objects.service_networks import IP_ADDRESSES, SERVICE_CIDRS, cluster_addresses_of, ready_networks
from moorage.objects.validation import invalid

#: The service `kubernetes` itself.
API_ADDRESS = "10.96.0.1"
NODE_PORTS = range(30000, 32768)


def allocate(draft: Draft, old: Object | None, lookup: Lookup) -> None:
    """Give the service what it needs and does not have. Raises Invalid if what it asks for is taken."""
    spec = draft["spec"]
    if spec.get("type") == "ExternalName":
        return
    others = [each for each in lookup.list("services") if not _is_same(each, draft)]
    _allocate_address(draft, spec, old, lookup)
    _set_families(spec)
    if spec.get("type") in {"NodePort", "LoadBalancer"}:
        _allocate_ports(draft, spec, others)
    if _needs_health_port(spec) and not spec.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = _free_port(_used_ports([*others, draft]), name_of(draft))


def _is_same(service: Object, draft: Draft) -> bool:
    return name_of(service) == name_of(draft) and namespace_of(service) == namespace_of(draft)


def _needs_health_port(spec: Mapping[str, Any]) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _allocate_address(draft: Draft, spec: Draft, old: Object | None, lookup: Lookup) -> None:
    wanted = spec.get("clusterIP") or ""
    if wanted == "None":
        spec["clusterIPs"] = ["None"]
        return
    if not wanted:
        spec["clusterIP"] = _free_address(lookup, name_of(draft))
    elif wanted not in cluster_addresses_of(old):
        why = _refusal(wanted, draft, lookup)
        if why:
            cause = invalid("spec.clusterIPs", [wanted], f"failed to allocate IP {wanted}: {why}")
            raise _refused(draft, cause)
    spec["clusterIPs"] = [spec["clusterIP"]]


def _refusal(wanted: str, draft: Draft, lookup: Lookup) -> str:
    """Say why a service cannot have the address that it asks for, "" if it can."""
    address = ipaddress.ip_address(wanted)
    network = next((each for each in ready_networks(lookup.list(SERVICE_CIDRS)) if address in each), None)
    if network is None:
        return "the provided network does not match the current range"
    if not network.first <= int(address) <= network.last:
        return f"the provided IP ({wanted}) is not in the valid range. The range of valid IPs is {network.text}"
    is_free = lookup.get(IP_ADDRESSES, "", wanted) is None and (wanted != API_ADDRESS or _is_api(draft))
    return "" if is_free else "provided IP is already allocated"


def _is_api(draft: Draft) -> bool:
    return name_of(draft) == "kubernetes" and namespace_of(draft) == "default"


def _free_address(lookup: Lookup, name: str) -> str:
    for network in ready_networks(lookup.list(SERVICE_CIDRS)):
        for text in network.candidates():
            if text != API_ADDRESS and lookup.get(IP_ADDRESSES, "", text) is None:
                return text
    why = f'failed to allocate a serviceIP for Service "{name}": range is full'
    raise InternalError(f"Internal error occurred: {why}")


def _set_families(spec: Draft) -> None:
    is_headless_manual = spec.get("clusterIP") == "None" and not spec.get("selector")
    if is_headless_manual and not spec.get("ipFamilyPolicy") and not spec.get("ipFamilies"):
        spec["ipFamilyPolicy"], spec["ipFamilies"] = "RequireDualStack", ["IPv4", "IPv6"]
        return
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    if not spec.get("ipFamilies"):
        spec["ipFamilies"] = ["IPv4"]


def _used_ports(services: Iterable[Object]) -> set[int]:
    used: set[int] = set()
    for service in services:
        spec = service.get("spec") or {}
        used |= {each["nodePort"] for each in spec.get("ports") or () if each.get("nodePort")}
        if spec.get("healthCheckNodePort"):
            used.add(spec["healthCheckNodePort"])
    return used


def _allocate_ports(draft: Draft, spec: Draft, others: list[Object]) -> None:
    used = _used_ports(others)
    wants_ports = spec.get("type") == "NodePort" or spec.get("allocateLoadBalancerNodePorts") is not False
    by_protocol: dict[int, set[str]] = {}
    for index, port in enumerate(spec.get("ports") or ()):
        number = port.get("nodePort")
        protocols = by_protocol.setdefault(number, set()) if number else set()
        if number:
            path = f"spec.ports[{index}].nodePort"
            if number not in NODE_PORTS:
                text = "provided port is not in the valid range. The range of valid ports is 30000-32767"
                raise _refused(draft, invalid(path, number, text))
            if number in used and port.get("protocol") not in protocols and not protocols:
                raise _refused(draft, invalid(path, number, "provided port is already allocated"))
            protocols.add(port.get("protocol") or "")
    used |= {each["nodePort"] for each in spec.get("ports") or () if each.get("nodePort")}
    shared: dict[int, int] = {}
    for port in spec.get("ports") or ():
        if port.get("nodePort"):
            shared[port.get("port") or 0] = port["nodePort"]
        elif wants_ports:
            number = shared.get(port.get("port") or 0) or _free_port(used, name_of(draft))
            port["nodePort"] = shared[port.get("port") or 0] = number
            used.add(number)


def _free_port(used: set[int], name: str) -> int:
    for number in NODE_PORTS:
        if number not in used and number >= NODE_PORTS.start + 86:
            return number
    for number in NODE_PORTS:
        if number not in used:
            return number
    raise InternalError(f"failed to allocate a nodePort for {name}: range is full")


def _refused(draft: Draft, cause: Cause) -> Exception:
    return invalid_object("Service", "", name_of(draft), [cause])
