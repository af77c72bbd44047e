"""Namespaces: rooms for objects, with a finalizer of their own.

Source: pkg/registry/core/namespace/strategy.go, pkg/apis/core/validation (v1.37).
"""

from datetime import datetime
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Draft, Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, is_terminating, name_of
from moorage.objects.object_meta import STANDARD_FINALIZERS
from moorage.objects.validation import each_invalid, invalid, qualified_name_problems

_FINALIZER = "kubernetes"


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Start active, with the finalizer that holds the namespace until it is empty; also label a generated name."""
    del request, lookup
    draft["status"] = {"phase": "Active"}
    spec = draft.get("spec") or {}
    finalizers = spec.get("finalizers") or []
    if _FINALIZER not in finalizers:
        finalizers = [*finalizers, _FINALIZER]
    draft["spec"] = {**spec, "finalizers": finalizers}
    _label(draft)


def prepare_update(draft: Draft, old: Object, request: Request, lookup: Lookup) -> None:
    """Only the finalize subresource changes finalizers."""
    if request.subresource != "finalize":
        draft["spec"] = old.get("spec") or {}
    draft["status"] = old.get("status") or {}
    _label(draft)
    del lookup


def _label(draft: Draft) -> None:
    metadata = draft["metadata"]
    if metadata.get("name"):
        metadata["labels"] = {**(metadata.get("labels") or {}), "kubernetes.io/metadata.name": metadata["name"]}


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a namespace: the names of its finalizers."""
    causes: list[Cause] = []
    for index, name in enumerate((obj.get("spec") or {}).get("finalizers") or ()):
        path = f"spec.finalizers[{index}]" if request.subresource == "finalize" else "spec.finalizers"
        causes += each_invalid(path, name, qualified_name_problems(name))
        if "/" not in name and name not in STANDARD_FINALIZERS:
            causes.append(invalid(path, name, "name is neither a standard finalizer name nor is it fully qualified"))
    return causes


def validate_status(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what a status may not say: only a deleted namespace terminates."""
    del old, request
    phase = (obj.get("status") or {}).get("phase") or ""
    if is_terminating(obj):
        if phase != "Terminating":
            text = "may only be 'Terminating' if `deletionTimestamp` is not empty"
            return [invalid("status.Phase", phase, text)]
    elif phase != "Active":
        return [invalid("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty")]
    return []


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, status, age."""
    return [name_of(obj), (obj.get("status") or {}).get("phase") or "", age_of(obj, now)]


def mark_deleted(draft: Draft, request: Request) -> None:
    """Say that the namespace is going. Namespaces know no grace period. Source: registry/core/namespace/storage."""
    del request
    draft["metadata"].pop("deletionGracePeriodSeconds", None)
    draft["status"] = {**(draft.get("status") or {}), "phase": "Terminating"}
