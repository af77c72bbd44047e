"""What the status of a job may say: conditions that fit together, counters that only grow.

Source: pkg/apis/batch/validation, pkg/registry/batch/job/strategy.go (v1.37).
"""

from collections.abc import Mapping
from typing import Any

from moorage.api.kinds.job_parts.policies import bare_invalid, count_indexes
from moorage.api.kinds.workload.numbers import validate_amounts
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, is_condition_true
from moorage.objects.validation import duplicate, invalid, required

Part = Mapping[str, Any]

_EXCLUSIVE = (
    ("Complete", "Failed"),
    ("Complete", "FailureTarget"),
    ("SuccessCriteriaMet", "Failed"),
    ("SuccessCriteriaMet", "FailureTarget"),
)


def validate_job_status(obj: Object, old: Object) -> list[Cause]:
    """Return what a job's status may not say."""
    status, before, spec = obj.get("status") or {}, old.get("status") or {}, obj.get("spec") or {}
    causes = validate_amounts("status", status, "active", "succeeded", "failed", "ready", "terminating")
    causes += _validate_uncounted(status.get("uncountedTerminatedPods") or {})
    for field, word in (("failed", "failed"), ("succeeded", "succeeded")):
        now, was = status.get(field) or 0, before.get(field) or 0
        if now < was or now < 0:
            causes.append(invalid(f"status.{field}", now, f"cannot decrease the {word} counter"))
    if (status.get("ready") or 0) > (status.get("active") or 0) and (status.get("active") or 0) >= 0:
        causes.append(invalid("status.ready", status["ready"], "cannot set more ready pods than active"))
    causes += _validate_times(obj, old, status, before)
    causes += _validate_conditions(obj, old)
    return causes + _validate_indexes(status, spec)


def _validate_uncounted(uncounted: Part) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for field in ("succeeded", "failed"):
        for index, uid in enumerate(uncounted.get(field) or ()):
            path = f"status.uncountedTerminatedPods.{field}[{index}]"
            if not uid:
                causes.append(invalid(path, uid, "must not be empty"))
            elif uid in seen:
                causes.append(duplicate(path, uid))
            seen.add(uid)
    return causes


def _validate_times(obj: Object, old: Object, status: Part, before: Part) -> list[Cause]:
    is_complete = is_condition_true(obj, "Complete")
    is_finished = is_complete or is_condition_true(obj, "Failed")
    started, ended = status.get("startTime"), status.get("completionTime")
    causes: list[Cause] = []
    if is_complete and not ended:
        causes.append(required("status.completionTime", "completionTime is required for Complete jobs"))
    if ended and not is_complete:
        text = "cannot set completionTime when there is no Complete=True condition"
        causes.append(invalid("status.completionTime", ended, text))
    elif before.get("completionTime") and ended and before["completionTime"] != ended:
        causes.append(invalid("status.completionTime", ended, "field is immutable"))
    if is_finished and not started:
        causes.append(required("status.startTime", "startTime is required for finished job"))
    suspended = (obj.get("spec") or {}).get("suspend") or (old.get("spec") or {}).get("suspend")
    if before.get("startTime") and started != before["startTime"] and not suspended and started:
        text = "field is immutable for unsuspended job once set"
        causes.append(invalid("status.startTime", started, text))
    return causes


def _validate_conditions(obj: Object, old: Object) -> list[Cause]:
    path = "status.conditions"
    causes = []
    if is_condition_true(obj, "Complete") and not is_condition_true(obj, "SuccessCriteriaMet"):
        text = "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"
        causes.append(bare_invalid(path, text))
    if is_condition_true(obj, "Failed") and not is_condition_true(obj, "FailureTarget"):
        text = "cannot set Failed=True condition without the FailureTarget=true condition"
        causes.append(bare_invalid(path, text))
    for first, second in _EXCLUSIVE:
        if is_condition_true(obj, first) and is_condition_true(obj, second):
            causes.append(bare_invalid(path, f"cannot set {first}=True and {second}=true conditions"))
    for kind in ("Complete", "Failed", "SuccessCriteriaMet", "FailureTarget"):
        if is_condition_true(old, kind) and not is_condition_true(obj, kind):
            word = "terminal " if kind in {"Complete", "Failed"} else ""
            causes.append(bare_invalid(path, f"cannot disable the {word}{kind}=True condition"))
    return causes


def _validate_indexes(status: Part, spec: Part) -> list[Cause]:
    causes: list[Cause] = []
    completed, failed = status.get("completedIndexes") or "", status.get("failedIndexes")
    completions = spec.get("completions") or 0
    if completed:
        problem = count_indexes(completed, completions)[1]
        if problem:
            text = f"error parsing completedIndexes: {problem}"
            causes.append(invalid("status.completedIndexes", completed, text))
        if spec.get("completionMode") != "Indexed":
            text = "cannot set non-empty completedIndexes when non-indexed completion mode"
            causes.append(invalid("status.completedIndexes", completed, text))
    if failed is not None and spec.get("backoffLimitPerIndex") is None:
        text = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
        causes.append(invalid("status.failedIndexes", failed, text))
    return causes
