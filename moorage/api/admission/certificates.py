"""Who may approve and sign requests for certificates; certificates of the masters' group are not signed for anybody.

Source: plugin/pkg/admission/certificates/{approval,signing,subjectrestriction} (v1.37).
"""

import base64
import binascii
from typing import cast

from moorage.api.admission.refusals import refused
from moorage.api.authorization import Revisions, rbac_over
from moorage.api.kind_rules import Lookup
from moorage.api.request import Request
from moorage.objects.attributes import Attributes
from moorage.objects.metadata import Object, condition_of

RESOURCES = frozenset({"certificatesigningrequests.certificates.k8s.io"})

_API_CLIENT = "kubernetes.io/kube-apiserver-client"


def validate(obj: Object, old: Object | None, request: Request, lookup: Lookup) -> None:
    """Refuse decisions by who may not decide for the signer, and a client certificate of the group system:masters."""
    signer = (obj.get("spec") or {}).get("signerName") or ""
    if old is not None:
        verb = _decision(obj, old, request)
        if verb and not _may(verb, signer, request, lookup):
            raise refused(obj, request, f'user not permitted to {verb} requests with signerName "{signer}"')
        return
    if request.subresource or signer != _API_CLIENT:
        return
    if "system:masters" in _organizations(obj["spec"].get("request") or ""):
        text = "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"
        raise refused(obj, request, text)


def _decision(obj: Object, old: Object, request: Request) -> str:
    """Return the verb on signers that a change needs: approve, sign, or "" for none."""
    if request.subresource == "approval":
        return "approve"
    if request.subresource != "status":
        return ""
    after, before = obj.get("status") or {}, old.get("status") or {}
    issued = after.get("certificate") != before.get("certificate")
    return "sign" if issued or condition_of(obj, "Failed") != condition_of(old, "Failed") else ""


def _may(verb: str, signer: str, request: Request, lookup: Lookup) -> bool:
    rbac = rbac_over(cast("Revisions", lookup))
    names = (signer, f"{signer.partition('/')[0]}/*")
    asked = [Attributes(verb, "certificates.k8s.io", "v1", "signers", name=name) for name in names]
    return any(rbac.judge(request.user, each).allowed for each in asked)


def _organizations(encoded: str) -> list[str]:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        certificate_request = x509.load_pem_x509_csr(base64.b64decode(encoded))
    except (ValueError, binascii.Error):
        return []
    found = certificate_request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return [str(each.value) for each in found]
