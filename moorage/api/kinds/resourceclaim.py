"""ResourceClaims: wishes for devices, and what was allocated.

Source: pkg/apis/resource/validation, pkg/registry/resource/resourceclaim/strategy.go, pkg/printers (v1.37).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.devices.claims import check_admin_access, request_names, validate_claim
from moorage.api.kinds.devices.parts import validate_caseless_driver, validate_pool, validate_request_names
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Draft, Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, is_terminating, name_of
from moorage.objects.validation import (
    dns1123_label_problems,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    too_many,
)

Part = Mapping[str, Any]

CONSUMERS_MOST, RESULTS_MOST = 256, 32


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Start without an allocation."""
    draft["status"] = {}
    check_admin_access(draft, draft.get("spec") or {}, "spec", request, lookup)


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a claim."""
    del request
    return validate_claim("spec", obj.get("spec") or {})


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a claim may not change: its wishes."""
    del request
    return [] if obj.get("spec") == old.get("spec") else [invalid("spec", None, "field is immutable")]


def validate_status(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what a status may not say: consumers of nothing, another allocation, unknown requests."""
    del request
    status, before = obj.get("status") or {}, old.get("status") or {}
    allocation = status.get("allocation")
    causes = _validate_consumers(status, before, obj)
    if allocation is not None and before.get("allocation") is not None and allocation != before["allocation"]:
        causes.append(invalid("status.allocation", None, "field cannot be modified once set"))
    elif allocation is not None:
        requests = ((obj.get("spec") or {}).get("devices") or {}).get("requests") or []
        causes += _validate_allocation("status.allocation", allocation, set(request_names(requests)))
    return causes


def _validate_consumers(status: Part, before: Part, obj: Object) -> list[Cause]:
    path, consumers = "status.reservedFor", status.get("reservedFor") or []
    causes: list[Cause] = []
    if len(consumers) > CONSUMERS_MOST:
        causes.append(too_many(path, len(consumers), CONSUMERS_MOST))
    uids: Sequence[str] = [each.get("uid") or "" for each in consumers]
    for index, consumer in enumerate(consumers):
        if uids[index] in uids[:index]:
            shown = {field: consumer.get(field) or "" for field in ("apiGroup", "resource", "name", "uid")}
            causes.append(duplicate(f"{path}[{index}]", {field: text for field, text in shown.items() if text}))
    if consumers and status.get("allocation") is None:
        causes.append(forbidden(path, "may not be specified when `allocated` is not set"))
    known = {each.get("uid") for each in before.get("reservedFor") or ()}
    if is_terminating(obj) and any(uid not in known for uid in uids):
        text = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
        causes.append(forbidden(path, text))
    return causes


def _validate_allocation(path: str, allocation: Part, names: set[str]) -> list[Cause]:
    place = f"{path}.devices.results"
    results = (allocation.get("devices") or {}).get("results") or []
    if len(results) > RESULTS_MOST:
        return [too_many(place, len(results), RESULTS_MOST)]
    causes: list[Cause] = []
    for index, result in enumerate(results):
        spot, device = f"{place}[{index}]", result.get("device") or ""
        found = validate_request_names(spot, [result.get("request") or ""], names)
        causes += [cause._replace(field=f"{spot}.request") for cause in found]
        causes += validate_caseless_driver(f"{spot}.driver", result.get("driver") or "")
        causes += validate_pool(f"{spot}.pool", result.get("pool") or "")
        causes += each_invalid(f"{spot}.device", device, dns1123_label_problems(device))
    return causes


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, state, age."""
    status = obj.get("status") or {}
    states = ["deleted"] if is_terminating(obj) else []
    if status.get("allocation") is not None:
        states += ["allocated", *(["reserved"] if status.get("reservedFor") else [])]
    elif not states:
        states.append("pending")
    return [name_of(obj), ",".join(states), age_of(obj, now)]
