"""Certificates of nodes' own groups are not signed for everybody.

Source: plugin/pkg/admission/certificates/subjectrestriction (v1.37). Who may approve and sign is asked of the authorizer
there; here a request that passed authorization passes.
"""

import base64
import binascii

from moorage.api.admission.refusals import refused
from moorage.api.kind_rules import Lookup
from moorage.api.request import Request
from moorage.objects.metadata import Object

RESOURCES = frozenset({"certificatesigningrequests.certificates.k8s.io"})

_API_CLIENT = "kubernetes.io/kube-apiserver-client"


def validate(obj: Object, old: Object | None, request: Request, lookup: Lookup) -> None:
    """Refuse a request for a client certificate of the group system:masters."""
    del lookup
    spec = obj.get("spec") or {}
    if old is not None or request.subresource or spec.get("signerName") != _API_CLIENT:
        return
    if "system:masters" in _organizations(spec.get("request") or ""):
        text = "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"
        raise refused(obj, request, text)


def _organizations(encoded: str) -> list[str]:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        certificate_request = x509.load_pem_x509_csr(base64.b64decode(encoded))
    except (ValueError, binascii.Error):
        return []
    found = certificate_request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return [str(each.value) for each in found]
