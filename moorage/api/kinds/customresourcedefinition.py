"""CustomResourceDefinitions: kinds that users add.

Source: apiextensions-apiserver/pkg/registry/customresourcedefinition (v1.37).
"""

from datetime import datetime
from typing import Any

from moorage.api.request import Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, metadata_of, name_of
from moorage.objects.validation import dns1035_label_problems, each_invalid, invalid, not_supported, required

has_generation = True


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return the broken rules of a definition's names and versions; schemas are not judged here."""
    del request
    spec = obj.get("spec") or {}
    names, group = spec.get("names") or {}, spec.get("group") or ""
    causes: list[Cause] = []
    if name_of(obj) != f"{names.get('plural') or ''}.{group}":
        causes.append(invalid("metadata.name", name_of(obj), 'must be spec.names.plural+"."+spec.group'))
    if not group:
        causes.append(required("spec.group"))
    if (scope := spec.get("scope") or "") not in {"Cluster", "Namespaced"}:
        allowed = ("Cluster", "Namespaced")
        causes.append(not_supported("spec.scope", scope, allowed) if scope else required("spec.scope"))
    versions = spec.get("versions") or []
    for index, version in enumerate(versions):
        name = version.get("name") or ""
        causes += each_invalid(f"spec.versions[{index}].name", name, dns1035_label_problems(name))
    if sum(bool(each.get("storage")) for each in versions) != 1:
        text = "must have exactly one version marked as storage version"
        causes.append(invalid("spec.versions", [{} for _ in versions], text))
    for field in ("plural", "kind"):
        if not names.get(field):
            causes.append(required(f"spec.names.{field}"))
    return causes


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, scope, versions, created at, group, kind, short names, established."""
    spec = obj.get("spec") or {}
    names = (obj.get("status") or {}).get("acceptedNames") or {}
    conditions = (obj.get("status") or {}).get("conditions") or ()
    established = any(each.get("type") == "Established" and each.get("status") == "True" for each in conditions)
    return [
        name_of(obj),
        spec.get("scope") or "",
        ",".join(each.get("name") or "" for each in spec.get("versions") or ()),
        metadata_of(obj).get("creationTimestamp"),
        spec.get("group") or "",
        (spec.get("names") or {}).get("kind") or "",
        ",".join(names.get("shortNames") or ()),
        str(established),
    ]
