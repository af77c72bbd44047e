"""What of a pod's specification an update may change.

Source: pkg/apis/core/validation/validation.go, ValidatePodUpdate (v1.37).
"""

from collections.abc import Mapping
from typing import Any

from moorage.api.kinds.pod_spec.affinity import validate_tolerations
from moorage.api.kinds.pod_spec.specification import MAX_INT32
from moorage.objects.errors import Cause
from moorage.objects.internal_form import difference_text, internal_form
from moorage.objects.validation import forbidden, invalid

Spec = Mapping[str, Any]

_ONLY = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"
)
_ADDITIONS = "only additions are allowed (no mutations or deletions)"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def validate_spec_change(path: str, new: Spec, old: Spec) -> list[Cause]:
    """Return what of a pod's specification may not change so; `new` is valid on its own."""
    causes: list[Cause] = []
    for field in ("containers", "initContainers"):
        if len(new.get(field) or ()) != len(old.get(field) or ()):
            return [forbidden(f"{path}.{field}", "pod updates may not add or remove containers")]
    causes += _validate_deadline(f"{path}.activeDeadlineSeconds", new, old)
    if causes and new.get("activeDeadlineSeconds") is not None:
        return causes
    causes += _validate_tolerations(f"{path}.tolerations", new.get("tolerations") or [], old.get("tolerations") or [])
    causes += _validate_gates(f"{path}.schedulingGates", new, old)
    allowed = _with_allowed_changes(new, old)
    if old.get("schedulingGates"):
        causes += _validate_gated(path, new, old)
        allowed = _without_gated(allowed, old)
    if allowed != old:
        before, after = internal_form("PodSpec", old), internal_form("PodSpec", allowed)
        if text := difference_text(before, after):
            causes.append(forbidden(path, _ONLY + text))
    return causes


def _with_allowed_changes(new: Spec, old: Spec) -> dict[str, Any]:
    """Return the new specification with everything that may change taken from the old one."""
    spec = dict(new)
    for field in ("containers", "initContainers"):
        if new.get(field):
            spec[field] = [
                {**container, "image": before.get("image")}
                for container, before in zip(new[field], old[field], strict=True)
            ]
    for field in ("activeDeadlineSeconds", "tolerations", "schedulingGates"):
        spec.pop(field, None)
        if field in old:
            spec[field] = old[field]
    if (old.get("terminationGracePeriodSeconds") or 0) < 0 and new.get("terminationGracePeriodSeconds") == 1:
        spec["terminationGracePeriodSeconds"] = old["terminationGracePeriodSeconds"]
    return spec


def _validate_deadline(path: str, new: Spec, old: Spec) -> list[Cause]:
    after, before = new.get("activeDeadlineSeconds"), old.get("activeDeadlineSeconds")
    if after is not None:
        if not 0 <= after <= MAX_INT32:
            return [invalid(path, after, f"must be between 0 and {MAX_INT32}, inclusive")]
        if before is not None and before < after:
            return [invalid(path, after, "must be less than or equal to previous value")]
    elif before is not None:
        return [invalid(path, None, "must not update from a positive integer to nil value")]
    return []


def _validate_tolerations(path: str, new: list[Spec], old: list[Spec]) -> list[Cause]:
    kept = [_without_seconds(each) for each in new]
    if any(_without_seconds(each) not in kept for each in old):
        text = "existing toleration can not be modified except its tolerationSeconds"
        return [forbidden(path, text)]
    return validate_tolerations(path, new)


def _without_seconds(toleration: Spec) -> dict[str, Any]:
    return {key: value for key, value in toleration.items() if key != "tolerationSeconds" and value}


def _validate_gates(path: str, new: Spec, old: Spec) -> list[Cause]:
    before = {each.get("name") for each in old.get("schedulingGates") or ()}
    return [
        forbidden(
            f"{path}[{index}].name", f"only deletion is allowed, but found new scheduling gate '{each.get('name')}'"
        )
        for index, each in enumerate(new.get("schedulingGates") or ())
        if each.get("name") not in before
    ]


def _validate_gated(path: str, new: Spec, old: Spec) -> list[Cause]:
    """A pod that waits at a gate may be narrowed down: more node labels, more requirements in each term."""
    causes: list[Cause] = []
    after, before = new.get("nodeSelector") or {}, old.get("nodeSelector") or {}
    if any(after.get(key) != value for key, value in before.items()):
        text = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        causes.append(invalid(f"{path}.nodeSelector", after, text))
    causes += _validate_gated_affinity(f"{path}.affinity.nodeAffinity.{_REQUIRED}", new, old)
    return causes


def _terms(spec: Spec) -> list[Spec]:
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    terms: list[Spec] = (affinity.get(_REQUIRED) or {}).get("nodeSelectorTerms") or []
    return terms


def _validate_gated_affinity(path: str, new: Spec, old: Spec) -> list[Cause]:
    after, before = _terms(new), _terms(old)
    if not before:
        return []
    if len(after) != len(before):
        text = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        return [invalid(f"{path}.nodeSelectorTerms", [internal_form("NodeSelectorTerm", each) for each in after], text)]
    causes = []
    for index, (term, was) in enumerate(zip(after, before, strict=True)):
        for field in ("matchExpressions", "matchFields"):
            kept = (term.get(field) or [])[: len(was.get(field) or [])]
            if kept != (was.get(field) or []):
                place = f"{path}.nodeSelectorTerms[{index}]"
                causes.append(invalid(place, internal_form("NodeSelectorTerm", term), _ADDITIONS))
                break
    return causes


def _without_gated(spec: dict[str, Any], old: Spec) -> dict[str, Any]:
    """Return the specification with what a gated pod may change taken from the old one."""
    spec = dict(spec)
    spec.pop("nodeSelector", None)
    if "nodeSelector" in old:
        spec["nodeSelector"] = old["nodeSelector"]
    affinity = dict(spec.get("affinity") or {})
    node = dict(affinity.pop("nodeAffinity", None) or {})
    before = dict((old.get("affinity") or {}).get("nodeAffinity") or {})
    node.pop(_REQUIRED, None)
    if _REQUIRED in before:
        node[_REQUIRED] = before[_REQUIRED]
    if node or "nodeAffinity" in (old.get("affinity") or {}):
        affinity["nodeAffinity"] = node
    spec.pop("affinity", None)
    if affinity or "affinity" in old:
        spec["affinity"] = affinity
    return spec
