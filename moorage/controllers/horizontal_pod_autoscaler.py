"""The horizontal pod autoscaler, as it is without a source of metrics: it keeps targets within their bounds.

A target below its least or above its most replicas is scaled. Everything in between needs measurements; that nobody
offers any is told as a condition and an Event, in the words that upstream has for a cluster without a metrics API.
Source: pkg/controller/podautoscaler (v1.37).
Differs from Kubernetes: only the scales of built-in workloads are read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from moorage.controllers.rule import Controller, Decision, View
from moorage.objects.actions import Action, Patch, Record, SetStatus
from moorage.objects.metadata import Object, Ref, format_time, is_terminating, parse_time
from moorage.objects.workloads import ref_of, replicas_of

RESOURCE: Final = "horizontalpodautoscalers.autoscaling"

#: How often targets are looked at, in seconds. Source: HorizontalPodAutoscalerSyncPeriod.
PERIOD: Final = 15.0

#: (group, kind) -> resource of the targets whose scale is known.
_TARGETS: Final = {
    ("apps", "Deployment"): "deployments.apps",
    ("apps", "ReplicaSet"): "replicasets.apps",
    ("apps", "StatefulSet"): "statefulsets.apps",
    ("", "ReplicationController"): "replicationcontrollers",
}

_NO_RESOURCE_METRICS: Final = (
    "unable to fetch metrics from resource metrics API: the server could not find the requested resource "
    "(get pods.metrics.k8s.io)"
)
_NO_CUSTOM_METRICS: Final = (
    "unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered"
)
_NO_EXTERNAL_METRICS: Final = (
    "unable to fetch metrics from external metrics API: no external metrics API (external.metrics.k8s.io) registered"
)


@dataclass(frozen=True, slots=True)
class Observed:
    """An autoscaler and its target (None if it is not there); `problem` says why it cannot be read."""

    autoscaler: Object
    target: Object | None
    resource: str
    problem: str = ""


class Trouble(NamedTuple):
    """Why a metric cannot be had: the reason, what is told about it, and the error that others make of it."""

    reason: str
    message: str
    error: str


class Size(NamedTuple):
    """How many replicas a target should have, and why."""

    replicas: int
    reason: str


def observe(view: View, ref: Ref) -> Observed | None:
    """Select the autoscaler at `ref` and its target."""
    autoscaler = view.get(RESOURCE, ref.namespace, ref.name)
    if autoscaler is None or is_terminating(autoscaler):
        return None
    wanted = autoscaler["spec"]["scaleTargetRef"]
    group = str(wanted.get("apiVersion") or "").rpartition("/")[0]
    kind, name = str(wanted.get("kind")), str(wanted.get("name"))
    resource = _TARGETS.get((group, kind))
    if resource is None:
        return Observed(autoscaler, None, "", f'no matches for kind "{kind}" in group "{group}"')
    target = view.get(resource, ref.namespace, name)
    return Observed(autoscaler, target, resource, "" if target is not None else f'{resource} "{name}" not found')


def decide(observed: Observed, now: datetime) -> Decision:
    """Keep the target within its bounds, or tell what is missing."""
    autoscaler, target = observed.autoscaler, observed.target
    conditions = list((autoscaler.get("status") or {}).get("conditions") or ())
    if target is None:
        text = f"the HPA controller was unable to get the target's current scale: {observed.problem}"
        changed = set_condition(conditions, "AbleToScale", "False", ("FailedGetScale", text), now)
        told = Record(autoscaler, "FailedGetScale", observed.problem, kind="Warning")
        status = {**_counters(autoscaler), "conditions": changed}
        return _decision((*_set_status(autoscaler, status), told), observed.problem)
    text = "the HPA controller was able to get the target's current scale"
    conditions = set_condition(conditions, "AbleToScale", "True", ("SucceededGetScale", text), now)
    current = replicas_of(target)
    size = size_for(autoscaler, current)
    if size is not None:
        return _rescale(observed, target, conditions, size, now)
    if (left := _rest_of_period(autoscaler, now)) > 0:
        return Decision(look_again_in=left, because="the target was scaled just now")
    if not current:
        text = "scaling is disabled since the replica count of the target is zero"
        conditions = set_condition(conditions, "ScalingActive", "False", ("ScalingDisabled", text), now)
        status = {**_counters(autoscaler), "currentReplicas": 0, "desiredReplicas": 0, "currentMetrics": None}
        return _decision(_set_status(autoscaler, {**status, "conditions": conditions}), text)
    return _without_metrics(autoscaler, current, conditions, now)


def _rest_of_period(autoscaler: Object, now: datetime) -> float:
    """Return the seconds until a target that was scaled is measured again."""
    scaled = (autoscaler.get("status") or {}).get("lastScaleTime")
    return PERIOD - (now - parse_time(scaled)).total_seconds() if scaled else 0.0


def size_for(autoscaler: Object, current: int) -> Size | None:
    """Return the size that the bounds alone ask for, None if they ask for nothing."""
    least = autoscaler["spec"].get("minReplicas")
    least = 1 if least is None else int(least)
    most = int(autoscaler["spec"]["maxReplicas"])
    if not current and least:
        return None
    if current > most:
        return Size(most, "Current number of replicas above Spec.MaxReplicas")
    return Size(least, "Current number of replicas below Spec.MinReplicas") if current < least else None


def trouble_with(autoscaler: Object, metric: Mapping[str, Any]) -> Trouble:
    """Return why a metric of the spec cannot be had."""
    kind = str(metric.get("type"))
    if kind in {"Resource", "ContainerResource"}:
        source = metric.get("resource" if kind == "Resource" else "containerResource") or {}
        name, target = str(source.get("name")), source.get("target") or {}
        what = "usage" if target.get("averageValue") is not None else "utilization"
        message = f"failed to get {name} {what}: unable to get metrics for resource {name}: {_NO_RESOURCE_METRICS}"
        subject = f"{name} resource" if kind == "Resource" else f"{name} container"
        return Trouble(f"FailedGet{kind}Metric", message, f"failed to get {subject} metric value: {message}")
    if kind == "External":
        source = metric.get("external") or {}
        name = str((source.get("metric") or {}).get("name"))
        message = f"unable to get external metric {autoscaler['metadata']['namespace']}/{name}: {_NO_EXTERNAL_METRICS}"
        return Trouble("FailedGetExternalMetric", message, f"failed to get {name} external metric value: {message}")
    source = metric.get("pods" if kind == "Pods" else "object") or {}
    where = ""
    if kind == "Object":
        described = source.get("describedObject") or {}
        where = f"{described.get('kind')} on {autoscaler['metadata']['namespace']} {described.get('name')}/"
    message = f"unable to get metric {(source.get('metric') or {}).get('name')}: {where}{_NO_CUSTOM_METRICS}"
    return Trouble(f"FailedGet{kind}Metric", message, f"failed to get {kind.lower()} metric value: {message}")


def set_condition(
    conditions: Sequence[Object], kind: str, status: str, why: tuple[str, str], now: datetime
) -> list[Object]:
    """Return the conditions with this one in its place, `why` being reason and message."""
    old = next((each for each in conditions if each.get("type") == kind), None)
    since = old.get("lastTransitionTime") if old is not None and old.get("status") == status else format_time(now)
    new = {"type": kind, "status": status, "lastTransitionTime": since, "reason": why[0], "message": why[1]}
    if old is None:
        return [*conditions, new]
    return [new if each.get("type") == kind else each for each in conditions]


def _rescale(observed: Observed, target: Object, conditions: list[Object], size: Size, now: datetime) -> Decision:
    """Give the target a size within its bounds."""
    autoscaler = observed.autoscaler
    text = f"New size: {size.replicas}; reason: {size.reason}"
    scale = Patch(
        ref_of(observed.resource, target)._replace(uid=""),
        {"spec": {"replicas": size.replicas}},
        "scale",
        done=(Record(autoscaler, "SuccessfulRescale", text),),
        failed=(Record(autoscaler, "FailedRescale", f"{text}; error: {{error}}", kind="Warning"),),
    )
    done = f"the HPA controller was able to update the target scale to {size.replicas}"
    failed = "the HPA controller was unable to update the target scale: {error}"
    status = {
        **_counters(autoscaler),
        "currentReplicas": replicas_of(target),
        "desiredReplicas": size.replicas,
        "currentMetrics": None,
        "lastScaleTime": format_time(now),
        "conditions": set_condition(conditions, "AbleToScale", "True", ("SucceededRescale", done), now),
    }
    when_failed = {
        **_counters(autoscaler),
        "conditions": set_condition(conditions, "AbleToScale", "False", ("FailedUpdateScale", failed), now),
    }
    write = SetStatus(RESOURCE, {**autoscaler, "status": _sparse(status)}, when_failed=when_failed)
    return _decision((scale, write), size.reason)


def _without_metrics(autoscaler: Object, current: int, conditions: list[Object], now: datetime) -> Decision:
    """Tell that no metric can be had, the first one's trouble as a condition."""
    metrics = autoscaler["spec"].get("metrics") or ()
    troubles = [trouble_with(autoscaler, metric) for metric in metrics]
    told = [Record(autoscaler, each.reason, each.message, kind="Warning") for each in troubles]
    status = {**_counters(autoscaler), "currentReplicas": current, "currentMetrics": [{"type": ""} for _ in metrics]}
    if troubles:
        first = troubles[0]
        text = f"the HPA was unable to compute the replica count: {first.message}"
        conditions = set_condition(conditions, "ScalingActive", "False", (first.reason, text), now)
        text = f"invalid metrics ({len(troubles)} invalid out of {len(metrics)}), first error is: {first.error}"
        told.append(Record(autoscaler, "FailedComputeMetricsReplicas", text, kind="Warning"))
    status["conditions"] = conditions
    return _decision((*_set_status(autoscaler, status), *told), "there are no metrics")


def _counters(autoscaler: Object) -> dict[str, Any]:
    """Return the stored status, with what is always in it."""
    return {"desiredReplicas": 0, "currentMetrics": None, **(autoscaler.get("status") or {})}


def _set_status(autoscaler: Object, status: dict[str, Any]) -> tuple[SetStatus, ...]:
    status = _sparse(status)
    if status == autoscaler.get("status"):
        return ()
    return (SetStatus(RESOURCE, {**autoscaler, "status": status}),)


def _sparse(status: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in status.items() if value or key != "currentReplicas"}


def _decision(actions: tuple[Action, ...], because: str) -> Decision:
    return Decision(actions, look_again_in=PERIOD, because=because)


CONTROLLER = Controller(
    name="horizontal-pod-autoscaler",
    kind=RESOURCE,
    wakes={},
    reads=tuple(_TARGETS.values()),
    observe=observe,
    decide=decide,
)
