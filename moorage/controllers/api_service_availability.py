"""Whether an API that another server serves is available: what can be told from the objects. Pure.

The last check is a call, which only who reaches the network can make (moorage.cluster.aggregation.availability).
Source: kube-aggregator/pkg/controllers/status/remote/remote_available_controller.go (v1.37).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from moorage.objects.metadata import Object, condition_of, format_time

AVAILABLE: Final = "Available"

#: The port of a service that is not told.
PORT: Final = 443


class Finding(NamedTuple):
    """What a condition says."""

    status: str
    reason: str
    message: str


PASSED: Final = Finding("True", "Passed", "all checks passed")


def failed_check(why: str) -> Finding:
    """Return what is found when the server does not answer as it must."""
    return Finding("False", "FailedDiscoveryCheck", why)


def problem_of(api_service: Object, service: Object | None, slices: Sequence[Object]) -> Finding | None:
    """Return why a remote APIService cannot be available, None if only a call can tell.

    slices: the EndpointSlices of the service.
    """
    reference = api_service["spec"]["service"]
    name, port = reference["name"], reference.get("port") or PORT
    where = f'service/{name} in "{reference["namespace"]}"'
    if service is None:
        return Finding("False", "ServiceNotFound", f"{where} is not present")
    spec = service.get("spec") or {}
    if (spec.get("type") or "ClusterIP") != "ClusterIP":
        return None
    found = next((each for each in spec.get("ports") or () if each.get("port") == port), None)
    if found is None:
        return Finding("False", "ServicePortError", f"{where} is not listening on port {port}")
    if not slices:
        return Finding("False", "EndpointsNotFound", f"cannot find endpointslices for {where}")
    port_name = found.get("name") or ""
    if not any(_has_ready(each) and _has_port(each, port_name) for each in slices):
        text = f'endpointslices for {where} have no addresses with port name "{port_name}"'
        return Finding("False", "MissingEndpoints", text)
    return None


def _has_ready(slice_: Object) -> bool:
    endpoints: Iterable[Object] = slice_.get("endpoints") or ()
    return any((each.get("conditions") or {}).get("ready") is not False for each in endpoints)


def _has_port(slice_: Object, name: str) -> bool:
    ports: Iterable[Object] = slice_.get("ports") or ()
    return any((each.get("name") or "") == name and each.get("port") for each in ports)


def with_finding(api_service: Object, finding: Finding, now: datetime) -> Object | None:
    """Return the APIService with its condition, None if it says so already."""
    before = condition_of(api_service, AVAILABLE) or {}
    if tuple(before.get(field) or "" for field in Finding._fields) == finding:
        return None
    is_same = before.get("status") == finding.status
    moment = (before.get("lastTransitionTime") if is_same else None) or format_time(now)
    made: dict[str, Any] = {"type": AVAILABLE, "lastTransitionTime": moment, **finding._asdict()}
    status = api_service.get("status") or {}
    others = [each for each in status.get("conditions") or () if each.get("type") != AVAILABLE]
    return {**api_service, "status": {**status, "conditions": [*others, made]}}
