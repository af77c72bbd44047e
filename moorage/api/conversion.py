"""Objects of resources that are served in more than one version: to the stored version and back. Pure.

Stored: Events as v1, HorizontalPodAutoscalers as autoscaling/v2. Custom resources convert by their definition.
Source: kubernetes/pkg/apis/{core,autoscaling}/v1/conversion.go (v1.37).
"""

from collections.abc import Mapping
from typing import Any

import orjson

from moorage.objects.kinds import Resource
from moorage.objects.metadata import Object

#: Field of v1 Event -> field of events.k8s.io/v1 Event, where they differ.
_EVENT_FIELDS: Mapping[str, str] = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
_EVENT_FIELDS_BACK = {new: old for old, new in _EVENT_FIELDS.items()}

#: Fields that v1 always has, and the new version only when they say something.
_REPORTING = frozenset({"reportingController", "reportingInstance"})

_HPA_CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
_HPA_METRICS = "autoscaling.alpha.kubernetes.io/metrics"
_HPA_CURRENT = "autoscaling.alpha.kubernetes.io/current-metrics"
_HPA_BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"


def is_converted(resource: Resource) -> bool:
    """Tell whether objects of this resource are stored in another version than it speaks."""
    return (resource.group, resource.version) in (("events.k8s.io", "v1"), ("autoscaling", "v1"))


def converted(obj: Object, resource: Resource) -> dict[str, Any]:
    """Return a stored object in the version of `resource`."""
    if resource.group == "events.k8s.io":
        new = _renamed(obj, _EVENT_FIELDS, "events.k8s.io/v1")
        return {key: value for key, value in new.items() if value != "" or key not in _REPORTING}
    return _autoscaler_v1(obj)


def stored(obj: Object, resource: Resource) -> dict[str, Any]:
    """Return an object in the version of `resource` as it is stored."""
    if not is_converted(resource):
        return dict(obj)
    if resource.group == "events.k8s.io":
        return {"reportingComponent": "", "reportingInstance": "", **_renamed(obj, _EVENT_FIELDS_BACK, "v1")}
    return _autoscaler_v2(obj)


def _renamed(obj: Object, names: Mapping[str, str], api_version: str) -> dict[str, Any]:
    return {names.get(key, key): value for key, value in obj.items()} | {"apiVersion": api_version}


def _autoscaler_v1(obj: Object) -> dict[str, Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    annotations = dict(obj["metadata"].get("annotations") or {})
    metrics = list(spec.get("metrics") or ())
    cpu = next((metric for metric in metrics if _cpu_target(metric) is not None), None)
    if others := [metric for metric in metrics if metric is not cpu]:
        annotations[_HPA_METRICS] = orjson.dumps(others).decode()
    if conditions := status.get("conditions"):
        annotations[_HPA_CONDITIONS] = orjson.dumps(conditions).decode()
    if behavior := spec.get("behavior"):
        annotations[_HPA_BEHAVIOR] = orjson.dumps(behavior).decode()
    current = list(status.get("currentMetrics") or ())
    load = next((metric for metric in current if _cpu_load(metric) is not None), None)
    if rest := [metric for metric in current if metric is not load]:
        annotations[_HPA_CURRENT] = orjson.dumps(rest).decode()
    shown_spec = {key: value for key, value in spec.items() if key not in ("metrics", "behavior")}
    if cpu is not None:
        shown_spec["targetCPUUtilizationPercentage"] = _cpu_target(cpu)
    shown_status = {key: status.get(key, 0) for key in ("currentReplicas", "desiredReplicas")}
    shown_status |= {key: status[key] for key in ("observedGeneration", "lastScaleTime") if key in status}
    if load is not None:
        shown_status["currentCPUUtilizationPercentage"] = _cpu_load(load)
    metadata = {**obj["metadata"], **({"annotations": annotations} if annotations else {})}
    return {**obj, "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": shown_spec, "status": shown_status}


def _cpu_target(metric: Object) -> int | None:
    resource = metric.get("resource") or {}
    found: int | None = (resource.get("target") or {}).get("averageUtilization")
    return found if metric.get("type") == "Resource" and resource.get("name") == "cpu" else None


def _cpu_load(metric: Object) -> int | None:
    resource = metric.get("resource") or {}
    found: int | None = (resource.get("current") or {}).get("averageUtilization")
    return found if metric.get("type") == "Resource" and resource.get("name") == "cpu" else None


def _autoscaler_v2(obj: Object) -> dict[str, Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    annotations = dict(obj["metadata"].get("annotations") or {})
    metrics = _loaded(annotations.pop(_HPA_METRICS, ""), [])
    percentage = spec.get("targetCPUUtilizationPercentage")
    if percentage is not None:
        target = {"type": "Utilization", "averageUtilization": percentage}
        metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}, *metrics]
    stored_spec = {key: value for key, value in spec.items() if key != "targetCPUUtilizationPercentage"}
    if metrics:
        stored_spec["metrics"] = metrics
    if behavior := _loaded(annotations.pop(_HPA_BEHAVIOR, ""), None):
        stored_spec["behavior"] = behavior
    stored_status = {key: value for key, value in status.items() if key != "currentCPUUtilizationPercentage"}
    if conditions := _loaded(annotations.pop(_HPA_CONDITIONS, ""), None):
        stored_status["conditions"] = conditions
    current = _loaded(annotations.pop(_HPA_CURRENT, ""), [])
    load = status.get("currentCPUUtilizationPercentage")
    if load is not None:
        current = [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": load}}}, *current]
    if current:
        stored_status["currentMetrics"] = current
    metadata = {key: value for key, value in obj["metadata"].items() if key != "annotations"}
    if annotations:
        metadata["annotations"] = annotations
    result = {**obj, "apiVersion": "autoscaling/v2", "metadata": metadata, "spec": stored_spec}
    return result | ({"status": stored_status} if "status" in obj else {})


def _loaded(text: str, default: Any) -> Any:
    """Read JSON out of an annotation that a client may have broken: then it does not count."""
    try:
        return orjson.loads(text) if text else default
    except orjson.JSONDecodeError:
        return default
