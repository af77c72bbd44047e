"""RuntimeClasses: how containers are run.

Source: pkg/apis/node/validation (v1.37).
"""

from datetime import datetime
from typing import Any

from moorage.api.kinds.pod_spec.affinity import validate_tolerations
from moorage.api.kinds.pod_spec.resources import validate_container_resource_name, validate_quantity
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Request
from moorage.objects.errors import Cause
from moorage.objects.internal_form import internal_form
from moorage.objects.metadata import Object, name_of
from moorage.objects.validation import (
    dns1123_label_problems,
    duplicate,
    each_invalid,
    invalid,
    required,
    validate_labels,
)


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a RuntimeClass."""
    del request
    handler = obj.get("handler") or ""
    causes = each_invalid("handler", handler, dns1123_label_problems(handler)) if handler else [required("handler")]
    for name, text in ((obj.get("overhead") or {}).get("podFixed") or {}).items():
        path = f"overhead.limits[{name}]"
        causes += validate_container_resource_name(path, name) + validate_quantity(path, name, text)
    scheduling = obj.get("scheduling") or {}
    causes += validate_labels("scheduling.nodeSelector", scheduling.get("nodeSelector"))
    tolerations = scheduling.get("tolerations") or []
    for index, toleration in enumerate(tolerations):
        found = validate_tolerations("scheduling.tolerations", [toleration])
        causes += [cause._replace(field=cause.field.replace("[0]", f"[{index}]", 1)) for cause in found]
        if toleration in tolerations[:index]:
            causes.append(duplicate(f"scheduling.tolerations[{index}]", internal_form("Toleration", toleration)))
    return causes


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a RuntimeClass may not change."""
    del request
    return [] if obj.get("handler") == old.get("handler") else [invalid("handler", None, "field is immutable")]


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, handler, age."""
    return [name_of(obj), obj.get("handler") or "", age_of(obj, now)]
