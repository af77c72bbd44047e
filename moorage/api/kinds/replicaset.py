"""ReplicaSets: a number of equal pods.

Source: pkg/registry/apps/replicaset/strategy.go, pkg/apis/apps/validation (v1.37).
"""

from datetime import datetime
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.pod_spec.warnings import template_warnings
from moorage.api.kinds.workload.cells import age_of, container_cells, selector_cell
from moorage.api.kinds.workload.numbers import not_greater, validate_amounts
from moorage.api.kinds.workload.templates import validate_same_selector, validate_selector, validate_template
from moorage.api.request import Draft, Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, name_of
from moorage.objects.validation import required

has_generation = True

_NUMBERS = ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "terminatingReplicas")


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Start with a status that says nothing."""
    del request, lookup
    draft["status"] = {"replicas": 0}


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a ReplicaSet."""
    del request
    spec = obj.get("spec") or {}
    causes = validate_amounts("spec", spec, "replicas", "minReadySeconds")
    selector = spec.get("selector")
    empty = "empty selector is invalid for deployment"
    causes += validate_selector("spec.selector", selector, empty_text=empty, broken_text="invalid label selector")
    template = spec.get("template")
    if template is None:
        return [*causes, required("spec.template")]
    return causes + validate_template("spec.template", template, selector, "ReplicaSet")


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a ReplicaSet may not change so."""
    del request
    return validate_same_selector(obj.get("spec") or {}, old.get("spec") or {})


def validate_status(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what a status may not say."""
    del old, request
    return replica_status_causes(obj)


def replica_status_causes(obj: Object) -> list[Cause]:
    """Return the causes of numbers of pods that contradict each other."""
    status = obj.get("status") or {}
    causes = validate_amounts("status", status, *_NUMBERS[:4], "observedGeneration", "terminatingReplicas")
    total, ready = status.get("replicas") or 0, status.get("readyReplicas") or 0
    for field in _NUMBERS[1:4]:
        causes += not_greater(f"status.{field}", status.get(field) or 0, total, "status.replicas")
    available = status.get("availableReplicas") or 0
    return causes + not_greater("status.availableReplicas", available, ready, "readyReplicas")


def warnings(obj: Object, old: Object | None) -> list[str]:
    """Return what to warn about."""
    return template_warnings(obj, old)


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, desired, current, ready, age, containers, images, selector."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    return [
        name_of(obj),
        spec.get("replicas") or 0,
        status.get("replicas") or 0,
        status.get("readyReplicas") or 0,
        age_of(obj, now),
        *container_cells(spec.get("template")),
        selector_cell(spec.get("selector")),
    ]
