"""The CronJob controller: a Job for each time that a schedule names.

`observe` selects the Jobs of one CronJob, `decide` keeps the list of active ones, starts what is due (`schedule`) and
forgets finished ones beyond the limits.
Source: pkg/controller/cronjob/cronjob_controllerv2.go (v1.37).
Differs from Kubernetes: a new Job enters `status.active` in the round after it was made, when its uid is known.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from moorage.controllers.cronjob.schedule import (
    MISSED_MOST,
    Due,
    Schedule,
    ScheduleError,
    find_due,
    parse_schedule,
    zone_of,
)
from moorage.controllers.rule import Controller, Decision, View
from moorage.objects.actions import Action, ConfirmGone, Create, Delete, Record, SetStatus
from moorage.objects.metadata import (
    Object,
    Ref,
    annotations_of,
    controller_reference,
    format_time,
    is_condition_true,
    is_controlled_by,
    is_terminating,
    labels_of,
    metadata_of,
    name_of,
    namespace_of,
    parse_time,
    uid_of,
)
from moorage.objects.workloads import created_order, owner_refs, ref_of

RESOURCE: Final = "cronjobs.batch"
JOBS: Final = "jobs.batch"

#: The annotation by which a Job says for which time it was made.
SCHEDULED: Final = "batch.kubernetes.io/cronjob-scheduled-timestamp"

#: So many finished Jobs are kept where the CronJob does not say. Source: defaulting of batch/v1.
SUCCEEDED_KEPT: Final = 3
FAILED_KEPT: Final = 1

#: So long after a time it is looked at, in seconds. Source: nextScheduleDelta.
LOOK_AFTER: Final = 0.1

_TOO_MANY: Final = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
_FORBIDDEN: Final = "Not starting job because prior execution is running and concurrency policy is Forbid"


@dataclass(frozen=True, slots=True)
class Observed:
    """A CronJob, and the Jobs that it controls."""

    cronjob: Object
    jobs: Sequence[Object]


class Ledger(NamedTuple):
    """The active list as it should be, the last success, and what has to be checked and told about the changes."""

    active: tuple[Object, ...]
    succeeded: str
    checks: tuple[Action, ...] = ()
    told: tuple[Record, ...] = ()


class Start(NamedTuple):
    """What is started: the time that it stands for (None: nothing is), how, whom it replaces, and when to look again."""

    at: datetime | None = None
    actions: tuple[Action, ...] = ()
    replaced: tuple[Object, ...] = ()
    look_again_in: float | None = None
    because: str = ""


def observe(view: View, ref: Ref) -> Observed | None:
    """Select what matters to the CronJob at `ref`."""
    cronjob = view.get(RESOURCE, ref.namespace, ref.name)
    if cronjob is None:
        return None
    return Observed(cronjob, [job for job in view.owned(JOBS, uid_of(cronjob)) if is_controlled_by(job, cronjob)])


def decide(observed: Observed, now: datetime) -> Decision:
    """Say what the CronJob starts, stops and reports now."""
    cronjob = observed.cronjob
    ledger = keep_ledger(observed)
    start = Start(because="the CronJob is suspended or being deleted")
    if not is_terminating(cronjob) and not cronjob["spec"].get("suspend"):
        start = _start(observed, ledger, now)
    gone = {uid_of(job) for job in start.replaced}
    forgotten = _beyond_limits(observed)
    active = [each for each in ledger.active if each.get("uid") not in gone]
    stored = cronjob.get("status") or {}
    status: dict[str, Any] = {
        "active": active,
        "lastScheduleTime": format_time(start.at) if start.at else stored.get("lastScheduleTime"),
        "lastSuccessfulTime": ledger.succeeded,
    }
    status = {key: value for key, value in status.items() if value}
    write = () if status == stored else (SetStatus(RESOURCE, {**cronjob, "status": status}),)
    deletions = tuple(_delete(cronjob, job) for job in forgotten)
    return Decision(
        (*ledger.checks, *start.actions, *write, *ledger.told, *deletions),
        look_again_in=start.look_again_in,
        because=start.because,
    )


def keep_ledger(observed: Observed) -> Ledger:
    """Return which Jobs are active: those that were, without those that ended or went, and new ones of ours."""
    cronjob = observed.cronjob
    stored = cronjob.get("status") or {}
    active = list(stored.get("active") or ())
    known = {each.get("uid") for each in active}
    succeeded = str(stored.get("lastSuccessfulTime") or "")
    told: list[Record] = []
    for job in observed.jobs:
        end = _end_of(job)
        if uid_of(job) in known and end:
            active = [each for each in active if each.get("uid") != uid_of(job)]
            told.append(Record(cronjob, "SawCompletedJob", f"Saw completed job: {name_of(job)}, condition: {end}"))
        elif uid_of(job) not in known and not end:
            if is_scheduled(cronjob, job):
                active.append(_reference(job))
            else:
                text = f"Saw a job that the controller did not create or forgot: {name_of(job)}"
                told.append(Record(cronjob, "UnexpectedJob", text, kind="Warning"))
        if end == "Complete":
            succeeded = max(succeeded, str((job.get("status") or {}).get("completionTime") or ""))
    present = {uid_of(job) for job in observed.jobs}
    missing = [each for each in active if each.get("uid") not in present]
    checks = tuple(ConfirmGone(_active_ref(cronjob, each)) for each in missing if each.get("name"))
    told += [Record(cronjob, "MissingJob", f"Active job went missing: {each.get('name', '')}") for each in missing]
    return Ledger(tuple(each for each in active if each not in missing), succeeded, checks, tuple(told))


def _active_ref(cronjob: Object, entry: Object) -> Ref:
    """Return the Job that an entry of the active list names; others may have written it, and left things out."""
    namespace = str(entry.get("namespace") or namespace_of(cronjob))
    return Ref(JOBS, namespace, str(entry.get("name")), str(entry.get("uid") or ""))


def is_scheduled(cronjob: Object, job: Object) -> bool:
    """Tell whether this controller made the Job for a time of the schedule."""
    text = annotations_of(job).get(SCHEDULED)
    try:
        return text is not None and name_of(job) == job_name(cronjob, parse_time(text))
    except ValueError:
        return False


def job_name(cronjob: Object, at: datetime) -> str:
    """Return the name of the Job for a time: the same for every attempt."""
    return f"{name_of(cronjob)}-{int(at.timestamp()) // 60}"


def job_for(cronjob: Object, at: datetime) -> dict[str, Any]:
    """Return the Job to make for a time."""
    template = cronjob["spec"]["jobTemplate"]
    local = at.astimezone(zone_of(cronjob["spec"].get("timeZone") or ""))
    metadata: dict[str, Any] = {
        "name": job_name(cronjob, at),
        "namespace": namespace_of(cronjob),
        "annotations": {**annotations_of(template), SCHEDULED: local.isoformat().replace("+00:00", "Z")},
        "ownerReferences": [controller_reference(cronjob)],
    }
    if labels_of(template):
        metadata["labels"] = labels_of(template)
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"]}


def _start(observed: Observed, ledger: Ledger, now: datetime) -> Start:
    """Return what is due now, or when to look again."""
    cronjob = observed.cronjob
    text, zone = cronjob["spec"]["schedule"], cronjob["spec"].get("timeZone") or ""
    try:
        zone_of(zone)
    except ScheduleError as error:
        return _warn(cronjob, "UnknownTimeZone", f'invalid timeZone: "{zone}": {error}')
    try:
        schedule = parse_schedule(text, zone)
    except ScheduleError as error:
        return _warn(cronjob, "UnparseableSchedule", f'unparseable schedule: "{text}" : {error}')
    try:
        due = find_due(schedule, _earliest(cronjob, now), now)
    except ScheduleError as error:
        return _warn(cronjob, "InvalidSchedule", f"invalid schedule: {text} : {error}")
    wait = _wait(schedule, due, now)
    told: tuple[Action, ...] = ()
    if due.latest is not None and due.missed > MISSED_MOST:
        told = (Record(cronjob, "TooManyMissedTimes", _TOO_MANY, kind="Warning"),)
    start = _start_at(observed, ledger, due.latest, now)
    return start._replace(actions=(*told, *start.actions), look_again_in=wait)


def _start_at(observed: Observed, ledger: Ledger, at: datetime | None, now: datetime) -> Start:
    """Return what is done about a time that has come."""
    cronjob = observed.cronjob
    spec, stored = cronjob["spec"], cronjob.get("status") or {}
    if at is None:
        return Start(because="no time of the schedule has come")
    deadline = spec.get("startingDeadlineSeconds")
    if deadline is not None and at + timedelta(seconds=int(deadline)) < now:
        text = f"Missed scheduled time to start a job: {at.strftime('%a, %d %b %Y %H:%M:%S +0000')}"
        return Start(actions=(Record(cronjob, "MissSchedule", text, kind="Warning"),), because=text)
    names = {each.get("name") for each in ledger.active} | {name_of(job) for job in observed.jobs}
    if job_name(cronjob, at) in names or stored.get("lastScheduleTime") == format_time(at):
        return Start(because="the last time of the schedule was seen to")
    policy = spec.get("concurrencyPolicy")
    if policy == "Forbid" and ledger.active:
        return Start(actions=(Record(cronjob, "JobAlreadyActive", _FORBIDDEN),), because=_FORBIDDEN)
    active = {each.get("uid") for each in ledger.active}
    replaced = tuple(job for job in observed.jobs if uid_of(job) in active) if policy == "Replace" else ()
    made = Create(
        JOBS,
        job_for(cronjob, at),
        done=(Record(cronjob, "SuccessfulCreate", "Created job {name}"),),
        failed=(Record(cronjob, "FailedCreate", "Error creating job: {error}", kind="Warning"),),
    )
    actions: tuple[Action, ...] = (*(_delete(cronjob, job) for job in replaced), made)
    return Start(at, actions, replaced, because=f"it is time for {job_name(cronjob, at)}")


def _earliest(cronjob: Object, now: datetime) -> datetime:
    """Return from when times of the schedule count."""
    last = (cronjob.get("status") or {}).get("lastScheduleTime") or metadata_of(cronjob).get("creationTimestamp")
    earliest = parse_time(last) if last else now
    deadline = cronjob["spec"].get("startingDeadlineSeconds")
    return earliest if deadline is None else max(earliest, now - timedelta(seconds=int(deadline)))


def _wait(schedule: Schedule, due: Due, now: datetime) -> float | None:
    """Return the seconds until the next time of the schedule, and a little more."""
    following = schedule.after(due.latest or (due.earliest if not due.missed else now))
    if following is not None and following <= now:
        following = schedule.after(now)
    return None if following is None else (following - now).total_seconds() + LOOK_AFTER


def _warn(cronjob: Object, reason: str, text: str) -> Start:
    """Return the start of nothing: what the CronJob says cannot be followed until it changes."""
    return Start(actions=(Record(cronjob, reason, text, kind="Warning"),), because=text)


def _beyond_limits(observed: Observed) -> list[Object]:
    """Return the oldest finished Jobs beyond the limits of the history."""
    spec = observed.cronjob["spec"]
    found: list[Object] = []
    for end, field, kept in (
        ("Complete", "successfulJobsHistoryLimit", SUCCEEDED_KEPT),
        ("Failed", "failedJobsHistoryLimit", FAILED_KEPT),
    ):
        limit = spec.get(field)
        jobs = sorted((job for job in observed.jobs if _end_of(job) == end), key=_age)
        surplus = len(jobs) - int(kept if limit is None else limit)
        found += [job for job in jobs[: max(0, surplus)] if not is_terminating(job)]
    return found


def _age(job: Object) -> tuple[str, tuple[str, str]]:
    return str((job.get("status") or {}).get("startTime") or "9"), created_order(job)


def _delete(cronjob: Object, job: Object) -> Delete:
    return Delete(
        ref_of(JOBS, job),
        propagation="Background",
        done=(Record(cronjob, "SuccessfulDelete", f"Deleted job {name_of(job)}"),),
        failed=(Record(cronjob, "FailedDelete", "Deleted job: {error}", kind="Warning"),),
    )


def _end_of(job: Object) -> str:
    """Return the type of the condition by which a Job is over, "" while it is not."""
    return next((kind for kind in ("Complete", "Failed") if is_condition_true(job, kind)), "")


def _reference(job: Object) -> dict[str, Any]:
    return {
        "kind": "Job",
        "namespace": namespace_of(job),
        "name": name_of(job),
        "uid": uid_of(job),
        "apiVersion": "batch/v1",
        "resourceVersion": metadata_of(job).get("resourceVersion"),
    }


def _wakes(view: View, job: Object) -> Iterable[Ref]:
    return owner_refs(RESOURCE, "CronJob", job)


CONTROLLER = Controller(
    name="cronjob-controller",
    kind=RESOURCE,
    wakes={JOBS: _wakes},
    observe=observe,
    decide=decide,
)
