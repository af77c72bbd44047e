"""Why a Job does not end well, and why a CronJob starts nothing."""

from typing import Final

from moorage.controllers.cronjob.schedule import parse_schedule
from moorage.objects.metadata import (
    Object,
    Ref,
    condition_of,
    is_condition_true,
    metadata_of,
    name_of,
    namespace_of,
)
from moorage.objects.pods import is_active, is_failed, is_ready
from moorage.why import refusals
from moorage.why.cause import Cause, count, cut, kubectl
from moorage.why.workloads import newest_failure, status_of
from moorage.why.world import World

JOBS: Final = "jobs.batch"


def explain(job: Object, world: World) -> Cause | None:
    """Return why a Job is not done and does not get on, None if it is done or its pods run."""
    namespace, name, spec = namespace_of(job), name_of(job), job.get("spec") or {}
    show = kubectl(f"describe job {name}", namespace)
    if is_condition_true(job, "Complete"):
        return None
    pods = world.controlled("pods", job)
    failed = condition_of(job, "Failed") or condition_of(job, "FailureTarget")
    if failed is not None and failed.get("status") == "True":
        ended = next((pod for pod in reversed(pods) if is_failed(pod)), None)
        holder = Ref("pods", namespace, name_of(ended)) if ended is not None else None
        return Cause(f"has failed ({failed.get('reason')}): {cut(str(failed.get('message') or ''))}", show, holder)
    if spec.get("suspend"):
        mend = f"""patch job {name} -p '{{"spec":{{"suspend":false}}}}'"""
        return Cause("is suspended", kubectl(mend, namespace))
    if not pods:
        message = newest_failure(world, job, failed="FailedCreate", done="SuccessfulCreate")
        told = message.removeprefix("Error creating: ")
        return (
            refusals.explain("cannot create pods", told, namespace, world, show)
            if message
            else Cause("has no pods yet", show)
        )
    bad = next((pod for pod in pods if is_active(pod) and not is_ready(pod)), None)
    if bad is not None:
        return Cause("does not get on", show, Ref("pods", namespace, name_of(bad)))
    tries = int(status_of(job).get("failed") or 0)
    if tries and not any(is_active(pod) for pod in pods):
        ended = next((pod for pod in reversed(pods) if is_failed(pod)), pods[-1])
        says = f"waits before it tries again: {count(tries, 'pod')} failed of {int(spec.get('backoffLimit', 6)) + 1} allowed"
        return Cause(says, show, Ref("pods", namespace, name_of(ended)))
    return None


def explain_cron_job(cron_job: Object, world: World) -> Cause | None:
    """Return why a CronJob starts no Jobs, or why its last one failed."""
    namespace, name, spec = namespace_of(cron_job), name_of(cron_job), cron_job.get("spec") or {}
    show = kubectl(f"describe cronjob {name}", namespace)
    if spec.get("suspend"):
        return Cause(
            "is suspended", kubectl(f"""patch cronjob {name} -p '{{"spec":{{"suspend":false}}}}'""", namespace)
        )
    schedule = str(spec.get("schedule") or "")
    try:
        next_time = parse_schedule(schedule, str(spec.get("timeZone") or "")).after(world.now)
    except ValueError as error:
        return Cause(
            f'starts nothing: its schedule "{schedule}" makes no sense: {cut(str(error))}',
            kubectl(f"edit cronjob {name}", namespace),
        )
    if next_time is None:
        return Cause(
            f'starts nothing: no time meets its schedule "{schedule}"', kubectl(f"edit cronjob {name}", namespace)
        )
    wrong = world.warning(
        cron_job,
        "UnparseableCronJobSchedule",
        "InvalidSchedule",
        "UnknownTimeZone",
        "TooManyMissedTimes",
        "FailedCreate",
    )
    if wrong:
        return refusals.explain("starts nothing", wrong, namespace, world, show)
    jobs = sorted(
        world.controlled(JOBS, cron_job), key=lambda job: str(metadata_of(job).get("creationTimestamp") or "")
    )
    running = status_of(cron_job).get("active") or ()
    if (
        running
        and spec.get("concurrencyPolicy") == "Forbid"
        and any(e.get("reason") == "JobAlreadyActive" for e in world.events(cron_job))
    ):
        ref = Ref(JOBS, namespace, str(running[0].get("name")))
        return Cause(
            "starts no further Job while one is active (concurrencyPolicy Forbid)", show, ref, "is still active"
        )
    if jobs and is_condition_true(jobs[-1], "Failed"):
        return Cause("ran, and its last Job failed", show, Ref(JOBS, namespace, name_of(jobs[-1])))
    return None
