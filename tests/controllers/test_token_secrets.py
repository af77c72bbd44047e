"""Secrets of type service-account-token get their token, and go with their account."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

from moorage.controllers.token_secrets import ACCOUNT_NAME, ACCOUNT_UID, TYPE, Observed, decide
from moorage.objects.actions import Delete, Update
from moorage.objects.metadata import Object

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ACCOUNT: Object = {"metadata": {"name": "a", "namespace": "n", "uid": "u"}}


def secret(**data: str) -> dict[str, Any]:
    metadata = {"name": "s", "namespace": "n", "uid": "v", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"metadata": {**metadata, "annotations": {ACCOUNT_NAME: "a"}}, "type": TYPE, "data": data}


def sign(account: Object, held: Object) -> str:
    return f"token of {account['metadata']['name']} in {held['metadata']['name']}"


def decided(found: Object, account: Object | None, now: datetime = NOW) -> Any:
    return decide("authority", sign, Observed(found, account), now)


def test_a_new_secret_is_filled_in_once() -> None:
    (action,) = decided(secret(), ACCOUNT).actions
    assert isinstance(action, Update)
    assert {key: base64.b64decode(text).decode() for key, text in action.obj["data"].items()} == {
        "ca.crt": "authority",
        "namespace": "n",
        "token": "token of a in s",
    }
    assert action.obj["metadata"]["annotations"] == {ACCOUNT_NAME: "a", ACCOUNT_UID: "u"}
    assert decided(action.obj, ACCOUNT).actions == ()


def test_a_token_that_is_there_stays() -> None:
    (action,) = decided(secret(token="x"), ACCOUNT).actions
    assert action.obj["data"]["token"] == "x"


def test_without_its_account_a_secret_goes_but_not_before_caches_can_have_seen_it() -> None:
    early = decided(secret(), None)
    assert early.actions == ()
    assert early.look_again_in == 10
    (action,) = decided(secret(), None, NOW + timedelta(seconds=10)).actions
    assert isinstance(action, Delete)
    assert action.ref.uid == "v"
