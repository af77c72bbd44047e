"""Service account tokens: what they say, whom they vouch for, and when they do not any more."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from moorage.aio.entropy import SystemEntropy
from moorage.api.authentication import Authenticator, Certificate, Credentials
from moorage.api.request import User
from moorage.api.tokens import ISSUER, InvalidToken, Tokens, bound_object, check_request
from moorage.objects.errors import BadRequest, Conflict, Invalid, Unauthorized
from tests.api.objects_at_hand import ObjectsAtHand

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ACCOUNT = {"metadata": {"name": "robot", "namespace": "ns", "uid": "a-1"}}
POD = {"kind": "Pod", "metadata": {"name": "p", "namespace": "ns", "uid": "p-1"}, "spec": {}}


class StoppedClock:
    """A clock that stands still."""

    def now(self):
        return NOW


@pytest.fixture(scope="module")
def tokens():
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return Tokens(lambda: private, lambda: public, SystemEntropy())


@pytest.fixture
def objects():
    there = ObjectsAtHand()
    there.put("serviceaccounts", ACCOUNT)
    return there


def test_a_token_vouches_for_its_account(tokens, objects):
    status = tokens.issue(ACCOUNT, {}, None, NOW)
    assert status["expirationTimestamp"] == "2026-01-01T01:00:00Z"
    identity = tokens.identify(status["token"], (), objects, NOW)
    assert identity.user.name == "system:serviceaccount:ns:robot"
    assert identity.user.groups == ("system:serviceaccounts", "system:serviceaccounts:ns")
    assert identity.user.uid == "a-1"
    assert identity.audiences == (ISSUER,)


def test_a_token_ends_with_its_time_its_audience_its_account_and_its_pod(tokens, objects):
    token = tokens.issue(ACCOUNT, {"audiences": ["vault"]}, None, NOW)["token"]
    assert tokens.identify(token, ["vault", "x"], objects, NOW).audiences == ("vault",)
    with pytest.raises(InvalidToken):
        tokens.identify(token, (), objects, NOW)
    with pytest.raises(InvalidToken):
        tokens.identify(token, ["vault"], objects, NOW + timedelta(hours=2))
    with pytest.raises(InvalidToken):
        tokens.identify(token, ["vault"], ObjectsAtHand(), NOW)
    bound = tokens.issue(ACCOUNT, {}, POD, NOW)["token"]
    with pytest.raises(InvalidToken):
        tokens.identify(bound, (), objects, NOW)
    objects.put("pods", POD)
    assert tokens.identify(bound, (), objects, NOW).user.extra["authentication.kubernetes.io/pod-name"] == ["p"]


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."])
def test_other_texts_vouch_for_nobody(tokens, objects, text):
    with pytest.raises(InvalidToken):
        tokens.identify(text, (), objects, NOW)


def test_others_can_check_tokens_by_the_published_key(tokens):
    (key,) = tokens.key_set()["keys"]
    assert (key["kty"], key["crv"], key["use"]) == ("EC", "P-256", "sig")


async def test_callers_are_known_by_certificate_token_or_not_at_all(tokens, objects):
    static = {"secret": User("ci", ("robots",))}
    authenticator = Authenticator(tokens, objects, StoppedClock(), static)
    by_certificate = await authenticator.authenticate(Credentials("", Certificate("jane", ("dev",))))
    assert by_certificate == User("jane", ("dev", "system:authenticated"))
    assert (await authenticator.authenticate(Credentials("secret"))).groups == ("robots", "system:authenticated")
    token = tokens.issue(ACCOUNT, {}, None, NOW)["token"]
    assert (await authenticator.authenticate(Credentials(token))).name == "system:serviceaccount:ns:robot"
    assert (await authenticator.authenticate(Credentials())).name == "system:anonymous"
    with pytest.raises(Unauthorized):
        await authenticator.authenticate(Credentials("nonsense"))


def test_a_token_of_a_secret_does_not_end_and_goes_with_its_secret(tokens, objects):
    secret = {"metadata": {"name": "s", "namespace": "ns", "uid": "s-1"}}
    token = tokens.issue_for_secret(ACCOUNT, secret)
    with pytest.raises(InvalidToken, match="has been invalidated"):
        tokens.identify(token, (), objects, NOW)
    objects.put("secrets", {**secret, "data": {"token": base64.b64encode(token.encode()).decode()}})
    identity = tokens.identify(token, (), objects, NOW + timedelta(days=9999))
    assert (identity.user.name, identity.user.uid) == ("system:serviceaccount:ns:robot", "a-1")
    with pytest.raises(InvalidToken, match="audiences"):
        tokens.identify(token, ("else",), objects, NOW)
    objects.put("secrets", {**secret, "data": {"token": "eA=="}})
    with pytest.raises(InvalidToken, match="does not match server's copy"):
        tokens.identify(token, (), objects, NOW)


@pytest.mark.parametrize(
    ("metadata", "refusal"),
    [
        ({"namespace": "else"}, BadRequest),
        ({"name": "else"}, Invalid),
        ({"uid": "else"}, Conflict),
        ({"name": "robot", "namespace": "ns", "uid": "a-1"}, None),
    ],
)
def test_a_request_is_about_the_account_that_it_is_sent_to(metadata, refusal):
    if refusal is None:
        check_request({"metadata": metadata}, ACCOUNT)
        return
    with pytest.raises(refusal):
        check_request({"metadata": metadata}, ACCOUNT)


def test_a_token_is_not_bound_to_a_pod_of_another_account(objects):
    objects.put("pods", {**POD, "spec": {"serviceAccountName": "else"}})
    with pytest.raises(BadRequest, match="different serviceaccount name"):
        bound_object({"boundObjectRef": {"kind": "Pod", "name": "p"}}, ACCOUNT, objects)
