"""What a claim for devices asks for: requests, constraints, configurations.

Source: pkg/apis/resource/validation, validateDeviceClaim (v1.37).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.devices.parts import (
    CONSTRAINTS_MOST,
    REQUESTS_MOST,
    validate_configs,
    validate_full_name,
    validate_name,
    validate_request_names,
    validate_selectors,
    validate_tolerations,
)
from moorage.api.request import Draft, Request
from moorage.objects.errors import Cause
from moorage.objects.errors import invalid as refusal
from moorage.objects.metadata import labels_of, name_of
from moorage.objects.validation import (
    dns1123_label_problems,
    dns1123_subdomain_problems,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    required,
    too_many,
)

Part = Mapping[str, Any]

#: How many alternatives one request may have.
ALTERNATIVES_MOST = 8

#: The label of namespaces in which devices may be had that others use.
ADMIN_LABEL = "resource.kubernetes.io/admin-access"

_MODES = ("All", "ExactCount")
_FIELDS = ("name", "deviceClassName", "selectors", "allocationMode", "count", "adminAccess", "tolerations", "capacity")
_ONE_FORM = "exactly one of `exactly` or `firstAvailable` is required"
_ONE_ATTRIBUTE = 'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set'


def check_admin_access(draft: Draft, spec: Part, path: str, request: Request, lookup: Lookup) -> None:
    """Refuse admin access outside of namespaces that are labelled for it. Raises Invalid."""
    asked = [
        index
        for index, each in enumerate((spec.get("devices") or {}).get("requests") or ())
        if (each.get("exactly") or {}).get("adminAccess")
    ]
    if not asked:
        return
    namespace = lookup.get("namespaces", "", request.namespace)
    if namespace is not None and labels_of(namespace).get(ADMIN_LABEL) == "true":
        return
    text = f"admin access to devices requires the `{ADMIN_LABEL}: true` label on the containing namespace"
    causes = [forbidden(f"{path}.devices.requests[{index}].adminAccess", text) for index in asked]
    raise refusal(request.resource.kind, request.resource.group, name_of(draft), causes)


def validate_claim(path: str, spec: Part) -> list[Cause]:
    """Return every broken rule of what a claim asks for."""
    devices = spec.get("devices") or {}
    place = f"{path}.devices"
    requests = devices.get("requests") or []
    names = set(request_names(requests))
    causes = _validate_requests(f"{place}.requests", requests)
    causes += _validate_constraints(f"{place}.constraints", devices.get("constraints") or [], names)
    return causes + validate_configs(f"{place}.config", devices.get("config") or [], names)


def request_names(requests: Sequence[Part]) -> Iterator[str]:
    """Yield how requests are referred to: `name`, and `name/alternative`."""
    for request in requests:
        name = request.get("name") or ""
        yield name
        yield from (f"{name}/{each.get('name') or ''}" for each in request.get("firstAvailable") or ())


def _validate_requests(path: str, requests: Sequence[Part]) -> list[Cause]:
    if len(requests) > REQUESTS_MOST:
        return [too_many(path, len(requests), REQUESTS_MOST)]
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, request in enumerate(requests):
        place, name = f"{path}[{index}]", request.get("name") or ""
        causes += _validate_request(place, request)
        if name in seen:
            causes.append(duplicate(place, _printed(request)))
        seen.add(name)
    return causes


def _printed(request: Part) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": request.get("name") or ""}
    if (exactly := request.get("exactly")) is not None:
        shown["exactly"] = {field: exactly[field] for field in _FIELDS if field in exactly}
    if alternatives := request.get("firstAvailable"):
        shown["firstAvailable"] = [{field: each[field] for field in _FIELDS if field in each} for each in alternatives]
    return shown


def _validate_request(path: str, request: Part) -> list[Cause]:
    name, exactly, alternatives = request.get("name") or "", request.get("exactly"), request.get("firstAvailable") or ()
    causes = each_invalid(f"{path}.name", name, dns1123_label_problems(name))
    if exactly is None and not alternatives:
        return [*causes, required(path, _ONE_FORM)]
    if exactly is not None and alternatives:
        return [*causes, invalid(path, None, f"{_ONE_FORM}, but multiple fields are set")]
    if exactly is not None:
        return causes + _validate_wish(f"{path}.exactly", exactly)
    place = f"{path}.firstAvailable"
    if len(alternatives) > ALTERNATIVES_MOST:
        return [*causes, too_many(place, len(alternatives), ALTERNATIVES_MOST)]
    names = [each.get("name") or "" for each in alternatives]
    for index, each in enumerate(alternatives):
        spot = f"{place}[{index}]"
        causes += each_invalid(f"{spot}.name", names[index], dns1123_label_problems(names[index]))
        causes += _validate_wish(spot, each)
        if names[index] in names[:index]:
            causes.append(duplicate(spot, {field: each[field] for field in _FIELDS if field in each}))
    return causes


def _validate_wish(path: str, wish: Part) -> list[Cause]:
    name, mode, count = wish.get("deviceClassName") or "", wish.get("allocationMode") or "", wish.get("count") or 0
    place = f"{path}.deviceClassName"
    causes = each_invalid(place, name, dns1123_subdomain_problems(name)) if name else [required(place)]
    causes += validate_selectors(f"{path}.selectors", wish.get("selectors") or ())
    if mode == "All":
        if count:
            text = "must not be specified when allocationMode is 'All'"
            causes.append(invalid(f"{path}.count", count, text))
    elif mode == "ExactCount":
        if count <= 0:
            causes.append(invalid(f"{path}.count", count, "must be greater than zero"))
    else:
        causes.append(not_supported(f"{path}.allocationMode", mode, _MODES))
    causes += validate_tolerations(f"{path}.tolerations", wish.get("tolerations") or ())
    for key in (wish.get("capacity") or {}).get("requests") or ():
        causes += validate_name(f"{path}.capacity.requests", key)
    return causes


def _validate_constraints(path: str, constraints: Sequence[Part], names: set[str]) -> list[Cause]:
    if len(constraints) > CONSTRAINTS_MOST:
        return [too_many(path, len(constraints), CONSTRAINTS_MOST)]
    causes: list[Cause] = []
    for index, constraint in enumerate(constraints):
        place = f"{path}[{index}]"
        causes += validate_request_names(f"{place}.requests", constraint.get("requests") or (), names)
        match, distinct = constraint.get("matchAttribute"), constraint.get("distinctAttribute")
        if (match is None) == (distinct is None):
            causes.append(required(place, _ONE_ATTRIBUTE))
        elif match is not None:
            causes += validate_full_name(f"{place}.matchAttribute", match)
        else:
            causes += validate_full_name(f"{place}.distinctAttribute", distinct or "")
    return causes
