"""DeviceClasses: kinds of devices that claims ask for.

Source: pkg/apis/resource/validation (v1.37).
"""

from datetime import datetime
from typing import Any

from moorage.api.kinds.devices.parts import validate_configs, validate_selectors
from moorage.api.kinds.pod_spec.resources import is_extended
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, name_of
from moorage.objects.validation import invalid

_NEEDS_DOMAIN = "a name must be a domain-prefixed path, such as 'example.com/my-prop'"


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a DeviceClass."""
    del request
    spec = obj.get("spec") or {}
    causes = validate_selectors("spec.selectors", spec.get("selectors") or ())
    causes += validate_configs("spec.config", spec.get("config") or (), None)
    name = spec.get("extendedResourceName")
    if name is not None:
        path = "spec.extendedResourceName"
        if "/" not in name:
            causes.append(invalid(path, name, _NEEDS_DOMAIN))
        elif not is_extended(name):
            causes.append(invalid(path, name, "must be a valid extended resource name"))
    return causes


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, age."""
    return [name_of(obj), age_of(obj, now)]
