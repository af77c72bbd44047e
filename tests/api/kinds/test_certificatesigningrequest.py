"""Requests for certificates: each endpoint changes its part, and decisions stay."""

from datetime import UTC, datetime
from typing import Any

from moorage.api.kinds.certificatesigningrequest import prepare_create, prepare_status, validate_status
from moorage.api.request import SYSTEM, Request, User
from moorage.objects.kinds import builtin
from tests.api.objects_at_hand import ObjectsAtHand

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
APPROVED = {"type": "Approved", "status": "True"}


def a_request(subresource: str, user: User = SYSTEM) -> Request:
    resource = builtin("certificatesigningrequests.certificates.k8s.io")
    return Request(user, "update", resource, "", "c", NOW, subresource=subresource)


def with_status(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "c"}, "spec": {}, "status": status}


def test_the_server_says_who_asks() -> None:
    draft: dict[str, Any] = {"spec": {"username": "eve", "groups": ["masters"], "signerName": "a.b/c"}}
    prepare_create(draft, a_request("", User("ann", ("dev",), "u-1", {"x": ["y"]})), ObjectsAtHand())
    who = {"username": "ann", "uid": "u-1", "groups": ["dev"], "extra": {"x": ["y"]}}
    assert draft["spec"] == {"signerName": "a.b/c", **who}


def test_an_approval_leaves_the_certificate_alone() -> None:
    draft = with_status(conditions=[APPROVED], certificate="eA==")
    prepare_status(draft, with_status(), a_request("approval"), ObjectsAtHand())
    moment = "2026-01-02T03:04:05Z"
    assert draft["status"] == {"conditions": [{**APPROVED, "lastUpdateTime": moment, "lastTransitionTime": moment}]}


def test_only_the_approval_endpoint_approves() -> None:
    new, old = with_status(conditions=[APPROVED]), with_status()
    assert validate_status(new, old, a_request("approval")) == []
    assert [cause.message for cause in validate_status(new, old, a_request("status"))] == [
        'Forbidden: updates may not add a condition of type "Approved"'
    ]


def test_an_approval_is_not_taken_back() -> None:
    causes = validate_status(with_status(), with_status(conditions=[APPROVED]), a_request("approval"))
    assert [cause.message for cause in causes] == ['Forbidden: updates may not remove a condition of type "Approved"']
