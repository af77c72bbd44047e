"""Containers, init containers and ephemeral containers.

Source: pkg/apis/core/validation/validation.go, validateContainers and its like (v1.37).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from moorage.api.kinds.pod_spec.downward import ENV_FIELDS, validate_field_ref, validate_resource_ref
from moorage.api.kinds.pod_spec.mounts import validate_volume_devices, validate_volume_mounts
from moorage.api.kinds.pod_spec.paths import validate_no_backsteps
from moorage.api.kinds.pod_spec.probes import validate_lifecycle, validate_probes
from moorage.api.kinds.pod_spec.resources import validate_resources
from moorage.api.kinds.pod_spec.security import validate_security_context
from moorage.objects.errors import Cause
from moorage.objects.validation import (
    config_key_problems,
    dns1123_label_problems,
    dns1123_subdomain_problems,
    duplicate,
    each_invalid,
    env_name_problems,
    forbidden,
    invalid,
    not_found,
    not_supported,
    port_name_problems,
    port_number_problems,
    required,
    too_many,
)

Container = Mapping[str, Any]

_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_RESTART_POLICIES = ("Always", "Never", "OnFailure")
_RULES_MOST, _EXIT_CODES_MOST = 20, 255
_ONE_SOURCE = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
_MORE_SOURCES = "may not have more than one field specified at a time"


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What containers must agree with: the pod's flawless volumes, its claims, and how it ends and runs."""

    volumes: Mapping[str, Mapping[str, Any]]
    claims: Collection[str]
    grace_seconds: int
    restart_policy: str
    host_users: bool
    os: str


def validate_containers(path: str, containers: list[Container], pod: PodFacts) -> list[Cause]:
    """Return every broken rule of the containers that run all the time."""
    if not containers:
        return [required(path)]
    causes: list[Cause] = []
    names: set[str] = set()
    for index, container in enumerate(containers):
        place = f"{path}[{index}]"
        causes += _validate_common(place, container, pod)
        name = container.get("name") or ""
        if name in names:
            causes.append(duplicate(f"{place}.name", name))
        names.add(name)
        causes += _validate_hooks(place, container, pod)
        if container.get("restartPolicy") is not None or container.get("restartPolicyRules"):
            causes += _validate_restart(place, container)
    return causes + host_port_conflicts(path, containers)


def validate_init_containers(
    path: str, containers: list[Container], regular: list[Container], pod: PodFacts
) -> list[Cause]:
    """Return every broken rule of the containers that run before, and of sidecars."""
    causes: list[Cause] = []
    names = {container.get("name") for container in regular}
    for index, container in enumerate(containers):
        place = f"{path}[{index}]"
        causes += _validate_common(place, container, pod)
        name = container.get("name") or ""
        if name in names:
            causes.append(duplicate(f"{place}.name", name))
        elif name:
            names.add(name)
        causes += host_port_conflicts(path, [container])
        if container.get("restartPolicy") == "Always":
            causes += _validate_hooks(place, container, pod)
        else:
            causes += _forbidden_hooks(place, container)
        if container.get("restartPolicy") is not None or container.get("restartPolicyRules"):
            causes += _validate_restart(place, container)
    return causes


def _forbidden_hooks(path: str, container: Container) -> list[Cause]:
    text = "may not be set for init containers without restartPolicy=Always"
    causes = [
        forbidden(f"{path}.{field}", text)
        for field in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")
        if container.get(field) is not None
    ]
    for index, policy in enumerate(container.get("resizePolicy") or ()):
        if policy.get("restartPolicy") == "RestartContainer":
            text = "must not be set to 'RestartContainer' for non-sidecar initContainers"
            causes.append(invalid(f"{path}.resizePolicy[{index}].restartPolicy", "RestartContainer", text))
    return causes


def validate_ephemeral_containers(
    path: str, containers: list[Container], others: list[Container], pod: PodFacts
) -> list[Cause]:
    """Return every broken rule of containers that were added to a running pod; `others` are its other ones."""
    causes: list[Cause] = []
    names = {container.get("name") for container in others}
    targets = set(names)
    for index, container in enumerate(containers):
        place = f"{path}[{index}]"
        causes += _validate_common(place, container, pod)
        name = container.get("name") or ""
        if name in names:
            causes.append(duplicate(f"{place}.name", name))
        names.add(name)
        target = container.get("targetContainerName")
        if target and target not in targets:
            causes.append(not_found(f"{place}.targetContainerName", target))
        causes += _forbidden_in_ephemeral(place, container)
    return causes


#: What an ephemeral container may not have, as upstream names the fields in its messages.
_NOT_EPHEMERAL = ("ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "resizePolicy")


def _forbidden_in_ephemeral(path: str, container: Container) -> list[Cause]:
    text = "cannot be set for an Ephemeral Container"
    causes = [forbidden(f"{path}.{field}", text) for field in _NOT_EPHEMERAL if container.get(field)]
    if resources := container.get("resources"):
        causes += [forbidden(f"{path}.resources", text)] if any(resources.values()) else []
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        place = f"{path}.volumeMounts[{index}]"
        causes += [forbidden(f"{place}.{field}", text) for field in ("subPath", "subPathExpr") if mount.get(field)]
    return causes


def _validate_hooks(path: str, container: Container, pod: PodFacts) -> list[Cause]:
    causes: list[Cause] = []
    if (lifecycle := container.get("lifecycle")) is not None:
        causes += validate_lifecycle(f"{path}.lifecycle", lifecycle, pod.grace_seconds, pod.os)
    return causes + validate_probes(path, container, pod.grace_seconds)


def _validate_common(path: str, container: Container, pod: PodFacts) -> list[Cause]:
    causes = _validate_identity(path, container)
    if ports := container.get("ports"):
        causes += _validate_ports(f"{path}.ports", ports)
    if env := container.get("env"):
        causes += _validate_env(f"{path}.env", env, pod)
    if sources := container.get("envFrom"):
        causes += _validate_env_from(f"{path}.envFrom", sources)
    if container.get("volumeMounts"):
        causes += validate_volume_mounts(f"{path}.volumeMounts", container, pod.volumes)
    if container.get("volumeDevices"):
        causes += validate_volume_devices(f"{path}.volumeDevices", container, pod.volumes)
    policy = container.get("imagePullPolicy") or ""
    if policy not in _PULL_POLICIES:
        place = f"{path}.imagePullPolicy"
        causes.append(not_supported(place, policy, _PULL_POLICIES) if policy else required(place))
    if resources := container.get("resources"):
        causes += validate_resources(f"{path}.resources", resources, pod.claims)
    if resize := container.get("resizePolicy"):
        causes += _validate_resize(f"{path}.resizePolicy", resize, pod.restart_policy)
    if (context := container.get("securityContext")) is not None:
        causes += validate_security_context(f"{path}.securityContext", context, host_users=pod.host_users)
    return causes


def _validate_identity(path: str, container: Container) -> list[Cause]:
    causes: list[Cause] = []
    name = container.get("name") or ""
    if not name:
        causes.append(required(f"{path}.name"))
    elif problems := dns1123_label_problems(name):
        causes += each_invalid(f"{path}.name", name, problems)
    if not container.get("image"):
        causes.append(required(f"{path}.image"))
    policy = container.get("terminationMessagePolicy") or ""
    if policy not in _MESSAGE_POLICIES:
        place = f"{path}.terminationMessagePolicy"
        causes.append(not_supported(place, policy, _MESSAGE_POLICIES) if policy else required(place))
    return causes


def _validate_ports(path: str, ports: list[Container]) -> list[Cause]:
    causes: list[Cause] = []
    names: set[str] = set()
    for index, port in enumerate(ports):
        place = f"{path}[{index}]"
        if name := port.get("name"):
            if problems := port_name_problems(name):
                causes += each_invalid(f"{place}.name", name, problems)
            elif name in names:
                causes.append(duplicate(f"{place}.name", name))
            names.add(name)
        number = port.get("containerPort") or 0
        if not number:
            causes.append(required(f"{place}.containerPort"))
        elif problems := port_number_problems(number):
            causes += each_invalid(f"{place}.containerPort", number, problems)
        if (host := port.get("hostPort")) and (problems := port_number_problems(host)):
            causes += each_invalid(f"{place}.hostPort", host, problems)
        protocol = port.get("protocol") or ""
        if protocol not in _PROTOCOLS:
            where = f"{place}.protocol"
            causes.append(not_supported(where, protocol, _PROTOCOLS) if protocol else required(where))
    return causes


def host_port_conflicts(path: str, containers: list[Container]) -> list[Cause]:
    """Return the causes of ports of the node that are wanted twice."""
    causes: list[Cause] = []
    taken: set[str] = set()
    for index, container in enumerate(containers):
        for position, port in enumerate(container.get("ports") or ()):
            if not port.get("hostPort"):
                continue
            key = f"{port.get('protocol') or ''}/{port.get('hostIP') or ''}/{port['hostPort']}"
            if key in taken:
                causes.append(duplicate(f"{path}[{index}].ports[{position}].hostPort", key))
            taken.add(key)
    return causes


def _validate_env(path: str, env: list[Container], pod: PodFacts) -> list[Cause]:
    causes: list[Cause] = []
    for index, variable in enumerate(env):
        place = f"{path}[{index}]"
        name = variable.get("name") or ""
        if not name:
            causes.append(required(f"{place}.name"))
        elif problems := env_name_problems(name):
            causes += each_invalid(f"{place}.name", name, problems)
        if (source := variable.get("valueFrom")) is not None:
            causes += _validate_value_from(f"{place}.valueFrom", source, variable.get("value") or "", pod)
    return causes


def _validate_value_from(path: str, source: Container, value: str, pod: PodFacts) -> list[Cause]:
    causes: list[Cause] = []
    if (ref := source.get("fieldRef")) is not None:
        causes += validate_field_ref(f"{path}.fieldRef", ref, ENV_FIELDS)
    if (ref := source.get("resourceFieldRef")) is not None:
        causes += validate_resource_ref(f"{path}.resourceFieldRef", ref, in_volume=False)
    for field in ("configMapKeyRef", "secretKeyRef"):
        if (ref := source.get(field)) is not None:
            causes += _validate_key_ref(f"{path}.{field}", ref)
    if (ref := source.get("fileKeyRef")) is not None:
        causes += _validate_file_ref(f"{path}.fileKeyRef", ref, pod)
    count = sum(source.get(field) is not None for field in _ENV_SOURCES)
    if not count:
        causes.append(invalid(path, "", _ONE_SOURCE))
    if value:
        if count:
            causes.append(invalid(path, "", "may not be specified when `value` is not empty"))
    elif count > 1:
        causes.append(invalid(path, "", _MORE_SOURCES))
    return causes


_ENV_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")


def _validate_key_ref(path: str, ref: Container) -> list[Cause]:
    name, key = ref.get("name") or "", ref.get("key") or ""
    causes = each_invalid(f"{path}.name", name, dns1123_subdomain_problems(name))
    causes += each_invalid(f"{path}.key", key, config_key_problems(key)) if key else [required(f"{path}.key")]
    return causes


def _validate_file_ref(path: str, ref: Container, pod: PodFacts) -> list[Cause]:
    name, key, file = ref.get("volumeName") or "", ref.get("key") or "", ref.get("path") or ""
    causes = each_invalid(f"{path}.key", key, env_name_problems(key)) if key else [required(f"{path}.key")]
    place = f"{path}.volumeName"
    causes += each_invalid(place, name, dns1123_label_problems(name)) if name else [required(place)]
    causes += validate_no_backsteps(f"{path}.path", file) if file else [required(f"{path}.path")]
    volume = pod.volumes.get(name)
    if volume is None:
        causes.append(not_found(place, name))
    elif volume.get("emptyDir") is None:
        causes.append(invalid(place, name, "referenced volume must be of type emptyDir"))
    return causes


def _validate_env_from(path: str, sources: list[Container]) -> list[Cause]:
    causes: list[Cause] = []
    for index, source in enumerate(sources):
        place = f"{path}[{index}]"
        if prefix := source.get("prefix"):
            causes += each_invalid(f"{place}.prefix", prefix, env_name_problems(prefix))
        count = 0
        for field in ("configMapRef", "secretRef"):
            if (ref := source.get(field)) is None:
                continue
            count += 1
            name = ref.get("name") or ""
            where = f"{place}.{field}.name"
            causes += each_invalid(where, name, dns1123_subdomain_problems(name)) if name else [required(where)]
        if count > 1:
            causes.append(invalid(path, "", _MORE_SOURCES))
        elif not count:
            causes.append(invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
    return causes


def _validate_resize(path: str, policies: list[Container], restart_policy: str) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, policy in enumerate(policies):
        name, restart = policy.get("resourceName") or "", policy.get("restartPolicy") or ""
        if name in seen:
            causes.append(duplicate(f"{path}[{index}]", name))
        seen.add(name)
        if not name or not restart:
            causes.append(required(path))
        if name and name not in {"cpu", "memory"}:
            causes.append(not_supported(path, name, ("cpu", "memory")))
        if restart and restart not in {"NotRequired", "RestartContainer"}:
            causes.append(not_supported(path, restart, ("NotRequired", "RestartContainer")))
        if restart_policy == "Never" and restart != "NotRequired":
            causes.append(invalid(path, restart, "must be 'NotRequired' when pod `restartPolicy` is 'Never'"))
    return causes


def _validate_restart(path: str, container: Container) -> list[Cause]:
    policy, rules = container.get("restartPolicy"), container.get("restartPolicyRules") or ()
    causes: list[Cause] = []
    if policy is None:
        text = "must specify restartPolicy when restart rules are used"
        causes.append(required(f"{path}.restartPolicy", text))
    elif policy not in _RESTART_POLICIES:
        causes.append(not_supported(f"{path}.restartPolicy", policy, _RESTART_POLICIES))
    if len(rules) > _RULES_MOST:
        causes.append(too_many(f"{path}.restartPolicyRules", len(rules), _RULES_MOST))
    for index, rule in enumerate(rules):
        causes += _validate_restart_rule(f"{path}.restartPolicyRules[{index}]", rule)
    return causes


def _validate_restart_rule(path: str, rule: Container) -> list[Cause]:
    causes: list[Cause] = []
    action = rule.get("action") or ""
    if action not in {"Restart", "RestartAllContainers"}:
        causes.append(not_supported(f"{path}.action", action, ("Restart", "RestartAllContainers")))
    codes = rule.get("exitCodes")
    if codes is None:
        return [*causes, required(f"{path}.exitCodes", "must be specified")]
    operator = codes.get("operator") or ""
    if operator not in {"In", "NotIn"}:
        causes.append(not_supported(f"{path}.exitCodes.operator", operator, ("In", "NotIn")))
    if len(codes.get("values") or ()) > _EXIT_CODES_MOST:
        causes.append(too_many(f"{path}.exitCodes.values", len(codes["values"]), _EXIT_CODES_MOST))
    return causes
