"""PersistentVolumeClaims: wishes for volumes.

Source: pkg/registry/core/persistentvolumeclaim/strategy.go, pkg/apis/core/validation (v1.37).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moorage.api.admission.default_storage_class import CLASS_ANNOTATION
from moorage.api.kind_rules import Lookup
from moorage.api.kinds.pod_spec.claim_spec import validate_claim_spec
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Draft, Request
from moorage.objects.errors import Cause
from moorage.objects.internal_form import difference_text, internal_form
from moorage.objects.metadata import Object, annotations_of, is_terminating, name_of
from moorage.objects.quantity import NANO, parse_quantity
from moorage.objects.validation import forbidden, invalid, not_supported

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
    _align_sources(draft.setdefault("spec", {}))


def _align_sources(spec: Draft) -> None:
    """Drop what is neither a claim nor a snapshot from the old field; then let both fields say the same."""
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if source and not _is_claim_or_snapshot(source):
        spec.pop("dataSource")
        source = None
    if reference and reference.get("namespace"):
        # Sources in other namespaces are behind a feature gate that is off.
        spec.pop("dataSourceRef")
        return
    if source and not reference:
        spec["dataSourceRef"] = dict(source)
    elif reference and not source:
        spec["dataSource"] = {
            "apiGroup": None,
            **{key: value for key, value in reference.items() if key != "namespace"},
        }


def _is_claim_or_snapshot(source: Part) -> bool:
    if not source.get("name"):
        return False
    return (source.get("apiGroup") or "", source.get("kind")) in {("", "PersistentVolumeClaim"), _SNAPSHOT}


def prepare_update(draft: Draft, old: Object, request: Request, lookup: Lookup) -> None:
    """Keep the status; align both forms of the source."""
    del request, lookup
    draft["status"] = old.get("status") or {}
    _align_sources(draft.setdefault("spec", {}))


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a claim."""
    del request
    return validate_claim_spec("spec", obj.get("spec") or {})


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a claim may not change so."""
    del request
    new_spec, old_spec = obj.get("spec") or {}, old.get("spec") or {}
    is_bound = (old.get("status") or {}).get("phase") == "Bound"
    causes: list[Cause] = []
    allowed = dict(new_spec)
    # A claim that nobody bound yet may be given its volume, and a class that it did not have.
    if not old_spec.get("volumeName") and new_spec.get("volumeName"):
        allowed.pop("volumeName")
    if not old_spec.get("storageClassName") and "storageClassName" not in old_spec:
        allowed.pop("storageClassName", None)
    if is_bound:
        allowed = _with_requests_of(allowed, old_spec)
        allowed.pop("volumeAttributesClassName", None)
        if "volumeAttributesClassName" in old_spec:
            allowed["volumeAttributesClassName"] = old_spec["volumeAttributesClassName"]
    before, after = internal_form("ClaimSpec", old_spec), internal_form("ClaimSpec", allowed)
    if text := difference_text(before, after):
        causes.append(forbidden("spec", _ONLY + text))
    causes += _validate_size(new_spec, old_spec, old) if is_bound else []
    if new_spec.get("volumeMode") != old_spec.get("volumeMode"):
        causes.append(invalid("volumeMode", new_spec.get("volumeMode"), "field is immutable"))
    key = f"metadata.annotations.{CLASS_ANNOTATION}"
    old_class, new_class = annotations_of(old).get(CLASS_ANNOTATION), annotations_of(obj).get(CLASS_ANNOTATION)
    if old_class != new_class:
        causes.append(invalid(key, new_class or "", "field is immutable"))
    return causes


def _with_requests_of(spec: Part, old: Part) -> dict[str, Any]:
    resources = dict(spec.get("resources") or {})
    before = old.get("resources") or {}
    resources.pop("requests", None)
    if "requests" in before:
        resources["requests"] = before["requests"]
    return {**spec, "resources": resources}


def _validate_size(new: Part, old: Part, claim: Object) -> list[Cause]:
    after = ((new.get("resources") or {}).get("requests") or {}).get("storage")
    before = ((old.get("resources") or {}).get("requests") or {}).get("storage")
    if not after or not before or parse_quantity(after) >= parse_quantity(before):
        return []
    capacity = ((claim.get("status") or {}).get("capacity") or {}).get("storage")
    path = "spec.resources.requests.storage"
    if capacity is not None and parse_quantity(after) <= parse_quantity(capacity):
        return [forbidden(path, "field can not be less than status.capacity")]
    if capacity is None:
        return [forbidden(path, "field can not be less than previous value")]
    return []


def validate_status(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what a status may not say."""
    del old, request
    status = obj.get("status") or {}
    causes: list[Cause] = []
    for name, text in (status.get("capacity") or {}).items():
        if (quantity := parse_quantity(text)).nanos < 0:
            causes.append(invalid(f"status.capacity[{name}]", quantity.value, "must be a valid resource quantity"))
    causes += [
        not_supported("status.allocatedResourceStatuses", name, _RESIZE)
        for name, state in (status.get("allocatedResourceStatuses") or {}).items()
        if state not in _RESIZE
    ]
    causes += [
        not_supported("status.allocatedResources", name, ("storage",))
        for name in status.get("allocatedResources") or ()
        if name != "storage" and "/" not in name
    ]
    return causes


def modes_text(modes: list[str] | None) -> str:
    """Return access modes as tables show them: `RWO,ROX`, in upstream's order."""
    return ",".join(short for mode, short in MODES.items() if mode in (modes or ()))


def warnings(obj: Object, old: Object | None) -> list[str]:
    """Return what to warn about."""
    del old
    texts = []
    for key in (CLASS_ANNOTATION, "volume.alpha.kubernetes.io/storage-class"):
        if key in annotations_of(obj):
            text = 'deprecated since v1.8; use "storageClassName" attribute instead'
            texts.append(f"metadata.annotations[{key}]: {text}")
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
