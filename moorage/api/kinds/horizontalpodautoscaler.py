"""HorizontalPodAutoscalers: numbers of pods that follow measurements. Version 1 and 2.

Source: pkg/apis/autoscaling/validation (v1.37).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.pod_spec.resources import validate_container_resource_name
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Draft, Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, name_of
from moorage.objects.quantity import parse_quantity
from moorage.objects.validation import (
    dns1123_label_problems,
    each_invalid,
    forbidden,
    in_list,
    invalid,
    not_negative,
    not_supported,
    path_segment_problems,
    required,
)

has_generation = True

Part = Mapping[str, Any]

_SOURCES = {
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}
#: The sources in the order in which upstream looks at them.
_JUDGED = ("object", "external", "pods", "resource", "containerResource")
WINDOW_MOST_SECONDS, PERIOD_MOST_SECONDS = 3600, 1800


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Start unmeasured."""
    del lookup
    is_old = request.resource.version == "v1"
    draft["status"] = (
        {"currentReplicas": 0, "desiredReplicas": 0} if is_old else {"desiredReplicas": 0, "currentMetrics": None}
    )


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of an autoscaler."""
    del request
    spec = obj.get("spec") or {}
    least, most = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    causes: list[Cause] = []
    if least is not None and least < 0:
        causes.append(invalid("spec.minReplicas", least, "must be greater than or equal to 0"))
    if least is not None and most < least:
        causes.append(invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`"))
    causes += _validate_target("spec.scaleTargetRef", spec.get("scaleTargetRef") or {})
    metrics = spec.get("metrics") or []
    for index, metric in enumerate(metrics):
        causes += _validate_metric(f"spec.metrics[{index}]", metric)
    if least == 0 and not any(each.get("type") in {"Object", "External"} for each in metrics):
        text = "must specify at least one Object or External metric to support scaling to zero replicas"
        causes.append(forbidden("spec.metrics", text))
    for field in ("scaleUp", "scaleDown"):
        if (rules := (spec.get("behavior") or {}).get(field)) is not None:
            causes += _validate_rules(f"spec.behavior.{field}", rules)
    # The least of maxReplicas is a declarative rule: those come last.
    if most == 0:
        causes.append(required("spec.maxReplicas"))
    elif most < 1:
        causes.append(invalid("spec.maxReplicas", most, "must be greater than or equal to 1"))
    return causes


#: Kinds of the core group, which alone may be named without a group.
_CORE_KINDS = frozenset({"ReplicationController", "Service", "Pod", "Node", "Namespace", "PersistentVolumeClaim"})


def _validate_target(path: str, target: Part, *, any_group: bool = False) -> list[Cause]:
    """Judge a reference. any_group: it may be to the core group whatever its kind."""
    causes: list[Cause] = []
    for field in ("kind", "name"):
        text = target.get(field) or ""
        place = f"{path}.{field}"
        causes += each_invalid(place, text, path_segment_problems(text)) if text else [required(place)]
    version = target.get("apiVersion") or ""
    if version.count("/") > 1:
        causes.append(invalid(f"{path}.apiVersion", version, f"unexpected GroupVersion string: {version}"))
    elif "/" not in version and not any_group and target.get("kind") not in _CORE_KINDS:
        causes.append(invalid(f"{path}.apiVersion", version, "apiVersion must specify API group"))
    return causes


def _validate_metric(path: str, metric: Part) -> list[Cause]:
    """Of several sources the first is judged, and each is one too many that the type does not name."""
    kind = metric.get("type") or ""
    causes: list[Cause] = []
    if not kind:
        causes.append(required(f"{path}.type", "must specify a metric source type"))
    if kind not in _SOURCES:
        causes.append(not_supported(f"{path}.type", kind, sorted(_SOURCES)))
    present = [field for field in _JUDGED if metric.get(field) is not None]
    if present:
        causes += _validate_source(f"{path}.{present[0]}", present[0], metric[present[0]])
    wanted = _SOURCES.get(kind)
    if wanted is not None and wanted not in present:
        causes.append(required(f"{path}.{wanted}", "must populate information for the given metric source"))
    if len(present) != 1:
        text = "must populate the given metric source only"
        causes += [forbidden(f"{path}.{field}", text) for field in present if field != wanted]
    return causes


def _validate_source(path: str, field: str, source: Part) -> list[Cause]:
    causes: list[Cause] = []
    if field == "object":
        causes += _validate_target(f"{path}.describedObject", source.get("describedObject") or {}, any_group=True)
    if field in {"resource", "containerResource"}:
        causes += _validate_resource(path, field, source)
    else:
        name, place = (source.get("metric") or {}).get("name") or "", f"{path}.metric.name"
        problems = each_invalid(place, name, path_segment_problems(name))
        causes += problems if name else [required(place, "must specify a metric name")]
    return causes + _validate_metric_target(f"{path}.target", field, source.get("target") or {})


def _validate_resource(path: str, field: str, source: Part) -> list[Cause]:
    name, container = source.get("name") or "", source.get("container") or ""
    causes = [] if name else [required(f"{path}.name", "must specify a resource name")]
    if field == "resource":
        return causes
    if name:
        causes += validate_container_resource_name(f"{path}.name", name)
    place = f"{path}.container"
    if not container:
        return [*causes, required(place, "must specify a container")]
    return causes + each_invalid(place, container, dns1123_label_problems(container))


def _validate_metric_target(path: str, field: str, target: Part) -> list[Cause]:
    shape = target.get("type") or ""
    causes: list[Cause] = []
    if not shape:
        causes.append(required(f"{path}.type", "must specify a metric target type"))
    if shape not in {"Utilization", "Value", "AverageValue"}:
        causes.append(invalid(f"{path}.type", shape, "must be either Utilization, Value, or AverageValue"))
    value, average, share = target.get("value"), target.get("averageValue"), target.get("averageUtilization")
    for name, amount in (("value", value), ("averageValue", average)):
        if amount is not None and parse_quantity(amount).nanos <= 0:
            causes.append(invalid(f"{path}.{name}", amount, "must be positive"))
    if share is not None and share < 1:
        causes.append(invalid(f"{path}.averageUtilization", share, "must be greater than 0"))
    if field in {"resource", "containerResource"}:
        if share is None and average is None:
            text = "must set either a target raw value or a target utilization"
            causes.append(required(f"{path}.averageUtilization", text))
        if share is not None and average is not None:
            text = "may not set both a target raw value and a target utilization"
            causes.append(forbidden(f"{path}.averageValue", text))
    elif field == "pods" and average is None:
        causes.append(required(f"{path}.averageValue", "must specify a positive target averageValue"))
    elif field in {"object", "external"} and value is None and average is None:
        text = (
            "must set either a target value or averageValue"
            if field == "object"
            else "must set either a target value for metric or a per-pod target"
        )
        causes.append(required(f"{path}.averageValue", text))
    elif field == "external" and value is not None and average is not None:
        causes.append(forbidden(f"{path}.value", "may not set both a target value for metric and a per-pod target"))
    return causes


def _validate_rules(path: str, rules: Part) -> list[Cause]:
    causes: list[Cause] = []
    window, choice = rules.get("stabilizationWindowSeconds"), rules.get("selectPolicy")
    if window is not None and window < 0:
        causes.append(invalid(f"{path}.stabilizationWindowSeconds", window, "must be greater than or equal to zero"))
    if window is not None and window > WINDOW_MOST_SECONDS:
        text = f"must be less than or equal to {WINDOW_MOST_SECONDS}"
        causes.append(invalid(f"{path}.stabilizationWindowSeconds", window, text))
    if choice is not None:
        causes += in_list(f"{path}.selectPolicy", choice, ("Disabled", "Max", "Min"))
    policies = rules.get("policies") or []
    if not policies:
        causes.append(required(f"{path}.policies", "must specify at least one Policy"))
    for index, policy in enumerate(policies):
        causes += _validate_policy(f"{path}.policies[{index}]", policy)
    tolerance = rules.get("tolerance")
    if tolerance is not None and parse_quantity(tolerance).nanos < 0:
        causes.append(invalid(f"{path}.tolerance", tolerance, "must be greater than or equal to 0"))
    return causes


def _validate_policy(path: str, policy: Part) -> list[Cause]:
    causes = in_list(f"{path}.type", policy.get("type") or "", ("Percent", "Pods"))
    for field, most in (("value", 0), ("periodSeconds", PERIOD_MOST_SECONDS)):
        number = policy.get(field) or 0
        if number <= 0:
            causes.append(invalid(f"{path}.{field}", number, "must be greater than zero"))
        elif most and number > most:
            causes.append(invalid(f"{path}.{field}", number, f"must be less than or equal to {most}"))
    return causes


def validate_status(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what a status may not say."""
    del old, request
    status = obj.get("status") or {}
    causes = not_negative("status.currentReplicas", status.get("currentReplicas"))
    return causes + not_negative("status.desiredReplicas", status.get("desiredReplicas"))


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, reference, targets, min pods, max pods, replicas, age."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    target, least = spec.get("scaleTargetRef") or {}, spec.get("minReplicas")
    return [
        name_of(obj),
        f"{target.get('kind')}/{target.get('name')}",
        _targets(spec, status),
        "<unset>" if least is None else str(least),
        spec.get("maxReplicas") or 0,
        status.get("currentReplicas") or 0,
        age_of(obj, now),
    ]


def _targets(spec: Part, status: Part) -> str:
    metrics = spec.get("metrics")
    if metrics is None:
        share, now = spec.get("targetCPUUtilizationPercentage"), status.get("currentCPUUtilizationPercentage")
        return f"cpu: {'<unknown>' if now is None else f'{now}%'}/{share}%" if share is not None else "<none>"
    current = status.get("currentMetrics") or []
    shown = [_target(metric, current[index] if index < len(current) else {}) for index, metric in enumerate(metrics)]
    if not shown:
        return "<none>"
    more = len(shown) - 2
    return ", ".join(shown[:2]) + (f" + {more} more..." if more > 0 else "")


def _target(metric: Part, measured: Part) -> str:
    field = _SOURCES.get(metric.get("type") or "", "")
    source = metric.get(field) or {}
    target, now = source.get("target") or {}, (measured.get(field) or {}).get("current") or {}
    prefix = f"{source.get('name')}: " if field in {"resource", "containerResource"} else ""
    if target.get("averageUtilization") is not None:
        shown = now.get("averageUtilization")
        return f"{prefix}{'<unknown>' if shown is None else f'{shown}%'}/{target['averageUtilization']}%"
    kind = "averageValue" if target.get("averageValue") is not None else "value"
    suffix = " (avg)" if kind == "averageValue" and field in {"object", "external"} else ""
    return f"{prefix}{now.get(kind) or '<unknown>'}/{target.get(kind)}{suffix}"
