"""Pods: what the server sets, what may change, what status may say.

Source: pkg/registry/core/pod/strategy.go, pkg/apis/core/validation (v1.37).
"""

from collections.abc import Mapping
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.pod_spec.affinity import merge_match_keys
from moorage.api.kinds.pod_spec.annotations import (
    annotation_warnings,
    take_app_armor_annotations,
    validate_annotation_changes,
    validate_app_armor_agreement,
    validate_pod_annotations,
)
from moorage.api.kinds.pod_spec.cells import cells, row_conditions
from moorage.api.kinds.pod_spec.changes import validate_spec_change
from moorage.api.kinds.pod_spec.specification import validate_pod_spec
from moorage.api.kinds.pod_spec.subresources import (
    validate_ephemeral_change,
    validate_resize,
    with_ephemeral_containers,
    with_new_sizes,
)
from moorage.api.kinds.pod_spec.warnings import pod_warnings
from moorage.api.request import Draft, Request
from moorage.objects.addresses import ip_problems, is_ipv6
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, annotations_of, format_time, labels_of
from moorage.objects.quality import quality_for
from moorage.objects.validation import (
    dns1123_subdomain_problems,
    each_invalid,
    forbidden,
    invalid,
)

__all__ = [
    "cells",
    "default",
    "has_generation",
    "prepare_create",
    "prepare_status",
    "prepare_update",
    "row_conditions",
    "validate",
    "validate_status",
    "validate_update",
    "warnings",
]

has_generation = True

_GATED = {
    "type": "PodScheduled",
    "lastProbeTime": None,
    "lastTransitionTime": None,
    "status": "False",
    "reason": "SchedulingGated",
    "message": "Scheduling is blocked due to non-empty scheduling gates",
}


def default(draft: Draft) -> None:
    """Drop what is behind feature gates that are off: stop signals of containers."""
    for field in ("containers", "initContainers"):
        for container in draft["spec"].get(field) or ():
            lifecycle = container.get("lifecycle")
            if lifecycle and lifecycle.pop("stopSignal", None) is not None and not lifecycle:
                del container["lifecycle"]


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Give a new pod the status of one that nobody has looked at yet."""
    del lookup
    spec = draft["spec"]
    merge_match_keys(spec, labels_of(draft))
    for text in take_app_armor_annotations(spec, annotations_of(draft)):
        request.warn(text)
    status: Draft = {"phase": "Pending", "qosClass": quality_for(spec)}
    if spec.get("schedulingGates"):
        status["conditions"] = [{**_GATED, "lastTransitionTime": format_time(request.now)}]
    draft["status"] = status


def prepare_update(draft: Draft, old: Object, request: Request, lookup: Lookup) -> None:
    """Keep the status; subresources change nothing but what they are for."""
    del lookup
    draft["status"] = old.get("status") or {}
    merge = {"ephemeralcontainers": with_ephemeral_containers, "resize": with_new_sizes}.get(request.subresource)
    if merge is not None:
        draft["spec"] = merge(draft.get("spec") or {}, old.get("spec") or {})
        draft["metadata"] = {**old["metadata"], "generation": draft["metadata"].get("generation", 0)}


def prepare_status(draft: Draft, old: Object, request: Request, lookup: Lookup) -> None:
    """Keep the quality-of-service class when the reporter left it out."""
    del request, lookup
    status = draft.setdefault("status", {})
    before = old.get("status") or {}
    if not status.get("qosClass") and before.get("qosClass"):
        status["qosClass"] = before["qosClass"]


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a pod."""
    spec: Mapping[str, Any] = obj.get("spec") or {}
    annotations = annotations_of(obj)
    causes: list[Cause] = []
    if annotations:
        causes += validate_pod_annotations("metadata.annotations", annotations, spec)
    causes += validate_pod_spec("spec", spec)
    causes += _validate_images(spec)
    if annotations:
        causes += validate_app_armor_agreement("spec", annotations, spec)
    if request.verb == "create":
        causes += _validate_new(spec)
    return causes


def _validate_images(spec: Mapping[str, Any]) -> list[Cause]:
    text = "must not have leading or trailing whitespace"
    causes = []
    for field in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(field) or ()):
            image = container.get("image") or ""
            if image != image.strip():
                causes.append(invalid(f"spec.{field}[{index}].image", image, text))
    return causes


def _validate_new(spec: Mapping[str, Any]) -> list[Cause]:
    causes = []
    if spec.get("ephemeralContainers"):
        causes.append(forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        text = "cannot be set until all schedulingGates have been cleared"
        causes.append(forbidden("spec.nodeName", text))
    return causes


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a pod may not change so."""
    if request.subresource == "ephemeralcontainers":
        return validate_ephemeral_change(obj.get("spec") or {}, old.get("spec") or {})
    if request.subresource == "resize":
        return validate_resize(obj.get("spec") or {}, old.get("spec") or {})
    causes = validate_annotation_changes("metadata.annotations", annotations_of(obj), annotations_of(old))
    return causes + validate_spec_change("spec", obj.get("spec") or {}, old.get("spec") or {})


def validate_status(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what a status may not say."""
    del request
    status, before = obj.get("status") or {}, old.get("status") or {}
    causes = validate_annotation_changes("metadata.annotations", annotations_of(obj), annotations_of(old))
    if name := status.get("nominatedNodeName"):
        causes += each_invalid("status.nominatedNodeName", name, dns1123_subdomain_problems(name))
    if (status.get("observedGeneration") or 0) < 0:
        text = "must be a non-negative integer"
        causes.append(invalid("status.observedGeneration", status["observedGeneration"], text))
    for index, condition in enumerate(status.get("conditions") or ()):
        if (generation := condition.get("observedGeneration") or 0) < 0:
            place = f"status.conditions[{index}].observedGeneration"
            causes.append(invalid(place, generation, "must be a non-negative integer"))
    if before.get("qosClass") and status.get("qosClass") != before["qosClass"]:
        causes.append(invalid("status.qosClass", status.get("qosClass"), "field is immutable"))
    causes += _validate_transitions(status, before, old.get("spec") or {})
    return causes + _validate_addresses(status)


def _validate_transitions(status: Mapping[str, Any], before: Mapping[str, Any], spec: Mapping[str, Any]) -> list[Cause]:
    policy = spec.get("restartPolicy")
    if policy == "Always":
        return []
    text = "may not be transitioned to non-terminated state"
    own = {
        each.get("name")
        for each in spec.get("containers") or ()
        if each.get("restartPolicy") or each.get("restartPolicyRules")
    }
    now = {each.get("name"): each for each in status.get("containerStatuses") or ()}
    causes = []
    for index, was in enumerate(before.get("containerStatuses") or ()):
        ended = (was.get("state") or {}).get("terminated")
        current = now.get(was.get("name"))
        if ended is None or current is None or was.get("name") in own:
            continue
        if policy == "OnFailure" and ended.get("exitCode"):
            continue
        if (current.get("state") or {}).get("terminated") is None:
            causes.append(forbidden(f"status.containerStatuses[{index}].state", text))
    return causes


def _validate_addresses(status: Mapping[str, Any]) -> list[Cause]:
    causes: list[Cause] = []
    ips = [each.get("ip") or "" for each in status.get("podIPs") or ()]
    for index, ip in enumerate(ips):
        causes += each_invalid(f"status.podIPs[{index}]", ip, ip_problems(ip))
    if len(ips) > 1 and not causes:
        families = [is_ipv6(ip) for ip in ips]
        if len(ips) > 2 or families[0] == families[1]:
            text = "may specify no more than one IP for each IP family"
            causes.append(invalid("status.podIPs", [{"IP": ip} for ip in ips], text))
    hosts = [each.get("ip") or "" for each in status.get("hostIPs") or ()]
    if hosts and hosts[0] != (status.get("hostIP") or ""):
        causes.append(invalid("status.hostIPs[0].ip", hosts[0], "must be equal to `hostIP`"))
    return causes


def warnings(obj: Object, old: Object | None) -> list[str]:
    """Return what to warn about in a pod."""
    if old is not None:
        return []
    texts = pod_warnings("spec", obj.get("metadata") or {}, obj.get("spec") or {})
    return texts + annotation_warnings(annotations_of(obj))


def grace_seconds(old: Object, asked: int | None) -> int | None:
    """Return how long the pod may take to go: as asked, else as its spec says; a pod that never ran goes at once.

    Source: registry/core/pod/strategy.go CheckGracefulDelete (v1.37).
    """
    spec, phase = old["spec"], (old.get("status") or {}).get("phase")
    if not spec.get("nodeName") or phase in ("Succeeded", "Failed"):
        return 0
    return asked if asked is not None else int(spec.get("terminationGracePeriodSeconds", 30))
