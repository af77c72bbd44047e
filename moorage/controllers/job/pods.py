"""Which pods a Job makes and takes away next.

Source: pkg/controller/job/job_controller.go manageJob, indexed_job_utils.go (v1.37).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from moorage.controllers.job import failures
from moorage.controllers.job.indexes import (
    INDEX,
    completions_of,
    index_of,
    indexes_of,
    is_indexed,
    prefix_for,
    with_variable,
)
from moorage.controllers.job.tracking import Stock, is_tracked, release, succeeded_total
from moorage.controllers.replicaset import rank_for_deletion
from moorage.objects.actions import Action, Create, Delete, Record
from moorage.objects.metadata import Object, is_terminating, metadata_of, name_of
from moorage.objects.pods import JOB_FINALIZER
from moorage.objects.workloads import pod_from, ref_of, template_of

#: So many pods are made or deleted in one round at most. Source: MaxPodCreateDeletePerSync.
BURST: Final = 500


class Step(NamedTuple):
    """Pods to delete, or to make; `wait` is how many seconds the next one has to wait for, 0 if for none."""

    condemned: Sequence[Object] = ()
    made: Sequence[dict[str, Any]] = ()
    wait: float = 0.0


def next_step(job: Object, stock: Stock, delayed: Mapping[int, Object], wait: float, now: datetime) -> Step:
    """Return which pods go or come. `wait` is the back-off of the Job as a whole, `delayed` are failed pods by index."""
    if job["spec"].get("suspend"):
        return Step(condemned=stock.active)
    wanted = _wanted(job, stock)
    active = len(stock.active)
    if condemned := _condemned(job, stock, max(0, active - wanted), now):
        return Step(condemned=condemned[:BURST])
    terminating = stock.terminating if failures.replaces_failed_only(job) else 0
    missing = min(wanted - terminating - active, BURST)
    if missing <= 0:
        return Step()
    if not is_indexed(job):
        return Step(wait=wait) if wait else Step(made=[_pod_for(job)] * missing)
    if stock.failed_indexes is None and wait:
        return Step(wait=wait)
    pending = _pending_indexes(job, stock, missing)
    return _for_indexes(job, pending, delayed, now)


def create(job: Object, made: Iterable[Object]) -> tuple[Create, ...]:
    """Return the actions that make these pods."""
    done = (Record(job, "SuccessfulCreate", "Created pod: {name}"),)
    failed = (Record(job, "FailedCreate", "Error creating: {error}", kind="Warning"),)
    return tuple(Create("pods", pod, done=done, failed=failed, together=True) for pod in made)


def delete(job: Object, pods: Sequence[Object], *, uncounted: bool) -> tuple[Action, ...]:
    """Return the actions that delete pods; `uncounted` ones lose their finalizer first, so that they do not count."""
    freed = tuple(release(pod) for pod in pods if uncounted and is_tracked(pod))
    failed = (Record(job, "FailedDelete", "Error deleting: {error}", kind="Warning"),)
    return freed + tuple(
        Delete(
            ref_of("pods", pod),
            done=(Record(job, "SuccessfulDelete", f"Deleted pod: {name_of(pod)}"),),
            failed=failed,
            together=True,
        )
        for pod in pods
    )


def _wanted(job: Object, stock: Stock) -> int:
    """Return how many pods should be active."""
    parallelism = job["spec"].get("parallelism")
    parallelism = 1 if parallelism is None else int(parallelism)
    completions = completions_of(job)
    if completions is None:
        return len(stock.active) if succeeded_total(stock, job) else parallelism
    return max(0, min(parallelism, completions - succeeded_total(stock, job)))


def _condemned(job: Object, stock: Stock, least: int, now: datetime) -> list[Object]:
    """Return the active pods that must go: those with an index that is taken or not asked for, then the least missed."""
    condemned: list[Object] = []
    left = list(stock.active)
    if is_indexed(job):
        best: dict[int, Object] = {}
        for pod in rank_for_deletion(stock.active, {}, now):
            index = index_of(job, pod)
            if index is None:
                condemned.append(pod)
                continue
            if index in best:
                condemned.append(best[index])
            best[index] = pod
        left = list(best.values())
    if len(condemned) < least:
        condemned += rank_for_deletion(left, {}, now)[: least - len(condemned)]
    return condemned


def _pending_indexes(job: Object, stock: Stock, count: int) -> list[int]:
    """Return the first indexes that nobody works on and that have not ended."""
    busy = stock.succeeded_indexes | indexes_of(job, stock.active) | (stock.failed_indexes or frozenset())
    if failures.replaces_failed_only(job):
        busy |= indexes_of(job, filter(is_terminating, stock.pods))
    pending: list[int] = []
    for index in range(completions_of(job) or 0):
        if len(pending) == count:
            break
        if index not in busy:
            pending.append(index)
    return pending


def _for_indexes(job: Object, pending: Sequence[int], delayed: Mapping[int, Object], now: datetime) -> Step:
    """Return the pods of these indexes that may be made now; each waits for its own failures."""
    made = []
    waits = []
    for index in pending:
        failed = delayed.get(index)
        if failed is not None:
            count = sum(failures.failures_at_index(failed)) + 1
            if left := failures.wait_after(count, failures.finished_at(failed), now):
                waits.append(left)
                continue
        made.append(_pod_at(job, index, failed))
    return Step(made=made, wait=min(waits, default=0.0))


def _pod_for(job: Object) -> dict[str, Any]:
    pod = pod_from(template_of(job), job)
    finalizers = list(pod["metadata"].get("finalizers") or ())
    pod["metadata"]["finalizers"] = finalizers if JOB_FINALIZER in finalizers else [*finalizers, JOB_FINALIZER]
    return pod


def _pod_at(job: Object, index: int, failed: Object | None) -> dict[str, Any]:
    """Return the pod for an index; `failed` is the one that it replaces, if failures of indexes are counted."""
    pod = _pod_for(job)
    metadata = pod["metadata"]
    metadata["generateName"] = prefix_for(job, index)
    metadata["labels"] = {**(metadata.get("labels") or {}), INDEX: str(index)}
    annotations = {**(metadata_of(pod).get("annotations") or {}), INDEX: str(index)}
    if job["spec"].get("backoffLimitPerIndex") is not None:
        annotations |= failures.failures_after(job, failed)
    metadata["annotations"] = annotations
    pod["spec"] = {**with_variable(pod["spec"]), "hostname": f"{name_of(job)}-{index}"}
    return pod
