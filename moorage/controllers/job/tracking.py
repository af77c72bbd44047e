"""Counting each pod of a Job exactly once: a finalizer keeps a pod until its end is written in the Job's status.

First the uids of ended pods go to `status.uncountedTerminatedPods`, then their finalizers, then the uids become numbers.
Succeeded pods of Indexed Jobs need no uids: their indexes say who was counted.
Source: pkg/controller/job/{job_controller,tracking_utils}.go (v1.37).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from moorage.controllers.job import failures
from moorage.controllers.job.conditions import Verdict
from moorage.controllers.job.indexes import completions_of, index_of, indexes_of, is_indexed, parse_indexes
from moorage.objects import pods as pod_facts
from moorage.objects.actions import Patch
from moorage.objects.metadata import Object, finalizers_of, is_terminating, uid_of
from moorage.objects.pods import JOB_FINALIZER
from moorage.objects.workloads import ref_of

#: So many pods are counted in one round at most. Source: MaxUncountedPods.
COUNTED_MOST: Final = 500


class Stock(NamedTuple):
    """What the Job's status and its pods add up to.

    pods: all of them; active: neither ended nor being deleted. succeeded, failed: numbers that stand for good.
    uncounted_…: uids of pods that are noted and keep their finalizer. new_…: ended pods that nobody noted yet.
    failed_indexes: None for a Job without a limit for each index.
    """

    pods: Sequence[Object]
    active: Sequence[Object]
    succeeded: int
    failed: int
    uncounted_succeeded: tuple[str, ...]
    uncounted_failed: tuple[str, ...]
    new_succeeded: Sequence[Object]
    new_failed: Sequence[Object]
    counted_indexes: frozenset[int] = frozenset()
    succeeded_indexes: frozenset[int] = frozenset()
    failed_indexes: frozenset[int] | None = None

    @property
    def terminating(self) -> int:
        """How many pods are being deleted and still run."""
        return sum(is_terminating(pod) and not pod_facts.is_finished(pod) for pod in self.pods)


class Tracked(NamedTuple):
    """What a round counts: the uids that are noted then, the indexes that succeeded, and the finalizers that go after."""

    uncounted_succeeded: tuple[str, ...]
    uncounted_failed: tuple[str, ...]
    indexes: frozenset[int]
    released: tuple[Patch, ...]


def is_tracked(pod: Object) -> bool:
    """Tell whether the pod is kept until it is counted."""
    return JOB_FINALIZER in finalizers_of(pod)


def take_stock(job: Object, pods: Sequence[Object]) -> Stock:
    """Return where the Job stands."""
    stored: Mapping[str, Any] = job.get("status") or {}
    noted = stored.get("uncountedTerminatedPods") or {}
    tracked = {uid_of(pod) for pod in pods if is_tracked(pod)}
    before = {key: tuple(noted.get(key) or ()) for key in ("succeeded", "failed")}
    kept = {key: tuple(uid for uid in uids if uid in tracked) for key, uids in before.items()}
    counts = {key: int(stored.get(key) or 0) + len(before[key]) - len(kept[key]) for key in before}
    known = {*kept["succeeded"], *kept["failed"]}
    fresh = [pod for pod in pods if is_tracked(pod) and uid_of(pod) not in known and _is_asked_for(job, pod)]
    stock = Stock(
        pods=pods,
        active=[pod for pod in pods if pod_facts.is_active(pod)],
        succeeded=counts["succeeded"],
        failed=counts["failed"],
        uncounted_succeeded=kept["succeeded"],
        uncounted_failed=kept["failed"],
        new_succeeded=[pod for pod in fresh if pod_facts.is_succeeded(pod)],
        new_failed=[pod for pod in fresh if failures.is_failed(job, pod)],
    )
    return _with_indexes(job, stock) if is_indexed(job) else stock


def succeeded_total(stock: Stock, job: Object) -> int:
    """Return how many pods have succeeded, counted or not."""
    if is_indexed(job):
        return len(stock.succeeded_indexes)
    return stock.succeeded + len(stock.uncounted_succeeded) + len(stock.new_succeeded)


def failed_total(stock: Stock, job: Object) -> int:
    """Return how many failures count towards the limit."""
    fresh = sum(failures.judge(job, pod).counts for pod in stock.new_failed)
    return stock.failed + len(stock.uncounted_failed) + fresh


def delayed_pods(job: Object, stock: Stock) -> dict[int, Object]:
    """Return by index the failed pod that must stay until its index has a new one, because it carries the failures."""
    if stock.failed_indexes is None:
        return {}
    settled = stock.succeeded_indexes | stock.failed_indexes | indexes_of(job, stock.active)
    delayed: dict[int, Object] = {}
    for pod in stock.new_failed:
        index = index_of(job, pod)
        if index is None or index in settled:
            continue
        if index not in delayed or _failures(delayed[index]) <= _failures(pod):
            delayed[index] = pod
    return delayed


def track(job: Object, stock: Stock, verdict: Verdict | None, delayed: Mapping[int, Object]) -> Tracked:
    """Return what this round counts."""
    succeeded, failed = list(stock.uncounted_succeeded), list(stock.uncounted_failed)
    indexes = set(stock.counted_indexes)
    released = []
    held = {uid_of(pod) for pod in delayed.values()}
    all_go = verdict is not None or is_terminating(job)
    added = 0
    for pod in stock.pods:
        uid, is_failed = uid_of(pod), failures.is_failed(job, pod)
        ended = pod_facts.is_succeeded(pod) or (is_failed and uid not in held)
        if not is_tracked(pod) or not (all_go or ended):
            continue
        released.append(release(pod))
        if uid in succeeded or uid in failed or not _is_asked_for(job, pod):
            continue
        if pod_facts.is_succeeded(pod):
            if is_indexed(job):
                indexes.add(index_of(job, pod) or 0)
            else:
                succeeded.append(uid)
        elif (is_failed or (verdict is not None and not verdict.is_success)) and failures.judge(job, pod).counts:
            failed.append(uid)
        added += 1
        if added >= COUNTED_MOST:
            break
    return Tracked(tuple(succeeded), tuple(failed), frozenset(indexes), tuple(released))


def release(pod: Object) -> Patch:
    """Return the action by which a pod loses the finalizer."""
    left = [each for each in finalizers_of(pod) if each != JOB_FINALIZER]
    return Patch(ref_of("pods", pod), {"metadata": {"finalizers": left or None}})


def _with_indexes(job: Object, stock: Stock) -> Stock:
    stored: Mapping[str, Any] = job.get("status") or {}
    completions = completions_of(job) or 0
    counted = parse_indexes(stored.get("completedIndexes") or "", completions)
    failed = None
    if job["spec"].get("backoffLimitPerIndex") is not None:
        failed = parse_indexes(stored.get("failedIndexes") or "", completions)
        failed |= indexes_of(job, (pod for pod in stock.new_failed if failures.has_failed_index(job, pod)))
    return stock._replace(
        counted_indexes=counted,
        succeeded_indexes=counted | indexes_of(job, stock.new_succeeded),
        failed_indexes=failed,
    )


def _is_asked_for(job: Object, pod: Object) -> bool:
    """Tell whether the pod counts at all: in an Indexed Job only with an index below the completions."""
    return not is_indexed(job) or index_of(job, pod) is not None


def _failures(pod: Object) -> int:
    return sum(failures.failures_at_index(pod))
