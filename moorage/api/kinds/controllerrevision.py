"""ControllerRevisions: states of a controller that can be gone back to.

Source: pkg/apis/apps/validation (v1.37).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, controller_of, name_of
from moorage.objects.validation import invalid, not_negative, required


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a ControllerRevision."""
    del request
    data = obj.get("data")
    causes = []
    if data is None:
        causes.append(required("data", "data is mandatory"))
    elif not isinstance(data, Mapping):
        causes.append(required("data", "data must be a valid JSON object"))
    return causes + not_negative("revision", obj.get("revision"))


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a ControllerRevision may not change."""
    del request
    return [] if obj.get("data") == old.get("data") else [invalid("data", obj.get("data"), "field is immutable")]


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, controller, revision, age."""
    owner = controller_of(obj)
    shown = "<none>"
    if owner is not None:
        group = str(owner.get("apiVersion") or "").rpartition("/")[0]
        kind = str(owner.get("kind") or "").lower()
        shown = f"{kind}.{group}/{owner.get('name')}" if group else f"{kind}/{owner.get('name')}"
    return [name_of(obj), shown, obj.get("revision") or 0, age_of(obj, now)]
