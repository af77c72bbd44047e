"""Whether a private key belongs to a certificate, in Go's words.

Source: crypto/tls, X509KeyPair (Go 1.25).
"""

from typing import TYPE_CHECKING

from moorage.api.kinds.certificates.pem import Block, blocks_of_base64

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


def key_pair_problem(certificate: str | None, key: str | None) -> str:
    """Return what is wrong with a pair of PEM texts, each base64 as in a Secret's data; "" if it can be served."""
    found = blocks_of_base64(certificate)
    certificates = [block for block in found if block.type == "CERTIFICATE"]
    if not certificates:
        return _no_certificate([block.type for block in found])
    candidates = blocks_of_base64(key)
    private = next((block for block in candidates if _is_private(block)), None)
    if private is None:
        return _no_key([block.type for block in candidates])
    return _mismatch(certificates[0].data, private.data)


def _is_private(block: Block) -> bool:
    return block.type == "PRIVATE KEY" or block.type.endswith(" PRIVATE KEY")


def _no_certificate(skipped: list[str]) -> str:
    if not skipped:
        return "tls: failed to find any PEM data in certificate input"
    if len(skipped) == 1 and skipped[0].endswith("PRIVATE KEY"):
        return (
            "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may "
            "have been switched"
        )
    return (
        'tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the following '
        f"types: [{' '.join(skipped)}]"
    )


def _no_key(skipped: list[str]) -> str:
    if not skipped:
        return "tls: failed to find any PEM data in key input"
    if skipped == ["CERTIFICATE"]:
        return "tls: found a certificate rather than a key in the PEM for the private key"
    return (
        'tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input after skipping PEM blocks of the '
        f"following types: [{' '.join(skipped)}]"
    )


def _mismatch(certificate: bytes, key: bytes) -> str:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    try:
        leaf: Certificate = x509.load_der_x509_certificate(certificate)
        public = leaf.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return "x509: malformed certificate"
    try:
        private = load_der_private_key(key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "tls: failed to parse private key"
    own = private.public_key()
    if not isinstance(public, (RSAPublicKey, EllipticCurvePublicKey, Ed25519PublicKey)):
        return "tls: unknown public key algorithm"
    if type(own) is not type(public):
        return "tls: private key type does not match public key type"
    return "" if own == public else "tls: private key does not match public key"
