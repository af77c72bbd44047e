"""Limit ranges: defaults for containers, and bounds for containers, pods and claims.

Source: plugin/pkg/admission/limitranger (v1.37).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from moorage.api.admission.refusals import refused
from moorage.api.kind_rules import Lookup
from moorage.api.request import Draft, Request
from moorage.objects.metadata import Object
from moorage.objects.quantity import Quantity, parse_quantity
from moorage.objects.usage import pod_total

RESOURCES = frozenset({"pods", "persistentvolumeclaims"})

Part = Mapping[str, Any]
Amounts = Mapping[str, Quantity]

_ANNOTATION = "kubernetes.io/limit-ranger"


def mutate(draft: Draft, old: Object | None, request: Request, lookup: Lookup) -> None:
    """Fill in default requests and limits of a new pod's containers."""
    if old is not None or request.subresource or request.resource.plural != "pods":
        return
    for limit_range in lookup.list("limitranges", request.namespace):
        _fill(draft, limit_range)


def _fill(draft: Draft, limit_range: Object) -> None:
    items = [each for each in limit_range["spec"].get("limits") or () if each.get("type") == "Container"]
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    for item in items:
        requests.update(item.get("defaultRequest") or {})
        limits.update(item.get("default") or {})
    if not requests and not limits:
        return
    notes: list[str] = []
    spec = draft["spec"]
    for field, word in (("containers", "container"), ("initContainers", "init container")):
        for container in spec.get(field) or ():
            notes += _fill_container(container, word, requests, limits)
    if notes:
        metadata = draft["metadata"]
        text = "LimitRanger plugin set: " + "; ".join(notes)
        metadata["annotations"] = {**(metadata.get("annotations") or {}), _ANNOTATION: text}


def _fill_container(container: Draft, word: str, requests: Part, limits: Part) -> list[str]:
    resources = container.setdefault("resources", {})
    notes = []
    for kind, defaults, shown in (("requests", requests, "request"), ("limits", limits, "limit")):
        given = resources.get(kind) or {}
        missing = {name: text for name, text in defaults.items() if name not in given}
        if missing:
            resources[kind] = {**given, **missing}
            notes.append(f"{', '.join(sorted(missing))} {shown} for {word} {container.get('name')}")
    return notes


def validate(obj: Object, old: Object | None, request: Request, lookup: Lookup) -> None:
    """Refuse a new pod or claim, or a resized one, that is outside of the bounds."""
    if request.verb == "delete" or (request.subresource and request.subresource != "resize"):
        return
    is_pod = request.resource.plural == "pods"
    if is_pod and old is not None and request.subresource != "resize":
        return
    for limit_range in lookup.list("limitranges", request.namespace):
        problems: list[str] = []
        for item in limit_range["spec"].get("limits") or ():
            problems += _pod_problems(item, obj) if is_pod else _claim_problems(item, obj)
        if problems:
            text = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
            raise refused(obj, request, text)


def _claim_problems(item: Part, claim: Object) -> list[str]:
    if item.get("type") != "PersistentVolumeClaim":
        return []
    requests = _parsed(((claim.get("spec") or {}).get("resources") or {}).get("requests"))
    problems = []
    for name, text in (item.get("min") or {}).items():
        if name not in requests:
            problems.append(f"minimum {name} usage per PersistentVolumeClaim is {text}.  No request is specified")
        elif requests[name] < parse_quantity(text):
            problems.append(
                f"minimum {name} usage per PersistentVolumeClaim is {text}, but request is {requests[name]}"
            )
    for name, text in (item.get("max") or {}).items():
        if name not in requests:
            problems.append(f"maximum {name} usage per PersistentVolumeClaim is {text}.  No request is specified")
        elif requests[name] > parse_quantity(text):
            problems.append(
                f"maximum {name} usage per PersistentVolumeClaim is {text}, but request is {requests[name]}"
            )
    return problems


def _pod_problems(item: Part, pod: Object) -> list[str]:
    kind, spec = item.get("type"), pod.get("spec") or {}
    problems: list[str] = []
    if kind == "Container":
        for field in ("containers", "initContainers"):
            for container in spec.get(field) or ():
                resources = container.get("resources") or {}
                requests, limits = _parsed(resources.get("requests")), _parsed(resources.get("limits"))
                problems += _bounds("Container", item, requests, limits)
    elif kind == "Pod":
        problems += _bounds("Pod", item, pod_total(spec, "requests"), pod_total(spec, "limits"))
    return problems


def _bounds(kind: str, item: Part, requests: Amounts, limits: Amounts) -> list[str]:
    problems = [_below(kind, name, parse_quantity(text), requests, limits) for name, text in _items(item, "min")]
    problems += [_above(kind, name, parse_quantity(text), requests, limits) for name, text in _items(item, "max")]
    problems += [
        _ratio(kind, name, parse_quantity(text), requests, limits)
        for name, text in _items(item, "maxLimitRequestRatio")
    ]
    return [problem for problem in problems if problem]


def _items(item: Part, field: str) -> Iterable[tuple[str, str]]:
    return (item.get(field) or {}).items()


def _below(kind: str, name: str, least: Quantity, requests: Amounts, limits: Amounts) -> str:
    request, limit = requests.get(name), limits.get(name)
    start = f"minimum {name} usage per {kind} is {least}"
    if request is None:
        return f"{start}.  No request is specified"
    if request < least:
        return f"{start}, but request is {request}"
    if limit is not None and limit < least:
        return f"{start}, but limit is {limit}"
    return ""


def _above(kind: str, name: str, most: Quantity, requests: Amounts, limits: Amounts) -> str:
    request, limit = requests.get(name), limits.get(name)
    start = f"maximum {name} usage per {kind} is {most}"
    if limit is None:
        return f"{start}.  No limit is specified"
    if limit > most:
        return f"{start}, but limit is {limit}"
    if request is not None and request > most:
        return f"{start}, but request is {request}"
    return ""


def _ratio(kind: str, name: str, most: Quantity, requests: Amounts, limits: Amounts) -> str:
    request, limit = requests.get(name), limits.get(name)
    start = f"{name} max limit to request ratio per {kind} is {most}"
    if not request:
        return f"{start}, but no request is specified or request is 0"
    if not limit:
        return f"{start}, but no limit is specified or limit is 0"
    if limit.nanos > request.nanos * most.nanos // 10**9:
        return f"{start}, but provided ratio is {limit.nanos / request.nanos:f}"
    return ""


def _parsed(amounts: Mapping[str, str] | None) -> dict[str, Quantity]:
    return {name: parse_quantity(text) for name, text in (amounts or {}).items()}
