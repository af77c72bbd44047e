"""Endpoints: the addresses behind a service, in their first form.

Source: pkg/apis/core/validation, ValidateEndpoints; pkg/printers (v1.37).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Request
from moorage.objects.addresses import ip_problems, ip_warnings, validate_endpoint_ip
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, labels_of, name_of
from moorage.objects.validation import (
    dns1123_label_problems,
    dns1123_subdomain_problems,
    each_invalid,
    invalid,
    not_supported,
    port_number_problems,
    qualified_name_problems,
    required,
)

Part = Mapping[str, Any]

PROTOCOLS = ("SCTP", "TCP", "UDP")
DEPRECATED = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
_SHOWN_MOST = 3


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of Endpoints, and warn that the kind is deprecated."""
    request.warn(DEPRECATED)
    causes: list[Cause] = []
    for index, subset in enumerate(obj.get("subsets") or ()):
        causes += _validate_subset(f"subsets[{index}]", subset)
    return causes


def _validate_subset(path: str, subset: Part) -> list[Cause]:
    causes: list[Cause] = []
    if not subset.get("addresses") and not subset.get("notReadyAddresses"):
        causes.append(required(path, "must specify `addresses` or `notReadyAddresses`"))
    for field in ("addresses", "notReadyAddresses"):
        for index, address in enumerate(subset.get(field) or ()):
            causes += _validate_address(f"{path}.{field}[{index}]", address)
    ports = subset.get("ports") or ()
    for index, port in enumerate(ports):
        causes += _validate_port(f"{path}.ports[{index}]", port, needs_name=len(ports) > 1)
    return causes


def _validate_address(path: str, address: Part) -> list[Cause]:
    ip, hostname, node = address.get("ip") or "", address.get("hostname"), address.get("nodeName")
    problems = ip_problems(ip)
    causes = each_invalid(f"{path}.ip", ip, problems)
    if hostname:
        causes += each_invalid(f"{path}.hostname", hostname, dns1123_label_problems(hostname))
    if node is not None:
        causes += each_invalid(f"{path}.nodeName", node, dns1123_subdomain_problems(node))
    if not problems:
        causes += validate_endpoint_ip(f"{path}.ip", ip)
    elif "leading" not in problems[0]:
        causes.append(invalid(f"{path}.ip", ip, "must be a valid IP address"))
    return causes


def _validate_port(path: str, port: Part, *, needs_name: bool) -> list[Cause]:
    name, number, protocol = port.get("name") or "", port.get("port") or 0, port.get("protocol") or ""
    causes: list[Cause] = []
    if needs_name and not name:
        causes.append(required(f"{path}.name"))
    elif name:
        causes += each_invalid(f"{path}.name", name, dns1123_label_problems(name))
    causes += each_invalid(f"{path}.port", number, port_number_problems(number))
    if protocol not in PROTOCOLS:
        causes.append(
            not_supported(f"{path}.protocol", protocol, PROTOCOLS) if protocol else required(f"{path}.protocol")
        )
    if (application := port.get("appProtocol")) is not None:
        causes += each_invalid(f"{path}.appProtocol", application, qualified_name_problems(application))
    return causes


def warnings(obj: Object, old: Object | None) -> list[str]:
    """Return what to warn about: addresses that are written unusually."""
    del old
    texts: list[str] = []
    if labels_of(obj).get("endpoints.kubernetes.io/managed-by") == "endpoint-controller":
        return texts
    for index, subset in enumerate(obj.get("subsets") or ()):
        for field in ("addresses", "notReadyAddresses"):
            for position, address in enumerate(subset.get(field) or ()):
                texts += ip_warnings(f"subsets[{index}].{field}[{position}].ip", address.get("ip") or "")
    return texts


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, addresses, age."""
    return [name_of(obj), _shown(obj), age_of(obj, now)]


def _shown(obj: Object) -> str:
    pairs: list[str] = []
    for subset in obj.get("subsets") or ():
        ports = subset.get("ports") or ()
        if not ports:
            pairs += [str(each.get("ip")) for each in subset.get("addresses") or ()]
            continue
        for port in ports:
            pairs += [f"{each.get('ip')}:{port.get('port')}" for each in subset.get("addresses") or ()]
    if not pairs:
        return "<none>"
    more = len(pairs) - _SHOWN_MOST
    return ",".join(pairs[:_SHOWN_MOST]) + (f" + {more} more..." if more > 0 else "")
