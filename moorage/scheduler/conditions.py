"""What the scheduler writes into a pod: conditions, as patches of the status."""

from datetime import datetime
from typing import Any, Final

from moorage.objects.metadata import Object, condition_of, format_time, generation_of, uid_of

#: Where a patch of this module may be sent.
PATCH: Final = "application/strategic-merge-patch+json"

#: How a victim is told why it goes. Source: pkg/scheduler/framework/preemption/executor.go.
MAKING_ROOM: Final = "preempting to accommodate a higher priority pod"


def refused(pod: Object, reason: str, message: str, nominated: str | None, now: datetime) -> dict[str, Any] | None:
    """Return the patch that says why a pod is not placed, None if it says so already.

    nominated: the node that it waits for, "" for none, None to leave that as it is.
    """
    known = condition_of(pod, "PodScheduled") or {}
    status: dict[str, Any] = {}
    if (known.get("status"), known.get("reason"), known.get("message")) != ("False", reason, message):
        since = known.get("lastTransitionTime") if known.get("status") == "False" else None
        condition = _condition(pod, "PodScheduled", "False", since or format_time(now), (reason, message))
        status = _with(pod, condition)
    before = (pod.get("status") or {}).get("nominatedNodeName") or ""
    if nominated is not None and nominated != before:
        status["nominatedNodeName"] = nominated or None
    return {"metadata": {"uid": uid_of(pod)}, "status": status} if status else None


def preempted(pod: Object, scheduler: str, now: datetime) -> dict[str, Any]:
    """Return the patch that tells a victim that it must go."""
    text = f"{scheduler}: {MAKING_ROOM}"
    condition = _condition(pod, "DisruptionTarget", "True", format_time(now), ("PreemptionByScheduler", text))
    return {"metadata": {"uid": uid_of(pod)}, "status": _with(pod, condition)}


def _with(pod: Object, condition: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a patch that sets a condition: a new one comes after those that are there."""
    kinds = [str(each.get("type")) for each in (pod.get("status") or {}).get("conditions") or ()]
    if condition["type"] not in kinds:
        kinds.append(condition["type"])
    return {"$setElementOrder/conditions": [{"type": kind} for kind in kinds], "conditions": [condition]}


def _condition(pod: Object, kind: str, status: str, since: str, why: tuple[str, str]) -> dict[str, Any]:
    condition: dict[str, Any] = {"type": kind}
    if generation_of(pod):
        condition["observedGeneration"] = generation_of(pod)
    return {
        **condition,
        "status": status,
        "lastProbeTime": None,
        "lastTransitionTime": since,
        "reason": why[0],
        "message": why[1],
    }
