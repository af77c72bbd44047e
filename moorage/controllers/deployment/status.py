"""What a Deployment reports: counters, and the conditions Available, Progressing and ReplicaFailure.

Source: pkg/controller/deployment/sync.go calculateStatus, progress.go (v1.37).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from moorage.controllers.deployment.replica_sets import Sets, count, fenceposts_of
from moorage.objects.metadata import Object, condition_of, format_time, generation_of, name_of, parse_time
from moorage.objects.workloads import replicas_of

#: The deadline that means "none". Source: deploymentutil.HasProgressDeadline.
NO_DEADLINE = 2**31 - 1

_SPARSE = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas")

Conditions = tuple[Object, ...]


def deadline_of(workload: Object) -> int | None:
    """Return the progressDeadlineSeconds, None if there is no deadline."""
    seconds = workload["spec"].get("progressDeadlineSeconds")
    return None if seconds is None or seconds == NO_DEADLINE else int(seconds)


def condition(kind: str, status: str, reason: str, message: str, now: datetime) -> dict[str, Any]:
    """Return a condition that became what it is now."""
    at = format_time(now)
    return {
        "type": kind,
        "status": status,
        "lastUpdateTime": at,
        "lastTransitionTime": at,
        "reason": reason,
        "message": message,
    }


def set_condition(conditions: Conditions, new: Object) -> Conditions:
    """Return the conditions with `new` at the end; one of the same status and reason stays as it is."""
    old = _find(conditions, str(new["type"]))
    if old is not None and (old.get("status"), old.get("reason")) == (new["status"], new["reason"]):
        return conditions
    if old is not None and old.get("status") == new["status"]:
        new = {**new, "lastTransitionTime": old.get("lastTransitionTime")}
    return (*drop_condition(conditions, str(new["type"])), new)


def drop_condition(conditions: Conditions, kind: str) -> Conditions:
    """Return the conditions of other types."""
    return tuple(each for each in conditions if each.get("type") != kind)


def pause_conditions(workload: Object, conditions: Conditions, now: datetime) -> Conditions:
    """Return the conditions after a look at `spec.paused`: while paused no deadline runs."""
    found = _find(conditions, "Progressing")
    reason = found.get("reason") if found else None
    if deadline_of(workload) is None or reason == "ProgressDeadlineExceeded":
        return conditions
    if workload["spec"].get("paused"):
        paused = condition("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused", now)
        return conditions if reason == "DeploymentPaused" else set_condition(conditions, paused)
    if reason == "DeploymentPaused":
        resumed = condition("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed", now)
        return set_condition(conditions, resumed)
    return conditions


def counters_for(workload: Object, sets: Sets, collisions: int | None) -> dict[str, Any]:
    """Return the status without its conditions."""
    available = count(sets.all, "availableReplicas")
    counters: dict[str, Any] = {
        "observedGeneration": generation_of(workload),
        "replicas": count(sets.all, "replicas"),
        "updatedReplicas": count([] if sets.new is None else [sets.new], "replicas"),
        "readyReplicas": count(sets.all, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, sum(map(replicas_of, sets.all)) - available),
    }
    counters = {key: value for key, value in counters.items() if value or key not in _SPARSE}
    counters["terminatingReplicas"] = count(sets.all, "terminatingReplicas")
    if collisions is not None:
        counters["collisionCount"] = collisions
    return counters


def availability(workload: Object, sets: Sets, now: datetime) -> dict[str, Any]:
    """Return the condition Available."""
    if count(sets.all, "availableReplicas") >= replicas_of(workload) - fenceposts_of(workload).unavailable:
        text = "Deployment has minimum availability."
        return condition("Available", "True", "MinimumReplicasAvailable", text, now)
    text = "Deployment does not have minimum availability."
    return condition("Available", "False", "MinimumReplicasUnavailable", text, now)


def rollout_conditions(
    workload: Object, sets: Sets, counters: Object, conditions: Conditions, now: datetime
) -> Conditions:
    """Return the conditions with Progressing and ReplicaFailure as they are in the course of a rollout."""
    if deadline_of(workload) is None:
        conditions = drop_condition(conditions, "Progressing")
    else:
        conditions = _progress(workload, sets, counters, conditions, now)
    failure = _replica_failure(sets)
    if failure is None:
        return drop_condition(conditions, "ReplicaFailure")
    return set_condition(conditions, {"lastUpdateTime": failure.get("lastTransitionTime"), **failure})


def is_complete(workload: Object, status: Object) -> bool:
    """Tell whether every wanted pod is there, updated and available, and nothing else."""
    wanted = replicas_of(workload)
    found = [int(status.get(key) or 0) for key in ("updatedReplicas", "replicas", "availableReplicas")]
    return found == [wanted] * 3 and int(status.get("observedGeneration") or 0) >= generation_of(workload)


def stuck_in(workload: Object, conditions: Sequence[Object], now: datetime) -> float | None:
    """Return the seconds after which the rollout will have missed its deadline, None if none runs."""
    seconds = deadline_of(workload)
    found = _find(conditions, "Progressing")
    if seconds is None or found is None or found.get("reason") in _SETTLED:
        return None
    return max(1.0, (_updated_at(found) + timedelta(seconds=seconds) - now).total_seconds() + 1)


_SETTLED = ("NewReplicaSetAvailable", "ProgressDeadlineExceeded", "DeploymentPaused")


def _progress(workload: Object, sets: Sets, counters: Object, conditions: Conditions, now: datetime) -> Conditions:
    stored = workload.get("status") or {}
    found = _find(conditions, "Progressing")
    is_settled = found is not None and found.get("reason") == "NewReplicaSetAvailable"
    if is_settled and counters.get("replicas", 0) == counters.get("updatedReplicas", 0):
        return conditions
    subject = f'Deployment "{name_of(workload)}"' if sets.new is None else f'ReplicaSet "{name_of(sets.new)}"'
    if is_complete(workload, counters):
        text = f"{subject} has successfully progressed."
        return set_condition(conditions, condition("Progressing", "True", "NewReplicaSetAvailable", text, now))
    if _has_progressed(stored, counters):
        new = condition("Progressing", "True", "ReplicaSetUpdated", f"{subject} is progressing.", now)
        if found is not None and found.get("status") == "True":
            new["lastTransitionTime"] = found.get("lastTransitionTime")
        return (*drop_condition(conditions, "Progressing"), new)
    if _is_late(workload, found, now):
        text = f"{subject} has timed out progressing."
        return set_condition(conditions, condition("Progressing", "False", "ProgressDeadlineExceeded", text, now))
    return conditions


def _has_progressed(old: Object, new: Object) -> bool:
    def number(status: Object, key: str) -> int:
        return int(status.get(key) or 0)

    def outdated(status: Object) -> int:
        return number(status, "replicas") - number(status, "updatedReplicas")

    grown = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return outdated(new) < outdated(old) or any(number(new, key) > number(old, key) for key in grown)


def _is_late(workload: Object, found: Object | None, now: datetime) -> bool:
    seconds = deadline_of(workload)
    if seconds is None or found is None or found.get("reason") == "NewReplicaSetAvailable":
        return False
    if found.get("reason") == "ProgressDeadlineExceeded":
        return True
    return _updated_at(found) + timedelta(seconds=seconds) < now


def _updated_at(found: Object) -> datetime:
    return parse_time(str(found.get("lastUpdateTime") or found.get("lastTransitionTime")))


def _replica_failure(sets: Sets) -> Object | None:
    """Return the failure of the new ReplicaSet, or of any if there is none."""
    candidates = sets.all if sets.new is None else (sets.new, *sets.old)
    found = (condition_of(each, "ReplicaFailure") for each in candidates)
    return next((each for each in found if each is not None), None)


def _find(conditions: Sequence[Object], kind: str) -> Object | None:
    return next((each for each in conditions if each.get("type") == kind), None)
