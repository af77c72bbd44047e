"""Jobs: pods that run to their end.

Source: pkg/registry/batch/job/strategy.go, pkg/apis/batch/validation (v1.37).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.job_parts.policies import printed_success_policy
from moorage.api.kinds.job_parts.specification import validate_job_spec
from moorage.api.kinds.job_parts.status import validate_job_status
from moorage.api.kinds.pod_spec.warnings import name_warnings, spec_warnings
from moorage.api.kinds.workload.cells import age_of, container_cells, selector_cell
from moorage.api.request import Draft, Request
from moorage.objects.ages import human_duration
from moorage.objects.errors import Cause
from moorage.objects.internal_form import internal_form
from moorage.objects.label_selectors import is_selected
from moorage.objects.metadata import Object, is_condition_true, is_terminating, name_of, parse_time, uid_of
from moorage.objects.selector_rules import printed_selector, validate_label_selector
from moorage.objects.validation import dns1123_label_problems, invalid, required

has_generation = True

Part = Mapping[str, Any]

CONTROLLER_UID, JOB_NAME = "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"
_OLD_UID, _OLD_NAME = "controller-uid", "job-name"
_IMMUTABLE = "field is immutable"


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Start with an empty status, and with a selector that takes this job's pods and no others."""
    del request, lookup
    draft["status"] = {}
    spec = draft["spec"]
    if spec.get("manualSelector"):
        return
    uid, name = uid_of(draft), name_of(draft)
    template = spec.setdefault("template", {})
    metadata = template.setdefault("metadata", {})
    wanted = {CONTROLLER_UID: uid, JOB_NAME: name, _OLD_UID: uid, _OLD_NAME: name}
    given = metadata.get("labels") or {}
    own = draft["metadata"].get("labels")
    metadata["labels"] = {**wanted, **given}
    selector = spec.get("selector") or {}
    labels = selector.get("matchLabels") or {}
    spec["selector"] = {**selector, "matchLabels": {**labels, CONTROLLER_UID: labels.get(CONTROLLER_UID, uid)}}
    if own and own == given:
        draft["metadata"]["labels"] = dict(metadata["labels"])


def complete_create(draft: Draft) -> None:
    """Give a checked job without labels those of its template: upstream does so when it reads what it stored."""
    labels = ((draft["spec"].get("template") or {}).get("metadata") or {}).get("labels")
    if labels and not draft["metadata"].get("labels"):
        draft["metadata"]["labels"] = dict(labels)


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a Job."""
    del request
    spec = obj.get("spec") or {}
    return [
        *_generated_causes(obj, spec),
        *validate_job_spec("spec", spec),
        *_selector_causes(spec),
        *_name_causes(obj),
    ]


def _generated_causes(obj: Object, spec: Part) -> list[Cause]:
    if spec.get("manualSelector"):
        return []
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    shown = dict(sorted(labels.items()))
    causes = []
    for key, wanted in (
        (_OLD_UID, uid_of(obj)),
        (_OLD_NAME, name_of(obj)),
        (CONTROLLER_UID, uid_of(obj)),
        (JOB_NAME, name_of(obj)),
    ):
        path = f"spec.template.metadata.labels[{key}]"
        if key not in labels:
            causes.append(required(path, f"must be '{wanted}'"))
        elif labels[key] != wanted:
            causes.append(invalid(path, shown, f"must be '{wanted}'"))
    selector = spec.get("selector") or {}
    expected = {CONTROLLER_UID: uid_of(obj)}
    if selector.get("matchLabels") not in (expected, {_OLD_UID: uid_of(obj)}) or selector.get("matchExpressions"):
        causes.append(invalid("spec.selector", printed_selector(selector), "`selector` not auto-generated"))
    return causes


def _selector_causes(spec: Part) -> list[Cause]:
    selector = spec.get("selector")
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    causes = [required("spec.selector")] if selector is None else validate_label_selector("spec.selector", selector)
    is_broken = selector is not None and bool(causes)
    if not is_broken and not is_selected(selector, labels):
        text = "`selector` does not match template `labels`"
        causes.append(invalid("spec.template.metadata.labels", dict(sorted(labels.items())) or None, text))
    return causes


def _name_causes(obj: Object) -> list[Cause]:
    spec = obj.get("spec") or {}
    if spec.get("completionMode") != "Indexed" or not spec.get("completions"):
        return []
    last = f"{name_of(obj)}-{spec['completions'] - 1}"
    if dns1123_label_problems(last):
        text = f"will not able to create pod with invalid DNS label: {last}"
        return [invalid("metadata.name", name_of(obj), text)]
    return []


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a Job may not change so."""
    del request
    new, before = obj.get("spec") or {}, old.get("spec") or {}
    causes = _completion_causes(new, before)
    if new.get("selector") != before.get("selector"):
        causes.append(invalid("spec.selector", printed_selector(new.get("selector")), _IMMUTABLE))
    causes += _template_causes(new, before, old)
    if new.get("completionMode") != before.get("completionMode"):
        causes.append(invalid("spec.completionMode", new.get("completionMode"), _IMMUTABLE))
    if new.get("podFailurePolicy") != before.get("podFailurePolicy"):
        causes.append(
            invalid("spec.podFailurePolicy", _printed_failure_policy(new.get("podFailurePolicy")), _IMMUTABLE)
        )
    for field in ("backoffLimitPerIndex", "managedBy"):
        if new.get(field) != before.get(field):
            causes.append(invalid(f"spec.{field}", new.get(field), _IMMUTABLE))
    if new.get("successPolicy") != before.get("successPolicy"):
        causes.append(invalid("spec.successPolicy", printed_success_policy(new.get("successPolicy")), _IMMUTABLE))
    return causes


def _completion_causes(new: Part, before: Part) -> list[Cause]:
    after, was = new.get("completions"), before.get("completions")
    if after == was:
        return []
    if new.get("completionMode") != "Indexed" or before.get("completionMode") != "Indexed":
        return [invalid("spec.completions", after, _IMMUTABLE)]
    if after is not None and after == new.get("parallelism") and was == before.get("parallelism"):
        return []
    return [invalid("spec.completions", after, "can only be modified in tandem with spec.parallelism")]


#: What of the template of a job that is suspended, and never started, its queue may still decide.
_DIRECTIVES = ("nodeSelector", "tolerations", "schedulingGates", "affinity")


def _template_causes(new: Part, before: Part, old: Object) -> list[Cause]:
    after, was = new.get("template") or {}, before.get("template") or {}
    if after == was:
        return []
    is_open = bool(before.get("suspend")) and not (old.get("status") or {}).get("startTime")
    if not is_open:
        return [invalid("spec.template", _printed_template(after), _IMMUTABLE)]
    if _without_directives(after) == _without_directives(was):
        return []
    merged = {key: value for key, value in (after.get("spec") or {}).items() if key not in _DIRECTIVES}
    merged |= {key: was["spec"][key] for key in _DIRECTIVES if key in (was.get("spec") or {})}
    return [invalid("spec.template.spec", internal_form("PodSpec", merged), _IMMUTABLE)]


def _without_directives(template: Part) -> dict[str, Any]:
    spec = template.get("spec") or {}
    containers = [{**each, "resources": {}} for each in spec.get("containers") or ()]
    kept = {key: value for key, value in spec.items() if key not in _DIRECTIVES}
    return {**kept, "containers": containers}


def _printed_template(template: Part) -> dict[str, Any]:
    metadata = {key: value for key, value in (template.get("metadata") or {}).items() if value}
    if "labels" in metadata:
        metadata["labels"] = dict(sorted(metadata["labels"].items()))
    return {**metadata, "Spec": internal_form("PodSpec", template.get("spec") or {})}


def _printed_failure_policy(policy: Part | None) -> Any:
    if policy is None:
        return None
    rules = []
    for rule in policy.get("rules") or ():
        codes = rule.get("onExitCodes")
        shown = None
        if codes is not None:
            shown = {
                "ContainerName": codes.get("containerName"),
                "Operator": codes.get("operator") or "",
                "Values": codes.get("values"),
            }
        conditions = [
            {"Type": each.get("type") or "", "Status": each.get("status") or ""}
            for each in rule.get("onPodConditions") or ()
        ]
        rules.append({"Action": rule.get("action") or "", "OnExitCodes": shown, "OnPodConditions": conditions or None})
    return {"Rules": rules or None}


def validate_status(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what a status may not say."""
    del request
    return validate_job_status(obj, old)


def warnings(obj: Object, old: Object | None) -> list[str]:
    """Return what to warn about."""
    texts = name_warnings(name_of(obj)) if old is None else []
    return texts + spec_warnings(
        "spec.template.spec", ((obj.get("spec") or {}).get("template") or {}).get("spec") or {}
    )


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, status, completions, duration, age, containers, images, selector."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    succeeded = status.get("succeeded") or 0
    parallelism = spec.get("parallelism") or 0
    if spec.get("completions") is not None:
        completions = f"{succeeded}/{spec['completions']}"
    else:
        completions = f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"
    return [
        name_of(obj),
        _word(obj),
        completions,
        _duration(status, now),
        age_of(obj, now),
        *container_cells(spec.get("template")),
        selector_cell(spec.get("selector")),
    ]


def _word(obj: Object) -> str:
    for kind in ("Complete", "Failed"):
        if is_condition_true(obj, kind):
            return kind
    if is_terminating(obj):
        return "Terminating"
    for kind in ("Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if is_condition_true(obj, kind):
            return kind
    return "Running"


def _duration(status: Part, now: datetime) -> str:
    started, ended = status.get("startTime"), status.get("completionTime")
    if not started:
        return ""
    end = parse_time(ended) if ended else now
    return human_duration((end - parse_time(started)).total_seconds())
