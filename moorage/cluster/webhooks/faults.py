"""What Kubernetes says of a webhook that cannot be reached or answers badly: the words of Go's net and TLS packages.

Source: client-go/rest/request.go, apimachinery/pkg/api/errors NewGenericServerResponse (v1.37); Go 1.25.
"""

import errno
import json
import ssl
from typing import Final

_DIAL: Final = {
    errno.ECONNREFUSED: "connection refused",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "network is unreachable",
    errno.ETIMEDOUT: "connection timed out",
    errno.ECONNRESET: "connection reset by peer",
}

#: OpenSSL's reasons for not trusting a certificate.
_EXPIRED: Final = (9, 10)
_MISMATCH: Final = (62, 64)

_BY_CODE: Final = {
    400: "the server rejected our request for an unknown reason",
    401: "the server has asked for the client to provide credentials",
    404: "the server could not find the requested resource",
    405: "the server does not allow this method on the requested resource",
    409: "the server reported a conflict",
    422: "the server rejected our request due to an error in our request",
    429: "the server has received too many requests and has asked us to try again later",
    503: "the server is currently unable to handle the request",
    504: "the server was unable to return a response in the time allotted, but may still be processing the request",
}

#: How much of an answer's body an error tells.
_SHOWN_BYTES: Final = 2048


def dial_fault(error: OSError, address: str, port: int) -> str:
    """Return what is said of a connection that did not come about."""
    where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    if isinstance(error, ssl.SSLError):
        return tls_fault(error, address)
    code = error.errno or 0
    if code in _DIAL:
        return f"dial tcp {where}: connect: {_DIAL[code]}"
    if code < 0 or "Name or service" in str(error):
        return f"dial tcp: lookup {address}: no such host"
    return f"dial tcp {where}: {error.strerror or error}"


def tls_fault(error: ssl.SSLError, host: str) -> str:
    """Return what is said of a handshake that failed."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
            return "http: server gave HTTP response to HTTPS client"
        return f"remote error: tls: {(error.reason or 'handshake failure').lower().replace('_', ' ')}"
    why = "certificate signed by unknown authority"
    if error.verify_code in _EXPIRED:
        why = "certificate has expired or is not yet valid"
    elif error.verify_code in _MISMATCH:
        why = f"certificate is not valid for {host}"
        if error.verify_code == _MISMATCH[1]:
            why = f"cannot validate certificate for {host} because it doesn't contain any IP SANs"
    return f"tls: failed to verify certificate: x509: {why}"


def answer_fault(code: int, body: bytes) -> str:
    """Return what is said of an answer that is a refusal in HTTP."""
    text = body[:_SHOWN_BYTES].decode("utf-8", "replace").strip() or "unknown"
    if code in _BY_CODE:
        return _BY_CODE[code]
    if code in (403, 406, 415):
        return text
    if code >= 500:
        return (
            f"an error on the server ({json.dumps(text, ensure_ascii=False)}) has prevented the request from succeeding"
        )
    return f"the server responded with the status code {code} but did not return more information"
