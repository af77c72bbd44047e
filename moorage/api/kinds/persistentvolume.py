"""PersistentVolumes: storage that claims can be bound to.

Source: pkg/registry/core/persistentvolume/strategy.go, pkg/apis/core/validation (v1.37).
"""

import posixpath
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moorage.api.admission.default_storage_class import CLASS_ANNOTATION
from moorage.api.kind_rules import Lookup
from moorage.api.kinds.persistentvolumeclaim import modes_text
from moorage.api.kinds.pod_spec.claim_spec import VOLUME_MODES, validate_access_modes
from moorage.api.kinds.pod_spec.paths import validate_no_backsteps
from moorage.api.kinds.pod_spec.volumes import SOURCES, Rule, needs, validate_csi_driver_name
from moorage.api.kinds.pod_spec.warnings import OLD_VOLUMES, old_label_warnings
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Draft, Request
from moorage.objects.errors import Cause
from moorage.objects.internal_form import difference_text, internal_form
from moorage.objects.metadata import Object, annotations_of, format_time, is_terminating, name_of
from moorage.objects.quantity import parse_quantity
from moorage.objects.selector_rules import validate_node_selector
from moorage.objects.validation import (
    dns1123_label_problems,
    dns1123_subdomain_problems,
    each_invalid,
    forbidden,
    in_list,
    invalid,
    not_supported,
    required,
)

Part = Mapping[str, Any]

_POLICIES = ("Delete", "Recycle", "Retain")
_MORE_THAN_ONE = "may not specify more than 1 volume type"
_SECRETS = (
    "controllerPublishSecretRef",
    "controllerExpandSecretRef",
    "nodePublishSecretRef",
    "nodeExpandSecretRef",
)
#: The sources with which mount options may stand in an annotation.
_WITH_MOUNT_OPTIONS = frozenset(
    "gcePersistentDisk awsElasticBlockStore glusterfs nfs rbd quobyte iscsi cinder cephfs azureFile vsphereVolume "
    "azureDisk photonPersistentDisk".split()
)
#: What messages call a source that is one too many, where that differs.
_CALLED = {"cephfs": "cephFS"}
#: The warnings of old sources; flocker and quobyte are not warned about here.
_OLD = {
    "cephfs": "cephfs",
    "photonPersistentDisk": "photonPersistentDisk",
    "scaleIO": "scaleIO",
    "storageos": "storageOS",
    "glusterfs": "glusterfs",
    "rbd": "rbd",
}
#: Labels of beta, and what they are called now: an affinity may move from one to the other.
GA_LABELS = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "beta.kubernetes.io/os": "kubernetes.io/os",
    "beta.kubernetes.io/arch": "kubernetes.io/arch",
    "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
}
_MOUNT_OPTIONS = "volume.beta.kubernetes.io/mount-options"
_OLD_ANNOTATIONS = {
    CLASS_ANNOTATION: 'deprecated since v1.8; use "storageClassName" attribute instead',
    _MOUNT_OPTIONS: 'deprecated since v1.31; use "mountOptions" attribute instead',
}


def _validate_secret_ref(path: str, ref: Part) -> list[Cause]:
    return [required(f"{path}.{field}") for field in ("name", "namespace") if not ref.get(field)]


def _validate_csi_secret(path: str, ref: Part) -> list[Cause]:
    causes: list[Cause] = []
    for field, check in (("name", dns1123_subdomain_problems), ("namespace", dns1123_label_problems)):
        text = ref.get(field) or ""
        causes += each_invalid(f"{path}.{field}", text, check(text)) if text else [required(f"{path}.{field}")]
    return causes


def _validate_csi(path: str, source: Part) -> list[Cause]:
    causes = validate_csi_driver_name(f"{path}.driver", source.get("driver") or "")
    if not source.get("volumeHandle"):
        causes.append(required(f"{path}.volumeHandle"))
    for field in _SECRETS:
        if (ref := source.get(field)) is not None:
            causes += _validate_csi_secret(f"{path}.{field}", ref)
    return causes


def _validate_glusterfs(path: str, source: Part) -> list[Cause]:
    causes = needs("endpoints", "path")(path, source)
    namespace = source.get("endpointsNamespace")
    place = f"{path}.endpointsNamespace"
    if namespace:
        causes += each_invalid(place, namespace, dns1123_label_problems(namespace))
    elif namespace is not None:
        text = "if the endpointnamespace is set, it must be a valid namespace name"
        causes.append(invalid(place, namespace, text))
    return causes


def _validate_azure_file(path: str, source: Part) -> list[Cause]:
    causes = needs("secretName", "shareName")(path, source)
    if source.get("secretNamespace") is not None and not source["secretNamespace"]:
        causes.append(required(f"{path}.secretNamespace"))
    return causes


def _validate_cinder(path: str, source: Part) -> list[Cause]:
    causes = needs("volumeID")(path, source)
    if (ref := source.get("secretRef")) is not None:
        causes += _validate_secret_ref(f"{path}.secretRef", ref)
    return causes


def _validate_storage_os(path: str, source: Part) -> list[Cause]:
    causes = SOURCES["storageos"](path, source)
    if (ref := source.get("secretRef")) is not None:
        causes += _validate_secret_ref(f"{path}.secretRef", ref)
    return causes


def _validate_local(path: str, source: Part) -> list[Cause]:
    text = source.get("path") or ""
    return validate_no_backsteps(f"{path}.path", text) if text else [required(f"{path}.path")]


def _validate_iscsi(path: str, source: Part) -> list[Cause]:
    """The rules of a pod's iSCSI source; of a name that starts with nothing known, less is said here."""
    wordy = "must be valid format starting with iqn, eui, or naa"
    causes = [
        cause._replace(message=cause.message.replace(wordy, "must be valid format"))
        for cause in SOURCES["iscsi"](path, source)
    ]
    if (ref := source.get("secretRef")) is not None and not ref.get("name"):
        missing = required(f"{path}.secretRef.name")
        place = next((i for i, each in enumerate(causes) if each.field == f"{path}.initiatorname"), len(causes))
        causes.insert(place, missing)
    return causes


_KINDS = (
    "hostPath gcePersistentDisk awsElasticBlockStore glusterfs flocker nfs rbd quobyte cephfs iscsi cinder fc flexVolume "
    "azureFile vsphereVolume photonPersistentDisk portworxVolume azureDisk scaleIO local storageos csi"
).split()
_OWN: Mapping[str, Rule] = {
    "glusterfs": _validate_glusterfs,
    "azureFile": _validate_azure_file,
    "cinder": _validate_cinder,
    "iscsi": _validate_iscsi,
    "local": _validate_local,
    "storageos": _validate_storage_os,
    "csi": _validate_csi,
}


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Start pending."""
    del lookup
    draft["status"] = {"phase": "Pending", "lastPhaseTransitionTime": format_time(request.now)}


def prepare_status(draft: Draft, old: Object, request: Request, lookup: Lookup) -> None:
    """Remember when the phase changed."""
    del lookup
    status, before = draft.setdefault("status", {}), old.get("status") or {}
    if status.get("phase") != before.get("phase"):
        if status.get("lastPhaseTransitionTime") in (None, before.get("lastPhaseTransitionTime")):
            status["lastPhaseTransitionTime"] = format_time(request.now)
    elif before.get("lastPhaseTransitionTime"):
        status.setdefault("lastPhaseTransitionTime", before["lastPhaseTransitionTime"])


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a volume."""
    del request
    return _validate_spec(obj) + _validate_mount_options(obj)


def _validate_mount_options(obj: Object) -> list[Cause]:
    """Refuse the annotation with sources that know no mount options. Source: pkg/volume/validation."""
    if _MOUNT_OPTIONS not in annotations_of(obj):
        return []
    spec = obj.get("spec") or {}
    if any(spec.get(kind) is not None for kind in _WITH_MOUNT_OPTIONS):
        return []
    text = "may not specify mount options for this volume type"
    return [forbidden(f"metadata.annotations.{_MOUNT_OPTIONS}", text)]


def _validate_spec(obj: Object) -> list[Cause]:
    spec = obj.get("spec") or {}
    causes: list[Cause] = []
    modes = spec.get("accessModes") or []
    causes += validate_access_modes("spec.accessModes", modes) if modes else [required("spec.accessModes")]
    causes += _validate_capacity(spec.get("capacity"))
    policy = spec.get("persistentVolumeReclaimPolicy") or ""
    if policy:
        causes += in_list("spec.persistentVolumeReclaimPolicy", policy, _POLICIES)
    causes += _validate_affinity(spec)
    causes += _validate_source(spec, name_of(obj))
    host_path = (spec.get("hostPath") or {}).get("path")
    if host_path and posixpath.normpath(host_path) in {"/", "//"} and policy == "Recycle":
        text = "may not be 'recycle' for a hostPath mount of '/'"
        causes.append(forbidden("spec.persistentVolumeReclaimPolicy", text))
    if name := spec.get("storageClassName"):
        causes += each_invalid("spec.storageClassName", name, dns1123_subdomain_problems(name))
    if (mode := spec.get("volumeMode")) is not None:
        causes += in_list("spec.volumeMode", mode, VOLUME_MODES)
    return causes + _validate_attributes(spec)


def _validate_capacity(given: Mapping[str, str] | None) -> list[Cause]:
    causes: list[Cause] = []
    capacity = given or {}
    if not capacity:
        causes.append(required("spec.capacity"))
    if "storage" not in capacity or len(capacity) > 1:
        causes.append(not_supported("spec.capacity", given and dict(sorted(given.items())), ("storage",)))
    for name, text in capacity.items():
        quantity = parse_quantity(text)
        path = f"spec.capacity[{name}]"
        if quantity.nanos < 0:
            causes.append(invalid(path, quantity.value, "must be a valid resource quantity"))
        if quantity.nanos <= 0:
            causes.append(invalid(path, text, "must be greater than zero"))
    return causes


def _validate_affinity(spec: Part) -> list[Cause]:
    affinity = spec.get("nodeAffinity")
    if affinity is None:
        return []
    if affinity.get("required") is None:
        return [required("spec.nodeAffinity.required", "must specify required node constraints")]
    return validate_node_selector("spec.nodeAffinity.required", affinity["required"])


def _validate_source(spec: Part, name: str) -> list[Cause]:
    found = [kind for kind in _KINDS if spec.get(kind) is not None]
    if not found:
        return [required("spec", "must specify a volume type")]
    causes: list[Cause] = []
    for position, kind in enumerate(found):
        if position:
            causes.append(forbidden(f"spec.{_CALLED.get(kind, kind)}", _MORE_THAN_ONE))
        else:
            causes += (_OWN.get(kind) or SOURCES[kind])(f"spec.{kind}", spec[kind])
            causes = _portal_causes(name, spec) + causes if kind == "iscsi" else causes
        if kind == "local" and not position and spec.get("nodeAffinity") is None:
            causes.append(required("spec.nodeAffinity", "Local volume requires node affinity"))
    return causes


def _portal_causes(name: str, spec: Part) -> list[Cause]:
    source = spec["iscsi"]
    portal = source.get("targetPortal") or ""
    if source.get("initiatorName") is None or len(f"{name}:{portal}") <= 64:
        return []
    text = (
        "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is "
        "specified."
    )
    return [invalid("spec.iscsi.targetportal", portal, text)]


def _validate_attributes(spec: Part) -> list[Cause]:
    name = spec.get("volumeAttributesClassName")
    if name is None:
        return []
    path = "spec.volumeAttributesClassName"
    causes = (
        each_invalid(path, name, dns1123_subdomain_problems(name))
        if name
        else [required(path, "an empty string is disallowed")]
    )
    if spec.get("csi") is None:
        text = "has to be specified when using volumeAttributesClassName"
        causes.append(required("spec.csi", text))
    return causes


def _source_form(spec: Part) -> Any:
    return internal_form("PersistentVolumeSource", {kind: spec.get(kind) for kind in _KINDS})


def _without_new_secret(new: Part, before: Part) -> Part:
    """The secret for expansion may be added later: leave it out of the comparison where it is new."""
    field = "controllerExpandSecretRef"
    if not new.get("csi") or not before.get("csi") or before["csi"].get(field) is not None:
        return new
    return {**new, "csi": {key: value for key, value in new["csi"].items() if key != field}}


def _is_renamed(new: Any, old: Any) -> bool:
    """Tell whether two affinities are the same but for labels of beta that became GA."""
    if isinstance(new, dict) and isinstance(old, dict):
        if set(new) != set(old):
            return False
        return all(
            _is_renamed(new[key], old[key])
            or (key == "key" and isinstance(old[key], str) and GA_LABELS.get(old[key]) == new[key])
            for key in new
        )
    if isinstance(new, list) and isinstance(old, list):
        return len(new) == len(old) and all(map(_is_renamed, new, old))
    return bool(new == old)


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a volume may not change so."""
    del request
    new, before = obj.get("spec") or {}, old.get("spec") or {}
    causes: list[Cause] = []
    forms = [_source_form(each) for each in (before, _without_new_secret(new, before))]
    if text := difference_text(*forms):
        place = "spec.persistentvolumesource"
        causes.append(forbidden(place, f"{place} is immutable after creation\n{text}"))
    if new.get("volumeMode") != before.get("volumeMode"):
        causes.append(invalid("volumeMode", new.get("volumeMode"), "field is immutable"))
    if before.get("nodeAffinity") is not None and not _is_renamed(new.get("nodeAffinity"), before["nodeAffinity"]):
        shown = internal_form("VolumeNodeAffinity", new.get("nodeAffinity"))
        text = "field is immutable, except for updating from beta label to GA"
        causes.append(invalid("nodeAffinity", shown, text))
    if before.get("volumeAttributesClassName") is not None and new.get("volumeAttributesClassName") is None:
        causes.append(forbidden("spec.volumeAttributesClassName", "update from non-nil value to nil is forbidden"))
    return causes


def warnings(obj: Object, old: Object | None) -> list[str]:
    """Return what to warn about."""
    del old
    spec = obj.get("spec") or {}
    annotations = annotations_of(obj)
    texts = [f"metadata.annotations[{key}]: {text}" for key, text in _OLD_ANNOTATIONS.items() if key in annotations]
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        texts.append(
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended "
            "approach is to use dynamic provisioning."
        )
    required_terms = ((spec.get("nodeAffinity") or {}).get("required") or {}).get("nodeSelectorTerms") or ()
    for index, term in enumerate(required_terms):
        for position, requirement in enumerate(term.get("matchExpressions") or ()):
            place = f"spec.nodeAffinity.required.nodeSelectorTerms[{index}].matchExpressions[{position}].key"
            texts += old_label_warnings(place, requirement.get("key"))
    texts += [f"spec.{shown}: {OLD_VOLUMES[kind]}" for kind, shown in _OLD.items() if spec.get(kind) is not None]
    return texts


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, capacity, modes, reclaim policy, status, claim, class, attributes class, reason, age, volume mode."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    claim = spec.get("claimRef")
    return [
        name_of(obj),
        (spec.get("capacity") or {}).get("storage") or "",
        modes_text(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy") or "",
        "Terminating" if is_terminating(obj) else status.get("phase") or "",
        f"{claim.get('namespace') or ''}/{claim.get('name') or ''}" if claim else "",
        spec.get("storageClassName") or "",
        spec.get("volumeAttributesClassName") or "<unset>",
        status.get("reason") or "",
        age_of(obj, now),
        spec.get("volumeMode") or "<unset>",
    ]
