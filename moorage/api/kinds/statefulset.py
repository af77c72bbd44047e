"""StatefulSets: pods with names and claims of their own.

Source: pkg/registry/apps/statefulset/strategy.go, pkg/apis/apps/validation (v1.37).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.pod_spec.claim_spec import validate_claim_spec
from moorage.api.kinds.pod_spec.warnings import template_warnings
from moorage.api.kinds.workload.cells import age_of, container_cells
from moorage.api.kinds.workload.numbers import (
    not_greater,
    number_of,
    validate_amounts,
    validate_int_or_percent,
    validate_not_over_all,
)
from moorage.api.kinds.workload.templates import validate_same_selector, validate_selector, validate_template
from moorage.api.request import Draft, Request
from moorage.objects.errors import Cause
from moorage.objects.internal_form import internal_form, printed_claims
from moorage.objects.metadata import Object, name_of
from moorage.objects.validation import (
    dns1123_label_problems,
    each_invalid,
    invalid,
    not_negative,
    not_supported,
    required,
)

has_generation = True

Part = Mapping[str, Any]

_IMMUTABLE = "field is immutable"
_NUMBERS = ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Start with a status that says nothing, and claims that say what they are."""
    del request, lookup
    draft["status"] = {"replicas": 0, "availableReplicas": 0}
    for claim in draft["spec"].get("volumeClaimTemplates") or ():
        claim["kind"], claim["apiVersion"] = "PersistentVolumeClaim", "v1"


def prepare_update(draft: Draft, old: Object, request: Request, lookup: Lookup) -> None:
    """Claims keep saying what they are."""
    del old, request, lookup
    for claim in draft["spec"].get("volumeClaimTemplates") or ():
        claim["kind"], claim["apiVersion"] = "PersistentVolumeClaim", "v1"


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a StatefulSet."""
    del request
    return _validate_spec(obj.get("spec") or {}, with_claims=True)


def _validate_spec(spec: Part, *, with_claims: bool) -> list[Cause]:
    causes: list[Cause] = []
    policy = spec.get("podManagementPolicy") or ""
    if not policy:
        causes.append(required("spec.podManagementPolicy"))
    elif policy not in {"OrderedReady", "Parallel"}:
        causes.append(invalid("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'"))
    causes += _validate_strategy(spec.get("updateStrategy") or {})
    causes += _validate_retention(spec.get("persistentVolumeClaimRetentionPolicy"))
    for index, claim in enumerate(spec.get("volumeClaimTemplates") or () if with_claims else ()):
        causes += validate_claim_spec(f"spec.volumeClaimTemplates[{index}].spec", claim.get("spec") or {})
    causes += not_negative("spec.replicas", spec.get("replicas"))
    causes += not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    if (ordinals := spec.get("ordinals")) is not None:
        causes += not_negative("spec.ordinals.start", ordinals.get("start"))
    if (name := spec.get("serviceName")) and (problems := dns1123_label_problems(name)):
        causes += each_invalid("spec.serviceName", name, problems)
    selector = spec.get("selector")
    empty = "empty selector is invalid for statefulset"
    causes += validate_selector("spec.selector", selector, empty_text=empty, broken_text="")
    causes += validate_template("spec.template", _with_claims(spec), selector, "StatefulSet")
    return causes


def _with_claims(spec: Part) -> Part:
    """Return the template with the volumes that its claims will be, so that mounts of them are right."""
    template: Part = spec.get("template") or {}
    claims = spec.get("volumeClaimTemplates") or ()
    if not claims:
        return template
    names = dict.fromkeys((each.get("metadata") or {}).get("name") or "" for each in claims)
    of_pod = template.get("spec") or {}
    volumes = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in names]
    volumes += [each for each in of_pod.get("volumes") or () if each.get("name") not in names]
    return {**template, "spec": {**of_pod, "volumes": volumes}}


def _validate_strategy(strategy: Part) -> list[Cause]:
    kind, rolling = strategy.get("type") or "", strategy.get("rollingUpdate")
    path = "spec.updateStrategy"
    if kind == "OnDelete":
        if rolling is None:
            return []
        shown = internal_form("RollingUpdateStatefulSet", rolling)
        text = "only allowed for updateStrategy 'RollingUpdate'"
        return [invalid(f"{path}.rollingUpdate", shown, text)]
    if kind != "RollingUpdate":
        shown = internal_form("StatefulSetUpdateStrategy", strategy)
        return [invalid(path, shown, "must be 'RollingUpdate' or 'OnDelete'")] if kind else [required(path)]
    causes = not_negative(f"{path}.rollingUpdate.partition", (rolling or {}).get("partition"))
    most = (rolling or {}).get("maxUnavailable")
    if most is not None:
        place = f"{path}.rollingUpdate.maxUnavailable"
        causes += validate_int_or_percent(place, most)
        if number_of(most) == 0:
            causes.append(invalid(place, most, "cannot be 0"))
        causes += validate_not_over_all(place, most)
    return causes


def _validate_retention(policy: Part | None) -> list[Cause]:
    path = "spec.persistentVolumeClaimRetentionPolicy"
    return [
        not_supported(f"{path}.{field}", (policy or {}).get(field) or "", ("Retain", "Delete"))
        for field in ("whenDeleted", "whenScaled")
        if policy is not None and policy.get(field) not in {"Retain", "Delete"}
    ]


def validate_whole_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return every broken rule, then what may not change so. Claims cannot change, so they are not judged again."""
    del request
    new_spec, old_spec = obj.get("spec") or {}, old.get("spec") or {}
    causes = _validate_spec(new_spec, with_claims=False) + validate_same_selector(new_spec, old_spec)
    if new_spec.get("volumeClaimTemplates") != old_spec.get("volumeClaimTemplates"):
        shown = printed_claims(new_spec.get("volumeClaimTemplates"))
        causes.append(invalid("spec.volumeClaimTemplates", shown, _IMMUTABLE))
    if (new_spec.get("serviceName") or "") != (old_spec.get("serviceName") or ""):
        causes.append(invalid("spec.serviceName", new_spec.get("serviceName") or "", _IMMUTABLE))
    if new_spec.get("podManagementPolicy") != old_spec.get("podManagementPolicy"):
        causes.append(invalid("spec.podManagementPolicy", new_spec.get("podManagementPolicy"), _IMMUTABLE))
    return causes


def validate_status(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what a status may not say."""
    del request
    status = obj.get("status") or {}
    causes = validate_amounts("status", status, *_NUMBERS, "observedGeneration", "collisionCount")
    total = status.get("replicas") or 0
    for field in _NUMBERS[1:]:
        causes += not_greater(f"status.{field}", status.get(field) or 0, total, "status.replicas")
    ready, available = status.get("readyReplicas") or 0, status.get("availableReplicas") or 0
    causes += not_greater("status.availableReplicas", available, ready, "status.readyReplicas")
    del old
    return causes


def warnings(obj: Object, old: Object | None) -> list[str]:
    """Return what to warn about."""
    spec = obj.get("spec") or {}
    if (spec.get("revisionHistoryLimit") or 0) < 0:
        text = "a negative value retains all historical revisions; a value >= 0 is recommended"
        return [f"spec.revisionHistoryLimit: {text}", *template_warnings(obj, old)]
    return template_warnings(obj, old)


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, ready, age, containers, images."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    ready = f"{status.get('readyReplicas') or 0}/{spec.get('replicas') or 0}"
    return [name_of(obj), ready, age_of(obj, now), *container_cells(spec.get("template"))]
