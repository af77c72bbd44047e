"""Secrets of type service-account-token: filled in for their account, deleted when it is gone.

Differs from Kubernetes: a Secret whose account is not there is kept for ten seconds: caches may be behind.
Source: pkg/controller/serviceaccount/tokens_controller.go (v1.37).
"""

import base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from moorage.controllers.rule import Controller, Decision, View
from moorage.objects.actions import Delete, Update
from moorage.objects.metadata import (
    Object,
    Ref,
    annotations_of,
    is_terminating,
    name_of,
    namespace_of,
    parse_time,
    uid_of,
)

TYPE: Final = "kubernetes.io/service-account-token"
ACCOUNT_NAME: Final = "kubernetes.io/service-account.name"
ACCOUNT_UID: Final = "kubernetes.io/service-account.uid"

#: How long the account of a new Secret may stay unseen, in seconds.
PATIENCE_SECONDS: Final = 10.0

#: Signs a token that does not end, for an account and the Secret that holds it.
Sign = Callable[[Object, Object], str]


@dataclass(frozen=True, slots=True)
class Observed:
    """A Secret of the type, and the account that it names, if that is there."""

    secret: Object
    account: Object | None


def observe(view: View, ref: Ref) -> Observed | None:
    """Select a Secret and its account. None: the Secret is gone, or of another type."""
    secret = view.get("secrets", ref.namespace, ref.name)
    if secret is None or secret.get("type") != TYPE or is_terminating(secret):
        return None
    annotations = annotations_of(secret)
    account = view.get("serviceaccounts", ref.namespace, annotations.get(ACCOUNT_NAME, ""))
    if account is not None and annotations.get(ACCOUNT_UID, uid_of(account)) != uid_of(account):
        account = None
    return Observed(secret, account)


def decide(authority: str, sign: Sign, observed: Observed, now: datetime) -> Decision:
    """Say what of the Secret is missing. `authority` is the certificate that it carries, as PEM."""
    secret, account = observed.secret, observed.account
    if account is None:
        return _without_account(secret, now)
    data: dict[str, Any] = dict(secret.get("data") or {})
    wanted = {**data, "ca.crt": _encoded(authority)}
    wanted["namespace"] = data.get("namespace") or _encoded(namespace_of(secret))
    if wanted == data and data.get("token"):
        return Decision(because="it is filled in")
    wanted["token"] = data.get("token") or _encoded(sign(account, secret))
    annotations = {**annotations_of(secret), ACCOUNT_NAME: name_of(account), ACCOUNT_UID: uid_of(account)}
    filled = {**secret, "metadata": {**secret["metadata"], "annotations": annotations}, "data": wanted}
    return Decision((Update("secrets", filled),), because="its token is missing")


def _without_account(secret: Object, now: datetime) -> Decision:
    age = (now - parse_time(secret["metadata"]["creationTimestamp"])).total_seconds()
    if age < PATIENCE_SECONDS:
        return Decision(look_again_in=PATIENCE_SECONDS - age, because="its account is not there yet")
    ref = Ref("secrets", namespace_of(secret), name_of(secret), uid_of(secret))
    return Decision((Delete(ref),), because="its account is gone")


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _of_account(view: View, account: Object) -> Iterable[Ref]:
    namespace, name = namespace_of(account), name_of(account)
    return [
        Ref("secrets", namespace, name_of(secret))
        for secret in view.list("secrets", namespace)
        if secret.get("type") == TYPE and annotations_of(secret).get(ACCOUNT_NAME) == name
    ]


def controller_for(authority: str, sign: Sign) -> Controller:
    """Return the controller that fills Secrets with this certificate (PEM) and tokens signed so."""
    return Controller(
        name="service-account-token-controller",
        kind="secrets",
        wakes={"serviceaccounts": _of_account},
        observe=observe,
        decide=partial(decide, authority, sign),
    )
