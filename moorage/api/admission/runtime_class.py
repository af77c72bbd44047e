"""A pod's overhead and placement come from its runtime class.

Source: plugin/pkg/admission/runtimeclass (v1.37).
"""

from typing import Any

from moorage.api.admission.refusals import refused
from moorage.api.kind_rules import Lookup
from moorage.api.request import Draft, Request
from moorage.objects.metadata import Object

RESOURCES = frozenset({"pods"})


def mutate(draft: Draft, old: Object | None, request: Request, lookup: Lookup) -> None:
    """Take overhead, node selector and tolerations from the class of a new pod."""
    if old is not None or request.subresource:
        return
    spec = draft["spec"]
    name = spec.get("runtimeClassName")
    if not name:
        if spec.get("overhead"):
            text = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
            raise refused(draft, request, text)
        return
    found = lookup.get("runtimeclasses.node.k8s.io", "", name)
    if found is None:
        raise refused(draft, request, f'pod rejected: RuntimeClass "{name}" not found')
    _set_overhead(draft, request, (found.get("overhead") or {}).get("podFixed"))
    _set_scheduling(draft, request, found.get("scheduling") or {})


def _set_overhead(draft: Draft, request: Request, overhead: dict[str, str] | None) -> None:
    spec = draft["spec"]
    given = spec.get("overhead")
    if given and given != (overhead or {}):
        text = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
        raise refused(draft, request, text)
    if overhead:
        spec["overhead"] = dict(overhead)


def _set_scheduling(draft: Draft, request: Request, scheduling: dict[str, Any]) -> None:
    spec = draft["spec"]
    selector = dict(spec.get("nodeSelector") or {})
    for key, value in (scheduling.get("nodeSelector") or {}).items():
        if selector.get(key, value) != value:
            text = (
                f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; "
                f"pod.spec.nodeSelector[{key}] = {selector[key]}"
            )
            raise refused(draft, request, text)
        selector[key] = value
    if selector:
        spec["nodeSelector"] = selector
    tolerations = list(spec.get("tolerations") or [])
    tolerations += [each for each in scheduling.get("tolerations") or () if each not in tolerations]
    if tolerations:
        spec["tolerations"] = tolerations
