"""Pods stay five minutes on a node that is not ready or cannot be reached.

Source: plugin/pkg/admission/defaulttolerationseconds (v1.37).
"""

from collections.abc import Sequence
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.request import Draft, Request
from moorage.objects.metadata import Object

RESOURCES = frozenset({"pods"})

SECONDS = 300
TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def mutate(draft: Draft, old: Object | None, request: Request, lookup: Lookup) -> None:
    """Add the tolerations that the pod does not have."""
    del lookup
    if request.subresource or (old is not None and draft.get("spec") == old.get("spec")):
        return
    spec = draft["spec"]
    tolerations = spec.get("tolerations") or []
    missing = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS}
        for key in TAINTS
        if not _tolerates(tolerations, key)
    ]
    if missing:
        spec["tolerations"] = [*tolerations, *missing]


def _tolerates(tolerations: Sequence[dict[str, Any]], key: str) -> bool:
    return any(
        (each.get("key") or "") in {key, ""} and (each.get("effect") or "") in {"NoExecute", ""} for each in tolerations
    )
