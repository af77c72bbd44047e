"""Certificates for clients, signed by the cluster's authority."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from moorage.cluster.certificates import ensure_pki, sign_request
from moorage.controllers.certificate_requests import Wish

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_signed_certificate_carries_subject_and_key_of_the_request(tmp_path: Path) -> None:
    pki = ensure_pki(tmp_path, NOW, "127.0.0.1")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "jane")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, SHA256())
    wish = Wish(request.public_bytes(Encoding.PEM), ["client auth"], timedelta(hours=1), NOW)
    made = x509.load_pem_x509_certificate(sign_request(pki, wish))
    made.verify_directly_issued_by(x509.load_pem_x509_certificate(pki.authority.read_bytes()))
    assert (made.subject, made.public_key()) == (subject, key.public_key())
    assert made.not_valid_after_utc == NOW + timedelta(hours=1)
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    # One without any usage would be invalid to OpenSSL, so it is left out.
    assert not [each for each in made.extensions if isinstance(each.value, x509.KeyUsage)]

    wish = Wish(wish.request, ["client auth", "digital signature"], timedelta(hours=1), NOW)
    usage = x509.load_pem_x509_certificate(sign_request(pki, wish)).extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.value.digital_signature
    assert not usage.value.key_encipherment
