"""References to fields and resources of the pod itself, in environment variables and volumes.

Source: pkg/apis/core/validation/validation.go, pkg/apis/core/pods/helpers.go (v1.37).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from moorage.objects.errors import Cause
from moorage.objects.quantity import parse_quantity
from moorage.objects.validation import each_invalid, invalid, not_supported, qualified_name_problems, required

ENV_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
VOLUME_FIELDS = (
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
)
_ALL_FIELDS = frozenset(ENV_FIELDS + VOLUME_FIELDS) | {"spec.restartPolicy", "spec.schedulerName", "status.phase"}
RESOURCES = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
_BYTES = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
_subscripted = re.compile(r"(.+?)\['(.*)'\]").fullmatch


def validate_field_ref(path: str, ref: Mapping[str, Any], allowed: Sequence[str]) -> list[Cause]:
    """Return the causes of a reference to a field that cannot be referred to."""
    version, field = ref.get("apiVersion") or "", ref.get("fieldPath") or ""
    if not version:
        return [required(f"{path}.apiVersion")]
    if not field:
        return [required(f"{path}.fieldPath")]
    match = _subscripted(field)
    problem = _conversion_problem(version, field, match[1] if match else "")
    if problem:
        return [invalid(f"{path}.fieldPath", field, f"error converting fieldPath: {problem}")]
    if match:
        key = match[2].lower() if match[1] == "metadata.annotations" else match[2]
        return each_invalid(path, match[2], qualified_name_problems(key))
    field = "spec.nodeName" if field == "spec.host" else field
    return [] if field in allowed else [not_supported(f"{path}.fieldPath", field, allowed)]


def _conversion_problem(version: str, field: str, subscripted: str) -> str:
    if version != "v1":
        return f"unsupported pod version: {version}"
    if subscripted:
        known = subscripted in {"metadata.annotations", "metadata.labels"}
        return "" if known else f"field label does not support subscript: {field}"
    return "" if field in _ALL_FIELDS or field == "spec.host" else f"field label not supported: {field}"


def validate_resource_ref(path: str, ref: Mapping[str, Any], *, in_volume: bool) -> list[Cause]:
    """Return the causes of a reference to a resource that cannot be referred to, or with a wrong divisor."""
    resource = ref.get("resource") or ""
    if in_volume and not ref.get("containerName"):
        return [required(f"{path}.containerName")]
    if not resource:
        return [required(f"{path}.resource")]
    if resource not in RESOURCES and not resource.startswith(("limits.hugepages-", "requests.hugepages-")):
        return [not_supported(f"{path}.resource", resource, RESOURCES)]
    divisor = parse_quantity(ref.get("divisor") or "0")
    if not divisor:
        return []
    name = resource.partition(".")[2]
    if name == "cpu":
        if divisor in {parse_quantity("1m"), parse_quantity("1")}:
            return []
        text = "only divisor's values 1m and 1 are supported with the cpu resource"
        return [invalid(f"{path}.divisor", resource, text)]
    if divisor in {parse_quantity(each) for each in _BYTES}:
        return []
    what = {"memory": "memory", "ephemeral-storage": "local ephemeral storage"}.get(name, "hugepages")
    text = f"only divisor's values {', '.join(_BYTES)} are supported with the {what} resource"
    return [invalid(f"{path}.divisor", resource, text)]
