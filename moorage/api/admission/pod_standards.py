"""The checks of the Pod Security Standards baseline and restricted, by version, each with upstream's words.

Source: k8s.io/pod-security-admission/policy (v1.37).
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from moorage.api.kinds.pod_spec.annotations import APP_ARMOR

Part = Mapping[str, Any]


class Violation(NamedTuple):
    """One broken check: its short reason, and what exactly is wrong."""

    reason: str
    detail: str = ""


Rule = Callable[[Part, Part], Violation | None]

#: The newest minor version that has rules of its own.
LATEST = 37

_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"

_DEFAULT_CAPABILITIES = frozenset(
    "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID "
    "SYS_CHROOT".split()
)
#: The sysctls that are allowed, by the minor version that added them.
_NEW_SYSCTLS: Mapping[int, str] = {
    0: "kernel.shm_rmid_forced net.ipv4.ip_local_port_range net.ipv4.ip_unprivileged_port_start "
    "net.ipv4.tcp_syncookies net.ipv4.ping_group_range",
    27: "net.ipv4.ip_local_reserved_ports",
    29: "net.ipv4.tcp_keepalive_time net.ipv4.tcp_fin_timeout net.ipv4.tcp_keepalive_intvl "
    "net.ipv4.tcp_keepalive_probes",
    32: "net.ipv4.tcp_rmem net.ipv4.tcp_wmem",
    37: "net.ipv4.tcp_slow_start_after_idle net.ipv4.tcp_notsent_lowat",
}
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


def violations(level: str, version: str, metadata: Part, spec: Part) -> Sequence[Violation]:
    """Return what of the level a pod breaks, in upstream's order; `version` is `v1.x` or `latest`."""
    if level == "privileged":
        return ()
    minor = min(int(version[3:]), LATEST) if version[:3] == "v1." and version[3:].isdecimal() else LATEST
    checks = _BASELINE
    if level != "baseline":
        checks = (*(each for each in _BASELINE if minor < each.replaced), *_RESTRICTED)
    found = [each.rule(metadata, spec) for each in checks if each.since <= minor < each.until]
    return [each for each in found if each is not None]


def _unless_user_namespace(rule: Rule) -> Rule:
    """Return the rule for pods whose users are the node's: in a namespace of their own it does not matter."""
    return lambda metadata, spec: None if spec.get("hostUsers") is False else rule(metadata, spec)


def _unless_windows(rule: Rule) -> Rule:
    """Return the rule for pods that are not of Windows, where the field cannot be set."""
    return lambda metadata, spec: None if (spec.get("os") or {}).get("name") == "windows" else rule(metadata, spec)


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
    def is_bad(context: Part) -> bool:
        profile = context.get("appArmorProfile")
        return profile is not None and profile.get("type") not in {"RuntimeDefault", "Localhost"}

    pod = spec.get("securityContext") or {}
    bad = _bad(spec, lambda each: is_bad(_context(each)))
    setters = (["pod"] if is_bad(pod) else []) + ([_named(bad)] if bad else [])
    contexts = [each for each in (pod, *map(_context, bad)) if is_bad(each)]
    values = sorted({each["appArmorProfile"].get("type") or "" for each in contexts})
    annotations = sorted(
        f'{key}="{value}"'
        for key, value in (metadata.get("annotations") or {}).items()
        if key.startswith(APP_ARMOR) and value not in {"", "runtime/default"} and not value.startswith("localhost/")
    )
    if annotations:
        setters.append(f"annotation{'s' if len(annotations) > 1 else ''}")
        values += annotations
    if not setters:
        return None
    text = f"{' and '.join(setters)} must not set AppArmor profile type to {_quoted(values)}"
    return Violation(f"forbidden AppArmor profile{'s' if len(values) > 1 else ''}", text)


def _se_linux_of(allowed: frozenset[str]) -> Rule:
    """Return the rule that SELinux is asked for none but these types, and for no user or role."""
    return lambda metadata, spec: _se_linux(spec, allowed)


def _se_linux(spec: Part, allowed: frozenset[str]) -> Violation | None:
    def wrong(options: Part | None) -> list[str]:
        options = options or {}
        problems = []
        if (options.get("type") or "") not in allowed:
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
    types = sorted({each for each in found if each.startswith("type ")})
    others = sorted({each for each in found if not each.startswith("type ")}, reverse=True)
    parts = []
    if types:
        parts.append(f"type{'s' if len(types) > 1 else ''} {', '.join(each[5:] for each in types)}")
    parts += others
    return Violation(
        "seLinuxOptions", f"{' and '.join(setters)} set forbidden securityContext.seLinuxOptions: {'; '.join(parts)}"
    )


def _proc_mount(_: Part, spec: Part) -> Violation | None:
    bad = _bad(spec, lambda each: _context(each).get("procMount") not in {None, "Default"})
    if not bad:
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


def _seccomp_annotations(metadata: Part, spec: Part) -> Violation | None:
    keys = [_SECCOMP_POD, *(f"{_SECCOMP_CONTAINER}{each.get('name') or ''}" for each in _containers(spec))]
    annotations = metadata.get("annotations") or {}
    bad = sorted(
        f'{key}="{annotations[key]}"'
        for key in {*keys} & set(annotations)
        if annotations[key] not in {"runtime/default", "docker/default"}
        and not annotations[key].startswith("localhost/")
    )
    if not bad:
        return None
    return Violation("seccompProfile", f"forbidden annotation{'s' if len(bad) > 1 else ''} {', '.join(bad)}")


def _sysctls_by_version() -> list[tuple[int, int, frozenset[str]]]:
    """Return since which minor version, and until which, which names are allowed."""
    starts = [*_NEW_SYSCTLS, LATEST + 1]
    names: set[str] = set()
    spans = []
    for since, until in pairwise(starts):
        names |= set(_NEW_SYSCTLS[since].split())
        spans.append((since, until, frozenset(names)))
    return spans


def _sysctls_of(allowed: frozenset[str]) -> Rule:
    def rule(_: Part, spec: Part) -> Violation | None:
        sysctls = (spec.get("securityContext") or {}).get("sysctls") or ()
        names = [each.get("name") or "" for each in sysctls if each.get("name") not in allowed]
        return Violation("forbidden sysctls", ", ".join(names)) if names else None

    return rule


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
    if not bad:
        return None
    text = f"{_named(bad)} must set securityContext.allowPrivilegeEscalation=false"
    return Violation("allowPrivilegeEscalation != false", text)


def _restricted_capabilities(_: Part, spec: Part) -> Violation | None:
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
    setters = ["pod"] if (spec.get("securityContext") or {}).get("runAsUser") == 0 else []
    bad = _bad(spec, lambda each: _context(each).get("runAsUser") == 0)
    if bad:
        setters.append(_named(bad))
    return Violation("runAsUser=0", f"{' and '.join(setters)} must not set runAsUser=0") if setters else None


def _restricted_seccomp(_: Part, spec: Part) -> Violation | None:
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


class Check(NamedTuple):
    """A rule, the minor versions in which it holds, and from which on restricted has another in its place."""

    rule: Rule
    since: int = 0
    until: int = LATEST + 1
    replaced: int = LATEST + 1


#: In upstream's order: its checks are sorted by their names.
_BASELINE: tuple[Check, ...] = (
    Check(_app_armor),
    Check(_baseline_capabilities, replaced=22),
    Check(_host_namespaces),
    Check(_host_paths, replaced=0),
    Check(_host_ports),
    Check(_probe_hosts, since=34),
    Check(_privileged),
    Check(_proc_mount, until=35),
    Check(_unless_user_namespace(_proc_mount), since=35, replaced=35),
    Check(_se_linux_of(_SELINUX_TYPES - {"container_engine_t"}), until=31),
    Check(_se_linux_of(_SELINUX_TYPES), since=31),
    Check(_seccomp_annotations, until=19),
    Check(_baseline_seccomp, since=19, replaced=19),
    *(Check(_sysctls_of(names), since, until) for since, until, names in _sysctls_by_version()),
    Check(_host_process),
)
_RESTRICTED: tuple[Check, ...] = (
    Check(_escalation, since=8, until=25),
    Check(_unless_windows(_escalation), since=25),
    Check(_restricted_capabilities, since=22, until=25),
    Check(_unless_windows(_restricted_capabilities), since=25),
    Check(_proc_mount, since=35),
    Check(_restricted_volumes),
    Check(_non_root, until=35),
    Check(_unless_user_namespace(_non_root), since=35),
    Check(_root_user, since=23, until=35),
    Check(_unless_user_namespace(_root_user), since=35),
    Check(_restricted_seccomp, since=19, until=25),
    Check(_unless_windows(_restricted_seccomp), since=25),
)
