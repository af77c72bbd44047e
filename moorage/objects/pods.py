"""What can be said about a pod from its object alone: predicates that controllers, scheduler and node share.

Nothing here decides what to do. Source: pkg/api/v1/pod and pkg/controller/controller_utils.go (v1.37).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from moorage.objects.metadata import Object, condition_of, is_condition_true, is_terminating, parse_time

#: A pod in one of these phases never runs again.
FINAL_PHASES = frozenset({"Succeeded", "Failed"})

#: Holds a Job's pod until the Job has counted its end.
JOB_FINALIZER: Final = "batch.kubernetes.io/job-tracking"

_NOTHING: Mapping[str, Any] = {}


def spec_of(pod: Object) -> Mapping[str, Any]:
    """Return the spec, empty if there is none."""
    return pod.get("spec") or _NOTHING


def status_of(pod: Object) -> Mapping[str, Any]:
    """Return the status, empty if there is none."""
    return pod.get("status") or _NOTHING


def phase_of(pod: Object) -> str:
    """Return the phase, "" before the API server has set one."""
    status = pod.get("status")
    return str(status.get("phase") or "") if status else ""


def node_of(pod: Object) -> str:
    """Return the name of the node that the pod is bound to, "" while it is not."""
    return str(spec_of(pod).get("nodeName") or "")


def pod_condition(pod: Object, kind: str) -> Object | None:
    """Return the condition of this type, None if there is none."""
    return condition_of(pod, kind)


def is_pending(pod: Object) -> bool:
    """Tell whether the pod has not started yet."""
    return phase_of(pod) == "Pending"


def is_running(pod: Object) -> bool:
    """Tell whether the phase is Running."""
    return phase_of(pod) == "Running"


def is_failed(pod: Object) -> bool:
    """Tell whether the pod ended with a failure."""
    return phase_of(pod) == "Failed"


def is_succeeded(pod: Object) -> bool:
    """Tell whether the pod ended well."""
    return phase_of(pod) == "Succeeded"


def is_finished(pod: Object) -> bool:
    """Tell whether the pod ended, well or not."""
    return phase_of(pod) in FINAL_PHASES


def is_active(pod: Object) -> bool:
    """Tell whether the pod runs or may come to run: not finished and not terminating."""
    return not is_finished(pod) and not is_terminating(pod)


def is_ready(pod: Object) -> bool:
    """Tell whether the condition Ready is true (whatever the phase)."""
    return is_condition_true(pod, "Ready")


def is_running_and_ready(pod: Object) -> bool:
    """Tell whether the pod runs and is ready, which a StatefulSet asks for."""
    return is_running(pod) and is_ready(pod)


def ready_since(pod: Object) -> datetime | None:
    """Return when the pod became ready, None if it is not ready or does not say since when."""
    condition = condition_of(pod, "Ready")
    if condition is None or condition.get("status") != "True":
        return None
    since = condition.get("lastTransitionTime")
    return parse_time(since) if since else None


def is_available(pod: Object, min_ready_seconds: int, now: datetime) -> bool:
    """Tell whether the pod has been ready for `min_ready_seconds`."""
    if not is_ready(pod):
        return False
    if not min_ready_seconds:
        return True
    since = ready_since(pod)
    return since is not None and since + timedelta(seconds=min_ready_seconds) <= now


def available_in(pod: Object, min_ready_seconds: int, now: datetime) -> float | None:
    """Return the seconds until the pod becomes available if it stays ready; None if it is available, or not ready."""
    since = ready_since(pod) if min_ready_seconds else None
    if since is None:
        return None
    left = (since + timedelta(seconds=min_ready_seconds) - now).total_seconds()
    return left if left > 0 else None


def first_available_in(pods: Iterable[Object], min_ready_seconds: int, now: datetime) -> float | None:
    """Return the seconds until the next of these pods becomes available, None if no time will change that."""
    if not min_ready_seconds:
        return None
    waits = (available_in(pod, min_ready_seconds, now) for pod in pods)
    return min((wait for wait in waits if wait is not None), default=None)


def container_statuses_of(pod: Object) -> Sequence[Object]:
    """Return the statuses of the containers (not the init containers), as the node wrote them."""
    return status_of(pod).get("containerStatuses") or ()


def restarts_of(pod: Object) -> tuple[int, int]:
    """Return the highest number of restarts of a regular container, and of a restartable init container (sidecar)."""
    sidecars = {
        container.get("name")
        for container in spec_of(pod).get("initContainers") or ()
        if container.get("restartPolicy") == "Always"
    }
    regular = max((each.get("restartCount") or 0 for each in container_statuses_of(pod)), default=0)
    inits = status_of(pod).get("initContainerStatuses") or ()
    return regular, max((each.get("restartCount") or 0 for each in inits if each.get("name") in sidecars), default=0)


def claims_of(pod: Object) -> tuple[str, ...]:
    """Return the names of the claims that the pod's volumes mount, in order (ephemeral ones included)."""
    name = (pod.get("metadata") or _NOTHING).get("name") or ""
    found = []
    for volume in spec_of(pod).get("volumes") or ():
        if claim := volume.get("persistentVolumeClaim"):
            found.append(claim["claimName"])
        elif volume.get("ephemeral"):
            found.append(f"{name}-{volume['name']}")
    return tuple(found)
