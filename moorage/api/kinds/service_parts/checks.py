"""What a service may be, and what of it may change.

Source: pkg/apis/core/validation/validation.go, ValidateService, ValidateServiceUpdate (v1.37).
"""

from collections.abc import Mapping
from typing import Any

from moorage.objects.addresses import cidr_problems, ip_problems, is_ipv6, validate_endpoint_ip
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, annotations_of
from moorage.objects.validation import (
    dns1123_label_problems,
    dns1123_subdomain_problems,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    port_name_problems,
    port_number_problems,
    qualified_name_problems,
    required,
    validate_labels,
)

Spec = Mapping[str, Any]

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_FAMILIES = ("IPv4", "IPv6")
_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_TOPOLOGY_MODE = "service.kubernetes.io/topology-mode"
_TOPOLOGY_HINTS = "service.kubernetes.io/topology-aware-hints"
_SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
_ONLY_BALANCERS = "may only be used when `type` is 'LoadBalancer'"
AFFINITY_MOST_SECONDS = 86400


def validate_service(obj: Object) -> list[Cause]:
    """Return every broken rule of a service, in upstream's order."""
    spec = obj.get("spec") or {}
    kind = spec.get("type") or ""
    annotations = annotations_of(obj)
    causes = _validate_hints(annotations)
    if not spec.get("ports") and spec.get("clusterIP") != "None" and kind != "ExternalName":
        causes.append(required("spec.ports"))
    causes += _validate_kind(spec, kind)
    ports = spec.get("ports") or []
    names: set[str] = set()
    for index, port in enumerate(ports):
        causes += _validate_port(f"spec.ports[{index}]", port, names, needs_name=len(ports) > 1)
    causes += validate_labels("spec.selector", spec.get("selector"))
    causes += _validate_affinity(spec)
    causes += validate_addresses(spec)
    for index, ip in enumerate(spec.get("externalIPs") or ()):
        problems = ip_problems(ip)
        path = f"spec.externalIPs[{index}]"
        causes += each_invalid(path, ip, problems) if problems else validate_endpoint_ip(path, ip)
    if not kind:
        causes.append(required("spec.type"))
    elif kind not in _TYPES:
        causes.append(not_supported("spec.type", kind, _TYPES))
    causes += _validate_unique_ports(ports, kind)
    causes += _validate_source_ranges(spec, annotations)
    causes += _validate_load_balancer(spec, kind)
    causes += _validate_policies(spec, kind)
    return causes


def _validate_hints(annotations: Mapping[str, str]) -> list[Cause]:
    """Return the cause of two annotations that mean the same and say different things."""
    mode, hints = annotations.get(_TOPOLOGY_MODE), annotations.get(_TOPOLOGY_HINTS)
    if mode is None or hints is None or mode == hints:
        return []
    text = f"must match annotations[{_TOPOLOGY_HINTS}] when both are specified"
    return [invalid(f"metadata.annotations[{_TOPOLOGY_MODE}]", mode, text)]


def _validate_kind(spec: Spec, kind: str) -> list[Cause]:
    ips = spec.get("clusterIPs") or []
    if kind in {"NodePort", "LoadBalancer"} and ips and ips[0] == "None":
        return [invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services")]
    if kind != "ExternalName":
        return []
    causes = []
    if ips:
        causes.append(forbidden("spec.clusterIPs", "may not be set for ExternalName services"))
    causes += [
        forbidden(f"spec.{field}", "may not be set for ExternalName services")
        for field in ("ipFamilies", "ipFamilyPolicy")
        if spec.get(field)
    ]
    name = (spec.get("externalName") or "").removesuffix(".")
    if not name:
        return [*causes, required("spec.externalName")]
    return causes + each_invalid("spec.externalName", name, dns1123_subdomain_problems(name))


def _validate_port(path: str, port: Spec, names: set[str], *, needs_name: bool) -> list[Cause]:
    name, number, protocol = port.get("name") or "", port.get("port") or 0, port.get("protocol") or ""
    causes: list[Cause] = []
    if needs_name and not name:
        causes.append(required(f"{path}.name"))
    elif name:
        causes += each_invalid(f"{path}.name", name, dns1123_label_problems(name))
        if name in names:
            causes.append(duplicate(f"{path}.name", name))
        names.add(name)
    causes += each_invalid(f"{path}.port", number, port_number_problems(number))
    if protocol not in _PROTOCOLS:
        place = f"{path}.protocol"
        causes.append(not_supported(place, protocol, _PROTOCOLS) if protocol else required(place))
    target = port.get("targetPort", 0)
    if isinstance(target, str):
        causes += each_invalid(f"{path}.targetPort", target, port_name_problems(target))
    else:
        causes += each_invalid(f"{path}.targetPort", target, port_number_problems(target))
    if (application := port.get("appProtocol")) is not None:
        causes += each_invalid(f"{path}.appProtocol", application, qualified_name_problems(application))
    return causes


def _validate_affinity(spec: Spec) -> list[Cause]:
    affinity = spec.get("sessionAffinity") or ""
    if not affinity:
        return [required("spec.sessionAffinity")]
    if affinity not in {"ClientIP", "None"}:
        return [not_supported("spec.sessionAffinity", affinity, ("ClientIP", "None"))]
    config = spec.get("sessionAffinityConfig")
    if affinity == "ClientIP":
        seconds = ((config or {}).get("clientIP") or {}).get("timeoutSeconds")
        path = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
        if seconds is not None and not 0 < seconds <= AFFINITY_MOST_SECONDS:
            return [invalid(path, seconds, f"must be greater than 0 and less than {AFFINITY_MOST_SECONDS}")]
    elif config is not None:
        text = "must not be set when session affinity is None"
        return [forbidden("spec.sessionAffinityConfig", text)]
    return []


def validate_addresses(spec: Spec) -> list[Cause]:
    """Return what is wrong with addresses, families and their policy among each other.

    Nothing is allocated for a service of which this is wrong, and nothing else is said about it.
    Source: ValidateServiceClusterIPsRelatedFields.
    """
    if spec.get("type") == "ExternalName":
        return []
    ips, first = spec.get("clusterIPs") or [], spec.get("clusterIP") or ""
    path = "spec.clusterIPs"
    causes: list[Cause] = []
    if first and not ips:
        causes.append(required(path))
    elif ips and first != ips[0]:
        text = "first value must match `clusterIP`" if first else "must be empty when `clusterIP` is not specified"
        causes.append(invalid(path, ips, text))
    causes += _validate_families(spec)
    broken: list[Cause] = []
    for index, ip in enumerate(ips):
        if index == 0 and ip == "None":
            broken += [invalid(path, ips, "'None' must be the first and only value")] if len(ips) > 1 else []
        else:
            broken += each_invalid(f"{path}[{index}]", ip, ip_problems(ip))
    causes += broken
    if len(ips) > 2:
        causes.append(invalid(path, ips, "may only hold up to 2 values"))
    if broken or ips == ["None"]:
        return causes
    if len(ips) > 1 and len(set(map(is_ipv6, ips))) < 2:
        causes.append(invalid(path, ips, "may specify no more than one IP for each IP family"))
    for index, (ip, family) in enumerate(zip(ips, spec.get("ipFamilies") or (), strict=False)):
        if family in _FAMILIES and (family == "IPv6") != is_ipv6(ip):
            text = f"expected an {family} value as indicated by `ipFamilies[{index}]`"
            causes.append(invalid(f"{path}[{index}]", ip, text))
    return causes


def _validate_families(spec: Spec) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, family in enumerate(spec.get("ipFamilies") or ()):
        path = f"spec.ipFamilies[{index}]"
        if family not in _FAMILIES:
            causes.append(not_supported(path, family, _FAMILIES))
        if family in seen:
            causes.append(duplicate(path, family))
        seen.add(family)
    policy = spec.get("ipFamilyPolicy")
    if policy is not None and policy not in _POLICIES:
        causes.append(not_supported("spec.ipFamilyPolicy", policy, _POLICIES))
    return causes


def validate_stack(spec: Spec) -> list[Cause]:
    """Return what this cluster, which knows IPv4 alone, cannot give to a service whose addresses are well-formed.

    Source: pkg/registry/core/service/storage/alloc.go, initIPFamilyFields.
    """
    if spec.get("type") == "ExternalName":
        return []
    families, policy, ips = spec.get("ipFamilies") or [], spec.get("ipFamilyPolicy"), spec.get("clusterIPs") or []
    is_manual = spec.get("clusterIP") == "None" and not spec.get("selector")
    place = "spec.ipFamilyPolicy"
    causes: list[Cause] = []
    if policy in {None, "SingleStack"} and not (policy is None and is_manual):
        causes += [
            invalid(
                place,
                "SingleStack",
                f"must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified",
            )
            for what, values in (("cluster IPs", ips), ("IP families", families))
            if len(values) == 2
        ]
    causes += [
        invalid(f"spec.clusterIPs[{index}]", ips, "IPv6 is not configured on this cluster")
        for index, ip in enumerate(ips)
        if index >= len(families) and ip != "None" and is_ipv6(ip)
    ]
    if causes or is_manual:
        return causes
    if policy == "RequireDualStack":
        causes.append(invalid(place, policy, "this cluster is not configured for dual-stack services"))
    elif "IPv6" in families:
        causes.append(invalid(f"spec.ipFamilies[{families.index('IPv6')}]", "IPv6", "not configured on this cluster"))
    return causes


def _validate_unique_ports(ports: list[Spec], kind: str) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[tuple[Any, Any]] = set()
    node_ports: set[tuple[Any, Any]] = set()
    for index, port in enumerate(ports):
        path = f"spec.ports[{index}]"
        if kind == "ClusterIP" and port.get("nodePort"):
            causes.append(forbidden(f"{path}.nodePort", "may not be used when `type` is 'ClusterIP'"))
        key = (port.get("protocol"), port.get("nodePort"))
        if port.get("nodePort"):
            if key in node_ports:
                causes.append(duplicate(f"{path}.nodePort", port["nodePort"]))
            node_ports.add(key)
    for index, port in enumerate(ports):
        pair = (port.get("protocol"), port.get("port"))
        if pair in seen:
            shown = {
                "Name": "",
                "Protocol": port.get("protocol") or "",
                "AppProtocol": None,
                "Port": port.get("port") or 0,
                "TargetPort": 0,
                "NodePort": 0,
            }
            causes.append(duplicate(f"spec.ports[{index}]", shown))
        seen.add(pair)
    return causes


def _validate_source_ranges(spec: Spec, annotations: Mapping[str, str]) -> list[Cause]:
    """Judge the blocks that a balancer listens to: of the field, or else of the annotation."""
    if ranges := spec.get("loadBalancerSourceRanges"):
        path = "spec.LoadBalancerSourceRanges"
        placed = [(f"{path}[{index}]", text.strip()) for index, text in enumerate(ranges)]
    elif (annotated := annotations.get(_SOURCE_RANGES)) is not None:
        path = f"metadata.annotations[{_SOURCE_RANGES}]"
        placed = [(path, text.strip()) for text in annotated.split(",")] if annotated.strip() else []
    else:
        return []
    causes = [] if spec.get("type") == "LoadBalancer" else [forbidden(path, _ONLY_BALANCERS)]
    for place, text in placed:
        causes += each_invalid(place, text, cidr_problems(text))
    return causes


def _validate_load_balancer(spec: Spec, kind: str) -> list[Cause]:
    only = _ONLY_BALANCERS
    causes: list[Cause] = []
    if kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is None:
        causes.append(required("allocateLoadBalancerNodePorts"))
    if kind != "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not None:
        causes.append(forbidden("spec.allocateLoadBalancerNodePorts", only))
    if (name := spec.get("loadBalancerClass")) is not None:
        if kind != "LoadBalancer":
            causes.append(forbidden("spec.loadBalancerClass", only))
        else:
            causes += each_invalid("spec.loadBalancerClass", name, qualified_name_problems(name))
    return causes


def _validate_policies(spec: Spec, kind: str) -> list[Cause]:
    causes: list[Cause] = []
    external, internal = spec.get("externalTrafficPolicy") or "", spec.get("internalTrafficPolicy")
    is_external = kind in {"NodePort", "LoadBalancer"} or (kind == "ClusterIP" and bool(spec.get("externalIPs")))
    if external:
        if not is_external:
            text = "may only be set for externally-accessible services"
            causes.append(invalid("spec.externalTrafficPolicy", external, text))
        elif external not in {"Cluster", "Local"}:
            causes.append(not_supported("spec.externalTrafficPolicy", external, ("Cluster", "Local")))
    port = spec.get("healthCheckNodePort") or 0
    if port and not (kind == "LoadBalancer" and external == "Local"):
        text = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        causes.append(invalid("spec.healthCheckNodePort", port, text))
    if internal is not None and internal not in {"Cluster", "Local"}:
        causes.append(not_supported("spec.internalTrafficPolicy", internal, ("Cluster", "Local")))
    distribution = spec.get("trafficDistribution")
    allowed = ("PreferClose", "PreferSameZone", "PreferSameNode")
    if distribution is not None and distribution not in allowed:
        causes.append(not_supported("spec.trafficDistribution", distribution, allowed))
    return causes


def validate_service_update(obj: Object, old: Object) -> list[Cause]:
    """Return what of a service may not change so: an address once it is set, families, the health port."""
    new_spec, old_spec = obj.get("spec") or {}, old.get("spec") or {}
    causes: list[Cause] = []
    if "ExternalName" not in {new_spec.get("type"), old_spec.get("type")}:
        before, after = old_spec.get("clusterIPs") or [], new_spec.get("clusterIPs") or []
        pairs = list(zip(before, after, strict=False))
        causes += [
            invalid(f"spec.clusterIPs[{index}]", after, "may not change once set")
            for index, (was, now) in enumerate(pairs if len(before) == len(after) else pairs[:1])
            if was != now
        ]
        old_families, new_families = old_spec.get("ipFamilies") or [], new_spec.get("ipFamilies") or []
        if old_families and new_families and old_families[0] != new_families[0]:
            causes.append(invalid("spec.ipFamilies[0]", new_families, "may not change once set"))
    name = new_spec.get("loadBalancerClass")
    are_balancers = new_spec.get("type") == old_spec.get("type") == "LoadBalancer"
    if are_balancers and name != old_spec.get("loadBalancerClass"):
        causes.append(invalid("spec.loadBalancerClass", name, "may not change once set"))
    before_port, after_port = old_spec.get("healthCheckNodePort") or 0, new_spec.get("healthCheckNodePort") or 0
    both = all(
        each.get("type") == "LoadBalancer" and each.get("externalTrafficPolicy") == "Local"
        for each in (new_spec, old_spec)
    )
    if both and before_port and after_port != before_port:
        causes.append(forbidden("spec.healthCheckNodePort", "field is immutable"))
    return causes


def validate_load_balancer_status(obj: Object) -> list[Cause]:
    """Return the causes of addresses of a load balancer that cannot be."""
    spec = obj.get("spec") or {}
    ingress = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    path = "status.loadBalancer.ingress"
    if ingress and spec.get("type") != "LoadBalancer":
        return [forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'")]
    causes: list[Cause] = []
    for index, each in enumerate(ingress):
        place = f"{path}[{index}]"
        if ip := each.get("ip"):
            causes += each_invalid(f"{place}.ip", ip, ip_problems(ip))
        mode = each.get("ipMode")
        if ip and mode is None:
            causes.append(required(f"{place}.ipMode", "must be specified when `ip` is set"))
        elif mode is not None and not ip:
            causes.append(forbidden(f"{place}.ipMode", "may not be specified when `ip` is not set"))
        elif mode is not None and mode not in {"Proxy", "VIP"}:
            causes.append(not_supported(f"{place}.ipMode", mode, ("Proxy", "VIP")))
        if name := each.get("hostname"):
            causes += each_invalid(f"{place}.hostname", name, dns1123_subdomain_problems(name))
            if not ip_problems(name):
                causes.append(invalid(f"{place}.hostname", name, "must be a DNS name, not an IP address"))
    return causes
