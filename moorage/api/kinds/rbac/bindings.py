"""What role bindings of both scopes share: who is bound to which role.

Source: pkg/apis/rbac/validation, pkg/printers/internalversion/printers.go (v1.37).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from moorage.api.kinds.workload.cells import age_of
from moorage.objects.errors import Cause
from moorage.objects.internal_form import internal_form
from moorage.objects.metadata import Object, name_of
from moorage.objects.validation import (
    dns1123_subdomain_problems,
    each_invalid,
    invalid,
    not_supported,
    path_segment_problems,
    required,
)

GROUP = "rbac.authorization.k8s.io"

_SUBJECT_KINDS = ("ServiceAccount", "User", "Group")


def validate_binding(obj: Object, role_kinds: Sequence[str], *, namespaced: bool) -> list[Cause]:
    """Return every broken rule of a binding; `role_kinds` are what it may refer to."""
    reference = obj.get("roleRef") or {}
    group, kind, name = (reference.get(field) or "" for field in ("apiGroup", "kind", "name"))
    causes = [] if group == GROUP else [not_supported("roleRef.apiGroup", group, (GROUP,))]
    if kind not in role_kinds:
        causes.append(not_supported("roleRef.kind", kind, role_kinds))
    if name:
        causes += each_invalid("roleRef.name", name, path_segment_problems(name))
    # That names are missing is said last, in the order of the fields of the type.
    last: list[Cause] = []
    for index, subject in enumerate(obj.get("subjects") or ()):
        path = f"subjects[{index}]"
        causes += _validate_subject(path, subject, namespaced=namespaced)
        if not subject.get("name"):
            last.append(required(f"{path}.name"))
    return causes + last + ([] if name else [required("roleRef.name")])


def _validate_subject(path: str, subject: Mapping[str, Any], *, namespaced: bool) -> list[Cause]:
    name, kind, group = (subject.get(field) or "" for field in ("name", "kind", "apiGroup"))
    if kind not in _SUBJECT_KINDS:
        return [not_supported(f"{path}.kind", kind, _SUBJECT_KINDS)]
    if kind != "ServiceAccount":
        return [] if group == GROUP else [not_supported(f"{path}.apiGroup", group, (GROUP,))]
    causes = each_invalid(f"{path}.name", name, dns1123_subdomain_problems(name)) if name else []
    if group:
        causes.append(not_supported(f"{path}.apiGroup", group, ("",)))
    if not namespaced and not subject.get("namespace"):
        causes.append(required(f"{path}.namespace"))
    return causes


def validate_binding_update(obj: Object, old: Object) -> list[Cause]:
    """Return what of a binding may not change: its role."""
    new_form, old_form = (internal_form("RoleRef", each.get("roleRef") or {}) for each in (obj, old))
    return [] if new_form == old_form else [invalid("roleRef", new_form, "field is immutable")]


def binding_cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, role, age, users, groups, service accounts."""
    reference = obj.get("roleRef") or {}
    subjects: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in obj.get("subjects") or ():
        kind, name = subject.get("kind") or "", subject.get("name") or ""
        if kind in subjects:
            subjects[kind].append(f"{subject.get('namespace') or ''}/{name}" if kind == "ServiceAccount" else name)
    role = f"{reference.get('kind') or ''}/{reference.get('name') or ''}"
    return [name_of(obj), role, age_of(obj, now), *(", ".join(names) for names in subjects.values())]
