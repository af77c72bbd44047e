"""Secrets: a key that does not fit its certificate is warned about."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from moorage.api.kinds.certificates.key_pairs import key_pair_problem
from moorage.objects.errors import Invalid
from tests.api.world import World

NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a")])


def pair() -> tuple[str, str]:
    """Return a certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    draft = x509.CertificateBuilder(NAME, NAME, key.public_key(), 1).not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
    made = draft.not_valid_after(datetime(2027, 1, 1, tzinfo=UTC)).sign(key, hashes.SHA256())
    return made.public_bytes(Encoding.PEM).decode(), text_of(key)


def text_of(key: ec.EllipticCurvePrivateKey | RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def problem(certificate: str, key: str) -> str:
    return key_pair_problem(*(base64.b64encode(text.encode()).decode() for text in (certificate, key)))


def test_problems_are_told_in_gos_words() -> None:
    certificate, key = pair()
    broken = "-----BEGIN CERTIFICATE-----\naGk=\n-----END CERTIFICATE-----\n"
    assert problem(certificate, key) == ""
    assert problem(certificate, pair()[1]) == "tls: private key does not match public key"
    assert problem("c", key) == "tls: failed to find any PEM data in certificate input"
    assert problem(key, certificate).endswith("PEM inputs may have been switched")
    assert problem(certificate, certificate) == (
        "tls: found a certificate rather than a key in the PEM for the private key"
    )
    assert problem(certificate, "k") == "tls: failed to find any PEM data in key input"
    assert problem(broken, key) == "x509: malformed certificate"
    assert problem(certificate, broken.replace("CERTIFICATE", "PRIVATE KEY")) == "tls: failed to parse private key"


@pytest.mark.parametrize("kind", ["kubernetes.io/tls", "Opaque"])
async def test_a_secret_of_tls_warns_and_no_other(world: World, kind: str) -> None:
    body: dict[str, Any] = {"metadata": {"name": "s"}, "type": kind, "stringData": {"tls.crt": "c", "tls.key": "k"}}
    await world.create("secrets", body)
    assert bool(world.warnings) == (kind == "kubernetes.io/tls")


@pytest.mark.parametrize(
    ("text", "kind"),
    [("[]", "array"), ('"x"', "string"), ("1.5", "number"), ("true", "bool"), ("null", ""), ("{}", "")],
)
async def test_credentials_of_a_registry_are_an_object(world: World, text: str, kind: str) -> None:
    secret = {"metadata": {"name": "s"}, "type": "kubernetes.io/dockercfg", "stringData": {".dockercfg": text}}
    if not kind:
        await world.create("secrets", secret)
        return
    with pytest.raises(Invalid, match=f"json: cannot unmarshal {kind} into Go value of type map"):
        await world.create("secrets", secret)


async def test_a_secret_may_be_as_large_as_its_limit(world: World) -> None:
    def body(size: int) -> dict[str, Any]:
        return {"metadata": {"name": f"s{size}"}, "data": {"k": base64.b64encode(b"x" * size).decode()}}

    await world.create("secrets", body(1 << 20))
    with pytest.raises(Invalid, match="Too long"):
        await world.create("secrets", body((1 << 20) + 1))
