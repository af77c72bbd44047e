"""CertificateSigningRequests that somebody approved get their certificate: those of clients of the API.

The signature itself is an argument, as it takes the authority's key and chance.

Differs from Kubernetes: requests for kubelets (`kubernetes.io/kubelet-serving`, `kube-apiserver-client-kubelet`) and for
`legacy-unknown` are neither approved nor signed by us: nodes here need no certificates.

Source: pkg/controller/certificates/signer/signer.go (v1.37).
"""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from moorage.controllers.rule import Controller, Decision, View
from moorage.objects.actions import SetStatus
from moorage.objects.metadata import Object, Ref, format_time, is_condition_true

RESOURCE: Final = "certificatesigningrequests.certificates.k8s.io"
API_CLIENT: Final = "kubernetes.io/kube-apiserver-client"

#: How long a certificate lives at most, and at least. Source: --cluster-signing-duration.
LONGEST: Final = timedelta(days=365)
SHORTEST: Final = timedelta(minutes=10)

#: Certificates begin a little in the past; only those that live at least so long end so much earlier.
_SKEW: Final = timedelta(minutes=5)
_LONG: Final = timedelta(hours=8)

_REQUIRED_USAGE: Final = "client auth"
_OPTIONAL_USAGES: Final = frozenset({"digital signature", "key encipherment"})


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be signed: the request as PEM, what the key is for, how long the certificate lives, from when on."""

    request: bytes
    usages: Sequence[str]
    lifetime: timedelta
    now: datetime


#: Makes a certificate (PEM) of a wish.
Signer = Callable[[Wish], bytes]


def observe(view: View, ref: Ref) -> Object | None:
    """Select the request at `ref`."""
    return view.get(RESOURCE, "", ref.name)


def decide(sign: Signer, request: Object, now: datetime) -> Decision:
    """Sign an approved request for a client certificate, or say what is wrong with it."""
    spec: dict[str, Any] = request["spec"]
    status: dict[str, Any] = request.get("status") or {}
    if spec.get("signerName") != API_CLIENT:
        return Decision(because="somebody else signs it")
    if status.get("certificate") or is_condition_true(request, "Failed"):
        return Decision(because="it has been answered")
    if not is_condition_true(request, "Approved") or is_condition_true(request, "Denied"):
        return Decision(because="nobody has approved it")
    problem = problem_of(spec.get("usages") or ())
    if problem:
        time = format_time(now)
        failed = {"type": "Failed", "status": "True", "reason": "SignerValidationFailure", "message": problem}
        failed |= {"lastUpdateTime": time, "lastTransitionTime": time}
        changed = {**status, "conditions": [*(status.get("conditions") or ()), failed]}
        return Decision((SetStatus(RESOURCE, {**request, "status": changed}),), because=problem)
    wish = Wish(base64.b64decode(spec["request"]), spec["usages"], lifetime_for(spec.get("expirationSeconds")), now)
    certificate = base64.b64encode(sign(wish)).decode()
    signed = {**request, "status": {**status, "certificate": certificate}}
    return Decision((SetStatus(RESOURCE, signed),), because="it was approved")


def problem_of(usages: Sequence[str]) -> str:
    """Return what is wrong with the usages of a client's certificate, "" if nothing is."""
    wrong = next((each for each in usages if each != _REQUIRED_USAGE and each not in _OPTIONAL_USAGES), None)
    if wrong is not None:
        return f"invalid usage for client certificate: {wrong}"
    return "" if _REQUIRED_USAGE in usages else f"missing required usage for client certificate: {_REQUIRED_USAGE}"


def lifetime_for(seconds: int | None) -> timedelta:
    """Return how long a certificate lives for which so many seconds were asked."""
    asked = LONGEST if seconds is None else min(LONGEST, max(SHORTEST, timedelta(seconds=seconds)))
    return asked if asked < _LONG else asked - _SKEW


def controller_for(sign: Signer) -> Controller:
    """Return the controller that has requests signed in this way."""
    return Controller(
        name="csrsigning-kube-apiserver-client", kind=RESOURCE, wakes={}, observe=observe, decide=partial(decide, sign)
    )
