"""CronJobs: jobs by the clock.

Source: pkg/registry/batch/cronjob/strategy.go, pkg/apis/batch/validation (v1.37); schedules as robfig/cron reads them.
"""

from datetime import datetime
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.job_parts.schedule import schedule_problem, zone_problem
from moorage.api.kinds.job_parts.specification import validate_job_spec
from moorage.api.kinds.pod_spec.warnings import name_warnings, spec_warnings
from moorage.api.kinds.workload.cells import age_of, container_cells, selector_cell
from moorage.api.kinds.workload.numbers import validate_amounts
from moorage.api.request import Draft, Request
from moorage.objects.ages import age_since
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, name_of
from moorage.objects.selector_rules import printed_selector
from moorage.objects.validation import invalid, not_supported, required

has_generation = True

#: Names of jobs add eleven characters to the name of their CronJob.
NAME_MOST = 52
_POLICIES = ("Allow", "Forbid", "Replace")


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Start with an empty status."""
    del request, lookup
    draft["status"] = {}


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a CronJob."""
    del request
    spec, path = obj.get("spec") or {}, "spec.jobTemplate.spec"
    causes: list[Cause] = []
    schedule = spec.get("schedule") or ""
    if not schedule:
        causes.append(required("spec.schedule"))
    elif problem := schedule_problem(schedule):
        causes.append(invalid("spec.schedule", schedule, problem))
    causes += validate_amounts("spec", spec, "startingDeadlineSeconds")
    if (zone := spec.get("timeZone")) is not None and (problem := zone_problem(zone)):
        causes.append(invalid("spec.timeZone", zone, problem))
    policy = spec.get("concurrencyPolicy") or ""
    if policy not in _POLICIES:
        place = "spec.concurrencyPolicy"
        causes.append(not_supported(place, policy, _POLICIES) if policy else required(place))
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    if job.get("selector") is not None:
        causes.append(
            invalid(f"{path}.selector", printed_selector(job["selector"]), "`selector` will be auto-generated")
        )
    if job.get("manualSelector"):
        causes.append(not_supported(f"{path}.manualSelector", True, ("nil", "false")))  # noqa: FBT003
    causes += validate_job_spec(path, job)
    causes += validate_amounts("spec", spec, "successfulJobsHistoryLimit", "failedJobsHistoryLimit")
    if len(name_of(obj)) > NAME_MOST:
        text = f"must be no more than {NAME_MOST} characters"
        causes.append(invalid("metadata.name", name_of(obj), text))
    return causes


def warnings(obj: Object, old: Object | None) -> list[str]:
    """Return what to warn about."""
    texts = name_warnings(name_of(obj)) if old is None else []
    job = ((obj.get("spec") or {}).get("jobTemplate") or {}).get("spec") or {}
    return texts + spec_warnings("spec.jobTemplate.spec.template.spec", (job.get("template") or {}).get("spec") or {})


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, schedule, time zone, suspend, active, last schedule, age, containers, images, selector."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    last = status.get("lastScheduleTime")
    return [
        name_of(obj),
        spec.get("schedule") or "",
        spec.get("timeZone") or "<none>",
        "True" if spec.get("suspend") else "False",
        len(status.get("active") or ()),
        age_since(last, now) if last else "<none>",
        age_of(obj, now),
        *container_cells(job.get("template")),
        selector_cell(job.get("selector")),
    ]
