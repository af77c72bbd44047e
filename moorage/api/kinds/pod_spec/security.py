"""Security contexts of pods and containers, and what Windows and Linux pods may not set.

Source: pkg/apis/core/validation/validation.go, ValidateSecurityContext, validatePodSpecSecurityContext (v1.37).
"""

import re
from collections.abc import Mapping
from typing import Any

from moorage.api.kinds.pod_spec.paths import validate_descending_path
from moorage.objects.errors import Cause
from moorage.objects.internal_form import internal_form
from moorage.objects.validation import (
    dns1123_subdomain_problems,
    duplicate,
    each_invalid,
    forbidden,
    id_problems,
    invalid,
    not_supported,
    required,
    too_long,
)

Context = Mapping[str, Any]

_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
_SYSCTL = r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
_sysctl = re.compile(_SYSCTL).match
_IPC_SYSCTLS = frozenset(
    f"kernel.{name}" for name in "sem shmall shmmax shmmni shm_rmid_forced msgmax msgmnb msgmni".split()
)
_NOT_ON_WINDOWS = "cannot be set for a windows pod"
_WINDOWS_CONTEXT_FIELDS = (
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "sysctls",
    "runAsUser",
    "runAsGroup",
    "supplementalGroups",
    "supplementalGroupsPolicy",
    "seLinuxChangePolicy",
)
_WINDOWS_CONTAINER_FIELDS = (
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
)


def _validate_id(path: str, number: int | None) -> list[Cause]:
    return each_invalid(path, number, id_problems(number)) if number is not None else []


def validate_security_context(path: str, context: Context, *, host_users: bool) -> list[Cause]:
    """Return the causes of a container's security context; `host_users`: the pod shares the host's user ids."""
    causes = _validate_id(f"{path}.runAsUser", context.get("runAsUser"))
    causes += _validate_id(f"{path}.runAsGroup", context.get("runAsGroup"))
    if (proc := context.get("procMount")) is not None:
        if proc not in {"Default", "Unmasked"}:
            causes.append(not_supported(f"{path}.procMount", proc, ("Default", "Unmasked")))
        elif proc == "Unmasked" and host_users:
            causes.append(invalid(f"{path}.procMount", proc, "`hostUsers` must be false to use `Unmasked`"))
    causes += _validate_seccomp(f"{path}.seccompProfile", context.get("seccompProfile"))
    if context.get("allowPrivilegeEscalation") is False:
        causes += _validate_escalation(path, context)
    causes += _validate_windows(f"{path}.windowsOptions", context.get("windowsOptions"))
    return causes + _validate_app_armor(f"{path}.appArmorProfile", context.get("appArmorProfile"))


def _validate_escalation(path: str, context: Context) -> list[Cause]:
    causes = []
    if context.get("privileged"):
        text = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
        causes.append(invalid(path, internal_form("SecurityContext", context), text))
    if "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or ()):
        text = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
        causes.append(invalid(path, internal_form("SecurityContext", context), text))
    return causes


def _validate_seccomp(path: str, profile: Context | None) -> list[Cause]:
    if profile is None:
        return []
    kind, local = profile.get("type") or "", profile.get("localhostProfile")
    causes = _profile_type(path, kind, "seccompProfile")
    if kind == "Localhost":
        if local is None:
            text = "must be set when seccomp type is Localhost"
            return [required(f"{path}.localhostProfile", text)]
        return validate_descending_path(f"{path}.localhostProfile", local)
    if local is not None and kind:
        text = "can only be set when seccomp type is Localhost"
        causes.append(invalid(f"{path}.localhostProfile", internal_form("Profile", profile), text))
    return causes


def _profile_type(path: str, kind: str, field: str) -> list[Cause]:
    if not kind:
        return [required(f"{path}.type", f"type is required when {field} is set")]
    return [] if kind in _PROFILES else [not_supported(f"{path}.type", kind, _PROFILES)]


def _validate_app_armor(path: str, profile: Context | None) -> list[Cause]:
    if profile is None:
        return []
    kind, local = profile.get("type") or "", profile.get("localhostProfile")
    place = f"{path}.localhostProfile"
    if kind != "Localhost":
        if local is not None and kind in _PROFILES:
            return [invalid(place, local, "can only be set when AppArmor type is Localhost")]
        return _profile_type(path, kind, "appArmorProfile")
    if not local or not local.strip():
        return [required(place, "must be set when AppArmor type is Localhost")]
    causes = [invalid(place, local, "must not be padded with whitespace")] if local.strip() != local else []
    return causes + ([too_long(place, 4095)] if len(local) > 4095 else [])


def _validate_windows(path: str, options: Context | None) -> list[Cause]:
    if options is None:
        return []
    causes: list[Cause] = []
    if (name := options.get("gmsaCredentialSpecName")) is not None:
        causes += each_invalid(f"{path}.gmsaCredentialSpecName", name, dns1123_subdomain_problems(name))
    if (spec := options.get("gmsaCredentialSpec")) is not None:
        if not spec:
            text = "gmsaCredentialSpec cannot be an empty string"
            causes.append(invalid(f"{path}.gmsaCredentialSpec", spec, text))
        elif len(spec) > 64 * 1024:
            text = "gmsaCredentialSpec size must be under 64 KiB"
            causes.append(invalid(f"{path}.gmsaCredentialSpec", spec, text))
    if (user := options.get("runAsUserName")) is not None:
        causes += [invalid(f"{path}.runAsUserName", user, text) for text in _windows_user_problems(user)]
    return causes


def _windows_user_problems(user: str) -> list[str]:
    if not user:
        return ["runAsUserName cannot be an empty string"]
    if re.search(r"[\x00-\x1f\x7f]", user):
        return ["runAsUserName cannot contain control characters"]
    parts = user.split("\\")
    if len(parts) > 2:
        return ["runAsUserName cannot contain more than one backslash"]
    problems = []
    if len(parts) == 2:
        domain = parts[0]
        if len(domain) >= 256:
            problems.append("runAsUserName's Domain length must be under 256 characters")
        if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9\-.]{0,14}|[a-zA-Z0-9\-]+(\.[a-zA-Z0-9\-]+)*\.?", domain):
            problems.append("runAsUserName's Domain doesn't match the NetBios nor the DNS format")
    name = parts[-1]
    if not name:
        problems.append("runAsUserName's User cannot be empty")
    elif len(name) > 104:
        problems.append("runAsUserName's User length must not be longer than 104 characters")
    if name and not name.strip(". "):
        problems.append("runAsUserName's User cannot contain only periods or spaces")
    if re.search(r'["/:;|=,+*?<>@\[\]]', name):
        problems.append("runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]")
    return problems


def validate_pod_security_context(path: str, context: Context, spec: Context) -> list[Cause]:
    """Return the causes of a pod's security context."""
    causes = _validate_id(f"{path}.fsGroup", context.get("fsGroup"))
    causes += _validate_id(f"{path}.runAsUser", context.get("runAsUser"))
    causes += _validate_id(f"{path}.runAsGroup", context.get("runAsGroup"))
    for index, group in enumerate(context.get("supplementalGroups") or ()):
        causes += _validate_id(f"{path}.supplementalGroups[{index}]", group)
    if sysctls := context.get("sysctls"):
        causes += _validate_sysctls(f"{path}.sysctls", sysctls, spec)
    for field, allowed in (
        ("fsGroupChangePolicy", ("Always", "OnRootMismatch")),
        ("supplementalGroupsPolicy", ("Merge", "Strict")),
        ("seLinuxChangePolicy", ("MountOption", "Recursive")),
    ):
        if (value := context.get(field)) is not None and value not in allowed:
            causes.append(not_supported(f"{path}.{field}", value, allowed))
    causes += _validate_seccomp(f"{path}.seccompProfile", context.get("seccompProfile"))
    causes += _validate_windows(f"{path}.windowsOptions", context.get("windowsOptions"))
    return causes + _validate_app_armor(f"{path}.appArmorProfile", context.get("appArmorProfile"))


def _validate_sysctls(path: str, sysctls: list[Context], spec: Context) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, sysctl in enumerate(sysctls):
        name = sysctl.get("name") or ""
        place = f"{path}[{index}].name"
        if not name:
            causes.append(required(place))
        elif len(name) > 253 or not _sysctl(name):
            text = f"must have at most 253 characters and match regex {_SYSCTL}"
            causes.append(invalid(place, name, text))
        elif name in seen:
            causes.append(duplicate(place, name))
        seen.add(name)
        dotted = name.replace("/", ".")
        if spec.get("hostNetwork") and dotted.startswith("net."):
            causes.append(invalid(place, name, "may not be specified when 'hostNetwork' is true"))
        if spec.get("hostIPC") and (dotted in _IPC_SYSCTLS or dotted.startswith("fs.mqueue.")):
            causes.append(invalid(place, name, "may not be specified when 'hostIPC' is true"))
    return causes


def validate_windows_host_process(path: str, spec: Context) -> list[Cause]:
    """Return the causes of containers that disagree about running as host processes of Windows."""
    options = (spec.get("securityContext") or {}).get("windowsOptions") or {}
    of_pod = options.get("hostProcess")
    causes: list[Cause] = []
    all_containers, some = True, False
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(field) or ()):
            own = ((container.get("securityContext") or {}).get("windowsOptions") or {}).get("hostProcess")
            if own is not None and of_pod is not None and own != of_pod:
                text = f"pod hostProcess value must be identical if both are specified, was {str(of_pod).lower()}"
                where = f"{path}.{field}[{index}].securityContext.windowsOptions.hostProcess"
                causes.append(invalid(where, own, text))
            value = own if own is not None else bool(of_pod)
            all_containers, some = all_containers and value, some or value
    if some:
        if not all_containers:
            text = "If pod contains any hostProcess containers then all containers must be HostProcess containers"
            causes.append(invalid(path, "", text))
        if not spec.get("hostNetwork"):
            text = "hostNetwork must be true if pod contains any hostProcess containers"
            causes.append(invalid(f"{path}.hostNetwork", False, text))  # noqa: FBT003
    return causes


def validate_os(path: str, spec: Context) -> list[Cause]:
    """Return the causes of an unknown operating system, and of fields that the named one does not have."""
    name = spec["os"].get("name") or ""
    if not name:
        return [required(f"{path}.os.name")]
    if name not in {"linux", "windows"}:
        return [not_supported(f"{path}.os", name, ("linux", "windows"))]
    return _linux_causes(path, spec) if name == "linux" else _windows_causes(path, spec)


def _each_container(path: str, spec: Context) -> list[tuple[str, Context]]:
    return [
        (f"{path}.{field}[{index}].securityContext", container["securityContext"])
        for field in ("containers", "initContainers")
        for index, container in enumerate(spec.get(field) or ())
        if container.get("securityContext")
    ]


def _linux_causes(path: str, spec: Context) -> list[Cause]:
    text = "windows options cannot be set for a linux pod"
    causes = []
    if (spec.get("securityContext") or {}).get("windowsOptions") is not None:
        causes.append(forbidden(f"{path}.securityContext.windowsOptions", text))
    causes += [
        forbidden(f"{place}.windowsOptions", text)
        for place, context in _each_container(path, spec)
        if context.get("windowsOptions") is not None
    ]
    return causes


def _windows_causes(path: str, spec: Context) -> list[Cause]:
    context = spec.get("securityContext") or {}
    causes = [
        forbidden(f"{path}.securityContext.{field}", _NOT_ON_WINDOWS)
        for field in _WINDOWS_CONTEXT_FIELDS
        if context.get(field) not in (None, [])
    ]
    if spec.get("hostUsers") is not None:
        causes.append(forbidden(f"{path}.hostUsers", _NOT_ON_WINDOWS))
    causes += [forbidden(f"{path}.{field}", _NOT_ON_WINDOWS) for field in ("hostPID", "hostIPC") if spec.get(field)]
    if spec.get("shareProcessNamespace") is not None:
        causes.append(forbidden(f"{path}.shareProcessNamespace", _NOT_ON_WINDOWS))
    causes += [
        forbidden(f"{place}.{field}", _NOT_ON_WINDOWS)
        for place, own in _each_container(path, spec)
        for field in _WINDOWS_CONTAINER_FIELDS
        if own.get(field) is not None
    ]
    return causes
