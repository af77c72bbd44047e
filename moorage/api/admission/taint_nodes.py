"""A new node is not ready: nothing is scheduled to it before its conditions say otherwise.

Source: plugin/pkg/admission/nodetaint (v1.37).
"""

from moorage.api.kind_rules import Lookup
from moorage.api.request import Draft, Request
from moorage.objects.metadata import Object

RESOURCES = frozenset({"nodes"})

NOT_READY = "node.kubernetes.io/not-ready"


def mutate(draft: Draft, old: Object | None, request: Request, lookup: Lookup) -> None:
    """Add the not-ready taint to a new node."""
    del lookup
    if old is not None or request.subresource:
        return
    spec = draft.setdefault("spec", {})
    taints = spec.get("taints") or []
    if not any(each.get("key") == NOT_READY and each.get("effect") == "NoSchedule" for each in taints):
        spec["taints"] = [*taints, {"key": NOT_READY, "effect": "NoSchedule"}]
