"""CustomResourceDefinitions: kinds that users add. The rules of their content are in moorage.api.custom_resources.

Source: apiextensions-apiserver/pkg/registry/customresourcedefinition/{strategy,etcd}.go (v1.37).
"""

from datetime import datetime
from typing import Any, Final

from moorage.api.custom_resources.definitions import (
    changed_definition_causes,
    definition_causes,
    is_true,
    stored_version_causes,
    versions_of,
)
from moorage.api.kind_rules import Lookup
from moorage.api.request import Draft, Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, format_time, metadata_of, name_of

#: What holds a definition until its objects are gone.
CLEANUP: Final = "customresourcecleanup.apiextensions.k8s.io"


def default(draft: Draft) -> None:
    """Name the singular and the list after the kind; versions do not convert unless they say how."""
    spec = draft.get("spec")
    if not isinstance(spec, dict):
        return
    names = spec.get("names")
    if isinstance(names, dict) and (kind := names.get("kind")):
        names.setdefault("singular", kind.lower())
        names.setdefault("listKind", f"{kind}List")
    spec.setdefault("conversion", {"strategy": "None"})


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Begin with an empty status that knows the storage version."""
    del request, lookup
    draft["status"] = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": None}
    _remember_storage(draft)


def prepare_update(draft: Draft, old: Object, request: Request, lookup: Lookup) -> None:
    """Remember each version that objects were ever stored in."""
    del old, request, lookup
    _remember_storage(draft)


def _remember_storage(draft: Draft) -> None:
    status = draft.get("status") or {}
    stored = list(status.get("storedVersions") or ())
    name = next((each.get("name") for each in versions_of(draft) if each.get("storage")), None)
    if name is not None and name not in stored:
        draft["status"] = {**status, "storedVersions": [*stored, name]}


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return the broken rules of a new definition."""
    del request
    return definition_causes(obj)


def validate_whole_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return the broken rules of a changed definition."""
    del request
    return changed_definition_causes(obj, old)


def validate_status(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what is wrong with the stored versions."""
    del old, request
    return stored_version_causes(obj)


def mark_deleted(draft: Draft, request: Request) -> None:
    """Hold the definition until its objects are gone."""
    status, metadata = draft.get("status") or {}, draft["metadata"]
    if is_true(draft, "Terminating"):
        return
    if CLEANUP not in (metadata.get("finalizers") or ()):
        metadata["finalizers"] = [*(metadata.get("finalizers") or ()), CLEANUP]
    condition = {
        "type": "Terminating",
        "status": "True",
        "lastTransitionTime": format_time(request.now),
        "reason": "InstanceDeletionPending",
        "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
    }
    others = [each for each in status.get("conditions") or () if each.get("type") != "Terminating"]
    draft["status"] = {**status, "conditions": [*others, condition]}


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, scope, versions, created at, group, kind, short names, established."""
    del now
    spec = obj.get("spec") or {}
    names = (obj.get("status") or {}).get("acceptedNames") or {}
    return [
        name_of(obj),
        spec.get("scope") or "",
        ",".join(f"{each.get('name') or ''}{'(storage)' if each.get('storage') else ''}" for each in versions_of(obj)),
        metadata_of(obj).get("creationTimestamp"),
        spec.get("group") or "",
        (spec.get("names") or {}).get("kind") or "",
        ",".join(names.get("shortNames") or ()),
        is_true(obj, "Established"),
    ]
