"""ClusterTrustBundles: certificates of authorities that pods may trust.

Source: pkg/apis/certificates/validation, ValidateClusterTrustBundle (v1.37).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from moorage.api.kinds.certificates.pem import Block, blocks
from moorage.api.kinds.pod_spec.projected import validate_signer_name
from moorage.api.request import Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, name_of
from moorage.objects.validation import dns1123_subdomain_problems, each_invalid, invalid, too_long

#: How large a bundle may be.
BUNDLE_MOST = 1 << 20

_PATH, _SHOWN = "spec.trustBundle", "<value omitted>"


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a bundle."""
    del request
    spec = obj.get("spec") or {}
    signer, bundle = spec.get("signerName") or "", spec.get("trustBundle") or ""
    causes = _validate_name(name_of(obj), signer)
    if signer:
        causes += validate_signer_name("spec.signerName", signer)
    if len(bundle) > BUNDLE_MOST:
        return [*causes, too_long(_PATH, BUNDLE_MOST)]
    return causes + _validate_bundle(blocks(bundle.encode()))


def _validate_name(name: str, signer: str) -> list[Cause]:
    prefix = f"{signer.replace('/', ':')}:" if signer else ""
    path = "metadata.name"
    if not signer and ":" in name:
        return [invalid(path, name, 'ClusterTrustBundle without signer name must not have ":" in its name')]
    if not name.startswith(prefix):
        text = f"ClusterTrustBundle for signerName {signer} must be named with prefix {prefix}"
        return [invalid(path, name, text)]
    return each_invalid(path, name, dns1123_subdomain_problems(name[len(prefix) :]))


def _validate_bundle(found: Sequence[Block]) -> list[Cause]:
    causes: list[Cause] = []
    seen: dict[bytes, list[int]] = {}
    for index, block in enumerate(found):
        if problem := _problem(block):
            causes.append(invalid(_PATH, _SHOWN, f"entry {index} {problem}"))
        else:
            seen.setdefault(block.data, []).append(index)
    if not seen:
        causes.append(invalid(_PATH, _SHOWN, "at least one trust anchor must be provided"))
    for places in seen.values():
        if len(places) > 1:
            shown = " ".join(map(str, places))
            causes.append(invalid(_PATH, _SHOWN, f"duplicate trust anchor (indices [{shown}])"))
    return causes


def _problem(block: Block) -> str:
    """Return why a block is no trust anchor, "" if it is one."""
    if block.type != "CERTIFICATE":
        return f"has bad block type: {block.type}"
    if block.has_headers:
        return "has PEM block headers"
    from cryptography import x509

    try:
        constraints = x509.load_der_x509_certificate(block.data).extensions.get_extension_for_class(
            x509.BasicConstraints
        )
    except x509.ExtensionNotFound:
        return "does not have the CA bit set"
    except ValueError:
        return "does not parse as X.509"
    return "" if constraints.value.ca else "does not have the CA bit set"


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a bundle may not change: whose it is."""
    del request
    signer, before = ((each.get("spec") or {}).get("signerName") or "" for each in (obj, old))
    return [] if signer == before else [invalid("spec.signerName", signer, "field is immutable")]


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, signer."""
    del now
    return [name_of(obj), (obj.get("spec") or {}).get("signerName") or "<none>"]
