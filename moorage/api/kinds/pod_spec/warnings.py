"""What to warn about in pods and pod templates: what is deprecated, and what probably means something else.

Source: pkg/api/pod/warnings.go (v1.37).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.objects.addresses import ip_warnings
from moorage.objects.metadata import Object
from moorage.objects.quantity import NANO, parse_quantity
from moorage.objects.validation import dns1123_label_problems, label_value_problems

Part = Mapping[str, Any]

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_OLD_LABELS: Mapping[str, tuple[str, str]] = {
    "beta.kubernetes.io/arch": ("v1.14", "kubernetes.io/arch"),
    "beta.kubernetes.io/os": ("v1.14", "kubernetes.io/os"),
    "failure-domain.beta.kubernetes.io/region": ("v1.17", "topology.kubernetes.io/region"),
    "failure-domain.beta.kubernetes.io/zone": ("v1.17", "topology.kubernetes.io/zone"),
    "beta.kubernetes.io/instance-type": ("v1.17", "node.kubernetes.io/instance-type"),
}
OLD_VOLUMES: Mapping[str, str] = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11, and disabled by default in v1.33+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}


def pod_warnings(path: str, metadata: Part, spec: Part) -> list[str]:
    """Return the warnings of a pod, with the one about its name."""
    texts = spec_warnings(path, spec)
    name = metadata.get("name") or ""
    if problems := dns1123_label_problems(name):
        texts.append(
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; "
            f"a DNS label is recommended: [{' '.join(problems)}]"
        )
    return texts


def name_warnings(name: str) -> list[str]:
    """Return the warning of a workload whose name does not fit into the names of its pods."""
    if problems := dns1123_label_problems(name):
        return [
            "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; "
            f"a DNS label is recommended: [{' '.join(problems)}]"
        ]
    return []


def template_warnings(obj: Object, old: Object | None) -> list[str]:
    """Return the warnings of a workload's pod template: when it is new, or its desired state changed."""
    if old is not None and obj["metadata"].get("generation") == old["metadata"].get("generation"):
        return []
    return spec_warnings("spec.template.spec", ((obj.get("spec") or {}).get("template") or {}).get("spec") or {})


def spec_warnings(path: str, spec: Part) -> list[str]:
    """Return the warnings of a pod's specification."""
    texts: list[str] = []
    for key in sorted(spec.get("nodeSelector") or ()):
        if key in _OLD_LABELS:
            since, use = _OLD_LABELS[key]
            texts.append(f'{path}.nodeSelector[{key}]: deprecated since {since}; use "{use}" instead')
    if affinity := spec.get("affinity"):
        texts += _affinity_warnings(f"{path}.affinity", affinity)
    for index, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        place = f"{path}.topologySpreadConstraints[{index}]"
        texts += old_label_warnings(f"{place}.topologyKey", constraint.get("topologyKey"))
        if constraint.get("labelSelector") is None:
            texts.append(f"{place}.labelSelector: a null labelSelector results in matching no pod")
    texts += _alias_warnings(f"{path}.hostAliases", spec.get("hostAliases") or ())
    texts += _secret_warnings(f"{path}.imagePullSecrets", spec.get("imagePullSecrets") or ())
    for index, volume in enumerate(spec.get("volumes") or ()):
        if len(volume) > 1:
            texts += _volume_warnings(f"{path}.volumes[{index}]", volume)
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or ()):
            texts += _container_warnings(f"{path}.{field}[{index}]", container)
    return texts + _port_warnings(path, spec) + _address_warnings(path, spec)


def old_label_warnings(path: str, key: str | None) -> list[str]:
    """Return the warning of a label key that was replaced."""
    if key is None or key not in _OLD_LABELS:
        return []
    since, use = _OLD_LABELS[key]
    return [f'{path}: {key} is deprecated since {since}; use "{use}" instead']


def _affinity_warnings(path: str, affinity: Part) -> list[str]:
    node = affinity.get("nodeAffinity") or {}
    terms = [
        (f"{path}.nodeAffinity.{_REQUIRED}.nodeSelectorTerms[{index}]", term)
        for index, term in enumerate((node.get(_REQUIRED) or {}).get("nodeSelectorTerms") or ())
    ]
    terms += [
        (f"{path}.nodeAffinity.{_PREFERRED}[{index}].preference", term.get("preference") or {})
        for index, term in enumerate(node.get(_PREFERRED) or ())
    ]
    texts = []
    for place, term in terms:
        for index, requirement in enumerate(term.get("matchExpressions") or ()):
            where = f"{place}.matchExpressions[{index}]"
            texts += old_label_warnings(f"{where}.key", requirement.get("key"))
            if place.endswith(".preference"):
                texts += _value_warnings(f"{where}.values", requirement.get("values") or ())
    for field in ("podAffinity", "podAntiAffinity"):
        pods = affinity.get(field) or {}
        wanted = [(f"{path}.{field}.{_REQUIRED}[{i}]", term) for i, term in enumerate(pods.get(_REQUIRED) or ())]
        wanted += [
            (f"{path}.{field}.{_PREFERRED}[{i}].podAffinityTerm", term.get("podAffinityTerm") or {})
            for i, term in enumerate(pods.get(_PREFERRED) or ())
        ]
        for place, term in wanted:
            if term.get("labelSelector") is None:
                texts.append(f"{place}.labelSelector: a null labelSelector results in matching no pod")
    return texts


def _value_warnings(path: str, values: Sequence[str]) -> list[str]:
    """A preference for what no label can be is no broken rule, only in vain."""
    return [
        f"{path}[{index}]: {value} is invalid, {problem}"
        for index, value in enumerate(values)
        for problem in label_value_problems(value)
    ]


def _alias_warnings(path: str, aliases: Sequence[Part]) -> list[str]:
    texts, seen = [], set()
    for index, alias in enumerate(aliases):
        ip = alias.get("ip") or ""
        if ip in seen:
            texts.append(f'{path}[{index}].ip: duplicate ip "{ip}"')
        seen.add(ip)
    return texts


def _address_warnings(path: str, spec: Part) -> list[str]:
    texts: list[str] = []
    for index, address in enumerate((spec.get("dnsConfig") or {}).get("nameservers") or ()):
        texts += ip_warnings(f"{path}.dnsConfig.nameservers[{index}]", address)
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        texts += ip_warnings(f"{path}.hostAliases[{index}].ip", alias.get("ip") or "")
    return texts


def _secret_warnings(path: str, secrets: Sequence[Part]) -> list[str]:
    texts, seen = [], set()
    for index, secret in enumerate(secrets):
        name = secret.get("name") or ""
        if not name:
            texts.append(f'{path}[{index}].name: invalid empty name ""')
        elif name in seen:
            texts.append(f'{path}[{index}].name: duplicate name "{name}"')
        seen.add(name)
    return texts


def _volume_warnings(path: str, volume: Part) -> list[str]:
    texts = [
        f"{path}.{'storageOS' if kind == 'storageos' else kind}: {text}"
        for kind, text in OLD_VOLUMES.items()
        if volume.get(kind) is not None
    ]
    name = volume.get("name")
    for kind, shown, name_field in (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")):
        if source := volume.get(kind):
            paths = [(item.get("path") or "", "") for item in source.get("items") or ()]
            texts += _overlaps(f'volume "{name}" ({shown} "{source.get(name_field)}")', paths)
    if source := volume.get("downwardAPI"):
        paths = [(item.get("path") or "", "") for item in source.get("items") or ()]
        texts += _overlaps(f'volume "{name}" (DownwardAPI)', paths)
    if (source := volume.get("projected")) is not None:
        if not any(source.get("sources") or ()):
            texts.append(f'volume "{name}" (Projected) has no sources provided')
        texts += _overlaps(f'volume "{name}" (Projected)', _projected_paths(source))
    return texts


def _projected_paths(source: Part) -> list[tuple[str, str]]:
    paths: list[tuple[str, str]] = []
    for each in source.get("sources") or ():
        for kind, shown in (("secret", "Secret"), ("configMap", "ConfigMap")):
            if keyed := each.get(kind):
                who = f' ({shown} "{keyed.get("name")}")'
                paths += [(item.get("path") or "", who) for item in keyed.get("items") or ()]
        if downward := each.get("downwardAPI"):
            paths += [(item.get("path") or "", " (DownwardAPI)") for item in downward.get("items") or ()]
        if token := each.get("serviceAccountToken"):
            paths.append((token.get("path") or "", " (ServiceAccountToken)"))
    return paths


def _overlaps(who: str, paths: list[tuple[str, str]]) -> list[str]:
    texts = []
    ordered = sorted(paths, key=lambda each: each[0].rstrip("/"))
    for index, (path, owner) in enumerate(ordered):
        for before, other in ordered[:index]:
            if path == before or path.startswith(before.rstrip("/") + "/"):
                texts.append(f'{who}: overlapping paths: "{path}"{owner} with "{before}"{other}')
    return texts


def _container_warnings(path: str, container: Part) -> list[str]:
    texts: list[str] = []
    for kind in ("limits", "requests"):
        amounts = (container.get("resources") or {}).get(kind) or {}
        for name in ("ephemeral-storage", "memory"):
            text = amounts.get(name)
            if text is not None and parse_quantity(text).nanos % NANO:
                place = f"{path}.resources.{kind}[{name}]"
                texts.append(f'{place}: fractional byte value "{text}" is invalid, must be an integer')
    seen: set[str] = set()
    for index, variable in enumerate(container.get("env") or ()):
        name, value = variable.get("name") or "", variable.get("value") or ""
        if name in seen and f"$({name})" not in value:
            text = f'hides previous definition of "{name}", which may be dropped when using apply'
            texts.append(f"{path}.env[{index}]: {text}")
        seen.add(name)
    return texts


def _port_warnings(path: str, spec: Part) -> list[str]:
    """Return what is odd about the ports of all containers together: those that run first come first."""
    texts: list[str] = []
    known: dict[tuple[Any, Any], list[tuple[str, Part]]] = {}
    names: dict[str, str] = {}
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or ()):
            for position, port in enumerate(container.get("ports") or ()):
                place = f"{path}.{field}[{index}].ports[{position}]"
                texts += _host_ip_warnings(place, port)
                others = known.setdefault((port.get("containerPort"), port.get("protocol")), [])
                texts += [
                    f"{place}: {how} port definition with {other}"
                    for other, before in others
                    if (how := _overlap(port, before))
                ]
                others.append((place, port))
                if field == "containers":
                    texts += _port_name_warnings(place, port.get("name"), names)
    return texts


def _port_name_warnings(place: str, name: str | None, names: dict[str, str]) -> list[str]:
    """Return the warning of a port whose name another container's port has; `names` says which ports were seen."""
    if not name:
        return []
    first = names.setdefault(name, place)
    if first.rpartition(".ports[")[0] == place.rpartition(".ports[")[0]:
        return []
    return [
        f'{place}: duplicate port name "{name}" with {first}, services and probes that select ports by name '
        f"will use {first}"
    ]


def _host_ip_warnings(place: str, port: Part) -> list[str]:
    if not port.get("hostIP") or port.get("hostPort"):
        return []
    shown = (
        f"{{Name:{port.get('name') or ''} HostPort:0 ContainerPort:{port.get('containerPort') or 0} "
        f"Protocol:{port.get('protocol') or ''} HostIP:{port['hostIP']}}}"
    )
    return [f"{place}: hostIP set without hostPort: {shown}"]


def _overlap(port: Part, before: Part) -> str:
    """Tell how two definitions of one container port get into each other's way, "" if they do not."""
    host, other = port.get("hostPort") or 0, before.get("hostPort") or 0
    ip, other_ip = port.get("hostIP") or "", before.get("hostIP") or ""
    if host == other and ip == other_ip:
        return "duplicate"
    if not host or not other:
        return "overlapping"
    return "dangerously ambiguous" if host == other and bool(ip) != bool(other_ip) else ""
