"""Services: stable addresses for pods.

Source: pkg/registry/core/service, pkg/apis/core/validation ValidateService (v1.37).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.service_parts.allocation import allocate
from moorage.api.kinds.service_parts.checks import (
    validate_addresses,
    validate_load_balancer_status,
    validate_service,
    validate_service_update,
    validate_stack,
)
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Draft, Request
from moorage.objects.addresses import cidr_warnings, ip_warnings
from moorage.objects.errors import Cause
from moorage.objects.errors import invalid as invalid_object
from moorage.objects.metadata import Object, annotations_of, name_of
from moorage.objects.selector_rules import labels_text


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Give a well-formed service its addresses and ports, and an empty status."""
    del request
    draft["status"] = {"loadBalancer": {}}
    # A copy: when somebody else gets the address first, the next attempt starts from what the client wrote.
    spec = draft["spec"] = {**(draft.get("spec") or {})}
    if spec.get("ports"):
        spec["ports"] = [{**each} for each in spec["ports"]]
    _mirror_addresses(spec)
    _check_addresses(draft)
    if not validate_service(draft):
        allocate(draft, None, lookup)


def prepare_update(draft: Draft, old: Object, request: Request, lookup: Lookup) -> None:
    """Keep addresses and ports where the client left them out; allocate what a new type needs."""
    del request
    is_balanced = (draft.get("spec") or {}).get("type") == "LoadBalancer"
    draft["status"] = (old.get("status") if is_balanced else None) or {"loadBalancer": {}}
    spec, before = draft.setdefault("spec", {}), old.get("spec") or {}
    _keep(spec, before)
    _mirror_addresses(spec)
    _check_addresses(draft)
    if not validate_service(draft) and not validate_service_update(draft, old):
        allocate(draft, old, lookup)


def _check_addresses(draft: Draft) -> None:
    """Refuse, before any other rule, what nothing can be allocated for. Raises Invalid."""
    causes = validate_addresses(draft["spec"]) or validate_stack(draft["spec"])
    if causes:
        raise invalid_object("Service", "", name_of(draft), causes)


def _mirror_addresses(spec: Draft) -> None:
    """Let `clusterIP` and the first of `clusterIPs` say the same where one of them is missing."""
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]


def _keep(spec: Draft, before: Mapping[str, Any]) -> None:
    """Drop what the new type does not have and the client did not touch; keep what was allocated."""
    kind, was = spec.get("type"), before.get("type")
    if kind == "ExternalName":
        _drop_unchanged(
            spec, before, ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy")
        )
        return
    if was == "ExternalName":
        return
    _keep_addresses(spec, before)
    for field in ("ipFamilies", "ipFamilyPolicy"):
        if not spec.get(field) and before.get(field):
            spec[field] = before[field]
    if kind != "LoadBalancer" and was == "LoadBalancer":
        _drop_unchanged(spec, before, ("allocateLoadBalancerNodePorts", "loadBalancerClass", "healthCheckNodePort"))
    if kind == "ClusterIP" and was in {"NodePort", "LoadBalancer"}:
        if not spec.get("externalIPs"):
            _drop_unchanged(spec, before, ("externalTrafficPolicy",))
        _drop_node_ports(spec, before)
    if _needs_node_ports(spec) and _needs_node_ports(before):
        _keep_node_ports(spec, before)
    if _needs_health_port(spec) and _needs_health_port(before) and not spec.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = before.get("healthCheckNodePort") or 0


def _keep_addresses(spec: Draft, before: Mapping[str, Any]) -> None:
    if not spec.get("clusterIP") and before.get("clusterIP"):
        spec["clusterIP"] = before["clusterIP"]
    if not spec.get("clusterIPs") and before.get("clusterIPs"):
        spec["clusterIPs"] = list(before["clusterIPs"])
    if spec.get("clusterIP") != before.get("clusterIP") and spec.get("clusterIPs") == before.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]


def _needs_node_ports(spec: Mapping[str, Any]) -> bool:
    kind = spec.get("type")
    return kind == "NodePort" or (kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False)


def _needs_health_port(spec: Mapping[str, Any]) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _drop_unchanged(spec: Draft, before: Mapping[str, Any], fields: tuple[str, ...]) -> None:
    for field in fields:
        if spec.get(field) == before.get(field):
            spec.pop(field, None)


def _drop_node_ports(spec: Draft, before: Mapping[str, Any]) -> None:
    old = {each.get("nodePort") for each in before.get("ports") or ()}
    if all(each.get("nodePort") in old for each in spec.get("ports") or ()):
        for port in spec.get("ports") or ():
            port.pop("nodePort", None)


def _keep_node_ports(spec: Draft, before: Mapping[str, Any]) -> None:
    """Give a port that names no node port the one it had, by its name, unless another port has taken that."""
    ports, old_ports = spec.get("ports") or (), before.get("ports") or ()
    kept = {each.get("name"): each.get("nodePort") for each in old_ports}
    taken = {each.get("nodePort") for each in ports} & {each.get("nodePort") for each in old_ports}
    for port in ports:
        node_port = kept.get(port.get("name"))
        if not port.get("nodePort") and node_port and node_port not in taken:
            port["nodePort"] = node_port


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a service."""
    del request
    return validate_service(obj)


def validate_whole_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a service may not change so, then what it may not be."""
    del request
    return validate_service_update(obj, old) + validate_service(obj)


def validate_status(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what a status may not say."""
    del old, request
    return validate_load_balancer_status(obj)


def warnings(obj: Object, old: Object | None) -> list[str]:
    """Return what to warn about."""
    del old
    spec = obj.get("spec") or {}
    texts = []
    key = "service.kubernetes.io/topology-aware-hints"
    if key in annotations_of(obj):
        use = "service.kubernetes.io/topology-mode"
        texts.append(f"annotation {key} is deprecated, please use {use} instead")
    texts += _address_warnings(spec)
    if spec.get("trafficDistribution") == "PreferClose":
        texts.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
    return texts


def _address_warnings(spec: Mapping[str, Any]) -> list[str]:
    kind, texts = spec.get("type"), []
    is_headless = kind == "ClusterIP" and spec.get("clusterIP") == "None"
    external, balancer = spec.get("externalIPs") or [], spec.get("loadBalancerIP") or ""
    if kind != "ExternalName" and spec.get("clusterIP") not in {None, "", "None"}:
        texts += _unusual("clusterIPs", spec.get("clusterIPs") or [])
    if is_headless:
        ignored = {
            "loadBalancerIP": balancer,
            "externalIPs": external,
            "SessionAffinity": spec.get("sessionAffinity") != "None",
        }
        texts += [f"spec.{field} is ignored for headless services" for field, is_set in ignored.items() if is_set]
    texts += _unusual("externalIPs", external)
    if external and not is_headless and kind != "ExternalName":
        texts.append("spec.externalIPs is deprecated and may no longer be implemented in some clusters")
    if balancer:
        texts += ip_warnings("spec.loadBalancerIP", balancer)
    for index, block in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        texts += cidr_warnings(f"spec.loadBalancerSourceRanges[{index}]", block)
    if kind == "ExternalName" and external:
        texts.append('spec.externalIPs is ignored when spec.type is "ExternalName"')
    if kind != "ExternalName" and spec.get("externalName"):
        texts.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    return texts


def _unusual(field: str, addresses: list[str]) -> list[str]:
    return [text for index, each in enumerate(addresses) for text in ip_warnings(f"spec.{field}[{index}]", each)]


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, type, cluster IP, external IP, ports, age, selector."""
    spec = obj.get("spec") or {}
    return [
        name_of(obj),
        spec.get("type") or "",
        spec.get("clusterIP") or "<none>",
        _external(obj, spec),
        _ports(spec.get("ports") or ()),
        age_of(obj, now),
        labels_text(spec.get("selector")),
    ]


def _ports(ports: Any) -> str:
    shown = [
        f"{each.get('port')}:{each['nodePort']}/{each.get('protocol')}"
        if each.get("nodePort")
        else f"{each.get('port')}/{each.get('protocol')}"
        for each in ports
    ]
    return ",".join(shown) or "<none>"


def _external(obj: Object, spec: Mapping[str, Any]) -> str:
    kind = spec.get("type")
    if kind == "ExternalName":
        return spec.get("externalName") or ""
    external = list(spec.get("externalIPs") or ())
    if kind == "LoadBalancer":
        ingress = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
        found = [each.get("ip") or each.get("hostname") or "" for each in ingress]
        return ",".join(dict.fromkeys([*found, *external])) or "<pending>"
    return ",".join(external) or "<none>"
