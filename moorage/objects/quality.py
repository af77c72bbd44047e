"""The quality-of-service class of a pod.

Source: pkg/apis/core/helper/qos/qos.go (v1.37).
"""

from collections.abc import Mapping
from typing import Any

from moorage.objects.quantity import parse_quantity

_COMPUTE = ("cpu", "memory")


def quality_for(spec: Mapping[str, Any]) -> str:
    """Return Guaranteed, Burstable or BestEffort."""
    of_pod = spec.get("resources")
    if of_pod:
        parts = [of_pod]
    else:
        parts = [
            each.get("resources") or {} for field in ("containers", "initContainers") for each in spec.get(field) or ()
        ]
    if not any(parts):
        return "BestEffort"
    any_request = False
    is_guaranteed = True
    for part in parts:
        requests, limits = _compute(part.get("requests")), _compute(part.get("limits"))
        any_request = any_request or bool(requests or limits)
        if len(limits) != len(_COMPUTE) or any(limits.get(name) != value for name, value in requests.items()):
            is_guaranteed = False
    if not any_request:
        return "BestEffort"
    return "Guaranteed" if is_guaranteed else "Burstable"


def _compute(amounts: Mapping[str, str] | None) -> dict[str, int]:
    found = {name: parse_quantity(text).nanos for name, text in (amounts or {}).items() if name in _COMPUTE}
    return {name: nanos for name, nanos in found.items() if nanos > 0}
