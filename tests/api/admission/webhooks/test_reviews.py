"""What answers of admission webhooks say, and what is wrong with them."""

import base64
from typing import Any

import orjson
import pytest

from moorage.api.admission.webhooks.reviews import BadAnswer, review_version, verdict_of

BEGIN = "received invalid webhook response: "


def answer(api_version: str = "admission.k8s.io/v1", kind: str = "AdmissionReview", **response: Any) -> bytes:
    return orjson.dumps(
        {"apiVersion": api_version, "kind": kind, "response": {"uid": "u", "allowed": True, **response}}
    )


@pytest.mark.parametrize(
    ("given", "mutating", "why"),
    [
        (b"{}", True, BEGIN + "webhook response was absent"),
        (answer(uid="x"), True, BEGIN + 'expected response.uid="u", got "x"'),
        (
            answer("", ""),
            False,
            BEGIN + "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got /, Kind=",
        ),
        (answer(patch="W10="), True, BEGIN + "webhook returned response.patch but not response.patchType"),
        (answer(patchType="JSONPatch"), True, BEGIN + "webhook returned response.patchType but not response.patch"),
        (answer(patchType=""), True, BEGIN + "webhook returned response.patchType but not response.patch"),
        (answer(patch="W10=", patchType=""), True, BEGIN + 'webhook returned invalid response.patchType of ""'),
        (answer(patch="W10=", patchType="Merge"), True, 'unsupported patch type "Merge"'),
        (answer(patchType="JSONPatch"), False, BEGIN + "validating webhook may not return response.patchType"),
        (answer(patch="W10="), False, BEGIN + "validating webhook may not return response.patch"),
    ],
)
def test_an_answer_that_is_none_is_refused_in_upstreams_words(given: bytes, mutating: bool, why: str) -> None:
    with pytest.raises(BadAnswer) as refusal:
        verdict_of(given, "v1", "u", mutating=mutating)
    assert str(refusal.value) == why


def test_the_old_version_checks_less() -> None:
    patch = base64.b64encode(b'[{"op":"remove","path":"/a"}]').decode()
    verdict = verdict_of(answer("", "", uid="x", patch=patch), "v1beta1", "u", mutating=True)
    assert (verdict.allowed, verdict.patch) == (True, [{"op": "remove", "path": "/a"}])
    assert verdict_of(answer("", "", uid="x", patch=patch), "v1beta1", "u", mutating=False).patch is None


def test_the_first_version_that_both_speak_is_taken() -> None:
    assert review_version(["v2", "v1beta1", "v1"]) == "v1beta1"
    with pytest.raises(BadAnswer, match="does not accept known AdmissionReview versions"):
        review_version(["v2"])
