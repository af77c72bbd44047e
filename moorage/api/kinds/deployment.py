"""Deployments: ReplicaSets that follow one another.

Source: pkg/registry/apps/deployment/strategy.go, pkg/apis/apps/validation (v1.37).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.pod_spec.warnings import name_warnings, template_warnings
from moorage.api.kinds.workload.cells import age_of, container_cells, selector_cell
from moorage.api.kinds.workload.numbers import (
    not_greater,
    number_of,
    validate_amounts,
    validate_int_or_percent,
    validate_not_over_all,
)
from moorage.api.kinds.workload.templates import validate_same_selector, validate_selector, validate_template
from moorage.api.request import Draft, Request
from moorage.objects.errors import Cause
from moorage.objects.internal_form import internal_form
from moorage.objects.metadata import Object, annotations_of, generation_of, name_of
from moorage.objects.validation import forbidden, invalid, not_supported

has_generation = True

_NUMBERS = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas")


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Start with a status that says nothing."""
    del request, lookup
    draft["status"] = {}


def prepare_update(draft: Draft, old: Object, request: Request, lookup: Lookup) -> None:
    """Count a change of annotations as a new generation: they say what a rollout is for."""
    del request, lookup
    if annotations_of(draft) != annotations_of(old) and draft.get("spec") == old.get("spec"):
        draft["metadata"]["generation"] = generation_of(old) + 1


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a Deployment."""
    del request
    spec = obj.get("spec") or {}
    causes = validate_amounts("spec", spec, "replicas")
    selector = spec.get("selector")
    empty = "empty selector is invalid for deployment"
    causes += validate_selector("spec.selector", selector, empty_text=empty, broken_text="invalid label selector")
    causes += validate_template("spec.template", spec.get("template") or {}, selector, "ReplicaSet")
    causes += _validate_strategy(spec.get("strategy") or {})
    causes += validate_amounts("spec", spec, "minReadySeconds", "revisionHistoryLimit")
    if (seconds := spec.get("progressDeadlineSeconds")) is not None:
        causes += validate_amounts("spec", spec, "progressDeadlineSeconds")
        if seconds <= (spec.get("minReadySeconds") or 0):
            text = "must be greater than minReadySeconds"
            causes.append(invalid("spec.progressDeadlineSeconds", seconds, text))
    return causes


def _validate_strategy(strategy: Mapping[str, Any]) -> list[Cause]:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    path = "spec.strategy"
    if kind == "Recreate":
        text = "may not be specified when strategy `type` is 'Recreate'"
        return [forbidden(f"{path}.rollingUpdate", text)] if rolling is not None else []
    if kind != "RollingUpdate":
        return [not_supported(path, internal_form("DeploymentStrategy", strategy), ("Recreate", "RollingUpdate"))]
    unavailable, surge = (rolling or {}).get("maxUnavailable", 0), (rolling or {}).get("maxSurge", 0)
    place = f"{path}.rollingUpdate"
    causes = validate_int_or_percent(f"{place}.maxUnavailable", unavailable)
    causes += validate_int_or_percent(f"{place}.maxSurge", surge)
    if number_of(unavailable) == 0 and number_of(surge) == 0:
        text = "may not be 0 when `maxSurge` is 0"
        causes.append(invalid(f"{place}.maxUnavailable", unavailable, text))
    return causes + validate_not_over_all(f"{place}.maxUnavailable", unavailable)


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a Deployment may not change so."""
    del request
    return validate_same_selector(obj.get("spec") or {}, old.get("spec") or {})


def validate_status(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what a status may not say."""
    del request
    status = obj.get("status") or {}
    causes = validate_amounts("status", status, "observedGeneration", *_NUMBERS, "terminatingReplicas")
    collisions, before = status.get("collisionCount"), (old.get("status") or {}).get("collisionCount")
    causes += validate_amounts("status", status, "collisionCount")
    total, ready = status.get("replicas") or 0, status.get("readyReplicas") or 0
    for field in ("updatedReplicas", "readyReplicas", "availableReplicas"):
        causes += not_greater(f"status.{field}", status.get(field) or 0, total, "status.replicas")
    available = status.get("availableReplicas") or 0
    causes += not_greater("status.availableReplicas", available, ready, "readyReplicas")
    if before is not None and (collisions or 0) < before:
        causes.append(invalid("status.collisionCount", collisions or 0, "cannot be decremented"))
    return causes


def warnings(obj: Object, old: Object | None) -> list[str]:
    """Return what to warn about."""
    texts = name_warnings(name_of(obj)) if old is None else []
    return texts + template_warnings(obj, old)


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, ready, up-to-date, available, age, containers, images, selector."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    return [
        name_of(obj),
        f"{status.get('readyReplicas') or 0}/{spec.get('replicas') or 0}",
        status.get("updatedReplicas") or 0,
        status.get("availableReplicas") or 0,
        age_of(obj, now),
        *container_cells(spec.get("template")),
        selector_cell(spec.get("selector")),
    ]
