"""PriorityLevelConfigurations: how many requests are served at once, and how the others wait.

Source: pkg/apis/flowcontrol/validation, apiserver/pkg/util/shufflesharding, pkg/printers (v1.37).
"""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.flow.mandatory import PRIORITY_LEVELS
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Draft, Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, annotations_of, name_of
from moorage.objects.validation import duplicate, forbidden, invalid, not_supported, required

Part = Mapping[str, Any]

QUEUES_MOST = 10_000_000

#: How much chance dealing a hand of queues may take.
ENTROPY_BITS_MOST = 60

_TYPES = ("Exempt", "Limited")
_RESPONSES = ("Queue", "Reject")
_PRESERVE = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares"
_NOT_NEGATIVE = "must be a non-negative integer"
_PERCENT = "must be between 0 and 100, inclusive"


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Start without a status."""
    del request, lookup
    draft["status"] = {}


def _bare_forbidden(path: str) -> Cause:
    """Say that the field may not be set, as declarative rules do: without a reason."""
    return Cause("FieldValueForbidden", "Forbidden", path)


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a PriorityLevelConfiguration."""
    del request
    name, spec = name_of(obj), obj.get("spec") or {}
    causes: list[Cause] = []
    if _PRESERVE in annotations_of(obj):
        causes.append(forbidden("metadata.annotations", f"annotation '{_PRESERVE}' is forbidden"))
    causes += _validate_mandatory(name, spec)
    kind, limited, exempt = spec.get("type") or "", spec.get("limited"), spec.get("exempt")
    if (name == "exempt") != (kind == "Exempt") and (kind in _TYPES or name == "exempt"):
        causes.append(invalid("spec.type", kind, "must be 'Exempt' if and only if `name` is 'exempt'"))
    if limited is not None and kind == "Limited":
        causes += _validate_limited("spec.limited", limited)
    if exempt is not None and kind == "Exempt":
        causes += _validate_shares("spec.exempt", exempt)
    if not kind:
        causes.append(required("spec.type"))
    elif kind not in _TYPES:
        causes.append(not_supported("spec.type", kind, _TYPES))
    if limited is None and kind == "Limited":
        causes.append(required("spec.limited"))
    if limited is not None and kind != "Limited":
        causes.append(_bare_forbidden("spec.limited"))
    if exempt is not None and kind != "Exempt":
        causes.append(_bare_forbidden("spec.exempt"))
    return causes + _validate_conditions(obj)


def _validate_mandatory(name: str, spec: Part) -> list[Cause]:
    fixed = PRIORITY_LEVELS.get(name)
    if fixed is None:
        return []
    if name == "exempt":
        if {**spec, "exempt": None} == {**fixed, "exempt": None}:
            return []
        return [invalid("spec", spec, f"spec of '{name}' except the 'spec.exempt' field must equal the fixed value")]
    return [] if spec == fixed else [invalid("spec", spec, f"spec of '{name}' must equal the fixed value")]


def _validate_shares(path: str, part: Part) -> list[Cause]:
    causes: list[Cause] = []
    shares, percent = part.get("nominalConcurrencyShares"), part.get("lendablePercent")
    if shares is not None and shares < 0:
        causes.append(invalid(f"{path}.nominalConcurrencyShares", shares, _NOT_NEGATIVE))
    if percent is not None and not 0 <= percent <= 100:
        causes.append(invalid(f"{path}.lendablePercent", percent, _PERCENT))
    return causes


def _validate_limited(path: str, limited: Part) -> list[Cause]:
    response = limited.get("limitResponse") or {}
    kind, queuing = response.get("type") or "", response.get("queuing")
    place = f"{path}.limitResponse"
    causes = _validate_shares(path, limited)
    if kind == "Queue" and queuing is not None:
        causes += _validate_queuing(f"{place}.queuing", queuing)
    borrowing = limited.get("borrowingLimitPercent")
    if borrowing is not None and borrowing < 0:
        causes.append(invalid(f"{path}.borrowingLimitPercent", borrowing, f"if specified, {_NOT_NEGATIVE}"))
    if not kind:
        causes.append(required(f"{place}.type"))
    elif kind not in _RESPONSES:
        causes.append(not_supported(f"{place}.type", kind, _RESPONSES))
    if kind == "Queue" and queuing is None:
        causes.append(required(f"{place}.queuing"))
    if kind != "Queue" and queuing is not None:
        causes.append(_bare_forbidden(f"{place}.queuing"))
    return causes


def _validate_queuing(path: str, queuing: Part) -> list[Cause]:
    queues, hand, length = (queuing.get(field) or 0 for field in ("queues", "handSize", "queueLengthLimit"))
    causes: list[Cause] = []
    if length <= 0:
        causes.append(invalid(f"{path}.queueLengthLimit", length, "must be positive"))
    if queues <= 0:
        causes.append(invalid(f"{path}.queues", queues, "must be positive"))
    elif queues > QUEUES_MOST:
        causes.append(invalid(f"{path}.queues", queues, f"must not be greater than {QUEUES_MOST}"))
    place = f"{path}.handSize"
    if hand <= 0:
        causes.append(invalid(place, hand, "must be positive"))
    elif hand > queues:
        causes.append(invalid(place, hand, f"should not be greater than queues ({queues})"))
    elif _entropy_bits(queues, hand) > ENTROPY_BITS_MOST:
        text = f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater than"
        causes.append(invalid(place, hand, f"{text} {ENTROPY_BITS_MOST}"))
    return causes


def _entropy_bits(deck: int, hand: int) -> int:
    """Return how many bits choose a hand from a deck, order included."""
    choices = math.prod(range(deck - hand + 1, deck + 1))
    return math.ceil(math.log2(choices)) if choices > 1 else 0


def _validate_conditions(obj: Object) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, condition in enumerate((obj.get("status") or {}).get("conditions") or ()):
        path, kind = f"status.conditions[{index}].type", condition.get("type") or ""
        if kind in seen:
            causes.append(duplicate(path, kind))
        seen.add(kind)
        if not kind:
            causes.append(required(path))
    return causes


def validate_status(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what a status may not say."""
    del old, request
    return _validate_conditions(obj)


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, type, shares, queues, hand size, queue length, age."""
    spec = obj.get("spec") or {}
    limited = spec.get("limited")
    shares: Any = "<none>"
    queuing: Part = {}
    if limited is not None:
        shares = limited.get("nominalConcurrencyShares") or 0
        queuing = (limited.get("limitResponse") or {}).get("queuing") or {}
    shown = [queuing.get(field) or 0 if queuing else "<none>" for field in ("queues", "handSize", "queueLengthLimit")]
    return [name_of(obj), spec.get("type") or "", shares, *shown, age_of(obj, now)]
