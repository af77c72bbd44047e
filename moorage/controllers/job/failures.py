"""When a pod of a Job counts as failed, what its failure means, and how long to wait before the next try.

Source: pkg/controller/job/{job_controller,pod_failure_policy,backoff_utils}.go (v1.37).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from moorage.objects import pods as pod_facts
from moorage.objects.metadata import (
    Object,
    annotations_of,
    condition_of,
    is_terminating,
    metadata_of,
    name_of,
    namespace_of,
    parse_time,
    uid_of,
)

#: How long to wait after the first failure, and at most, in seconds. Source: DefaultJobPodFailureBackOff, Max….
BACKOFF_FIRST: Final = 10.0
BACKOFF_MOST: Final = 600.0

#: After so many failures in a row the wait grows no more, so that no more of them are worth remembering.
FAILURES_MOST: Final = 8

#: How often pods of an index have failed, and how often that did not count.
FAILURES: Final = "batch.kubernetes.io/job-index-failure-count"
IGNORED_FAILURES: Final = "batch.kubernetes.io/job-index-ignored-failure-count"


class Judgement(NamedTuple):
    """What the pod failure policy says about a failed pod: its action ("" if no rule matches), and why it fails the Job."""

    action: str = ""
    message: str = ""

    @property
    def counts(self) -> bool:
        """Whether the failure counts towards the limits."""
        return self.action != "Ignore"


def replaces_failed_only(job: Object) -> bool:
    """Tell whether a terminating pod is replaced only once it has failed."""
    policy = job["spec"].get("podReplacementPolicy")
    return bool(policy == "Failed" if policy else job["spec"].get("podFailurePolicy"))


def is_failed(job: Object, pod: Object) -> bool:
    """Tell whether the pod failed; one that is being deleted counts unless only failed pods are replaced."""
    if pod_facts.is_failed(pod):
        return True
    return not replaces_failed_only(job) and is_terminating(pod) and not pod_facts.is_succeeded(pod)


def judge(job: Object, pod: Object) -> Judgement:
    """Return what the first matching rule of the Job's pod failure policy says about a failed pod."""
    rules = (job["spec"].get("podFailurePolicy") or {}).get("rules") or ()
    where = f"{namespace_of(pod)}/{name_of(pod)}"
    for number, rule in enumerate(rules):
        action = str(rule.get("action"))
        if wanted := rule.get("onExitCodes"):
            found = next(_matching_containers(pod, wanted), None)
            told = found and f"Container {found[0]} for pod {where} failed with exit code {found[1]}"
        else:
            kind = _matching_condition(pod, rule.get("onPodConditions") or ())
            told = kind and f"Pod {where} has condition {kind}"
        if told:
            return Judgement(action, f"{told} matching {action} rule at index {number}")
    return Judgement()


def failure_of_job(job: Object, pods: Iterable[Object]) -> str:
    """Return why the pod failure policy fails the whole Job, "" if it does not."""
    if not job["spec"].get("podFailurePolicy"):
        return ""
    verdicts = (judge(job, pod) for pod in pods if is_failed(job, pod))
    return next((each.message for each in verdicts if each.action == "FailJob"), "")


def has_restarted_too_often(job: Object, pods: Iterable[Object]) -> bool:
    """Tell whether containers that restart in place have used up the back-off limit."""
    if job["spec"]["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    restarts = sum(
        int(each.get("restartCount") or 0)
        for pod in pods
        if pod_facts.phase_of(pod) in {"Running", "Pending"}
        for each in _statuses(pod)
    )
    return restarts >= max(1, backoff_limit_of(job))


def backoff_limit_of(job: Object) -> int:
    """Return how many failures the Job tolerates."""
    limit = job["spec"].get("backoffLimit")
    return 6 if limit is None else int(limit)


def finished_at(pod: Object) -> datetime | None:
    """Return when the pod ended: its last container, or it was not ready any more, or deletion was asked for."""
    ends: list[Any] = [
        ((each.get("state") or {}).get("terminated") or {}).get("finishedAt") for each in _own_statuses(pod)
    ]
    if ends and all(ends):
        return max(map(parse_time, ends))
    ready = condition_of(pod, "Ready")
    if ready is not None and ready.get("status") == "False" and ready.get("lastTransitionTime"):
        return parse_time(ready["lastTransitionTime"])
    metadata = metadata_of(pod)
    if metadata.get("deletionTimestamp"):
        grace = int(metadata.get("deletionGracePeriodSeconds") or 0)
        return parse_time(metadata["deletionTimestamp"]) - timedelta(seconds=grace)
    return parse_time(metadata["creationTimestamp"]) if metadata.get("creationTimestamp") else None


def wait_after(failures: int, last: datetime | None, now: datetime) -> float:
    """Return the seconds to wait before the next try after so many failures in a row, 0 if it may be now."""
    if not failures or last is None:
        return 0.0
    wait = min(BACKOFF_MOST, BACKOFF_FIRST * 2.0 ** (min(failures, FAILURES_MOST) - 1))
    return max(0.0, (last + timedelta(seconds=wait) - now).total_seconds())


def failures_at_index(pod: Object) -> tuple[int, int]:
    """Return how often pods of the index had failed before this one, counting and not counting towards the limit."""
    return _number(pod, FAILURES), _number(pod, IGNORED_FAILURES)


def failures_after(job: Object, failed: Object | None) -> dict[str, str]:
    """Return the annotations that count failures for the pod that replaces `failed` (None: the first of its index)."""
    counted, ignored = (0, 0) if failed is None else failures_at_index(failed)
    if failed is not None:
        if judge(job, failed).counts:
            counted += 1
        else:
            ignored += 1
    return {FAILURES: str(counted)} | ({IGNORED_FAILURES: str(ignored)} if ignored else {})


def has_failed_index(job: Object, pod: Object) -> bool:
    """Tell whether the failure of this pod is the end of its index."""
    if not is_failed(job, pod):
        return False
    verdict = judge(job, pod)
    if verdict.action == "FailIndex":
        return True
    return verdict.counts and failures_at_index(pod)[0] >= int(job["spec"]["backoffLimitPerIndex"])


@dataclass(slots=True)
class History:
    """What is remembered of a Job's pods that ended: the last success, and failures after it by uid of the pod."""

    succeeded: datetime | None
    failed: dict[str, datetime]

    def note(self, job: Object, pods: Iterable[Object]) -> None:
        """Remember the pods that ended; noting one twice changes nothing."""
        for pod in pods:
            at = finished_at(pod)
            if at is None:
                continue
            if pod_facts.is_succeeded(pod):
                self.succeeded = at if self.succeeded is None else max(self.succeeded, at)
            elif is_failed(job, pod):
                self.failed[uid_of(pod)] = at
        left = [(at, uid) for uid, at in self.failed.items() if self.succeeded is None or at > self.succeeded]
        self.failed = {uid: at for at, uid in sorted(left)[-FAILURES_MOST:]}

    def wait(self, now: datetime) -> float:
        """Return the seconds until the next pod may be tried."""
        return wait_after(len(self.failed), max(self.failed.values(), default=None), now)


def _number(pod: Object, annotation: str) -> int:
    text = annotations_of(pod).get(annotation, "")
    return int(text) if text.isdecimal() else 0


def _own_statuses(pod: Object) -> list[Mapping[str, Any]]:
    return list(pod_facts.container_statuses_of(pod))


def _statuses(pod: Object) -> list[Mapping[str, Any]]:
    return [*_own_statuses(pod), *(pod_facts.status_of(pod).get("initContainerStatuses") or ())]


def _matching_containers(pod: Object, wanted: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield name and exit code of the containers that failed as an onExitCodes requirement asks for."""
    named, values = wanted.get("containerName"), wanted.get("values") or ()
    for each in _statuses(pod):
        code = ((each.get("state") or {}).get("terminated") or {}).get("exitCode")
        if code and named in (None, each.get("name")) and (code in values) == (wanted.get("operator") == "In"):
            yield str(each.get("name")), int(code)


def _matching_condition(pod: Object, patterns: Iterable[Mapping[str, Any]]) -> str:
    """Return the type of the pod's first condition that a pattern asks for, "" if there is none."""
    wanted = {(each.get("type"), each.get("status") or "True") for each in patterns}
    conditions = pod_facts.status_of(pod).get("conditions") or ()
    return next((str(each["type"]) for each in conditions if (each.get("type"), each.get("status")) in wanted), "")
