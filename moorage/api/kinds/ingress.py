"""Ingresses: how services are reached from outside by HTTP.

Source: pkg/apis/networking/validation, pkg/registry/networking/ingress/strategy.go, pkg/printers (v1.37).
"""

import ipaddress
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.ingressclass import validate_resource_reference
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Draft, Request
from moorage.objects.addresses import ip_problems
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, annotations_of, name_of
from moorage.objects.validation import (
    dns1123_label_problems,
    dns1123_subdomain_problems,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    port_name_problems,
    port_number_problems,
    required,
    wildcard_subdomain_problems,
)

Part = Mapping[str, Any]

#: The annotation that named the class before there was a field for it.
CLASS_ANNOTATION = "kubernetes.io/ingress.class"

_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_NOT_IN_PATHS = ("//", "/./", "/../", "%2f", "%2F")
_NOT_AT_END = ("/..", "/.")
_SHOWN_MOST = 3


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Start without an address."""
    del request, lookup
    draft["status"] = {"loadBalancer": {}}
    _forget_no_rules(draft)


def prepare_update(draft: Draft, old: Object, request: Request, lookup: Lookup) -> None:
    """Store no empty list of rules."""
    del old, request, lookup
    _forget_no_rules(draft)


def _forget_no_rules(draft: Draft) -> None:
    """Drop an empty list of rules, unless it is all there is: then it is refused, and shown."""
    spec = draft.get("spec") or {}
    if spec.get("rules") == [] and spec.get("defaultBackend") is not None:
        del spec["rules"]


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of an Ingress."""
    spec = obj.get("spec") or {}
    causes = _validate_spec("spec", spec)
    annotation, name = annotations_of(obj).get(CLASS_ANNOTATION), spec.get("ingressClassName")
    if annotation is not None and name is not None and annotation != name and request.verb == "create":
        text = "must match `ingressClassName` when both are specified"
        causes.append(invalid(f"annotations.{CLASS_ANNOTATION}", annotation, text))
    return causes


def _validate_spec(path: str, spec: Part) -> list[Cause]:
    rules, backend = spec.get("rules") or [], spec.get("defaultBackend")
    causes: list[Cause] = []
    if not rules and backend is None:
        shown = spec.get("rules")
        causes.append(invalid(path, shown, "either `defaultBackend` or `rules` must be specified"))
    if backend is not None:
        causes += _validate_backend(f"{path}.defaultBackend", backend)
    for index, rule in enumerate(rules):
        causes += _validate_rule(f"{path}.rules[{index}]", rule)
    for index, tls in enumerate(spec.get("tls") or ()):
        causes += _validate_tls(f"{path}.tls[{index}]", tls)
    if (name := spec.get("ingressClassName")) is not None:
        causes += each_invalid(f"{path}.ingressClassName", name, dns1123_subdomain_problems(name))
    return causes


def _validate_tls(path: str, tls: Part) -> list[Cause]:
    causes: list[Cause] = []
    for index, host in enumerate(tls.get("hosts") or ()):
        causes += _validate_host(f"{path}.hosts[{index}]", host)
    if secret := tls.get("secretName"):
        causes += each_invalid(f"{path}.secretName", secret, dns1123_subdomain_problems(secret))
    return causes


def _validate_host(path: str, host: str) -> list[Cause]:
    return each_invalid(
        path, host, wildcard_subdomain_problems(host) if "*" in host else dns1123_subdomain_problems(host)
    )


def _validate_rule(path: str, rule: Part) -> list[Cause]:
    causes: list[Cause] = []
    if host := rule.get("host"):
        if _is_address(host):
            causes.append(invalid(f"{path}.host", host, "must be a DNS name, not an IP address"))
        causes += _validate_host(f"{path}.host", host)
    http = rule.get("http")
    if http is None:
        return causes
    paths = http.get("paths") or ()
    if not paths:
        causes.append(required(f"{path}.http.paths"))
    for index, each in enumerate(paths):
        causes += _validate_path(f"{path}.http.paths[{index}]", each)
    return causes


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _validate_path(path: str, rule: Part) -> list[Cause]:
    kind, text = rule.get("pathType"), rule.get("path") or ""
    if kind is None:
        return [required(f"{path}.pathType", "pathType must be specified")]
    place = f"{path}.path"
    causes: list[Cause] = []
    if kind not in _PATH_TYPES:
        causes.append(not_supported(f"{path}.pathType", kind, _PATH_TYPES))
    elif kind == "ImplementationSpecific":
        if text and not text.startswith("/"):
            causes.append(invalid(place, text, "must be an absolute path"))
    else:
        if not text.startswith("/"):
            causes.append(invalid(place, text, "must be an absolute path"))
        if text:
            causes += [invalid(place, text, f"must not contain '{each}'") for each in _NOT_IN_PATHS if each in text]
            causes += [invalid(place, text, f"cannot end with '{end}'") for end in _NOT_AT_END if text.endswith(end)]
    return causes + _validate_backend(f"{path}.backend", rule.get("backend") or {})


def _validate_backend(path: str, backend: Part) -> list[Cause]:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        return [invalid(path, "", "cannot set both resource and service backends")]
    if resource is not None:
        return validate_resource_reference(f"{path}.resource", resource)
    if service is None:
        return [invalid(path, "", "resource or service backend is required")]
    name, port = service.get("name") or "", service.get("port") or {}
    causes = [] if name else [required(f"{path}.service.name")]
    if name:
        causes += each_invalid(f"{path}.service.name", name, dns1123_label_problems(name))
    return causes + _validate_port(path, port.get("name") or "", port.get("number") or 0)


def _validate_port(path: str, name: str, number: int) -> list[Cause]:
    if name and number:
        return [invalid(path, "", "cannot set both port name & port number")]
    if name:
        return each_invalid(f"{path}.service.port.name", name, port_name_problems(name))
    if number:
        return each_invalid(f"{path}.service.port.number", number, port_number_problems(number))
    return [required(path, "port name or number is required")]


def validate_status(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what a status may not say: addresses that are none."""
    del old, request
    causes: list[Cause] = []
    for index, point in enumerate(_points(obj)):
        path = f"status.loadBalancer.ingress[{index}]"
        if ip := point.get("ip"):
            causes += each_invalid(f"{path}.ip", ip, ip_problems(ip))
        if host := point.get("hostname"):
            causes += each_invalid(f"{path}.hostname", host, dns1123_subdomain_problems(host))
            if _is_address(host):
                causes.append(invalid(f"{path}.hostname", host, "must be a DNS name, not an IP address"))
        if not ip and not point.get("hostname") and point.get("ipMode") is not None:
            causes.append(forbidden(f"{path}.ipMode", "may not be specified when `ip` is not set"))
    return causes


def _points(obj: Object) -> list[Part]:
    return ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []


def warnings(obj: Object, old: Object | None) -> list[str]:
    """Return what to warn about: a class named the old way."""
    if old is not None or CLASS_ANNOTATION not in annotations_of(obj):
        return []
    return [f"annotation \"{CLASS_ANNOTATION}\" is deprecated, please use 'spec.ingressClassName' instead"]


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, class, hosts, addresses, ports, age."""
    spec = obj.get("spec") or {}
    hosts = [each["host"] for each in spec.get("rules") or () if each.get("host")]
    more = f" + {len(hosts) - _SHOWN_MOST} more..." if len(hosts) > _SHOWN_MOST else ""
    addresses = ",".join(point.get("ip") or point.get("hostname") or "" for point in _points(obj))
    return [
        name_of(obj),
        spec.get("ingressClassName") or annotations_of(obj).get(CLASS_ANNOTATION) or "<none>",
        (",".join(hosts[:_SHOWN_MOST]) or "*") + more,
        addresses,
        "80, 443" if spec.get("tls") else "80",
        age_of(obj, now),
    ]
