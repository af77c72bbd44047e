"""The rules that roles and bindings share.

Source: pkg/apis/rbac/validation (v1.37).
"""

from collections.abc import Mapping
from typing import Any

from moorage.objects.errors import Cause
from moorage.objects.internal_form import internal_form
from moorage.objects.metadata import Object
from moorage.objects.validation import (
    dns1123_subdomain_problems,
    each_invalid,
    invalid,
    not_supported,
    path_segment_problems,
    required,
)

GROUP = "rbac.authorization.k8s.io"


def validate_rules(rules: list[Mapping[str, Any]], *, namespaced: bool) -> list[Cause]:
    """Return the causes of rules that grant nothing, or what a namespaced role cannot."""
    causes: list[Cause] = []
    for index, rule in enumerate(rules):
        path = f"rules[{index}]"
        urls, resources = rule.get("nonResourceURLs") or [], rule.get("resources") or []
        if urls:
            if namespaced:
                text = "namespaced rules cannot apply to non-resource URLs"
                causes.append(invalid(f"{path}.nonResourceURLs", urls, text))
            if rule.get("apiGroups") or resources or rule.get("resourceNames"):
                text = "rules cannot apply to both regular resources and non-resource URLs"
                causes.append(invalid(f"{path}.nonResourceURLs", urls, text))
            continue
        if not rule.get("apiGroups"):
            causes.append(required(f"{path}.apiGroups", "resource rules must supply at least one api group"))
        if not resources:
            causes.append(required(f"{path}.resources", "resource rules must supply at least one resource"))
    # Verbs are checked by declarative rules, which come last.
    return causes + [required(f"rules[{index}].verbs") for index, rule in enumerate(rules) if not rule.get("verbs")]


def validate_binding(obj: Object, *, kinds: tuple[str, ...]) -> list[Cause]:
    """Return the causes of a binding whose role or subjects cannot be; `kinds` are the roles it may name."""
    ref = obj.get("roleRef") or {}
    causes: list[Cause] = []
    if ref.get("apiGroup") != GROUP:
        causes.append(not_supported("roleRef.apiGroup", ref.get("apiGroup") or "", (GROUP,)))
    if ref.get("kind") not in kinds:
        causes.append(not_supported("roleRef.kind", ref.get("kind") or "", kinds))
    name = ref.get("name") or ""
    causes += each_invalid("roleRef.name", name, path_segment_problems(name)) if name else [required("roleRef.name")]
    for index, subject in enumerate(obj.get("subjects") or ()):
        causes += _validate_subject(f"subjects[{index}]", subject, needs_namespace="Role" not in kinds)
    return causes


def _validate_subject(path: str, subject: Mapping[str, Any], *, needs_namespace: bool) -> list[Cause]:
    kind, name, group = subject.get("kind") or "", subject.get("name") or "", subject.get("apiGroup") or ""
    causes = [] if name else [required(f"{path}.name")]
    if kind == "ServiceAccount":
        if name:
            causes += each_invalid(f"{path}.name", name, dns1123_subdomain_problems(name))
        if group:
            causes.append(not_supported(f"{path}.apiGroup", group, ("",)))
        if needs_namespace and not subject.get("namespace"):
            causes.append(required(f"{path}.namespace"))
    elif kind in {"User", "Group"}:
        if group != GROUP:
            causes.append(not_supported(f"{path}.apiGroup", group, (GROUP,)))
    else:
        causes.append(not_supported(f"{path}.kind", kind, ("ServiceAccount", "User", "Group")))
    return causes


def validate_role_ref_update(obj: Object, old: Object) -> list[Cause]:
    """Return the cause of a binding that names another role than before."""
    if obj.get("roleRef") == old.get("roleRef"):
        return []
    return [invalid("roleRef", internal_form("RoleRef", obj.get("roleRef")), "field is immutable")]


def binding_cells(obj: Object, age: str) -> list[Any]:
    """Return role, age, users, groups and service accounts of a binding."""
    ref, subjects = obj.get("roleRef") or {}, obj.get("subjects") or ()
    users = [each.get("name") or "" for each in subjects if each.get("kind") == "User"]
    groups = [each.get("name") or "" for each in subjects if each.get("kind") == "Group"]
    accounts = [
        f"{each.get('namespace') or ''}/{each.get('name') or ''}"
        for each in subjects
        if each.get("kind") == "ServiceAccount"
    ]
    return [f"{ref.get('kind')}/{ref.get('name')}", age, ", ".join(users), ", ".join(groups), ", ".join(accounts)]
