"""DaemonSets: a pod on every node.

Source: pkg/registry/apps/daemonset/strategy.go, pkg/apis/apps/validation (v1.37).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.pod_spec.warnings import template_warnings
from moorage.api.kinds.workload.cells import age_of, container_cells, selector_cell
from moorage.api.kinds.workload.numbers import (
    number_of,
    validate_amounts,
    validate_int_or_percent,
    validate_not_over_all,
)
from moorage.api.kinds.workload.templates import validate_same_selector, validate_template
from moorage.api.request import Draft, Request
from moorage.objects.errors import Cause
from moorage.objects.internal_form import internal_form
from moorage.objects.metadata import Object, annotations_of, name_of
from moorage.objects.selector_rules import is_empty_selector, labels_text, validate_label_selector
from moorage.objects.validation import invalid, not_supported, required

has_generation = True

#: Where the number of the template was kept before metadata.generation existed; clients still see it.
TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
_NUMBERS = (
    "currentNumberScheduled",
    "numberMisscheduled",
    "desiredNumberScheduled",
    "numberReady",
    "observedGeneration",
    "updatedNumberScheduled",
    "numberAvailable",
    "numberUnavailable",
)


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Start with a status that says nothing and the first template."""
    del request, lookup
    draft["status"] = {
        "currentNumberScheduled": 0,
        "numberMisscheduled": 0,
        "desiredNumberScheduled": 0,
        "numberReady": 0,
    }
    _set_template_generation(draft, "1")


def prepare_update(draft: Draft, old: Object, request: Request, lookup: Lookup) -> None:
    """Count templates."""
    del request, lookup
    number = annotations_of(old).get(TEMPLATE_GENERATION, "1")
    if draft["spec"].get("template") != old["spec"].get("template"):
        number = str(int(number) + 1)
    _set_template_generation(draft, number)


def _set_template_generation(draft: Draft, number: str) -> None:
    metadata = draft["metadata"]
    metadata["annotations"] = {**(metadata.get("annotations") or {}), TEMPLATE_GENERATION: number}


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a DaemonSet."""
    del request
    spec = obj.get("spec") or {}
    selector = spec.get("selector")
    causes = validate_label_selector("spec.selector", selector)
    template = spec.get("template") or {}
    if selector is not None and not causes and is_empty_selector(selector):
        causes.append(invalid("spec.selector", {}, "empty selector is invalid for daemonset"))
    causes += validate_template("spec.template", template, selector, "DaemonSet")
    causes += validate_amounts("spec", spec, "minReadySeconds")
    causes += _validate_strategy(spec.get("updateStrategy") or {})
    return causes + validate_amounts("spec", spec, "revisionHistoryLimit")


def _validate_strategy(strategy: Mapping[str, Any]) -> list[Cause]:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    path = "spec.updateStrategy"
    if kind == "OnDelete":
        return []
    if kind != "RollingUpdate":
        shown = internal_form("DaemonSetUpdateStrategy", strategy)
        return [not_supported(path, shown, ("RollingUpdate", "OnDelete"))]
    if rolling is None:
        return [required(f"{path}.rollingUpdate")]
    place = f"{path}.rollingUpdate"
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    causes = validate_int_or_percent(f"{place}.maxUnavailable", unavailable)
    causes += validate_not_over_all(f"{place}.maxUnavailable", unavailable)
    causes += validate_int_or_percent(f"{place}.maxSurge", surge)
    causes += validate_not_over_all(f"{place}.maxSurge", surge)
    some_unavailable, some_surge = number_of(unavailable) != 0, number_of(surge) != 0
    if some_unavailable and some_surge:
        text = "may not be set when maxUnavailable is non-zero"
        causes.append(invalid(f"{place}.maxSurge", surge, text))
    elif not some_unavailable and not some_surge:
        causes.append(required(f"{place}.maxUnavailable", "cannot be 0 when maxSurge is 0"))
    return causes


def validate_whole_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a DaemonSet may not change so, then every broken rule."""
    return validate_same_selector(obj.get("spec") or {}, old.get("spec") or {}) + validate(obj, request)


def validate_status(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what a status may not say."""
    del request
    status = obj.get("status") or {}
    causes = validate_amounts("status", status, *_NUMBERS)
    before = (old.get("status") or {}).get("collisionCount")
    causes += validate_amounts("status", status, "collisionCount")
    if before is not None and (status.get("collisionCount") or 0) < before:
        causes.append(invalid("status.collisionCount", status.get("collisionCount") or 0, "cannot be decremented"))
    return causes


def warnings(obj: Object, old: Object | None) -> list[str]:
    """Return what to warn about."""
    return template_warnings(obj, old)


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, desired, current, ready, up-to-date, available, node selector, age, containers, images, selector."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    template = spec.get("template") or {}
    numbers = (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    )
    return [
        name_of(obj),
        *(status.get(field) or 0 for field in numbers),
        labels_text((template.get("spec") or {}).get("nodeSelector")),
        age_of(obj, now),
        *container_cells(template),
        selector_cell(spec.get("selector")),
    ]
