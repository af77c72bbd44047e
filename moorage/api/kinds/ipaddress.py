"""IPAddresses: addresses that are taken, and by whom.

Source: pkg/apis/networking/validation, pkg/printers (v1.37).
"""

from datetime import datetime
from typing import Any

from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, name_of
from moorage.objects.validation import (
    dns1123_subdomain_problems,
    each_invalid,
    invalid,
    path_segment_problems,
    required,
)


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of an IPAddress: what its parent is called."""
    del request
    parent = (obj.get("spec") or {}).get("parentRef")
    if parent is None:
        return [required("spec.parentRef")]
    causes: list[Cause] = []
    if group := parent.get("group"):
        causes += each_invalid("spec.parentRef.group", group, dns1123_subdomain_problems(group))
    for field in ("resource", "name", "namespace"):
        path, text = f"spec.parentRef.{field}", parent.get(field) or ""
        if text:
            causes += each_invalid(path, text, path_segment_problems(text))
        elif field != "namespace":
            causes.append(required(path))
    return causes


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of an IPAddress may not change: its parent."""
    del request
    new_parent, old_parent = ((each.get("spec") or {}).get("parentRef") for each in (obj, old))
    return [] if new_parent == old_parent else [invalid("spec.parentRef", None, "field is immutable")]


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, parent, age."""
    parent = (obj.get("spec") or {}).get("parentRef") or {}
    named = [parent.get(field) for field in ("group", "resource", "namespace", "name")]
    return [name_of(obj), "/".join(each for each in named if each) or "<none>", age_of(obj, now)]
