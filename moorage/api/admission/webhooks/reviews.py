"""AdmissionReviews: what a webhook is asked, and what its answer says. Pure.

Source: apiserver/pkg/admission/plugin/webhook/request/admissionreview.go (v1.37).
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from moorage.api.admission.policies.calls import Call
from moorage.api.conversion import converted, is_converted, stored
from moorage.objects.go_values import shown_kind
from moorage.objects.kinds import Resource
from moorage.objects.metadata import Object

_VERSIONS: Final = ("v1", "v1beta1")
_GROUP: Final = "admission.k8s.io"


class BadAnswer(ValueError):
    """An answer that is none; the text is upstream's."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a webhook says. patch: operations of a JSON patch, None for none; result: a Status."""

    allowed: bool
    result: Mapping[str, Any] | None = None
    warnings: Sequence[str] = ()
    patch: Any = None


def review_version(accepted: Sequence[str]) -> str:
    """Return the first version of AdmissionReview that both sides speak. Raises BadAnswer."""
    for version in accepted:
        if version in _VERSIONS:
            return version
    text = "webhook does not accept known AdmissionReview versions (v1, v1beta1)"
    raise BadAnswer(f"could not create admission objects: {text}")


def review_of(call: Call, matched: Resource, version: str, uid: str) -> bytes:
    """Return the AdmissionReview of a call. matched: as which resource a rule selected it."""
    facts = call.request(matched)
    facts |= {
        "uid": uid,
        "object": as_version(call.obj, call, matched),
        "oldObject": as_version(call.old, call, matched),
        "dryRun": call.dry_run,
        "options": call.options or None,
    }
    return orjson.dumps({"kind": "AdmissionReview", "apiVersion": f"{_GROUP}/{version}", "request": facts})


def as_version(obj: Object | None, call: Call, matched: Resource) -> Object | None:
    """Return an object of the call in the version of the resource that a rule matched."""
    if obj is None or not _is_own_kind(call) or obj.get("apiVersion") == matched.api_version:
        return obj
    whole = stored(obj, call.resource) if is_converted(call.resource) else obj
    changed = converted(whole, matched) if is_converted(matched) and not matched.custom else dict(whole)
    return {**changed, "apiVersion": matched.api_version}


def from_version(obj: Object, call: Call, matched: Resource) -> Object:
    """Return an object in the version of `matched` in the version that the call speaks."""
    if matched.version == call.resource.version or not _is_own_kind(call):
        return obj
    whole = stored(obj, matched) if is_converted(matched) and not matched.custom else obj
    changed = converted(whole, call.resource) if is_converted(call.resource) and not matched.custom else dict(whole)
    return {**changed, "apiVersion": call.resource.api_version}


def _is_own_kind(call: Call) -> bool:
    return call.kind == (call.resource.api_version, call.resource.kind)


def verdict_of(answer: bytes, version: str, uid: str, *, mutating: bool) -> Verdict:
    """Return what an answer says. Raises BadAnswer."""
    review = read_review(answer)
    response = review.get("response")
    if not isinstance(response, Mapping):
        raise BadAnswer("received invalid webhook response: webhook response was absent")
    if version == "v1":
        _check(review, response, uid, mutating=mutating)
    patch = None
    if mutating and response.get("patch"):
        if version == "v1" and response["patchType"] != "JSONPatch":
            raise BadAnswer(f'unsupported patch type "{response["patchType"]}"')
        patch = _operations(response["patch"])
    result, warnings = response.get("status"), response.get("warnings") or ()
    return Verdict(bool(response.get("allowed")), result, [str(each) for each in warnings], patch)


def read_review(answer: bytes) -> Mapping[str, Any]:
    """Return the object of an answer. Raises BadAnswer."""
    try:
        review = orjson.loads(answer)
    except orjson.JSONDecodeError as error:
        raise BadAnswer(f"failed to call webhook: couldn't get version/kind; json parse error: {error}") from None
    if not isinstance(review, Mapping):
        raise BadAnswer("failed to call webhook: couldn't get version/kind; json parse error: the answer is no object")
    return review


def _check(review: Mapping[str, Any], response: Mapping[str, Any], uid: str, *, mutating: bool) -> None:
    prefix, patch, kind = "received invalid webhook response", response.get("patch"), response.get("patchType")
    given = response.get("uid") or ""
    expected = f"{_GROUP}/v1, Kind=AdmissionReview"
    if given != uid:
        raise BadAnswer(f'{prefix}: expected response.uid="{uid}", got "{given}"')
    if shown_kind(review) != expected:
        raise BadAnswer(f"{prefix}: expected webhook response of {expected}, got {shown_kind(review)}")
    if not mutating:
        for field in ("patch", "patchType"):
            if response.get(field):
                raise BadAnswer(f"{prefix}: validating webhook may not return response.{field}")
        return
    if patch and kind is None:
        raise BadAnswer(f"{prefix}: webhook returned response.patch but not response.patchType")
    if kind is not None and not patch:
        raise BadAnswer(f"{prefix}: webhook returned response.patchType but not response.patch")
    if kind == "":
        raise BadAnswer(f'{prefix}: webhook returned invalid response.patchType of ""')


def _operations(patch: Any) -> Any:
    try:
        return orjson.loads(base64.b64decode(patch, validate=True))
    except (binascii.Error, TypeError, orjson.JSONDecodeError) as error:
        raise BadAnswer(f"received undecodable patch in webhook response: {error}") from None
