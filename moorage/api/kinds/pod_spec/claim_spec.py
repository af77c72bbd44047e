"""The specification of a volume claim, in claims and in templates of claims.

Source: pkg/apis/core/validation/validation.go, ValidatePersistentVolumeClaimSpec (v1.37).
"""

from collections.abc import Mapping
from typing import Any

from moorage.api.kinds.pod_spec.resources import validate_quantity
from moorage.objects.errors import Cause
from moorage.objects.object_meta import validate_annotations
from moorage.objects.quantity import parse_quantity
from moorage.objects.selector_rules import validate_label_selector
from moorage.objects.validation import (
    dns1123_label_problems,
    dns1123_subdomain_problems,
    each_invalid,
    forbidden,
    in_list,
    invalid,
    not_supported,
    required,
    validate_dns_subdomain,
    validate_labels,
)

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
VOLUME_MODES = ("Block", "Filesystem")


def validate_claim_spec(path: str, spec: Mapping[str, Any]) -> list[Cause]:
    """Return every broken rule of a claim's specification."""
    causes: list[Cause] = []
    modes = spec.get("accessModes") or []
    if not modes:
        causes.append(required(f"{path}.accessModes", "at least 1 access mode is required"))
    if spec.get("selector"):
        causes += validate_label_selector(f"{path}.selector", spec["selector"])
    causes += validate_access_modes(f"{path}.accessModes", modes)
    causes += _validate_storage(f"{path}.resources", (spec.get("resources") or {}).get("requests") or {})
    if class_name := spec.get("storageClassName"):
        causes += validate_dns_subdomain(f"{path}.storageClassName", class_name)
    if (mode := spec.get("volumeMode")) is not None:
        causes += in_list(f"{path}.volumeMode", mode, VOLUME_MODES)
    causes += _validate_sources(path, spec)
    if attributes := spec.get("volumeAttributesClassName"):
        causes += validate_dns_subdomain(f"{path}.volumeAttributesClassName", attributes)
    return causes


def validate_access_modes(path: str, modes: list[str]) -> list[Cause]:
    """Return the causes of unknown access modes, and of a combination with ReadWriteOncePod."""
    causes = [not_supported(path, mode, ACCESS_MODES) for mode in modes if mode not in ACCESS_MODES]
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        causes.append(forbidden(path, "may not use ReadWriteOncePod with other access modes"))
    return causes


def _validate_storage(path: str, requests: Mapping[str, str]) -> list[Cause]:
    text = requests.get("storage")
    if text is None:
        return [required(f"{path}[storage]")]
    if parse_quantity(text).nanos <= 0:
        return [invalid(f"{path}[storage]", text, "must be greater than zero")]
    return validate_quantity(f"{path}[storage]", "storage", text)


def _validate_sources(path: str, spec: Mapping[str, Any]) -> list[Cause]:
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    causes: list[Cause] = []
    if source:
        causes += _validate_source(f"{path}.dataSource", source)
    if reference:
        causes += _validate_source(f"{path}.dataSourceRef", reference)
        namespace = reference.get("namespace")
        if namespace:
            causes += each_invalid(f"{path}.dataSourceRef.namespace", namespace, dns1123_label_problems(namespace))
            if source:
                causes.append(invalid(path, {}, "may not be specified when dataSourceRef.namespace is specified"))
            return causes
    if source and reference and not _is_same_source(source, reference):
        causes.append(invalid(path, {}, "must match dataSourceRef"))
    return causes


def _is_same_source(source: Mapping[str, Any], reference: Mapping[str, Any]) -> bool:
    return all((source.get(field) or "") == (reference.get(field) or "") for field in ("apiGroup", "kind", "name"))


def _validate_source(path: str, source: Mapping[str, Any]) -> list[Cause]:
    causes = [required(f"{path}.{field}") for field in ("name", "kind") if not source.get(field)]
    group = source.get("apiGroup") or ""
    if not group and source.get("kind") != "PersistentVolumeClaim":
        text = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        causes.append(invalid(path, source.get("kind") or "", text))
    if group:
        causes += each_invalid(f"{path}.apiGroup", group, dns1123_subdomain_problems(group))
    return causes


def validate_claim_template(path: str, template: Mapping[str, Any]) -> list[Cause]:
    """Return every broken rule of the template of an ephemeral volume's claim: labels and annotations, nothing else."""
    metadata = template.get("metadata") or {}
    causes = validate_annotations(f"{path}.metadata.annotations", metadata.get("annotations") or {})
    causes += validate_labels(f"{path}.metadata.labels", metadata.get("labels"))
    causes += [
        forbidden(f"{path}.metadata.{field}", "cannot be set")
        for field, value in metadata.items()
        if value and field not in {"annotations", "labels"}
    ]
    return causes + validate_claim_spec(f"{path}.spec", template.get("spec") or {})
