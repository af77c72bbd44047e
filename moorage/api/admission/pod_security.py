"""Pod Security Standards: what pods of a namespace may not do, by the labels of the namespace.

Source: k8s.io/pod-security-admission (v1.37), and the published Pod Security Standards.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.api.admission.pod_standards import Violation, violations
from moorage.api.admission.refusals import refused
from moorage.api.kind_rules import Lookup
from moorage.api.request import Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, labels_of, name_of
from moorage.objects.validation import invalid

PREFIX = "pod-security.kubernetes.io/"
LEVELS = ("privileged", "baseline", "restricted")

#: Where a pod's specification and metadata are in the kinds that make pods.
_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "podtemplates": ("template",),
    "replicationcontrollers": ("spec", "template"),
    "replicasets.apps": ("spec", "template"),
    "deployments.apps": ("spec", "template"),
    "statefulsets.apps": ("spec", "template"),
    "daemonsets.apps": ("spec", "template"),
    "jobs.batch": ("spec", "template"),
    "cronjobs.batch": ("spec", "jobTemplate", "spec", "template"),
}
RESOURCES = frozenset({"pods", "namespaces", *_TEMPLATES})


def validate(obj: Object, old: Object | None, request: Request, lookup: Lookup) -> None:
    """Refuse pods that break the enforced level; warn about what breaks the warning level."""
    if request.verb == "delete":
        return
    if request.resource.plural == "namespaces":
        _validate_namespace(obj, old, request, lookup)
        return
    if request.subresource not in {"", "ephemeralcontainers"}:
        return
    namespace = lookup.get("namespaces", "", request.namespace)
    labels = labels_of(namespace) if namespace else {}
    if not any(key.startswith(PREFIX) for key in labels):
        return
    if request.resource.plural == "pods":
        _validate_pod(obj, old, request, labels)
    else:
        _warn_workload(obj, request, labels)


def level_of(labels: Mapping[str, str], mode: str) -> tuple[str, str]:
    """Return level and version that the namespace's labels ask for in this mode."""
    level = labels.get(f"{PREFIX}{mode}", "privileged")
    return (level if level in LEVELS else "restricted"), labels.get(f"{PREFIX}{mode}-version", "latest")


def _validate_pod(pod: Object, old: Object | None, request: Request, labels: Mapping[str, str]) -> None:
    if old is not None and not _is_significant(pod, old):
        return
    metadata, spec = pod.get("metadata") or {}, pod.get("spec") or {}
    level, version = level_of(labels, "enforce")
    found = violations(level, version, metadata, spec)
    if found:
        raise refused(pod, request, f'violates PodSecurity "{level}:{version}": {_details(found)}')
    _warn(metadata, spec, request, labels)


def _is_significant(pod: Object, old: Object) -> bool:
    """Tell whether the change can matter: containers and their images do, metadata and tolerations do not."""
    new_spec, old_spec = pod.get("spec") or {}, old.get("spec") or {}
    fields = ("containers", "initContainers", "ephemeralContainers")
    return any((new_spec.get(field) or []) != (old_spec.get(field) or []) for field in fields)


def _warn_workload(obj: Object, request: Request, labels: Mapping[str, str]) -> None:
    template: Mapping[str, Any] = obj
    for step in _TEMPLATES[request.resource.id]:
        template = template.get(step) or {}
    _warn(template.get("metadata") or {}, template.get("spec") or {}, request, labels)


def _warn(metadata: Object, spec: Object, request: Request, labels: Mapping[str, str]) -> None:
    mode = "warn" if f"{PREFIX}warn" in labels or request.resource.plural == "pods" else "enforce"
    level, version = level_of(labels, mode)
    if found := violations(level, version, metadata, spec):
        request.warn(f'would violate PodSecurity "{level}:{version}": {_details(found)}')


def _details(found: Sequence[Violation]) -> str:
    return ", ".join(f"{each.reason} ({each.detail})" if each.detail else each.reason for each in found)


def label_causes(labels: Mapping[str, str]) -> list[Cause]:
    """Return the causes of labels whose level or version does not exist."""
    causes = []
    for mode in ("enforce", "audit", "warn"):
        key = f"{PREFIX}{mode}"
        if (level := labels.get(key)) is not None and level not in LEVELS:
            causes.append(invalid(f"metadata.labels[{key}]", level, f"must be one of {', '.join(LEVELS)}"))
        version_key = f"{key}-version"
        version = labels.get(version_key)
        if version is not None and version != "latest" and not _is_version(version):
            text = 'must be "latest" or "v1.x"'
            causes.append(invalid(f"metadata.labels[{version_key}]", version, text))
    return causes


def _is_version(text: str) -> bool:
    return text.startswith("v1.") and text[3:].isdigit() and (text == "v1.0" or not text.startswith("v1.0"))


def _validate_namespace(obj: Object, old: Object | None, request: Request, lookup: Lookup) -> None:
    from moorage.objects.errors import invalid as invalid_object

    if request.subresource:
        return
    labels = labels_of(obj)
    before = labels_of(old) if old is not None else {}
    if causes := label_causes(labels):
        if label_causes(before) and old is not None:
            return
        raise invalid_object("Namespace", "", name_of(obj), causes)
    new, was = level_of(labels, "enforce"), level_of(before, "enforce")
    is_relaxed = new[1] == was[1] and LEVELS.index(new[0]) <= LEVELS.index(was[0])
    if old is None or is_relaxed or new[0] == "privileged":
        return
    _warn_of_pods(request, lookup.list("pods", name_of(obj)), name_of(obj), new)


def _warn_of_pods(request: Request, pods: Sequence[Object], namespace: str, enforced: tuple[str, str]) -> None:
    """Warn of the pods that would break what is enforced: a level and its version."""
    groups: dict[str, list[str]] = {}
    for pod in sorted(pods, key=name_of):
        found = violations(*enforced, pod.get("metadata") or {}, pod.get("spec") or {})
        if found:
            groups.setdefault(", ".join(each.reason for each in found), []).append(name_of(pod))
    if not groups:
        return
    text = f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level "{":".join(enforced)}"'
    request.warn(text)
    for reasons, names in sorted(groups.items(), key=lambda item: item[1][0]):
        more = len(names) - 1
        others = f" (and {more} other pod{'s' if more > 1 else ''})" if more else ""
        request.warn(f"{names[0]}{others}: {reasons}")
