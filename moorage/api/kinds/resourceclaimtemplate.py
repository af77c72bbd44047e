"""ResourceClaimTemplates: from which pods get claims of their own.

Source: pkg/apis/resource/validation, pkg/registry/resource/resourceclaimtemplate (v1.37).
"""

from datetime import datetime
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.devices.claims import check_admin_access, validate_claim
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Draft, Request
from moorage.objects.errors import Cause
from moorage.objects.internal_form import internal_form
from moorage.objects.metadata import Object, name_of
from moorage.objects.object_meta import validate_annotations
from moorage.objects.validation import forbidden, invalid, validate_labels

_ALLOWED = frozenset({"labels", "annotations", "creationTimestamp"})


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Refuse admin access where it is not allowed."""
    check_admin_access(draft, (draft.get("spec") or {}).get("spec") or {}, "spec.spec", request, lookup)


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a template."""
    del request
    spec = obj.get("spec") or {}
    metadata = spec.get("metadata") or {}
    causes = validate_labels("spec.metadata.labels", metadata.get("labels"))
    causes += validate_annotations("spec.metadata.annotations", metadata.get("annotations") or {})
    causes += [
        forbidden(f"spec.metadata.{field}", "cannot be set")
        for field, value in metadata.items()
        if value and field not in _ALLOWED
    ]
    return causes + validate_claim("spec.spec", spec.get("spec") or {})


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a template may not change: everything."""
    del request
    if obj.get("spec") == old.get("spec"):
        return []
    return [invalid("spec", internal_form("ClaimTemplateSpec", obj.get("spec") or {}), "field is immutable")]


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, age."""
    return [name_of(obj), age_of(obj, now)]
