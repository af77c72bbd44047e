"""The whole specification of a pod, and a template of one: the order in which its parts are checked.

Source: pkg/apis/core/validation/validation.go, ValidatePodSpec, ValidatePodTemplateSpec (v1.37).
"""

from collections.abc import Mapping
from typing import Any

from moorage.api.kinds.pod_spec.affinity import validate_affinity, validate_tolerations, validate_topology_spread
from moorage.api.kinds.pod_spec.annotations import validate_pod_annotations
from moorage.api.kinds.pod_spec.containers import (
    PodFacts,
    validate_containers,
    validate_ephemeral_containers,
    validate_init_containers,
)
from moorage.api.kinds.pod_spec.dns import validate_dns_config, validate_host_aliases
from moorage.api.kinds.pod_spec.resources import validate_pod_resources, validate_quantity
from moorage.api.kinds.pod_spec.security import (
    validate_os,
    validate_pod_security_context,
    validate_windows_host_process,
)
from moorage.api.kinds.pod_spec.volumes import validate_volumes
from moorage.objects.errors import Cause
from moorage.objects.internal_form import internal_form
from moorage.objects.object_meta import validate_annotations
from moorage.objects.validation import (
    dns1123_label_problems,
    dns1123_subdomain_problems,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    qualified_name_problems,
    required,
    too_long,
    validate_labels,
)

Spec = Mapping[str, Any]

MAX_INT32 = 2147483647
_RESTART_POLICIES = ("Always", "OnFailure", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")


def validate_pod_template(path: str, template: Spec) -> list[Cause]:
    """Return every broken rule of a pod template: labels, annotations, specification."""
    metadata = template.get("metadata") or {}
    spec: Spec = template.get("spec") or {}
    causes = validate_labels(f"{path}.labels", metadata.get("labels"))
    annotations = metadata.get("annotations") or {}
    if annotations:
        causes += validate_annotations(f"{path}.annotations", annotations)
        causes += validate_pod_annotations(f"{path}.annotations", annotations, spec)
    causes += validate_pod_spec(f"{path}.spec", spec)
    if spec.get("ephemeralContainers"):
        text = "ephemeral containers not allowed in pod template"
        causes.append(forbidden(f"{path}.spec.ephemeralContainers", text))
    return causes


def validate_pod_spec(path: str, spec: Spec) -> list[Cause]:
    """Return every broken rule of a pod's specification, in upstream's order."""
    causes, volumes = validate_volumes(f"{path}.volumes", spec.get("volumes") or [])
    claims: list[str] = []
    if spec.get("resourceClaims"):
        claims = [each.get("name") or "" for each in spec["resourceClaims"]]
        causes += _validate_resource_claims(f"{path}.resourceClaims", spec["resourceClaims"])
    pod = PodFacts(
        volumes=volumes,
        claims=claims,
        grace_seconds=spec.get("terminationGracePeriodSeconds") or 0,
        restart_policy=spec.get("restartPolicy") or "",
        host_users=spec.get("hostUsers") is not False,
        os=(spec.get("os") or {}).get("name") or "",
    )
    regular, first = spec.get("containers") or [], spec.get("initContainers") or []
    causes += validate_containers(f"{path}.containers", regular, pod)
    if first:
        causes += validate_init_containers(f"{path}.initContainers", first, regular, pod)
    if ephemeral := spec.get("ephemeralContainers"):
        causes += validate_ephemeral_containers(f"{path}.ephemeralContainers", ephemeral, [*regular, *first], pod)
    if spec.get("resources"):
        causes += validate_pod_resources(path, spec)
    if spec.get("hostNetwork"):
        causes += _validate_host_ports(path, spec)
    causes += _validate_policies(path, spec)
    if context := spec.get("securityContext"):
        causes += validate_pod_security_context(f"{path}.securityContext", context, spec)
        if spec.get("shareProcessNamespace") and spec.get("hostPID"):
            causes.append(_both_process_namespaces(path))
    elif spec.get("shareProcessNamespace") and spec.get("hostPID"):
        causes.append(_both_process_namespaces(path))
    causes += _validate_placement(path, spec)
    causes += _validate_host_users(path, spec)
    causes += _validate_names(path, spec)
    if spec.get("tolerations"):
        causes += validate_tolerations(f"{path}.tolerations", spec["tolerations"])
    if spec.get("hostAliases"):
        causes += validate_host_aliases(f"{path}.hostAliases", spec["hostAliases"])
    return causes + _validate_classes(path, spec)


def _both_process_namespaces(path: str) -> Cause:
    text = "ShareProcessNamespace and HostPID cannot both be enabled"
    return invalid(f"{path}.shareProcessNamespace", True, text)  # noqa: FBT003


def _validate_resource_claims(path: str, claims: list[Spec]) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, claim in enumerate(claims):
        place = f"{path}[{index}]"
        name = claim.get("name") or ""
        if not name:
            causes.append(required(f"{place}.name"))
        elif name in seen:
            causes.append(duplicate(f"{place}.name", name))
        else:
            causes += each_invalid(f"{place}.name", name, dns1123_label_problems(name))
            seen.add(name)
        claim_name, template = claim.get("resourceClaimName"), claim.get("resourceClaimTemplateName")
        shown = internal_form("PodResourceClaim", claim)
        if claim_name is not None and template is not None:
            text = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            causes.append(invalid(place, shown, text))
        if claim_name is None and template is None:
            text = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            causes.append(invalid(place, shown, text))
        for field, value in (("resourceClaimName", claim_name), ("resourceClaimTemplateName", template)):
            if value is not None:
                causes += each_invalid(f"{place}.{field}", value, dns1123_subdomain_problems(value))
    return causes


def _validate_host_ports(path: str, spec: Spec) -> list[Cause]:
    causes = []
    for field in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(field) or ()):
            for position, port in enumerate(container.get("ports") or ()):
                host = port.get("hostPort") or 0
                if host != (port.get("containerPort") or 0):
                    # Upstream names `containers` for init containers too.
                    place = f"{path}.containers[{index}].ports[{position}].hostPort"
                    text = "must match `containerPort` when `hostNetwork` is true"
                    causes.append(invalid(place, host, text))
    return causes


def _validate_policies(path: str, spec: Spec) -> list[Cause]:
    causes: list[Cause] = []
    restart, dns = spec.get("restartPolicy") or "", spec.get("dnsPolicy") or ""
    if restart not in _RESTART_POLICIES:
        place = f"{path}.restartPolicy"
        causes.append(not_supported(place, restart, _RESTART_POLICIES) if restart else required(place))
    if dns not in _DNS_POLICIES:
        place = f"{path}.dnsPolicy"
        causes.append(not_supported(place, dns, _DNS_POLICIES) if dns else required(place))
    if selector := spec.get("nodeSelector"):
        causes += validate_labels(f"{path}.nodeSelector", selector)
    return causes


def _validate_placement(path: str, spec: Spec) -> list[Cause]:
    causes: list[Cause] = []
    if affinity := spec.get("affinity"):
        causes += validate_affinity(f"{path}.affinity", affinity)
    if spec.get("dnsConfig") is not None or spec.get("dnsPolicy") == "None":
        causes += validate_dns_config(path, spec)
    for index, gate in enumerate(spec.get("readinessGates") or ()):
        condition = gate.get("conditionType") or ""
        place = f"{path}.readinessGates[{index}].conditionType"
        causes += each_invalid(place, condition, qualified_name_problems(condition))
    if gates := spec.get("schedulingGates"):
        causes += _validate_gates(f"{path}.schedulingGates", gates)
    if constraints := spec.get("topologySpreadConstraints"):
        causes += validate_topology_spread(f"{path}.topologySpreadConstraints", constraints)
    return causes + validate_windows_host_process(path, spec)


def _validate_gates(path: str, gates: list[Spec]) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, gate in enumerate(gates):
        name = gate.get("name") or ""
        causes += each_invalid(f"{path}[{index}]", name, qualified_name_problems(name))
        if name in seen:
            causes.append(duplicate(f"{path}[{index}]", name))
        seen.add(name)
    return causes


def _validate_host_users(path: str, spec: Spec) -> list[Cause]:
    if spec.get("hostUsers") is not False:
        return []
    text = "when `hostUsers` is false"
    fields = (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC"))
    causes = [forbidden(f"{path}.{shown}", text) for field, shown in fields if spec.get(field)]
    for field in ("containers", "initContainers"):
        causes += [
            forbidden(f"{path}.{field}[{index}].volumeDevices", text)
            for index, container in enumerate(spec.get(field) or ())
            if container.get("volumeDevices")
        ]
    return causes


def _validate_names(path: str, spec: Spec) -> list[Cause]:
    causes: list[Cause] = []
    for field in ("serviceAccountName", "nodeName"):
        if (name := spec.get(field)) and (problems := dns1123_subdomain_problems(name)):
            causes += each_invalid(f"{path}.{field}", name, problems)
    if (seconds := spec.get("activeDeadlineSeconds")) is not None and not 1 <= seconds <= MAX_INT32:
        text = f"must be between 1 and {MAX_INT32}, inclusive"
        causes.append(invalid(f"{path}.activeDeadlineSeconds", seconds, text))
    for field in ("hostname", "subdomain"):
        if (name := spec.get(field)) and (problems := dns1123_label_problems(name)):
            causes += each_invalid(f"{path}.{field}", name, problems)
    if (name := spec.get("hostnameOverride")) is not None:
        causes += _validate_hostname_override(f"{path}.hostnameOverride", name, spec)
    return causes


def _validate_hostname_override(path: str, name: str, spec: Spec) -> list[Cause]:
    causes = []
    if spec.get("setHostnameAsFQDN"):
        causes.append(forbidden(path, "may not be specified when setHostnameAsFQDN is true"))
    if spec.get("hostNetwork"):
        causes.append(forbidden(path, "may not be specified when hostNetwork is true"))
    if len(name) > 64:
        causes.append(too_long(path, 64))
    return causes + each_invalid(path, name, dns1123_subdomain_problems(name))


def _validate_classes(path: str, spec: Spec) -> list[Cause]:
    causes: list[Cause] = []
    for field in ("priorityClassName", "runtimeClassName"):
        if (name := spec.get(field)) and (problems := dns1123_subdomain_problems(name)):
            causes += each_invalid(f"{path}.{field}", name, problems)
    if (policy := spec.get("preemptionPolicy")) is not None and policy not in {"PreemptLowerPriority", "Never"}:
        place = f"{path}.preemptionPolicy"
        allowed = ("PreemptLowerPriority", "Never")
        causes.append(not_supported(place, policy, allowed) if policy else required(place))
    for name, text in (spec.get("overhead") or {}).items():
        causes += validate_quantity(f"{path}.overhead.limits[{name}]", name, text)
    if spec.get("os") is not None:
        causes += validate_os(path, spec)
    return causes
