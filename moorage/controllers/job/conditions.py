"""The conditions of a Job: what was decided about its end, that it ended, and that it is suspended.

What is decided comes first (`SuccessCriteriaMet`, `FailureTarget`); once all of its pods have ended and are counted the
terminal one follows (`Complete`, `Failed`).
Source: pkg/controller/job/job_controller.go (v1.37).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from moorage.controllers.job.indexes import completions_of, parse_indexes
from moorage.objects.actions import Record
from moorage.objects.metadata import Object, condition_of, format_time, is_condition_true

_TERMINAL: Final = {"SuccessCriteriaMet": "Complete", "FailureTarget": "Failed"}


class Verdict(NamedTuple):
    """How the Job ends: SuccessCriteriaMet or FailureTarget, with reason and message; whether its status says so already."""

    kind: str
    reason: str
    message: str
    is_stored: bool = False

    @property
    def is_success(self) -> bool:
        """Whether the Job succeeds."""
        return self.kind == "SuccessCriteriaMet"


COMPLETE: Final = Verdict("SuccessCriteriaMet", "CompletionsReached", "Reached expected number of succeeded pods")
TOO_MANY_FAILURES: Final = Verdict(
    "FailureTarget", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
)
TOO_LATE: Final = Verdict("FailureTarget", "DeadlineExceeded", "Job was active longer than specified deadline")
TOO_MANY_FAILED_INDEXES: Final = Verdict(
    "FailureTarget",
    "MaxFailedIndexesExceeded",
    "Job has exceeded the specified maximal number of failed indexes",
)
FAILED_INDEXES: Final = Verdict("FailureTarget", "FailedIndexes", "Job has failed indexes")


def is_over(job: Object) -> bool:
    """Tell whether the Job has ended, well or not."""
    return any(is_condition_true(job, kind) for kind in _TERMINAL.values())


def standing_verdict(job: Object) -> Verdict | None:
    """Return what the Job's status says was decided, None if nothing was."""
    for kind in _TERMINAL:
        condition = condition_of(job, kind)
        if condition is not None and condition.get("status") == "True":
            return Verdict(kind, str(condition.get("reason")), str(condition.get("message")), is_stored=True)
    return None


def match_success_policy(job: Object, succeeded: frozenset[int]) -> Verdict | None:
    """Return the success that the first satisfied rule of the success policy declares, None if none is satisfied."""
    rules = (job["spec"].get("successPolicy") or {}).get("rules") or ()
    if not succeeded:
        return None
    for number, rule in enumerate(rules):
        named, count = rule.get("succeededIndexes"), rule.get("succeededCount")
        required = succeeded if named is None else parse_indexes(named, completions_of(job) or 0)
        least = len(required) if count is None else int(count)
        if len(required & succeeded) >= least and (named is not None or count is not None):
            return Verdict("SuccessCriteriaMet", "SuccessPolicy", f"Matched rules at index {number}")
    return None


def conditions_of(job: Object) -> Sequence[Object]:
    """Return the conditions that are stored."""
    return (job.get("status") or {}).get("conditions") or ()


def interim(verdict: Verdict, now: datetime) -> dict[str, Any]:
    """Return the condition that says what was decided."""
    return _condition(verdict.kind, "True", verdict.reason, verdict.message, now)


def terminal(verdict: Verdict, now: datetime) -> dict[str, Any]:
    """Return the condition that says that the Job has ended."""
    return _condition(_TERMINAL[verdict.kind], "True", verdict.reason, verdict.message, now)


def suspension(job: Object, now: datetime) -> tuple[dict[str, Any] | None, tuple[Record, ...]]:
    """Return the condition Suspended if it has to change, with the Event about it."""
    stored = condition_of(job, "Suspended")
    before = stored is not None and stored.get("status") == "True"
    if bool(job["spec"].get("suspend")) == before:
        return None, ()
    if before:
        told = Record(job, "Resumed", "Job resumed")
        return _condition("Suspended", "False", "JobResumed", "Job resumed", now), (told,)
    told = Record(job, "Suspended", "Job suspended")
    return _condition("Suspended", "True", "JobSuspended", "Job suspended", now), (told,)


def _condition(kind: str, status: str, reason: str, message: str, now: datetime) -> dict[str, Any]:
    moment = format_time(now)
    return {
        "type": kind,
        "status": status,
        "lastProbeTime": moment,
        "lastTransitionTime": moment,
        "reason": reason,
        "message": message,
    }
