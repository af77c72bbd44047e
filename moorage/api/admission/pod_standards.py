"""The checks of the Pod Security Standards baseline and restricted, each with upstream's words.

Source: k8s.io/pod-security-admission/policy (v1.37).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from moorage.api.kinds.pod_spec.annotations import APP_ARMOR

Part = Mapping[str, Any]


class Violation(NamedTuple):
    """One broken check: its short reason, and what exactly is wrong."""

    reason: str
    detail: str = ""


Rule = Callable[[Part, Part], Violation | None]

_DEFAULT_CAPABILITIES = frozenset(
    "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID "
    "SYS_CHROOT".split()
)
_SAFE_SYSCTLS = frozenset(
    "kernel.shm_rmid_forced net.ipv4.ip_local_port_range net.ipv4.ip_unprivileged_port_start net.ipv4.tcp_syncookies "
    "net.ipv4.ping_group_range net.ipv4.ip_local_reserved_ports net.ipv4.tcp_keepalive_time net.ipv4.tcp_fin_timeout "
    "net.ipv4.tcp_keepalive_intvl net.ipv4.tcp_keepalive_probes net.ipv4.tcp_rmem net.ipv4.tcp_wmem".split()
)
_SELINUX_TYPES = frozenset({"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"})
_RESTRICTED_VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)


def violations(level: str, metadata: Part, spec: Part) -> Sequence[Violation]:
    """Return what of the level a pod breaks, in upstream's order."""
    if level == "privileged":
        return ()
    rules = _BASELINE if level == "baseline" else _RESTRICTED
    found = [rule(metadata, spec) for rule in rules]
    return [each for each in found if each is not None]


def _containers(spec: Part) -> list[Part]:
    fields = ("initContainers", "containers", "ephemeralContainers")
    return [each for field in fields for each in spec.get(field) or ()]


def _context(container: Part) -> Part:
    context: Part = container.get("securityContext") or {}
    return context


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _named(containers: Sequence[Part]) -> str:
    names = [each.get("name") or "" for each in containers]
    return f"container{'s' if len(names) > 1 else ''} {_quoted(names)}"


def _bad(spec: Part, is_bad: Callable[[Part], bool]) -> list[Part]:
    return [each for each in _containers(spec) if is_bad(each)]


def _privileged(_: Part, spec: Part) -> Violation | None:
    bad = _bad(spec, lambda each: bool(_context(each).get("privileged")))
    if not bad:
        return None
    return Violation("privileged", f"{_named(bad)} must not set securityContext.privileged=true")


def _host_namespaces(_: Part, spec: Part) -> Violation | None:
    fields = [field for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    if not fields:
        return None
    return Violation("host namespaces", ", ".join(f"{field}=true" for field in fields))


def _capabilities_added(container: Part) -> list[str]:
    return list((_context(container).get("capabilities") or {}).get("add") or ())


def _baseline_capabilities(_: Part, spec: Part) -> Violation | None:
    bad = _bad(spec, lambda each: any(name not in _DEFAULT_CAPABILITIES for name in _capabilities_added(each)))
    if not bad:
        return None
    names = sorted({name for each in bad for name in _capabilities_added(each) if name not in _DEFAULT_CAPABILITIES})
    text = f"{_named(bad)} must not include {_quoted(names)} in securityContext.capabilities.add"
    return Violation("non-default capabilities", text)


def _host_paths(_: Part, spec: Part) -> Violation | None:
    names = [each.get("name") or "" for each in spec.get("volumes") or () if each.get("hostPath") is not None]
    if not names:
        return None
    return Violation("hostPath volumes", f"volume{'s' if len(names) > 1 else ''} {_quoted(names)}")


def _host_ports(_: Part, spec: Part) -> Violation | None:
    bad = _bad(spec, lambda each: any(port.get("hostPort") for port in each.get("ports") or ()))
    if not bad:
        return None
    ports = sorted({str(p["hostPort"]) for each in bad for p in each.get("ports") or () if p.get("hostPort")})
    text = f"{_named(bad)} use{'s' if len(bad) == 1 else ''} hostPort{'s' if len(ports) > 1 else ''} {', '.join(ports)}"
    return Violation("hostPort", text)


def _app_armor(metadata: Part, spec: Part) -> Violation | None:
    setters: list[str] = []
    values: set[str] = set()
    for key, value in sorted((metadata.get("annotations") or {}).items()):
        is_fine = value in {"", "runtime/default"} or value.startswith("localhost/")
        if key.startswith(APP_ARMOR) and not is_fine:
            setters.append(f'annotation "{key}"')
            values.add(f'{key}="{value}"')
    pod = (spec.get("securityContext") or {}).get("appArmorProfile") or {}
    fields = []
    if pod.get("type") == "Unconfined":
        fields.append("pod")
    bad = _bad(spec, lambda each: (_context(each).get("appArmorProfile") or {}).get("type") == "Unconfined")
    if bad:
        fields.append(_named(bad))
    if not setters and not fields:
        return None
    if fields:
        who = " and ".join(fields)
        return Violation("forbidden AppArmor profile", f'{who} must not set AppArmor profile type to "Unconfined"')
    plural = "s" if len(values) > 1 else ""
    return Violation(f"forbidden AppArmor profile{plural}", ", ".join(sorted(values)))


def _se_linux(_: Part, spec: Part) -> Violation | None:
    def wrong(options: Part | None) -> list[str]:
        options = options or {}
        problems = []
        if (options.get("type") or "") not in _SELINUX_TYPES:
            problems.append(f'type "{options.get("type")}"')
        problems += [f"{field} may not be set" for field in ("user", "role") if options.get(field)]
        return problems

    found = list(wrong((spec.get("securityContext") or {}).get("seLinuxOptions")))
    setters = ["pod"] if found else []
    bad = _bad(spec, lambda each: bool(wrong(_context(each).get("seLinuxOptions"))))
    for each in bad:
        found += wrong(_context(each).get("seLinuxOptions"))
    if bad:
        setters.append(_named(bad))
    if not found:
        return None
    types = [each for each in dict.fromkeys(found) if each.startswith("type ")]
    others = [each for each in dict.fromkeys(found) if not each.startswith("type ")]
    parts = []
    if types:
        parts.append(f"type{'s' if len(types) > 1 else ''} {', '.join(each[5:] for each in types)}")
    parts += others
    return Violation(
        "seLinuxOptions", f"{' and '.join(setters)} set forbidden securityContext.seLinuxOptions: {'; '.join(parts)}"
    )


def _proc_mount(_: Part, spec: Part) -> Violation | None:
    bad = _bad(spec, lambda each: _context(each).get("procMount") not in {None, "Default"})
    if not bad or spec.get("hostUsers") is False:
        return None
    values = sorted({_context(each)["procMount"] for each in bad})
    return Violation("procMount", f"{_named(bad)} must not set securityContext.procMount to {_quoted(values)}")


def _baseline_seccomp(_: Part, spec: Part) -> Violation | None:
    setters = []
    if ((spec.get("securityContext") or {}).get("seccompProfile") or {}).get("type") == "Unconfined":
        setters.append("pod")
    bad = _bad(spec, lambda each: (_context(each).get("seccompProfile") or {}).get("type") == "Unconfined")
    if bad:
        setters.append(_named(bad))
    if not setters:
        return None
    text = f'{" and ".join(setters)} must not set securityContext.seccompProfile.type to "Unconfined"'
    return Violation("seccompProfile", text)


def _sysctls(_: Part, spec: Part) -> Violation | None:
    sysctls = (spec.get("securityContext") or {}).get("sysctls") or ()
    names = [each.get("name") or "" for each in sysctls if each.get("name") not in _SAFE_SYSCTLS]
    return Violation("forbidden sysctls", ", ".join(names)) if names else None


def _host_process(_: Part, spec: Part) -> Violation | None:
    setters = []
    if ((spec.get("securityContext") or {}).get("windowsOptions") or {}).get("hostProcess"):
        setters.append("pod")
    bad = _bad(spec, lambda each: bool((_context(each).get("windowsOptions") or {}).get("hostProcess")))
    if bad:
        setters.append(_named(bad))
    if not setters:
        return None
    text = f"{' and '.join(setters)} must not set securityContext.windowsOptions.hostProcess=true"
    return Violation("hostProcess", text)


def _probe_hosts(_: Part, spec: Part) -> Violation | None:
    def hosts(container: Part) -> list[str]:
        handlers = [container.get(field) or {} for field in ("livenessProbe", "readinessProbe", "startupProbe")]
        lifecycle = container.get("lifecycle") or {}
        handlers += [lifecycle.get(field) or {} for field in ("postStart", "preStop")]
        return [
            handler[kind]["host"]
            for handler in handlers
            for kind in ("httpGet", "tcpSocket")
            if (handler.get(kind) or {}).get("host")
        ]

    bad = _bad(spec, lambda each: bool(hosts(each)))
    if not bad:
        return None
    found = sorted({host for each in bad for host in hosts(each)})
    uses, hosts_word = "uses" if len(bad) == 1 else "use", "hosts" if len(found) > 1 else "host"
    text = f"{_named(bad)} {uses} probe or lifecycle {hosts_word} {_quoted(found)}"
    return Violation("probe or lifecycle host", text)


def _is_windows(spec: Part) -> bool:
    return (spec.get("os") or {}).get("name") == "windows"


def _restricted_volumes(_: Part, spec: Part) -> Violation | None:
    bad: list[str] = []
    kinds: set[str] = set()
    for volume in spec.get("volumes") or ():
        own = [kind for kind, value in volume.items() if kind != "name" and value is not None]
        wrong = [kind for kind in own if kind not in _RESTRICTED_VOLUMES]
        if wrong:
            bad.append(volume.get("name") or "")
            kinds.update(wrong)
    if not bad:
        return None
    plural = "s" if len(bad) > 1 else ""
    uses = "use" if plural else "uses"
    types = "types" if len(kinds) > 1 else "type"
    text = f"volume{plural} {_quoted(bad)} {uses} restricted volume {types} {_quoted(sorted(kinds))}"
    return Violation("restricted volume types", text)


def _escalation(_: Part, spec: Part) -> Violation | None:
    bad = _bad(spec, lambda each: _context(each).get("allowPrivilegeEscalation") is not False)
    if not bad or _is_windows(spec):
        return None
    text = f"{_named(bad)} must set securityContext.allowPrivilegeEscalation=false"
    return Violation("allowPrivilegeEscalation != false", text)


def _restricted_capabilities(_: Part, spec: Part) -> Violation | None:
    if _is_windows(spec):
        return None
    undropped = _bad(spec, lambda each: "ALL" not in ((_context(each).get("capabilities") or {}).get("drop") or ()))
    added = _bad(spec, lambda each: any(name != "NET_BIND_SERVICE" for name in _capabilities_added(each)))
    parts = []
    if undropped:
        parts.append(f'{_named(undropped)} must set securityContext.capabilities.drop=["ALL"]')
    if added:
        names = sorted({name for each in added for name in _capabilities_added(each) if name != "NET_BIND_SERVICE"})
        parts.append(f"{_named(added)} must not include {_quoted(names)} in securityContext.capabilities.add")
    return Violation("unrestricted capabilities", "; ".join(parts)) if parts else None


def _non_root(_: Part, spec: Part) -> Violation | None:
    of_pod = (spec.get("securityContext") or {}).get("runAsNonRoot")
    explicit = _bad(spec, lambda each: _context(each).get("runAsNonRoot") is False)
    implicit = _bad(spec, lambda each: _context(each).get("runAsNonRoot") is None)
    if spec.get("hostUsers") is False:
        return None
    setters = ["pod"] if of_pod is False else []
    if explicit:
        setters.append(_named(explicit))
    if setters and (explicit or implicit):
        return Violation(
            "runAsNonRoot != true", f"{' and '.join(setters)} must not set securityContext.runAsNonRoot=false"
        )
    if of_pod is not True and implicit:
        text = f"pod or {_named(implicit)} must set securityContext.runAsNonRoot=true"
        return Violation("runAsNonRoot != true", text)
    return None


def _root_user(_: Part, spec: Part) -> Violation | None:
    if spec.get("hostUsers") is False:
        return None
    setters = ["pod"] if (spec.get("securityContext") or {}).get("runAsUser") == 0 else []
    bad = _bad(spec, lambda each: _context(each).get("runAsUser") == 0)
    if bad:
        setters.append(_named(bad))
    return Violation("runAsUser=0", f"{' and '.join(setters)} must not set runAsUser=0") if setters else None


def _restricted_seccomp(_: Part, spec: Part) -> Violation | None:
    if _is_windows(spec):
        return None
    good = {"RuntimeDefault", "Localhost"}
    of_pod = ((spec.get("securityContext") or {}).get("seccompProfile") or {}).get("type")
    wrong = _bad(spec, lambda each: (_context(each).get("seccompProfile") or {}).get("type") not in {None, *good})
    implicit = _bad(spec, lambda each: (_context(each).get("seccompProfile") or {}).get("type") is None)
    setters = ["pod"] if of_pod not in {None, *good} else []
    if wrong:
        setters.append(_named(wrong))
    if setters:
        values = sorted(
            {str(each["seccompProfile"]["type"]) for each in map(_context, wrong)} | {str(of_pod)} - {"None", *good}
        )
        text = f"{' and '.join(setters)} must not set securityContext.seccompProfile.type to {_quoted(values)}"
        return Violation("seccompProfile", text)
    if of_pod is None and implicit:
        text = (
            f'pod or {_named(implicit)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
        )
        return Violation("seccompProfile", text)
    return None


_COMMON: tuple[Rule, ...] = (
    _app_armor,
    _host_namespaces,
    _host_paths,
    _host_ports,
    _probe_hosts,
    _privileged,
    _proc_mount,
    _se_linux,
    _sysctls,
    _host_process,
)
_BASELINE: tuple[Rule, ...] = (_baseline_capabilities, *_COMMON, _baseline_seccomp)
#: Restricted has its own rules for volumes, capabilities and seccomp in the place of baseline's.
_RESTRICTED: tuple[Rule, ...] = (
    *(rule for rule in _COMMON if rule is not _host_paths),
    _escalation,
    _restricted_capabilities,
    _restricted_volumes,
    _non_root,
    _root_user,
    _restricted_seccomp,
)
