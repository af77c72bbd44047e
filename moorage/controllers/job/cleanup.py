"""What is left of Jobs: those that are over for long enough, and pods that wait to be counted by a Job that never will.

Source: pkg/controller/ttlafterfinished, pkg/controller/job/job_controller.go syncOrphanPod (v1.37).
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from moorage.controllers.job.conditions import is_over
from moorage.controllers.job.tracking import is_tracked, release
from moorage.controllers.rule import Controller, Decision, View
from moorage.objects.actions import Delete
from moorage.objects.metadata import (
    Object,
    Ref,
    condition_of,
    controller_of,
    is_terminating,
    name_of,
    namespace_of,
    parse_time,
    uid_of,
)
from moorage.objects.workloads import ref_of

RESOURCE: Final = "jobs.batch"


def observe(view: View, ref: Ref) -> Object | None:
    """Select a Job that is over and says how long it may stay after that."""
    job = view.get(RESOURCE, ref.namespace, ref.name)
    if job is None or is_terminating(job) or job["spec"].get("ttlSecondsAfterFinished") is None:
        return None
    return job if is_over(job) else None


def decide(job: Object, now: datetime) -> Decision:
    """Delete the Job once its time is over."""
    left = int(job["spec"]["ttlSecondsAfterFinished"]) - (now - _over_since(job, now)).total_seconds()
    if left > 0:
        return Decision(look_again_in=left, because="the Job may stay for some time")
    return Decision(
        (Delete(ref_of(RESOURCE, job), propagation="Foreground"),), because="the Job has stayed long enough"
    )


def _over_since(job: Object, now: datetime) -> datetime:
    found = [condition_of(job, kind) for kind in ("Complete", "Failed")]
    times = [each.get("lastTransitionTime") for each in found if each is not None and each.get("status") == "True"]
    return parse_time(times[0]) if times and times[0] else now


def observe_orphan(view: View, ref: Ref) -> Object | None:
    """Select a pod that waits to be counted although there is no Job any more that counts it."""
    pod = view.get("pods", ref.namespace, ref.name) if ref.resource == "pods" else None
    if pod is None or not is_tracked(pod):
        return None
    owner = controller_of(pod)
    if owner is None:
        return pod
    if owner.get("kind") != "Job" or not str(owner.get("apiVersion")).startswith("batch/"):
        return None
    job = view.get(RESOURCE, ref.namespace, str(owner.get("name")))
    return pod if job is None or uid_of(job) != owner.get("uid") or is_over(job) else None


def decide_orphan(pod: Object, now: datetime) -> Decision:
    """Let the pod go."""
    return Decision((release(pod),), because="no Job counts the pod any more")


def _pods_of(view: View, job: Object) -> Iterable[Ref]:
    """Return the pods of a Job that wait to be counted; what the Job has become is looked at later."""
    return [Ref("pods", namespace_of(pod), name_of(pod)) for pod in view.owned("pods", uid_of(job)) if is_tracked(pod)]


def _orphans(view: View, pod: Object) -> Iterable[Ref]:
    """Return the pod itself if nobody counts it: most pods wake nobody."""
    ref = Ref("pods", namespace_of(pod), name_of(pod))
    return (ref,) if is_tracked(pod) and observe_orphan(view, ref) is not None else ()


TTL_CONTROLLER = Controller(
    name="ttl-after-finished-controller",
    kind=RESOURCE,
    wakes={},
    observe=observe,
    decide=decide,
)
ORPHAN_CONTROLLER = Controller(
    name="job-controller",
    kind=RESOURCE,
    wakes={RESOURCE: _pods_of, "pods": _orphans},
    observe=observe_orphan,
    decide=decide_orphan,
    sweeps=True,
)
