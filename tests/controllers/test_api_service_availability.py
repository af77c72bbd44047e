"""Whether an API of another server is available, as far as objects tell."""

from datetime import UTC, datetime
from typing import Any

import pytest

from moorage.controllers.api_service_availability import PASSED, failed_check, problem_of, with_finding

NOW = datetime(2026, 1, 2, tzinfo=UTC)
LATER = datetime(2026, 1, 3, tzinfo=UTC)
API = {"metadata": {"name": "v1.g"}, "spec": {"service": {"namespace": "n", "name": "s"}}}
SERVICE = {"spec": {"type": "ClusterIP", "ports": [{"name": "a", "port": 443}]}}
READY = {"endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"name": "a", "port": 8443}]}


@pytest.mark.parametrize(
    ("service", "slices", "reason", "message"),
    [
        (None, [], "ServiceNotFound", 'service/s in "n" is not present'),
        (
            {"spec": {"ports": [{"port": 80}]}},
            [READY],
            "ServicePortError",
            'service/s in "n" is not listening on port 443',
        ),
        (SERVICE, [], "EndpointsNotFound", 'cannot find endpointslices for service/s in "n"'),
        (
            SERVICE,
            [
                {**READY, "endpoints": [{"conditions": {"ready": False}}]},
                {**READY, "ports": [{"name": "b", "port": 1}]},
            ],
            "MissingEndpoints",
            'endpointslices for service/s in "n" have no addresses with port name "a"',
        ),
    ],
)
def test_a_service_that_leads_nowhere_is_told(
    service: dict[str, Any] | None, slices: list[dict[str, Any]], reason: str, message: str
) -> None:
    assert problem_of(API, service, slices) == ("False", reason, message)


def test_only_a_call_tells_about_a_ready_endpoint_or_a_name() -> None:
    assert problem_of(API, SERVICE, [READY]) is None
    assert problem_of(API, {"spec": {"type": "ExternalName", "externalName": "h"}}, []) is None


def test_a_condition_is_written_once_and_keeps_its_time_while_its_status_stays() -> None:
    failed = with_finding(API, failed_check("x"), NOW)
    assert failed is not None
    assert with_finding(failed, failed_check("x"), LATER) is None
    again = with_finding(failed, failed_check("y"), LATER)
    assert again is not None
    assert again["status"]["conditions"][0]["lastTransitionTime"] == "2026-01-02T00:00:00Z"
    passed = with_finding(again, PASSED, LATER)
    assert passed is not None
    assert passed["status"]["conditions"] == [
        {
            "type": "Available",
            "status": "True",
            "reason": "Passed",
            "message": "all checks passed",
            "lastTransitionTime": "2026-01-03T00:00:00Z",
        }
    ]
