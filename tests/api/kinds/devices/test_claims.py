"""Claims for devices."""

from typing import Any

from moorage.api.kinds.devices.claims import request_names, validate_claim

EXACT = {"deviceClassName": "c", "allocationMode": "ExactCount", "count": 1}


def said(**devices: Any) -> list[str]:
    return [f"{cause.field}: {cause.message}" for cause in validate_claim("spec", {"devices": devices})]


def test_a_claim_for_nothing_and_one_for_a_device_are_fine() -> None:
    assert said() == []
    assert said(requests=[{"name": "r", "exactly": EXACT}]) == []


def test_alternatives_are_named_with_their_request() -> None:
    requests = [{"name": "r", "firstAvailable": [{"name": "a", **EXACT}, {"name": "b", **EXACT}]}]
    assert list(request_names(requests)) == ["r", "r/a", "r/b"]
    assert said(requests=requests, constraints=[{"requests": ["r/b"], "matchAttribute": "a.b/c"}]) == []


def test_all_devices_cannot_be_counted() -> None:
    wish = {**EXACT, "allocationMode": "All", "count": 2}
    assert said(requests=[{"name": "r", "exactly": wish}]) == [
        "spec.devices.requests[0].exactly.count: Invalid value: 2: must not be specified when allocationMode is 'All'"
    ]


def test_too_many_requests_are_not_looked_at_one_by_one() -> None:
    assert said(requests=[{}] * 33) == ["spec.devices.requests: Too many: 33: must have at most 32 items"]
