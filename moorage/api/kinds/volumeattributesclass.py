"""VolumeAttributesClasses: what volumes can be changed to.

Source: pkg/apis/storage/validation (v1.37).
"""

from datetime import datetime
from typing import Any

from moorage.api.kinds.storageclass import validate_parameters
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, name_of
from moorage.objects.validation import each_invalid, forbidden, qualified_name_problems, required


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a VolumeAttributesClass."""
    del request
    driver, parameters = obj.get("driverName") or "", obj.get("parameters") or {}
    found = each_invalid("driverName", driver, qualified_name_problems(driver.lower()))
    causes = found if driver else [required("driverName")]
    if not parameters:
        return [*causes, required("parameters", "must contain at least one key/value pair")]
    return causes + validate_parameters("parameters", parameters)


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a VolumeAttributesClass may not change."""
    del request
    return [
        forbidden(field, f"updates to {field} are forbidden.")
        for field in ("driverName", "parameters")
        if (obj.get(field) or {}) != (old.get(field) or {})
    ]


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, driver, age."""
    return [name_of(obj), obj.get("driverName") or "", age_of(obj, now)]
