"""From a pod's spec to what the runtime needs to know: sandbox and container configurations. Pure."""

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from moorage.node.environment import expanded
from moorage.node.runtimes.runtime import ContainerConfig, Mount, SandboxConfig
from moorage.objects.metadata import Object, labels_of, name_of, namespace_of, uid_of
from moorage.objects.quantity import parse_quantity


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What every pod of a node shares. Addresses are texts; directories are on the node's machine."""

    name: str
    ip: str
    logs: str
    dns_servers: tuple[str, ...]
    domain: str


def log_directory(facts: NodeFacts, pod: Object) -> str:
    """Return where the logs of a pod's containers are. Source: kubelet's /var/log/pods layout."""
    return posixpath.join(facts.logs, f"{namespace_of(pod)}_{name_of(pod)}_{uid_of(pod)}")


def hostname_of(pod: Object) -> str:
    """Return the host name that a pod sees, cut as kubelet cuts it."""
    return str(pod["spec"].get("hostname") or name_of(pod))[:63].rstrip("-.")


def sandbox_config(pod: Object, facts: NodeFacts) -> SandboxConfig:
    """Return what all containers of the pod share."""
    spec = pod["spec"]
    servers, searches, options = dns_of(pod, facts)
    sysctls = (spec.get("securityContext") or {}).get("sysctls") or ()
    return SandboxConfig(
        uid=uid_of(pod),
        name=name_of(pod),
        namespace=namespace_of(pod),
        hostname=hostname_of(pod),
        log_directory=log_directory(facts, pod),
        host_network=bool(spec.get("hostNetwork")),
        share_process_namespace=bool(spec.get("shareProcessNamespace")),
        dns_servers=servers,
        dns_searches=searches,
        dns_options=options,
        hosts_file=hosts_lines(pod, facts),
        sysctls={each["name"]: each["value"] for each in sysctls},
        labels=labels_of(pod),
    )


def hosts_lines(pod: Object, facts: NodeFacts) -> str:
    """Return the lines that hostAliases add to /etc/hosts; the runtime adds the pod's own name and address."""
    aliases = pod["spec"].get("hostAliases") or ()
    if not aliases:
        return ""
    lines = [f"{each['ip']}\t" + "\t".join(each.get("hostnames") or ()) for each in aliases]
    return "\n# Entries added by HostAliases.\n" + "\n".join(lines) + "\n"


def dns_of(pod: Object, facts: NodeFacts) -> tuple[Sequence[str], Sequence[str], Sequence[str]]:
    """Return name servers, search domains and options. Source: the page "DNS for Services and Pods"."""
    spec = pod["spec"]
    policy = spec.get("dnsPolicy", "ClusterFirst")
    config = spec.get("dnsConfig") or {}
    servers: list[str] = []
    searches: list[str] = []
    options: list[str] = []
    if policy in ("ClusterFirst", "ClusterFirstWithHostNet") and facts.dns_servers:
        domain = facts.domain
        servers = list(facts.dns_servers)
        searches = [f"{namespace_of(pod)}.svc.{domain}", f"svc.{domain}", domain]
        options = ["ndots:5"]
    servers += [each for each in config.get("nameservers") or () if each not in servers]
    searches += [each for each in config.get("searches") or () if each not in searches]
    for option in config.get("options") or ():
        text = option["name"] + (f":{option['value']}" if option.get("value") else "")
        options = [each for each in options if each.partition(":")[0] != option["name"]] + [text]
    return servers, searches, options


def container_config(
    pod: Object, container: Object, attempt: int, image: str, environment: Mapping[str, str], mounts: Sequence[Mount]
) -> ContainerConfig:
    """Return one attempt at a container."""
    security = {**(pod["spec"].get("securityContext") or {}), **(container.get("securityContext") or {})}
    capabilities = security.get("capabilities") or {}
    limits = (container.get("resources") or {}).get("limits") or {}
    groups = [*(security.get("supplementalGroups") or ())]
    if security.get("fsGroup") is not None:
        groups.append(security["fsGroup"])
    return ContainerConfig(
        name=container["name"],
        attempt=attempt,
        image=image,
        command=[expanded(each, environment) for each in container.get("command") or ()],
        args=[expanded(each, environment) for each in container.get("args") or ()],
        env=environment,
        working_dir=container.get("workingDir") or "",
        mounts=mounts,
        user=security.get("runAsUser"),
        group=security.get("runAsGroup"),
        supplemental_groups=groups,
        read_only_root=bool(security.get("readOnlyRootFilesystem")),
        privileged=bool(security.get("privileged")),
        capabilities_add=capabilities.get("add") or (),
        capabilities_drop=capabilities.get("drop") or (),
        no_new_privileges=security.get("allowPrivilegeEscalation") is False,
        tty=bool(container.get("tty")),
        stdin=bool(container.get("stdin")),
        stdin_once=bool(container.get("stdinOnce")),
        pid_target=container.get("targetContainerName") or "",
        memory_bytes=parse_quantity(str(limits.get("memory", "0"))).value,
        cpu_cores=parse_quantity(str(limits.get("cpu", "0"))).milli_value / 1000,
    )


def mounts_for(
    container: Object, sources: Mapping[str, tuple[str, bool]], environment: Mapping[str, str]
) -> list[Mount]:
    """Return the container's mounts; `sources` maps a volume's name to its directory and whether it is read-only."""
    result = []
    for each in container.get("volumeMounts") or ():
        directory, read_only = sources[each["name"]]
        sub_path = expanded(each.get("subPathExpr") or "", environment) or each.get("subPath") or ""
        if sub_path:
            if sub_path.startswith("/") or ".." in sub_path.split("/"):
                raise ValueError(f"subPath {sub_path!r} must stay inside the volume")
            directory = posixpath.join(directory, sub_path)
        result.append(Mount(directory, each["mountPath"], read_only or bool(each.get("readOnly"))))
    return result
