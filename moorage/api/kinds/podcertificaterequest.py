"""PodCertificateRequests: a node's wish for a certificate of one of its pods.

Proofs of possession are checked by signing the request with its own key.
Source: pkg/apis/certificates/validation, pkg/registry/certificates/podcertificaterequest (v1.37).
"""

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.pod_spec.projected import validate_signer_name
from moorage.api.request import Draft, Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, name_of
from moorage.objects.validation import (
    dns1123_subdomain_problems,
    each_invalid,
    in_list,
    invalid,
    not_supported,
    required,
    too_long,
    validate_prefixed_key,
)

Part = Mapping[str, Any]

UID_MOST, REQUEST_MOST, CHAIN_MOST, ANNOTATIONS_MOST = 128, 10240, 102400, 262144
LIFE_SECONDS_LEAST, LIFE_SECONDS_MOST, SYSTEM_LIFE_SECONDS_MOST = 3600, 7862400, 86400

_ENDS = ("Denied", "Failed", "Issued")
_SHOWN = "<value omitted>"


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Start unanswered."""
    del request, lookup
    draft["status"] = {}


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a request."""
    del request
    spec = obj.get("spec") or {}
    signer = spec.get("signerName") or ""
    causes = validate_signer_name("spec.signerName", signer)
    for field in ("pod", "serviceAccount", "node"):
        name, uid = spec.get(f"{field}Name") or "", spec.get(f"{field}UID") or ""
        causes += each_invalid(f"spec.{field}Name", name, dns1123_subdomain_problems(name))
        if not uid:
            causes.append(invalid(f"spec.{field}UID", uid, "must not be empty"))
        elif len(uid) > UID_MOST:
            causes.append(too_long(f"spec.{field}UID", UID_MOST))
    causes += _validate_life("spec.maxExpirationSeconds", spec.get("maxExpirationSeconds"), signer)
    return causes + _validate_annotations(spec) + _validate_stub("spec.stubPKCS10Request", spec)


def _validate_life(path: str, seconds: int | None, signer: str) -> list[Cause]:
    if seconds is None:
        return [required(path, "must be set")]
    most = SYSTEM_LIFE_SECONDS_MOST if signer.startswith("kubernetes.io/") else LIFE_SECONDS_MOST
    if LIFE_SECONDS_LEAST <= seconds <= most:
        return []
    return [invalid(path, seconds, f"must be in the range [{LIFE_SECONDS_LEAST}, {most}]")]


def _validate_annotations(spec: Part) -> list[Cause]:
    path, annotations = "spec.unverifiedUserAnnotations", spec.get("unverifiedUserAnnotations") or {}
    causes = [cause for key in annotations for cause in validate_prefixed_key(path, key)]
    if sum(len(key) + len(value) for key, value in annotations.items()) > ANNOTATIONS_MOST:
        causes.append(too_long(path, ANNOTATIONS_MOST))
    return causes


def _validate_stub(path: str, spec: Part) -> list[Cause]:
    try:
        stub = base64.b64decode(spec.get("stubPKCS10Request") or "")
    except binascii.Error:
        stub = b""
    if len(stub) > REQUEST_MOST:
        return [too_long(path, REQUEST_MOST)]
    from cryptography import x509

    try:
        request = x509.load_der_x509_csr(stub)
        problem = _key_problem(request.public_key())
        if not problem and not request.is_signature_valid:
            problem = "invalid signature"
    except ValueError:
        problem = "must be a valid PKCS#10 CSR"
    return [invalid(path, _SHOWN, problem)] if problem else []


def _key_problem(key: Any) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ed25519.Ed25519PublicKey):
        return ""
    if isinstance(key, ec.EllipticCurvePublicKey):
        if isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1 | ec.SECP521R1):
            return ""
        return "elliptic public keys must use curve P256, P384, or P521"
    if isinstance(key, rsa.RSAPublicKey):
        return "" if key.key_size in {3072, 4096} else "RSA keys must have modulus size 3072 or 4096"
    return "unknown public key type; supported types are Ed25519, ECDSA, and RSA"


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a request may not change: all that it asks for."""
    del request
    return [] if obj.get("spec") == old.get("spec") else [invalid("spec", None, "field is immutable")]


def validate_status(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what a status may not say: one answer, once, and a certificate only with it."""
    del request
    status, before = obj.get("status") or {}, old.get("status") or {}
    if status == before:
        return []
    conditions = status.get("conditions") or []
    if _ends(before):
        return [invalid("status", None, "immutable after PodCertificateRequest is issued, denied, or failed")]
    causes: list[Cause] = []
    for index, condition in enumerate(conditions):
        path, kind, state = f"status.conditions[{index}]", condition.get("type") or "", condition.get("status") or ""
        if kind not in _ENDS:
            causes.append(not_supported(f"{path}.type", kind, _ENDS))
        elif len(_ends(status)) > 1 and index:
            text = 'There may be at most one condition with type "Issued", "Denied", or "Failed"'
            causes.append(invalid(f"{path}.type", kind, text))
        causes += in_list(f"{path}.status", state, ("True",))
    if not causes and not conditions:
        text = 'status is immutable unless transitioning to "Issued", "Denied", or "Failed"'
        causes.append(invalid("status", None, text))
    return causes or _validate_answer(status)


def _ends(status: Part) -> list[str]:
    return [each["type"] for each in status.get("conditions") or () if each.get("type") in _ENDS]


def _validate_answer(status: Part) -> list[Cause]:
    if _ends(status) != ["Issued"]:
        if set(status) - {"conditions"}:
            text = "non-condition status fields must be empty when denying or failing the PodCertificateRequest"
            return [invalid("status", None, text)]
        return []
    chain = status.get("certificateChain") or ""
    if len(chain) > CHAIN_MOST:
        return [too_long("status.certificateChain", CHAIN_MOST)]
    from moorage.api.kinds.certificates.pem import blocks

    path, found = "status.certificateChain", blocks(chain.encode())
    if not found:
        text = "issued certificate chain must contain at least one certificate"
        return [invalid(path, _SHOWN, text)]
    causes: list[Cause] = []
    if any(each.type != "CERTIFICATE" for each in found):
        text = "issued certificate chain must consist entirely of CERTIFICATE PEM blocks"
        causes.append(invalid(path, _SHOWN, text))
    for field in ("notBefore", "notAfter"):
        if not status.get(field):
            text = "must be present and consistent with the issued certificate"
            causes.append(required(f"status.{field}", text))
    if not status.get("beginRefreshAt"):
        text = "must be present and in the range [notbefore+10min, notafter-10min]"
        causes.append(required("status.beginRefreshAt", text))
    return causes


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, pod, service account, node, signer, state, annotations."""
    del now
    spec = obj.get("spec") or {}
    shown = [spec.get(field) or "" for field in ("podName", "serviceAccountName", "nodeName", "signerName")]
    ends = _ends(obj.get("status") or {})
    annotations = spec.get("unverifiedUserAnnotations") or {}
    listed = ",".join(f"{key}={value}" for key, value in sorted(annotations.items())) or "<none>"
    return [name_of(obj), *shown, ends[0] if ends else "Pending", listed]
