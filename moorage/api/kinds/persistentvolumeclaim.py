"""PersistentVolumeClaims: wishes for volumes.

Source: pkg/registry/core/persistentvolumeclaim/strategy.go, pkg/apis/core/validation (v1.37).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moorage.api.admission.default_storage_class import CLASS_ANNOTATION
from moorage.api.kind_rules import Lookup
from moorage.api.kinds.pod_spec.claim_spec import validate_claim_spec
from moorage.api.kinds.pod_spec.resources import validate_quantity
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Draft, Request
from moorage.objects.errors import Cause
from moorage.objects.internal_form import difference_text, internal_form
from moorage.objects.metadata import Object, annotations_of, is_terminating, name_of
from moorage.objects.quantity import NANO, parse_quantity
from moorage.objects.validation import each_invalid, forbidden, invalid, not_supported, qualified_name_problems

Part = Mapping[str, Any]

MODES: Mapping[str, str] = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}
_RESIZE = (
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
    "NodeResizePending",
)
_ONLY = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n"
_SNAPSHOT = ("snapshot.storage.k8s.io", "VolumeSnapshot")


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Start pending; both forms of the source say the same."""
    del request, lookup
    draft["status"] = {"phase": "Pending"}
    _align_sources(draft.setdefault("spec", {}), {})


def _align_sources(spec: Draft, before: Part) -> None:
    """Drop what is neither a claim nor a snapshot from the old field; then let both fields say the same.

    before: the stored specification; what it has of a source was accepted once, so nothing is dropped.
    """
    reference = spec.get("dataSourceRef")
    if reference and reference.get("namespace") and before.get("dataSourceRef") is None:
        # Sources in other namespaces are behind a feature gate that is off.
        spec.pop("dataSourceRef")
        reference = None
    had_none = before.get("dataSource") is None and before.get("dataSourceRef") is None
    if had_none and reference is None and not _is_claim_or_snapshot(spec.get("dataSource") or {}):
        spec.pop("dataSource", None)
    source = spec.get("dataSource")
    if source is not None and reference is None:
        spec["dataSourceRef"] = dict(source)
    elif reference is not None and source is None and not reference.get("namespace"):
        spec["dataSource"] = {
            "apiGroup": None,
            **{key: value for key, value in reference.items() if key != "namespace"},
        }


def _is_claim_or_snapshot(source: Part) -> bool:
    return (source.get("apiGroup") or "", source.get("kind")) in {("", "PersistentVolumeClaim"), _SNAPSHOT}


def prepare_update(draft: Draft, old: Object, request: Request, lookup: Lookup) -> None:
    """Keep the status; align both forms of the source."""
    del request, lookup
    draft["status"] = old.get("status") or {}
    _align_sources(draft.setdefault("spec", {}), old.get("spec") or {})


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a claim."""
    del request
    return validate_claim_spec("spec", obj.get("spec") or {})


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a claim may not change so."""
    del request
    new_spec, old_spec = obj.get("spec") or {}, old.get("spec") or {}
    causes: list[Cause] = []
    after, before = dict(new_spec), dict(old_spec)
    if not old_spec.get("volumeName"):  # the volume is given once
        _take(before, new_spec, "volumeName")
    old_class, new_class = annotations_of(old).get(CLASS_ANNOTATION), annotations_of(obj).get(CLASS_ANNOTATION)
    if _is_upgraded_class(old_class, new_class, old_spec, new_spec):
        after.pop("storageClassName", None)
    else:
        if (old_class or "") != (new_class or ""):
            causes.append(invalid(f"metadata.annotations.{CLASS_ANNOTATION}", new_class or "", "field is immutable"))
        given = new_spec.get("storageClassName")
        if given is not None and old_spec.get("storageClassName") is None and old_class in (None, given):
            after.pop("storageClassName")
    if (obj.get("status") or {}).get("phase") == "Bound":
        after = _with_size_of(after, old_spec)
        _take(after, old_spec, "volumeAttributesClassName")
    if text := difference_text(internal_form("ClaimSpec", before), internal_form("ClaimSpec", after)):
        causes.append(forbidden("spec", _ONLY + text))
    causes += _validate_size(new_spec, old_spec, old)
    if new_spec.get("volumeMode") != old_spec.get("volumeMode"):
        causes.append(invalid("volumeMode", new_spec.get("volumeMode"), "field is immutable"))
    return causes + _validate_attributes_class(new_spec, old_spec, old)


def _take(spec: dict[str, Any], other: Part, field: str) -> None:
    """Let a field be what it is in another specification."""
    spec.pop(field, None)
    if field in other:
        spec[field] = other[field]


def _is_upgraded_class(old_class: str | None, new_class: str | None, before: Part, after: Part) -> bool:
    """Tell whether the class moves from the annotation of beta to its field."""
    if old_class is None or before.get("storageClassName") is not None:
        return False
    return after.get("storageClassName") == old_class and new_class in (None, old_class)


def _with_size_of(spec: Part, old: Part) -> dict[str, Any]:
    """Return the specification with the size of another one, if it asks for anything."""
    resources = spec.get("resources") or {}
    requests = resources.get("requests")
    if not requests:
        return dict(spec)
    size = ((old.get("resources") or {}).get("requests") or {}).get("storage", "0")
    return {**spec, "resources": {**resources, "requests": {**requests, "storage": size}}}


def _validate_size(new: Part, old: Part, claim: Object) -> list[Cause]:
    """A claim may shrink to what it was before an expansion that failed, never to what its volume has or below."""
    after, before = (
        parse_quantity(((each.get("resources") or {}).get("requests") or {}).get("storage") or "0")
        for each in (new, old)
    )
    capacity = parse_quantity(((claim.get("status") or {}).get("capacity") or {}).get("storage") or "0")
    if after >= before or after > capacity:
        return []
    return [forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")]


def _validate_attributes_class(new: Part, old: Part, claim: Object) -> list[Cause]:
    after = new.get("volumeAttributesClassName")
    if after == old.get("volumeAttributesClassName") or after:
        return []
    if (claim.get("status") or {}).get("currentVolumeAttributesClassName") is None:
        return []
    wish = "nil" if after is None else "empty string"
    text = f"update to {wish} is forbidden when status.currentVolumeAttributesClassName is not nil"
    return [forbidden("spec.volumeAttributesClassName", text)]


def validate_status(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what a status may not say."""
    del old, request
    status = obj.get("status") or {}
    causes: list[Cause] = []
    for name, text in (status.get("capacity") or {}).items():
        if (quantity := parse_quantity(text)).nanos < 0:
            causes.append(invalid(f"status.capacity[{name}]", quantity.value, "must be a valid resource quantity"))
    path = "status.allocatedResourceStatuses"
    for name, state in (status.get("allocatedResourceStatuses") or {}).items():
        causes += _validate_key(path, name)
        causes += [] if state in _RESIZE else [not_supported(path, name, _RESIZE)]
    path = "status.allocatedResources"
    for name, text in (status.get("allocatedResources") or {}).items():
        quantity = parse_quantity(text)
        if problems := _validate_key(path, name):
            causes += problems
        elif quantity.nanos < 0:
            causes.append(invalid(f"{path}[{name}]", quantity.value, "must be a valid resource quantity"))
        else:
            causes += validate_quantity(f"{path}[{name}]", "storage", text)
    return causes


def _validate_key(path: str, name: str) -> list[Cause]:
    """Return the causes of a resource that claims cannot have: of Kubernetes' own there is only storage."""
    if problems := qualified_name_problems(name):
        return each_invalid(path, name, problems)
    is_native = "/" not in name or "kubernetes.io/" in name
    return [not_supported(path, name, ("storage",))] if is_native and name != "storage" else []


def modes_text(modes: list[str] | None) -> str:
    """Return access modes as tables show them: `RWO,ROX`, in upstream's order."""
    return ",".join(short for mode, short in MODES.items() if mode in (modes or ()))


def warnings(obj: Object, old: Object | None) -> list[str]:
    """Return what to warn about."""
    del old
    texts = []
    if CLASS_ANNOTATION in annotations_of(obj):
        text = 'deprecated since v1.8; use "storageClassName" attribute instead'
        texts.append(f"metadata.annotations[{CLASS_ANNOTATION}]: {text}")
    resources = (obj.get("spec") or {}).get("resources") or {}
    for kind in ("requests", "limits"):
        amount = (resources.get(kind) or {}).get("storage")
        if amount and parse_quantity(amount).nanos % NANO:
            place = f"spec.resources.{kind}[storage]"
            texts.append(f'{place}: fractional byte value "{amount}" is invalid, must be an integer')
    return texts


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, status, volume, capacity, modes, class, attributes class, age, volume mode."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    volume = spec.get("volumeName") or ""
    capacity = modes = ""
    if volume:
        capacity = (status.get("capacity") or {}).get("storage") or "0"
        modes = modes_text(status.get("accessModes"))
    return [
        name_of(obj),
        "Terminating" if is_terminating(obj) else status.get("phase") or "",
        volume,
        capacity,
        modes,
        annotations_of(obj).get(CLASS_ANNOTATION) or spec.get("storageClassName") or "",
        spec.get("volumeAttributesClassName") or "<unset>",
        age_of(obj, now),
        spec.get("volumeMode") or "<unset>",
    ]
