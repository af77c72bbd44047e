"""IngressClasses: who makes ingresses work.

Source: pkg/apis/networking/validation, pkg/printers (v1.37).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, name_of
from moorage.objects.validation import (
    dns1123_label_problems,
    dns1123_subdomain_problems,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    path_segment_problems,
    required,
    too_long,
    validate_prefixed_path,
)

#: The longest name of a controller.
CONTROLLER_MOST = 250

_SCOPES = ("Cluster", "Namespace")


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of an IngressClass."""
    del request
    spec = obj.get("spec") or {}
    controller = spec.get("controller") or ""
    causes = [too_long("spec.controller", CONTROLLER_MOST)] if len(controller) > CONTROLLER_MOST else []
    causes += validate_prefixed_path("spec.controller", controller)
    parameters = spec.get("parameters")
    causes += _validate_parameters("spec.parameters", parameters) if parameters is not None else []
    # What a declarative rule requires is said after everything else.
    late = {"spec.parameters.kind", "spec.parameters.name"}
    return sorted(causes, key=lambda cause: cause.reason == "FieldValueRequired" and cause.field in late)


def _validate_parameters(path: str, parameters: Mapping[str, Any]) -> list[Cause]:
    causes = validate_resource_reference(path, parameters)
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    if scope is None:
        causes.append(required(f"{path}.scope"))
    elif scope not in _SCOPES:
        causes.append(not_supported(f"{path}.scope", scope, _SCOPES))
    place = f"{path}.namespace"
    if scope == "Namespace":
        if namespace is None:
            causes.append(required(place, "`parameters.scope` is set to 'Namespace'"))
        else:
            causes += each_invalid(place, namespace, dns1123_label_problems(namespace))
    if scope == "Cluster" and namespace is not None:
        causes.append(forbidden(place, "`parameters.scope` is set to 'Cluster'"))
    return causes


def validate_resource_reference(path: str, reference: Mapping[str, Any]) -> list[Cause]:
    """Return the causes of a reference to an object of any kind: group, kind, name."""
    causes: list[Cause] = []
    group = reference.get("apiGroup")
    if group is not None:
        causes += each_invalid(f"{path}.apiGroup", group, dns1123_subdomain_problems(group))
    for field in ("kind", "name"):
        text = reference.get(field) or ""
        if not text:
            causes.append(required(f"{path}.{field}"))
        else:
            causes += each_invalid(f"{path}.{field}", text, path_segment_problems(text))
    return causes


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of an IngressClass may not change: its controller."""
    del request
    controller = (obj.get("spec") or {}).get("controller")
    if controller == (old.get("spec") or {}).get("controller"):
        return []
    return [invalid("spec.controller", controller, "field is immutable")]


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, controller, parameters, age."""
    spec = obj.get("spec") or {}
    shown = "<none>"
    if (parameters := spec.get("parameters")) is not None:
        shown = parameters.get("kind") or ""
        if parameters.get("apiGroup"):
            shown += f".{parameters['apiGroup']}"
        shown += f"/{parameters.get('name') or ''}"
    return [name_of(obj), spec.get("controller") or "", shown, age_of(obj, now)]
