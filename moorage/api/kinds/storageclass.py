"""StorageClasses: how volumes are made.

Source: pkg/apis/storage/validation (v1.37).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moorage.api.admission.default_storage_class import DEFAULT_CLASS
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, annotations_of, name_of
from moorage.objects.validation import (
    duplicate,
    each_invalid,
    in_list,
    invalid,
    qualified_name_problems,
    required,
    too_long,
)

PARAMETERS_MOST, PARAMETERS_MOST_BYTES = 512, 256 * 1024
_MODES = ("Immediate", "WaitForFirstConsumer")
_POLICIES = ("Delete", "Retain")


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a StorageClass."""
    del request
    provisioner = obj.get("provisioner") or ""
    causes = [] if provisioner else [required("provisioner")]
    if provisioner:
        lowered = provisioner.lower()
        causes += each_invalid("provisioner", lowered, qualified_name_problems(lowered))
    causes += validate_parameters("parameters", obj.get("parameters") or {})
    if (policy := obj.get("reclaimPolicy")) is not None:
        causes += in_list("reclaimPolicy", policy, _POLICIES)
    mode = obj.get("volumeBindingMode")
    causes += [required("volumeBindingMode")] if mode is None else in_list("volumeBindingMode", mode, _MODES)
    return causes + _validate_topologies("allowedTopologies", obj.get("allowedTopologies") or [])


def validate_parameters(path: str, parameters: Mapping[str, str]) -> list[Cause]:
    """Return the causes of parameters that are too many, too long, or have no name."""
    if len(parameters) > PARAMETERS_MOST:
        return [too_long("Provisioner Parameters", PARAMETERS_MOST)]
    causes = [invalid(path, key, "field can not be empty.") for key in parameters if not key]
    size = sum(len(key) + len(value) for key, value in parameters.items())
    return [*causes, too_long(path, PARAMETERS_MOST_BYTES)] if size > PARAMETERS_MOST_BYTES else causes


def _validate_topologies(path: str, topologies: list[Mapping[str, Any]]) -> list[Cause]:
    causes: list[Cause] = []
    terms: list[Any] = []
    for index, topology in enumerate(topologies):
        place = f"{path}[{index}].matchLabelExpressions"
        expressions = topology.get("matchLabelExpressions") or []
        keys: set[str] = set()
        for position, expression in enumerate(expressions):
            causes += _validate_expression(f"{place}[{position}]", expression, keys)
        term = sorted((each.get("key") or "", tuple(sorted(each.get("values") or ()))) for each in expressions)
        if term in terms:
            causes.append(duplicate(place, ""))
        terms.append(term)
    return causes


def _validate_expression(path: str, expression: Mapping[str, Any], keys: set[str]) -> list[Cause]:
    key, values = expression.get("key") or "", expression.get("values") or []
    causes = [] if values else [required(f"{path}.values")]
    seen: set[str] = set()
    for index, value in enumerate(values):
        if value in seen:
            causes.append(duplicate(f"{path}.values[{index}]", value))
        seen.add(value)
    causes += each_invalid(f"{path}.key", key, qualified_name_problems(key))
    if key in keys:
        causes.append(duplicate(f"{path}.key", key))
    keys.add(key)
    return causes


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a StorageClass may not change."""
    del request
    return [
        invalid(field, None, "field is immutable")
        for field in ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode")
        if (obj.get(field) or {}) != (old.get(field) or {})
    ]


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, provisioner, reclaim policy, binding mode, expansion, age."""
    name = name_of(obj)
    if annotations_of(obj).get(DEFAULT_CLASS) == "true":
        name += " (default)"
    return [
        name,
        obj.get("provisioner") or "",
        obj.get("reclaimPolicy") or "Delete",
        obj.get("volumeBindingMode") or "<unset>",
        bool(obj.get("allowVolumeExpansion")),
        age_of(obj, now),
    ]
