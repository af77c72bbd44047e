"""What a StatefulSet reports about its pods. Source: stateful_set_control.go updateStatus, completeRollingUpdate (v1.37)."""

from collections.abc import Iterable
from typing import Any

from moorage.controllers.statefulset.ordering import Replica
from moorage.controllers.statefulset.revisions import Revisions
from moorage.objects.metadata import Object, generation_of, name_of
from moorage.objects.workloads import replicas_of

#: Counters that JSON leaves out when they are zero.
_SPARSE = ("readyReplicas", "currentReplicas", "updatedReplicas")


def status_for(workload: Object, revisions: Revisions, pods: Iterable[Replica], replaced: int = 0) -> dict[str, Any]:
    """Return the complete status. `pods` are those that exist, `replaced` how many of them this round updates.

    Once every wanted pod is ready at the update revision, that is the current one.
    """
    pods = tuple(pods)
    staying = [each for each in pods if not each.is_terminating]
    current, update = name_of(revisions.current), name_of(revisions.update)
    status: dict[str, Any] = {
        "observedGeneration": generation_of(workload),
        "replicas": len(pods),
        "readyReplicas": sum(each.is_ready for each in pods),
        "availableReplicas": sum(each.is_available for each in pods),
        "currentReplicas": sum(each.revision == current for each in staying) - replaced,
        "updatedReplicas": sum(each.revision == update for each in staying),
        "currentRevision": current,
        "updateRevision": update,
        "collisionCount": revisions.collisions,
    }
    wanted = replicas_of(workload)
    if status["updatedReplicas"] == status["readyReplicas"] == status["replicas"] == wanted:
        status["currentReplicas"] = status["updatedReplicas"]
        status["currentRevision"] = update
    return {key: value for key, value in status.items() if value or key not in _SPARSE}


def is_reported(workload: Object, status: Object) -> bool:
    """Tell whether the set's stored status says the same; what others put there (conditions) does not matter.

    Such additions go with the next write, because the controller knows no conditions.
    """
    stored = workload.get("status") or {}
    return {key: value for key, value in stored.items() if key != "conditions"} == status
