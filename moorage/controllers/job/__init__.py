"""The Job controller: pods that run until enough of them have succeeded, each counted exactly once.

`observe` selects the pods of one Job, `decide` takes stock (`tracking`), says whether the Job ends and why
(`conditions`, `failures`), which pods come or go (`pods`), and what the Job reports.
Failures in a row are remembered (`failures.History`), as upstream does: pods that were deleted leave no other trace.
After a restart what can be seen of them counts.
Source: pkg/controller/job (v1.37).
Differs from Kubernetes: a round that counts pods makes none; the round after it does.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from moorage.controllers.job import conditions, failures, pods, tracking
from moorage.controllers.job.conditions import Verdict
from moorage.controllers.job.indexes import completions_of, is_indexed, write_indexes
from moorage.controllers.job.tracking import Stock, Tracked
from moorage.controllers.rule import Controller, Decision, View
from moorage.objects import pods as pod_facts
from moorage.objects.actions import Action, Patch, Record, SetStatus
from moorage.objects.label_selectors import selects
from moorage.objects.metadata import (
    Object,
    Ref,
    controller_of,
    finalizers_of,
    format_time,
    is_controlled_by,
    is_terminating,
    metadata_of,
    name_of,
    namespace_of,
    parse_time,
    uid_of,
)
from moorage.objects.pods import JOB_FINALIZER
from moorage.objects.workloads import adopted, adoptions, is_adoptable, owner_refs, release

RESOURCE: Final = "jobs.batch"

#: What `spec.managedBy` says of Jobs that are ours.
MANAGER: Final = "kubernetes.io/job-controller"


@dataclass(frozen=True, slots=True)
class Observed:
    """A Job (None: it is gone or over, as `ref` says), and the pods that it controls or may adopt."""

    ref: Ref
    job: Object | None
    pods: Sequence[Object]


class Outlook(NamedTuple):
    """How the Job stands after this round: its end if one was decided, the pods that come and go.

    is_managed: it goes on, and its pods were looked after. ends_pods: what still runs counts when it is deleted.
    """

    verdict: Verdict | None
    step: pods.Step
    is_managed: bool = False
    ends_pods: bool = False


class Jobs:
    """Decides about Jobs, and remembers failures by Job."""

    def __init__(self) -> None:
        #: (namespace, name) -> uid of the Job, and what is remembered of its pods.
        self._histories: dict[tuple[str, str], tuple[str, failures.History]] = {}

    def observe(self, view: View, ref: Ref) -> Observed | None:
        """Select what matters to the Job at `ref`; None for one that is somebody else's, or over."""
        job = view.get(RESOURCE, ref.namespace, ref.name)
        if job is None or conditions.is_over(job):
            return Observed(ref, None, ()) if (ref.namespace, ref.name) in self._histories else None
        if not is_ours(job):
            return None
        found = [pod for pod in view.owned("pods", uid_of(job)) if is_controlled_by(pod, job)]
        found += [pod for pod in view.orphans("pods", ref.namespace) if selects(job, pod) and is_adoptable(pod, job)]
        return Observed(ref, job, found)

    def decide(self, observed: Observed, now: datetime) -> Decision:
        """Return what the Job needs next."""
        key = (observed.ref.namespace, observed.ref.name)
        if observed.job is None:
            self._histories.pop(key, None)
            return Decision(because="the job is over")
        membership, members = settle_pods(observed.job, observed.pods)
        decision = decide(observed.job, members, self._history(key, observed.job, members), now)
        return Decision((*membership, *decision.actions), decision.look_again_in, decision.because)

    def controller(self) -> Controller:
        """Return the controller that this is the rule of."""
        return Controller(
            name="job-controller",
            kind=RESOURCE,
            wakes={"pods": wakes},
            observe=self.observe,
            decide=self.decide,
        )

    def _history(self, key: tuple[str, str], job: Object, members: Iterable[Object]) -> failures.History:
        uid, history = self._histories.get(key, ("", failures.History(None, {})))
        if uid != uid_of(job):
            history = failures.History(None, {})
        history.note(job, members)
        self._histories[key] = (uid_of(job), history)
        return history


def decide(job: Object, members: Sequence[Object], history: failures.History, now: datetime) -> Decision:
    """Return what a Job with these pods needs next."""
    stock = tracking.take_stock(job, members)
    delayed = tracking.delayed_pods(job, stock)
    outlook = _outlook(job, stock, history, now)
    tracked = tracking.track(job, stock, outlook.verdict, delayed)
    if tracked.released and outlook.step.made:
        outlook = outlook._replace(step=pods.Step(wait=outlook.step.wait))
    status, told = _status_for(job, stock, outlook, tracked, now)
    stored = job.get("status") or {}
    failed = {**status}
    if outlook.step.made:
        failed = _without_zero({**status, "active": len(stock.active)})
    write = SetStatus(RESOURCE, {**job, "status": status}, None if failed == stored else failed, status == stored)
    changes = (
        *pods.delete(job, outlook.step.condemned, uncounted=not outlook.ends_pods),
        *pods.create(job, outlook.step.made),
    )
    return Decision(
        (*changes, write, *told, *tracked.released),
        look_again_in=_look_again_in(job, outlook, now),
        because=_because(stock, outlook),
    )


def is_ours(job: Object) -> bool:
    """Tell whether this controller is responsible for the Job."""
    return (job["spec"].get("managedBy") or MANAGER) == MANAGER


def settle_pods(job: Object, found: Iterable[Object]) -> tuple[tuple[Action, ...], list[Object]]:
    """Return the adoptions and releases, and the pods that the Job then has."""
    found = list(found)
    orphans = [_tracked(pod) for pod in found if controller_of(pod) is None]
    ours = [pod for pod in found if controller_of(pod) is not None]
    freed = [pod for pod in ours if not selects(job, pod)]
    actions: list[Action] = []
    for action in adoptions("pods", RESOURCE, job, orphans):
        if isinstance(action, Patch):
            pod = next(each for each in orphans if uid_of(each) == action.ref.uid)
            metadata = {**action.patch["metadata"], "finalizers": list(finalizers_of(pod))}
            action = Patch(action.ref, {"metadata": metadata})  # noqa: PLW2901 (the same action, with the finalizer)
        actions.append(action)
    for pod in freed if not is_terminating(job) else ():
        left = [each for each in finalizers_of(pod) if each != JOB_FINALIZER]
        patch = release("pods", pod, job)
        actions.append(Patch(patch.ref, {"metadata": {**patch.patch["metadata"], "finalizers": left or None}}))
    kept = [pod for pod in ours if selects(job, pod)]
    return tuple(actions), kept + [adopted(pod, job) for pod in orphans]


def _tracked(pod: Object) -> Object:
    if tracking.is_tracked(pod):
        return pod
    return {**pod, "metadata": {**metadata_of(pod), "finalizers": [*finalizers_of(pod), JOB_FINALIZER]}}


def _outlook(job: Object, stock: Stock, history: failures.History, now: datetime) -> Outlook:
    """Decide whether the Job ends; if it does not, which pods come or go."""
    verdict = conditions.standing_verdict(job) or _failure(job, stock, now) or _success_by_policy(job, stock)
    if verdict is not None:
        return Outlook(verdict, pods.Step(condemned=stock.active), ends_pods=True)
    step = pods.Step()
    if not is_terminating(job):
        step = pods.next_step(job, stock, tracking.delayed_pods(job, stock), history.wait(now), now)
    active = len(stock.active) - len(step.condemned) + len(step.made)
    succeeded, completions = tracking.succeeded_total(stock, job), completions_of(job)
    enough = succeeded > 0 if completions is None else succeeded >= completions
    if enough and not active:
        return Outlook(conditions.COMPLETE, step)
    return Outlook(None, step, is_managed=not is_terminating(job))


def _failure(job: Object, stock: Stock, now: datetime) -> Verdict | None:
    """Return why the Job fails, None if it does not."""
    if message := failures.failure_of_job(job, stock.pods):
        return Verdict("FailureTarget", "PodFailurePolicy", message)
    failed = tracking.failed_total(stock, job)
    if failed > failures.backoff_limit_of(job) or failures.has_restarted_too_often(job, stock.pods):
        return conditions.TOO_MANY_FAILURES
    left = _deadline_in(job, now)
    if left is not None and left <= 0:
        return conditions.TOO_LATE
    if not stock.failed_indexes:
        return None
    most = job["spec"].get("maxFailedIndexes")
    if most is not None and len(stock.failed_indexes) > int(most):
        return conditions.TOO_MANY_FAILED_INDEXES
    if len(stock.failed_indexes) + len(stock.succeeded_indexes) >= (completions_of(job) or 0):
        return conditions.FAILED_INDEXES
    return None


def _success_by_policy(job: Object, stock: Stock) -> Verdict | None:
    return conditions.match_success_policy(job, stock.succeeded_indexes) if is_indexed(job) else None


def _deadline_in(job: Object, now: datetime) -> float | None:
    """Return the seconds until the Job has been active for too long, None if that cannot happen."""
    seconds = job["spec"].get("activeDeadlineSeconds")
    started = (job.get("status") or {}).get("startTime")
    if seconds is None or job["spec"].get("suspend"):
        return None
    if not started:
        return float(seconds)
    return float(seconds) - (now - parse_time(started)).total_seconds()


def _status_for(
    job: Object, stock: Stock, outlook: Outlook, tracked: Tracked, now: datetime
) -> tuple[dict[str, Any], tuple[Record, ...]]:
    """Return the complete status, and the Events about what it newly says."""
    stored = job.get("status") or {}
    step, verdict = outlook.step, outlook.verdict
    told: tuple[Record, ...] = ()
    found = list(conditions.conditions_of(job))
    started = stored.get("startTime")
    if started is None and not job["spec"].get("suspend"):
        started = format_time(now)
    if outlook.is_managed:
        changed, told = conditions.suspension(job, now)
        if changed is not None:
            if any(each.get("type") == "Suspended" for each in found):
                found = [changed if each.get("type") == "Suspended" else each for each in found]
            else:
                found.append(changed)
            started = format_time(now) if changed["status"] == "False" else None
    if verdict is not None and not verdict.is_stored:
        found.append(conditions.interim(verdict, now))
    gone = {uid_of(pod) for pod in step.condemned}
    status = {
        **_counters(job, stock, tracked),
        "active": len(stock.active) - len(gone) + len(step.made),
        "ready": sum(pod_facts.is_ready(pod) for pod in stock.active if uid_of(pod) not in gone),
        "terminating": stock.terminating + len(gone),
        "conditions": found,
        "startTime": started,
        "completionTime": stored.get("completionTime"),
    }
    if verdict is not None and _is_counted(tracked) and not status["terminating"]:
        found.append(conditions.terminal(verdict, now))
        if verdict.is_success:
            status["completionTime"] = format_time(now)
        told += _farewell(job, verdict, status["succeeded"])
    return _without_zero(status), told


def _counters(job: Object, stock: Stock, tracked: Tracked) -> dict[str, Any]:
    uncounted = {"succeeded": list(tracked.uncounted_succeeded), "failed": list(tracked.uncounted_failed)}
    counters: dict[str, Any] = {
        "succeeded": len(tracked.indexes) if is_indexed(job) else stock.succeeded,
        "failed": stock.failed,
        "uncountedTerminatedPods": {key: uids for key, uids in uncounted.items() if uids},
    }
    if is_indexed(job):
        counters["completedIndexes"] = write_indexes(tracked.indexes)
    if stock.failed_indexes is not None:
        counters["failedIndexes"] = write_indexes(stock.failed_indexes)
    return counters


#: Fields that stay in the status whatever their value.
_ALWAYS: Final = frozenset({"ready", "terminating", "uncountedTerminatedPods", "failedIndexes"})


def _without_zero(status: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in status.items() if value or key in _ALWAYS}


def _is_counted(tracked: Tracked) -> bool:
    """Tell whether every pod that ended is counted for good."""
    return not (tracked.uncounted_succeeded or tracked.uncounted_failed or tracked.released)


def _farewell(job: Object, verdict: Verdict, succeeded: int) -> tuple[Record, ...]:
    if not verdict.is_success:
        return (Record(job, verdict.reason, verdict.message, kind="Warning"),)
    done = (Record(job, "Completed", "Job completed"),)
    completions = completions_of(job)
    if completions is None or succeeded <= completions:
        return done
    text = "Too many succeeded pods running after completion count reached"
    return (Record(job, "TooManySucceededPods", text, kind="Warning"), *done)


def _look_again_in(job: Object, outlook: Outlook, now: datetime) -> float | None:
    if outlook.verdict is not None:
        return None
    waits = [_deadline_in(job, now), outlook.step.wait or None]
    return min((wait for wait in waits if wait is not None), default=None)


def _because(stock: Stock, outlook: Outlook) -> str:
    if outlook.verdict is not None:
        return outlook.verdict.message
    if outlook.step.wait:
        return "waiting before the next try after a failure"
    return f"{len(stock.active)} pods are active"


def wakes(view: View, pod: Object) -> Iterable[Ref]:
    """Return the Jobs that a pod concerns: its controller, or those that might adopt it."""
    if controller_of(pod) is not None:
        return owner_refs(RESOURCE, "Job", pod)
    return [
        Ref(RESOURCE, namespace_of(each), name_of(each))
        for each in view.list(RESOURCE, namespace_of(pod))
        if selects(each, pod)
    ]
