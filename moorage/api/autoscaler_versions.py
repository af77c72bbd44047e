"""HorizontalPodAutoscalers between autoscaling/v2, in which they are stored, and autoscaling/v1. Pure.

Version 1 knows one metric, the share of CPU. Everything else goes along in annotations: metrics in the form that version 1
has for them, the behavior as upstream's internal type prints, with the field names of Go.
Source: kubernetes/pkg/apis/autoscaling/{v1/conversion,annotations}.go, k8s.io/api/autoscaling/v1/types.go (v1.37).
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from moorage.objects.metadata import Object, annotations_of

Part = Mapping[str, Any]

CONDITIONS: Final = "autoscaling.alpha.kubernetes.io/conditions"
METRICS: Final = "autoscaling.alpha.kubernetes.io/metrics"
CURRENT: Final = "autoscaling.alpha.kubernetes.io/current-metrics"
BEHAVIOR: Final = "autoscaling.alpha.kubernetes.io/behavior"

#: type of a metric -> the member that describes it.
_MEMBERS: Final = {
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
    "External": "external",
}
_BEHAVIOR_FIELDS: Final = ("ScaleUp", "ScaleDown")
_RULE_FIELDS: Final = ("StabilizationWindowSeconds", "SelectPolicy", "Policies", "Tolerance")
_POLICY_FIELDS: Final = ("Type", "Value", "PeriodSeconds")


def as_v1(obj: Object) -> dict[str, Any]:
    """Return a stored autoscaler as version 1 shows it."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    metrics: list[Part] = list(spec.get("metrics") or ())
    current: list[Part] = list(status.get("currentMetrics") or ())
    annotations = dict(annotations_of(obj))
    if others := [_metric_v1(metric, "target") for metric in metrics if _cpu_share(metric, "target") is None]:
        annotations[METRICS] = orjson.dumps(others).decode()
    if current:
        annotations[CURRENT] = orjson.dumps([_metric_v1(metric, "current") for metric in current]).decode()
    if conditions := status.get("conditions"):
        annotations[CONDITIONS] = orjson.dumps(conditions).decode()
    if behavior := spec.get("behavior"):
        annotations[BEHAVIOR] = orjson.dumps(_go_behavior(behavior)).decode()
    shown = {key: value for key, value in spec.items() if key not in ("metrics", "behavior")}
    if (share := _first_share(metrics, "target")) is not None:
        shown["targetCPUUtilizationPercentage"] = share
    counts = {key: status[key] for key in ("observedGeneration", "lastScaleTime") if key in status}
    counts |= {key: status.get(key, 0) for key in ("currentReplicas", "desiredReplicas")}
    if (share := _first_share(current, "current")) is not None:
        counts["currentCPUUtilizationPercentage"] = share
    metadata = {**obj["metadata"], **({"annotations": annotations} if annotations else {})}
    return {**obj, "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": shown, "status": counts}


def as_v2(obj: Object) -> dict[str, Any]:
    """Return a version 1 autoscaler as it is stored. Annotations that cannot be read do not count, and go."""
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    annotations = dict(annotations_of(obj))
    metrics = _loaded(annotations.pop(METRICS, ""), list)
    current = _loaded(annotations.pop(CURRENT, ""), list)
    conditions = _loaded(annotations.pop(CONDITIONS, ""), list)
    behavior = _loaded(annotations.pop(BEHAVIOR, ""), dict)
    share, load = spec.pop("targetCPUUtilizationPercentage", None), status.pop("currentCPUUtilizationPercentage", None)
    wanted = [*_cpu(share, "target"), *(_metric_v2(metric, "target") for metric in metrics or ())]
    measured = [_metric_v2(metric, "current") for metric in current] if current else _cpu(load, "current")
    spec |= {"metrics": wanted} if wanted else {}
    spec |= {"behavior": _plain_behavior(behavior)} if behavior else {}
    status |= {"currentMetrics": measured} if measured else {}
    status |= {"conditions": conditions} if conditions else {}
    metadata = {key: value for key, value in obj["metadata"].items() if key != "annotations"}
    if annotations:
        metadata["annotations"] = annotations
    result = {**obj, "apiVersion": "autoscaling/v2", "metadata": metadata, "spec": spec}
    return result | ({"status": status} if "status" in obj else {})


def _cpu(share: int | None, side: str) -> list[dict[str, Any]]:
    """Return the metric of a share of CPU, none if there is no share."""
    if share is None:
        return []
    amount = {"type": "Utilization", "averageUtilization": share} if side == "target" else {"averageUtilization": share}
    return [{"type": "Resource", "resource": {"name": "cpu", side: amount}}]


def _cpu_share(metric: Part, side: str) -> int | None:
    resource = metric.get("resource") or {}
    if metric.get("type") != "Resource" or resource.get("name") != "cpu":
        return None
    share: int | None = (resource.get(side) or {}).get("averageUtilization")
    return share


def _first_share(metrics: list[Part], side: str) -> int | None:
    """Return the share of CPU that version 1 shows: of several metrics the last one counts."""
    shares = [share for metric in metrics if (share := _cpu_share(metric, side)) is not None]
    return shares[-1] if shares else None


def _metric_v1(metric: Part, side: str) -> dict[str, Any]:
    """Return a metric (side "target") or its measurement ("current") in version 1's form."""
    kind = str(metric.get("type") or "")
    member = _MEMBERS.get(kind, "")
    source: Part = metric.get(member) or {}
    return {"type": kind, **({member: _SOURCES_V1[member](source, source.get(side) or {}, side)} if member else {})}


def _object_v1(source: Part, amount: Part, side: str) -> dict[str, Any]:
    metric = source.get("metric") or {}
    return _present(
        target=source.get("describedObject") or {},
        metricName=metric.get("name") or "",
        **{f"{side}Value": amount.get("value") or "0"},
        selector=metric.get("selector"),
        averageValue=amount.get("averageValue"),
    )


def _pods_v1(source: Part, amount: Part, side: str) -> dict[str, Any]:
    metric = source.get("metric") or {}
    return _present(
        metricName=metric.get("name") or "",
        **{f"{side}AverageValue": amount.get("averageValue") or "0"},
        selector=metric.get("selector"),
    )


def _resource_v1(source: Part, amount: Part, side: str) -> dict[str, Any]:
    average = amount.get("averageValue")
    return _present(
        name=source.get("name") or "",
        **{f"{side}AverageUtilization": amount.get("averageUtilization")},
        **{f"{side}AverageValue": average if side == "target" else average or "0"},
        container=source.get("container"),
    )


def _external_v1(source: Part, amount: Part, side: str) -> dict[str, Any]:
    metric = source.get("metric") or {}
    value = amount.get("value")
    return _present(
        metricName=metric.get("name") or "",
        metricSelector=metric.get("selector"),
        **{f"{side}Value": value if side == "target" else value or "0"},
        **{f"{side}AverageValue": amount.get("averageValue")},
    )


_SOURCES_V1: Final = {
    "object": _object_v1,
    "pods": _pods_v1,
    "resource": _resource_v1,
    "containerResource": _resource_v1,
    "external": _external_v1,
}


def _present(**members: Any) -> dict[str, Any]:
    return {key: value for key, value in members.items() if value is not None}


def _metric_v2(metric: Part, side: str) -> dict[str, Any]:
    """Return a metric or its measurement as version 2 has it."""
    kind = str(metric.get("type") or "")
    member = _MEMBERS.get(kind, "")
    source = metric.get(member)
    if not isinstance(source, Mapping):
        return {"type": kind}
    return {"type": kind, member: _source_v2(member, source, side)}


def _source_v2(member: str, source: Part, side: str) -> dict[str, Any]:
    value, average = source.get(f"{side}Value"), source.get(f"{side}AverageValue")
    if member == "object":
        average = source.get("averageValue")
    share = source.get(f"{side}AverageUtilization")
    amount = _present(value=value, averageValue=average, averageUtilization=share)
    if side == "target":
        is_value = value is not None and (member == "external" or average is None)
        amount = {"type": "Utilization" if share is not None else "Value" if is_value else "AverageValue", **amount}
    if member in ("resource", "containerResource"):
        return _present(name=source.get("name"), container=source.get("container")) | {side: amount}
    selector = source.get("metricSelector") if member == "external" else source.get("selector")
    metric = _present(name=source.get("metricName") or "", selector=selector)
    described = {"describedObject": source.get("target") or {}} if member == "object" else {}
    return {**described, "metric": metric, side: amount}


def _go_behavior(behavior: Part) -> dict[str, Any]:
    """Return the behavior with every field of Go's structs, under its Go name."""
    return {name: _go_rules(behavior.get(_lower(name))) for name in _BEHAVIOR_FIELDS}


def _go_rules(rules: Part | None) -> dict[str, Any] | None:
    if rules is None:
        return None
    shown = {name: rules.get(_lower(name)) for name in _RULE_FIELDS}
    if shown["Policies"] is not None:
        shown["Policies"] = [{name: each.get(_lower(name)) for name in _POLICY_FIELDS} for each in shown["Policies"]]
    return shown


def _plain_behavior(behavior: Part) -> dict[str, Any]:
    """Return what `_go_behavior` made as the fields of version 2; letters' case does not matter, as to Go."""
    given = {str(key).lower(): value for key, value in behavior.items()}
    read = {name: _plain_rules(given.get(name.lower())) for name in _BEHAVIOR_FIELDS}
    return {_lower(name): rules for name, rules in read.items() if rules is not None}


def _plain_rules(rules: Any) -> dict[str, Any] | None:
    if not isinstance(rules, Mapping):
        return None
    plain = _renamed(rules, _RULE_FIELDS)
    if isinstance(plain.get("policies"), list):
        plain["policies"] = [_renamed(each, _POLICY_FIELDS) for each in plain["policies"] if isinstance(each, Mapping)]
    return plain


def _renamed(given: Part, names: tuple[str, ...]) -> dict[str, Any]:
    by_case = {str(key).lower(): value for key, value in given.items()}
    return {_lower(name): by_case[name.lower()] for name in names if by_case.get(name.lower()) is not None}


def _lower(name: str) -> str:
    return name[0].lower() + name[1:]


def _loaded(text: str, wanted: type) -> Any:
    """Read JSON out of an annotation that a client may have broken: then it does not count."""
    try:
        found = orjson.loads(text) if text else None
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, wanted) else None
