"""Who has approved what, and what comes of it."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from moorage.controllers.certificate_requests import LONGEST, SHORTEST, Wish, decide, lifetime_for
from moorage.objects.actions import SetStatus

NOW = datetime(2026, 1, 1, tzinfo=UTC)
APPROVED = {"type": "Approved", "status": "True"}


def request(*conditions: dict[str, Any], **spec: Any) -> dict[str, Any]:
    wanted = {"signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"], "request": "cmVxdWVzdA=="}
    return {"metadata": {"name": "jane"}, "spec": wanted | spec, "status": {"conditions": list(conditions)}}


def signature(wish: Wish) -> bytes:
    return b"signed " + wish.request


def status_after(obj: dict[str, Any]) -> Any:
    actions = decide(signature, obj, NOW).actions
    return actions[0].obj["status"] if actions and isinstance(actions[0], SetStatus) else None


def test_an_approved_request_is_signed_once() -> None:
    status = status_after(request(APPROVED))
    assert base64.b64decode(status["certificate"]) == b"signed request"
    assert status["conditions"] == [APPROVED]
    assert status_after({**request(APPROVED), "status": status}) is None


@pytest.mark.parametrize(
    "obj",
    [
        request(),
        request({"type": "Denied", "status": "True"}),
        request(APPROVED, {"type": "Denied", "status": "True"}),
        request(APPROVED, {"type": "Failed", "status": "True"}),
        request(APPROVED, signerName="example.org/mine"),
    ],
)
def test_what_nobody_approved_or_others_sign_is_left_alone(obj: dict[str, Any]) -> None:
    assert status_after(obj) is None


@pytest.mark.parametrize(
    ("usages", "message"),
    [
        (["client auth", "server auth"], "invalid usage for client certificate: server auth"),
        (["digital signature"], "missing required usage for client certificate: client auth"),
    ],
)
def test_a_request_for_something_else_fails(usages: list[str], message: str) -> None:
    (_, failed) = status_after(request(APPROVED, usages=usages))["conditions"]
    assert (failed["type"], failed["reason"], failed["message"]) == ("Failed", "SignerValidationFailure", message)


def test_certificates_live_as_long_as_was_asked_within_limits() -> None:
    assert lifetime_for(600) == SHORTEST == lifetime_for(1)
    assert lifetime_for(3600) == timedelta(hours=1)
    assert lifetime_for(None) == lifetime_for(10**9) == LONGEST - timedelta(minutes=5)
