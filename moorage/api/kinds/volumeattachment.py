"""VolumeAttachments: the wish that a volume be attached to a node.

Source: pkg/apis/storage/validation, pkg/registry/storage/volumeattachment/strategy.go (v1.37).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.pod_spec.claim_spec import validate_access_modes
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Draft, Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, name_of
from moorage.objects.validation import (
    dns1123_subdomain_problems,
    each_invalid,
    forbidden,
    id_problems,
    invalid,
    required,
    too_long,
    validate_caseless_subdomain,
)

Part = Mapping[str, Any]

#: The longest name of an attacher, and the longest message of an error.
ATTACHER_MOST, MESSAGE_MOST = 63, 1024

#: How large what an attacher says about an attachment may be.
METADATA_MOST_BYTES = 256 * 1024

#: Fields of a volume that are no source of one.
_NOT_SOURCES = frozenset(
    "accessModes capacity claimRef mountOptions nodeAffinity persistentVolumeReclaimPolicy storageClassName "
    "volumeAttributesClassName volumeMode".split()
)


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Start detached."""
    del request, lookup
    draft["status"] = {"attached": False}


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a VolumeAttachment."""
    del request
    spec = obj.get("spec") or {}
    attacher, node = spec.get("attacher") or "", spec.get("nodeName") or ""
    causes = _validate_source("spec.source", spec.get("source") or {})
    causes += each_invalid("spec.nodeName", node, dns1123_subdomain_problems(node))
    causes += _validate_status(obj.get("status") or {})
    if not attacher:
        causes.append(required("spec.attacher"))
    elif len(attacher) > ATTACHER_MOST:
        causes.append(too_long("spec.attacher", ATTACHER_MOST, "characters"))
    else:
        causes += validate_caseless_subdomain("spec.attacher", attacher)
    return causes


def _validate_source(path: str, source: Part) -> list[Cause]:
    inline, name = source.get("inlineVolumeSpec"), source.get("persistentVolumeName")
    text = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
    if inline is None and name is None:
        return [required(path, text)]
    if inline is not None and name is not None:
        return [forbidden(path, text)]
    if inline is not None:
        return _validate_inline(f"{path}.inlineVolumeSpec", inline)
    place = f"{path}.persistentVolumeName"
    causes = [] if name else [required(place, "must specify non empty persistentVolumeName")]
    return causes + each_invalid(place, name, dns1123_subdomain_problems(name or ""))


def _validate_inline(path: str, volume: Part) -> list[Cause]:
    causes = [
        forbidden(f"{path}.{field}", "may not be specified in the context of inline volumes")
        for field in ("claimRef", "capacity")
        if volume.get(field)
    ]
    if volume.get("csi") is None:
        causes.append(required(f"{path}.csi", "has to be specified in the context of inline volumes"))
    if modes := volume.get("accessModes"):
        causes += validate_access_modes(f"{path}.accessModes", modes)
    else:
        causes.append(required(f"{path}.accessModes"))
    if volume.get("persistentVolumeReclaimPolicy") not in {None, "", "Retain"}:
        text = "may only be Retain in the context of inline volumes"
        causes.append(forbidden(f"{path}.persistentVolumeReclaimPolicy", text))
    if volume.get("volumeMode") not in {None, "Filesystem"}:
        text = "may not specify volumeMode other than Filesystem in the context of inline volumes"
        causes.append(forbidden(f"{path}.volumeMode", text))
    if not set(volume) - _NOT_SOURCES:
        causes.append(required(path, "must specify a volume type"))
    return causes


def _validate_status(status: Part) -> list[Cause]:
    causes = [
        too_long(f"status.{field}.message", MESSAGE_MOST)
        for field in ("attachError", "detachError")
        if len((status.get(field) or {}).get("message") or "") > MESSAGE_MOST
    ]
    for field in ("attachError", "detachError"):
        code = (status.get(field) or {}).get("errorCode")
        if code is not None:
            causes += each_invalid(f"status.{field}.errorCode", code, id_problems(code))
    metadata = status.get("attachmentMetadata") or {}
    if sum(len(key) + len(value) for key, value in metadata.items()) > METADATA_MOST_BYTES:
        causes.append(too_long("status.attachmentMetadata", METADATA_MOST_BYTES))
    return causes


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a VolumeAttachment may not change: what is wished for."""
    del request
    return [] if obj.get("spec") == old.get("spec") else [invalid("spec", None, "field is immutable")]


def validate_status(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what a status may not say."""
    del old, request
    return _validate_status(obj.get("status") or {})


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, attacher, volume, node, whether it is attached, age."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    return [
        name_of(obj),
        spec.get("attacher") or "",
        (spec.get("source") or {}).get("persistentVolumeName") or "",
        spec.get("nodeName") or "",
        bool(status.get("attached")),
        age_of(obj, now),
    ]
