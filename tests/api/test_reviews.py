"""Tests of questions that are asked by creating an object."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from moorage.aio.clock import SystemClock
from moorage.aio.entropy import SystemEntropy
from moorage.api.authorization import Rbac
from moorage.api.request import User
from moorage.api.reviews import Reviews
from moorage.api.tokens import ISSUER, Tokens
from moorage.objects.errors import Invalid
from tests.api.world import World

REVIEW = "subjectaccessreviews.authorization.k8s.io"


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        ({}, ["spec", "spec.user"]),
        ({"user": "u"}, ["spec"]),
        ({"resourceAttributes": {"verb": "get"}}, ["spec.user"]),
        ({"user": "u", "resourceAttributes": {}, "nonResourceAttributes": {"path": "/x"}}, ["spec"]),
    ],
)
async def test_everything_that_is_wrong_with_a_question_is_told_at_once(world: World, spec, fields):
    reviews = Reviews(Rbac(world.api.lookup), None, SystemClock())  # type: ignore[arg-type] (no token is asked for)
    world.api.creations |= reviews.creations()
    with pytest.raises(Invalid) as refusal:
        await world.create(REVIEW, {"spec": spec})
    assert [cause.field for cause in refusal.value.causes] == fields


async def test_a_review_knows_tokens_that_the_cluster_knows_by_heart(world: World):
    private, public = key_pair()
    tokens = Tokens(lambda: private, lambda: public, SystemEntropy())
    known = {"secret": User("admin", ("system:masters",))}
    world.api.creations |= Reviews(Rbac(world.api.lookup), tokens, SystemClock(), known).creations()
    said = (await world.create("tokenreviews.authentication.k8s.io", {"spec": {"token": "secret"}}))["status"]
    assert said["authenticated"] is True
    assert said["user"] == {"username": "admin", "groups": ["system:masters", "system:authenticated"]}
    assert said["audiences"] == [ISSUER]
    elsewhere = {"spec": {"token": "secret", "audiences": ["vault"]}}
    assert "authenticated" not in (await world.create("tokenreviews.authentication.k8s.io", elsewhere))["status"]


def key_pair() -> tuple[bytes, bytes]:
    """Return the PEM of a fresh private key and of its public half."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
