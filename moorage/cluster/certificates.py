"""The cluster's certificates and the administrator's token, made at the first start.

The administrator has a token, not a certificate: a certificate wins over any token that is sent beside it, so
`kubectl --token` would quietly act as the administrator.

Private keys are ECDSA P-256 (1 ms to make, where RSA takes 30) and readable by their owner alone.
"""

import ipaddress
import os
import secrets
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from moorage.cluster.config import API_SERVICE_ADDRESS, CLUSTER_DOMAIN

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
    from cryptography.hazmat.primitives.hashes import SHA256

    from moorage.controllers.certificate_requests import Wish

#: How long certificates live; as kubeadm's authority, and long enough for any cluster of ours.
LIFETIME = timedelta(days=3650)

#: How far back a certificate begins, for machines whose clocks differ.
SKEW = timedelta(minutes=5)

#: How many random bytes are in the administrator's token.
TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Pki:
    """The files of a cluster's certificates, all below one directory."""

    directory: Path

    @property
    def authority(self) -> Path:
        """The certificate that all others are checked with."""
        return self.directory / "ca.crt"

    @property
    def authority_key(self) -> Path:
        """The key that signs all others."""
        return self.directory / "ca.key"

    @property
    def server(self) -> Path:
        """The API's certificate and key, in one file."""
        return self.directory / "apiserver.pem"

    @property
    def front_proxy_authority(self) -> Path:
        """What servers of aggregated APIs check our certificate with."""
        return self.directory / "front-proxy-ca.crt"

    @property
    def front_proxy_client(self) -> Path:
        """Our certificate and key towards them, in one file. It is written last: who sees it sees all."""
        return self.directory / "front-proxy-client.pem"

    @property
    def administrator_token(self) -> Path:
        """What the administrator shows to the API."""
        return self.directory / "admin.token"

    @property
    def account_key(self) -> Path:
        """The key that signs service account tokens."""
        return self.directory / "sa.key"

    @property
    def account_public_key(self) -> Path:
        """What checks service account tokens."""
        return self.directory / "sa.pub"


def ensure_pki(directory: Path, now: datetime, host: str) -> Pki:
    """Return the cluster's certificates; makes them at the first start. A half-made set is made anew."""
    pki = Pki(directory)
    complete = directory / "complete"
    if complete.exists():
        return pki
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    _make(pki, now, host)
    complete.touch(mode=0o600)
    return pki


def _make(pki: Pki, now: datetime, host: str) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    authority, authority_key = issuer = _authority("kubernetes", now)
    server_key, server = _server_certificate(issuer, now, host)
    account_key = ec.generate_private_key(ec.SECP256R1())
    public = account_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    _write(pki.authority, _pem(authority), mode=0o644)
    _write(pki.authority_key, _pem_key(authority_key))
    _write(pki.server, _pem(server) + _pem_key(server_key))
    _write(pki.administrator_token, secrets.token_urlsafe(TOKEN_BYTES).encode())
    _write(pki.account_key, _pem_key(account_key))
    _write(pki.account_public_key, public, mode=0o644)


def ensure_front_proxy(pki: Pki, now: datetime, name: str) -> None:
    """Make the authority and the certificate with which the API shows itself to other servers, if they are not there.

    The authority's key is not kept: it signs nothing else.
    """
    if pki.front_proxy_client.exists():
        return
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    authority, authority_key = _authority("front-proxy-ca", now)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _certificate(_name(name), authority.subject, key.public_key(), now)
    client = (
        _for_one(builder, ExtendedKeyUsageOID.CLIENT_AUTH, authority_key)
        .add_extension(_usage(signs=False), critical=True)
        .sign(authority_key, _sha256())
    )
    _write(pki.front_proxy_authority, _pem(authority), mode=0o644)
    whole = _pem(client) + _pem_key(key)
    _write(pki.front_proxy_client.with_suffix(".new"), whole)
    pki.front_proxy_client.with_suffix(".new").replace(pki.front_proxy_client)


def _authority(name: str, now: datetime) -> "tuple[x509.Certificate, EllipticCurvePrivateKey]":
    """Return an authority that signs itself, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    made = (
        _certificate(subject, subject, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, _sha256())
    )
    return made, key


def _server_certificate(
    issuer: "tuple[x509.Certificate, EllipticCurvePrivateKey]", now: datetime, host: str
) -> "tuple[EllipticCurvePrivateKey, x509.Certificate]":
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    authority, authority_key = issuer
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _certificate(_name("kube-apiserver"), authority.subject, key.public_key(), now)
    builder = (
        _for_one(builder, ExtendedKeyUsageOID.SERVER_AUTH, authority_key)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.SubjectAlternativeName(_server_names(host)), critical=False)
    )
    return key, builder.sign(authority_key, _sha256())


def sign_request(pki: Pki, wish: "Wish") -> bytes:
    """Return the certificate (PEM) of a client whose request was approved: its subject and key, signed by the authority."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509.oid import ExtendedKeyUsageOID

    request = x509.load_pem_x509_csr(wish.request)
    authority = x509.load_pem_x509_certificate(pki.authority.read_bytes())
    authority_key = load_pem_private_key(pki.authority_key.read_bytes(), password=None)
    assert isinstance(authority_key, EllipticCurvePrivateKey)  # noqa: S101 - as _make wrote it
    until = min(wish.now + wish.lifetime, authority.not_valid_after_utc)
    builder = _certificate(request.subject, authority.subject, request.public_key(), wish.now, until)
    builder = _for_one(builder, ExtendedKeyUsageOID.CLIENT_AUTH, authority_key)
    signs, encrypts = "digital signature" in wish.usages, "key encipherment" in wish.usages
    if signs or encrypts:  # An extension that says nothing makes a certificate invalid.
        usage = _usage(signs=False, digital_signature=signs, key_encipherment=encrypts)
        builder = builder.add_extension(usage, critical=True)
    return _pem(builder.sign(authority_key, _sha256()))


def _for_one(
    builder: "x509.CertificateBuilder", purpose: "x509.ObjectIdentifier", authority_key: "EllipticCurvePrivateKey"
) -> "x509.CertificateBuilder":
    """Say that a certificate is of somebody who signs no others: for which purpose, and by whom it is signed."""
    from cryptography import x509

    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(identifier, critical=False)
    )


def _certificate(
    subject: "x509.Name",
    issuer: "x509.Name",
    key: "CertificatePublicKeyTypes",
    now: datetime,
    until: datetime | None = None,
) -> "x509.CertificateBuilder":
    """Return a certificate to be signed. until: when it ends, after LIFETIME if nothing is said."""
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(until or now + LIFETIME)
    )


def _server_names(host: str) -> "list[x509.GeneralName]":
    from cryptography import x509

    service = "kubernetes.default.svc"
    names = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        service,
        f"{service}.{CLUSTER_DOMAIN}",
        socket.gethostname(),
    ]
    addresses = {"127.0.0.1", "::1", API_SERVICE_ADDRESS}
    try:
        addresses.add(str(ipaddress.ip_address(host)))
    except ValueError:
        names.append(host)
    return [
        *(x509.DNSName(name) for name in dict.fromkeys(names)),
        *(x509.IPAddress(ipaddress.ip_address(each)) for each in sorted(addresses) if each != "0.0.0.0"),  # noqa: S104
    ]


def _name(common_name: str) -> "x509.Name":
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(*, signs: bool, digital_signature: bool = True, key_encipherment: bool | None = None) -> "x509.KeyUsage":
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=not signs if key_encipherment is None else key_encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _sha256() -> "SHA256":
    from cryptography.hazmat.primitives.hashes import SHA256

    return SHA256()


def _pem(certificate: "x509.Certificate") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _pem_key(key: "EllipticCurvePrivateKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def _write(path: Path, content: bytes, mode: int = 0o600) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
