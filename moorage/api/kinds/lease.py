"""Leases: who leads, until when.

Source: pkg/apis/coordination/validation (v1.37).
"""

from datetime import datetime
from typing import Any

from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, name_of
from moorage.objects.validation import invalid, not_negative


def default(draft: dict[str, Any]) -> None:
    """Drop what belongs to coordinated leader election, which is behind a feature gate that is off."""
    spec = draft.get("spec") or {}
    for field in ("strategy", "preferredHolder"):
        spec.pop(field, None)


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a Lease."""
    del request
    spec = obj.get("spec") or {}
    causes: list[Cause] = []
    if (seconds := spec.get("leaseDurationSeconds")) is not None and seconds <= 0:
        causes.append(invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"))
    return causes + not_negative("spec.leaseTransitions", spec.get("leaseTransitions"))


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, holder, age."""
    return [name_of(obj), (obj.get("spec") or {}).get("holderIdentity") or "", age_of(obj, now)]
