"""StorageVersionMigrations: the wish that stored objects be rewritten in the newest version.

Source: pkg/apis/storagemigration/validation, pkg/registry/storagemigration (v1.37).
"""

from datetime import datetime
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.request import Draft, Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, is_condition_true, name_of
from moorage.objects.validation import (
    dns1035_label_problems,
    dns1123_subdomain_problems,
    each_invalid,
    invalid,
    required,
)

_ENDS = (("Succeeded", "Success"), ("Failed", "Failed"))


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Start without a status."""
    del request, lookup
    draft["status"] = {}


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a migration: what is to be rewritten."""
    del request
    target = (obj.get("spec") or {}).get("resource") or {}
    resource, group = target.get("resource") or "", target.get("group") or ""
    path = "spec.resource.resource"
    found = each_invalid(path, resource, dns1035_label_problems(resource))
    causes = found if resource else [required(path, "resource is required to be set")]
    return causes + (each_invalid("spec.resource.group", group, dns1123_subdomain_problems(group)) if group else [])


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a migration may not change: what is to be rewritten."""
    del request
    return [] if obj.get("spec") == old.get("spec") else [invalid("spec", None, "field is immutable")]


def validate_status(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what a status may not say: two ends, an end taken back, another revision."""
    del request
    causes: list[Cause] = []
    path = "status.conditions"
    ended = [kind for kind, _ in _ENDS if is_condition_true(obj, kind)]
    if len(ended) > 1:
        causes.append(invalid(path, None, "Both success and failed conditions cannot be true at the same time"))
    for kind, word in _ENDS:
        if is_condition_true(old, kind) and not is_condition_true(obj, kind):
            causes.append(invalid(path, None, f"{word} condition cannot be set to false once it is true"))
    revision, before = ((each.get("status") or {}).get("resourceVersion") or "" for each in (obj, old))
    if before and revision != before:
        causes.append(invalid("status.resourceVersion", revision, "field is immutable"))
    return causes


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, resource, state."""
    del now
    target = (obj.get("spec") or {}).get("resource") or {}
    named = target.get("resource") or ""
    state = next((kind for kind in ("Succeeded", "Failed", "Running") if is_condition_true(obj, kind)), "Unknown")
    return [name_of(obj), f"{named}.{target['group']}" if target.get("group") else named, state]
