"""EndpointSlices: a part of the addresses behind a service.

Source: pkg/apis/discovery/validation, pkg/printers (v1.37).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.endpoints import PROTOCOLS
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Request
from moorage.objects.addresses import ip_problems, ip_warnings, is_ipv6, validate_endpoint_ip
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, generation_of, labels_of, name_of
from moorage.objects.validation import (
    dns1123_label_problems,
    dns1123_subdomain_problems,
    duplicate,
    each_invalid,
    invalid,
    label_value_problems,
    not_supported,
    qualified_name_problems,
    required,
    too_many,
)

has_generation = True

Part = Mapping[str, Any]

_TYPES = ("FQDN", "IPv4", "IPv6")
ADDRESSES_MOST, PORTS_MOST, ENDPOINTS_MOST, ZONES_MOST = 100, 20000, 1000, 8
_SHOWN_MOST = 3


def default(draft: dict[str, Any]) -> None:
    """Drop the topology that a newer field replaced."""
    for endpoint in draft.get("endpoints") or ():
        endpoint.pop("deprecatedTopology", None)


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of an EndpointSlice."""
    del request
    family = obj.get("addressType") or ""
    causes: list[Cause] = []
    if not family:
        causes.append(required("addressType"))
    elif family not in _TYPES:
        causes.append(not_supported("addressType", family, _TYPES))
    causes += _validate_endpoints(obj.get("endpoints") or [], family)
    return causes + _validate_ports(obj.get("ports") or [])


#: The controllers that mend addresses themselves.
_MENDERS = frozenset({"endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"})


def warnings(obj: Object, old: Object | None) -> list[str]:
    """Return what to warn about: names instead of addresses, addresses that are written unusually."""
    texts = []
    if old is None and obj.get("addressType") == "FQDN":
        texts.append("spec.addressType: FQDN endpoints are deprecated")
    if labels_of(obj).get("endpointslice.kubernetes.io/managed-by") in _MENDERS:
        return texts
    for index, endpoint in enumerate(obj.get("endpoints") or ()):
        for position, address in enumerate(endpoint.get("addresses") or ()):
            texts += ip_warnings(f"endpoints[{index}].addresses[{position}]", address)
    return texts


def _validate_endpoints(endpoints: list[Part], family: str) -> list[Cause]:
    if len(endpoints) > ENDPOINTS_MOST:
        return [too_many("endpoints", len(endpoints), ENDPOINTS_MOST)]
    causes: list[Cause] = []
    for index, endpoint in enumerate(endpoints):
        causes += _validate_endpoint(f"endpoints[{index}]", endpoint, family)
    return causes


def _validate_endpoint(path: str, endpoint: Part, family: str) -> list[Cause]:
    addresses = endpoint.get("addresses") or []
    causes: list[Cause] = []
    if not addresses:
        causes.append(required(f"{path}.addresses"))
    elif len(addresses) > ADDRESSES_MOST:
        causes.append(too_many(f"{path}.addresses", len(addresses), ADDRESSES_MOST))
    for index, address in enumerate(addresses):
        causes += _validate_address(f"{path}.addresses", index, address, family)
    if (node := endpoint.get("nodeName")) is not None:
        causes += each_invalid(f"{path}.nodeName", node, dns1123_subdomain_problems(node))
    if (hostname := endpoint.get("hostname")) is not None:
        causes += each_invalid(f"{path}.hostname", hostname, dns1123_label_problems(hostname))
    if hints := endpoint.get("hints"):
        causes += _validate_hints(f"{path}.hints", hints)
    return causes


def _validate_address(path: str, index: int, address: str, family: str) -> list[Cause]:
    place = f"{path}[{index}]"
    if family == "FQDN":
        return each_invalid(place, address, dns1123_subdomain_problems(address))
    if family not in _TYPES:
        return []
    if problems := ip_problems(address):
        return each_invalid(place, address, problems)
    if is_ipv6(address) != (family == "IPv6"):
        article = "an IPv4" if family == "IPv4" else "an IPv6"
        return [invalid(path, address, f"must be {article} address"), *validate_endpoint_ip(place, address)]
    return validate_endpoint_ip(place, address)


def _validate_hints(path: str, hints: Part) -> list[Cause]:
    causes: list[Cause] = []
    zones = hints.get("forZones") or []
    if len(zones) > ZONES_MOST:
        return [too_many(f"{path}.forZones", len(zones), ZONES_MOST)]
    seen: set[str] = set()
    for index, zone in enumerate(zones):
        name = zone.get("name") or ""
        place = f"{path}.forZones[{index}].name"
        if name in seen:
            causes.append(duplicate(place, name))
        else:
            seen.add(name)
            causes += each_invalid(place, name, label_value_problems(name))
    return causes


def _validate_ports(ports: list[Part]) -> list[Cause]:
    causes: list[Cause] = []
    names: set[str] = set()
    for index, port in enumerate(ports):
        path = f"ports[{index}]"
        name, protocol = port.get("name") or "", port.get("protocol") or ""
        if name:
            causes += each_invalid(f"{path}.name", name, dns1123_label_problems(name))
        if name in names:
            causes.append(duplicate(f"{path}.name", name))
        names.add(name)
        if protocol not in PROTOCOLS:
            place = f"{path}.protocol"
            causes.append(not_supported(place, protocol, PROTOCOLS) if protocol else required(place))
        if (application := port.get("appProtocol")) is not None:
            causes += each_invalid(f"{path}.appProtocol", application, qualified_name_problems(application))
    return causes


def prepare_update(draft: dict[str, Any], old: Object, request: Request, lookup: Lookup) -> None:
    """Labels count as a change of the desired state here."""
    del request, lookup
    if labels_of(draft) != labels_of(old):
        draft["metadata"]["generation"] = generation_of(old) + 1


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of an EndpointSlice may not change."""
    del request
    if obj.get("addressType") == old.get("addressType"):
        return []
    return [invalid("addressType", None, "field is immutable")]


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, address type, ports, addresses, age."""
    ports = [str(each["port"]) if each.get("port") else "*" for each in obj.get("ports") or ()]
    addresses = [address for each in obj.get("endpoints") or () for address in each.get("addresses") or ()]
    return [name_of(obj), obj.get("addressType") or "", _list(ports), _list(addresses), age_of(obj, now)]


def _list(words: list[str]) -> str:
    if not words:
        return "<unset>"
    more = len(words) - _SHOWN_MOST
    return ",".join(words[:_SHOWN_MOST]) + (f" + {more} more..." if more > 0 else "")
