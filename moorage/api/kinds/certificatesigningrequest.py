"""CertificateSigningRequests: wishes for certificates, who approved them, what came of them.

Source: pkg/apis/certificates/validation, pkg/registry/certificates/certificates/strategy.go, pkg/printers (v1.37).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.certificates.pem import blocks_of_base64
from moorage.api.kinds.pod_spec.projected import validate_signer_name
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Draft, Request
from moorage.objects.ages import human_duration
from moorage.objects.errors import Cause
from moorage.objects.internal_form import difference_text, internal_list
from moorage.objects.metadata import Object, format_time, name_of
from moorage.objects.validation import duplicate, forbidden, invalid, not_supported, required

Part = Mapping[str, Any]

#: The shortest life that may be asked for.
EXPIRATION_SECONDS_LEAST = 600

#: What the server says about who asks.
_ASKER = frozenset({"username", "uid", "groups", "extra"})

_LEGACY = "kubernetes.io/legacy-unknown"
_USAGES = (
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
)
_DECISIONS = ("Approved", "Denied")
_LASTING = ("Approved", "Denied", "Failed")
_STATES = ("False", "True", "Unknown")
_CONDITIONS = "status.conditions"
_BOTH = ", ".join(f'conditions[{{"type": "{name}"}}]' for name in _DECISIONS)
_ONE_OF = "must specify at most one of: " + ", ".join(f'`conditions[{{"type": "{name}"}}]`' for name in _DECISIONS)


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Note who asks; start undecided."""
    del lookup
    spec = {key: each for key, each in (draft.get("spec") or {}).items() if key not in _ASKER}
    user = request.user
    asker = {"username": user.name, "uid": user.uid, "groups": list(user.groups)}
    extra = {key: list(values) for key, values in user.extra.items()}
    draft["spec"] = {**spec, **{key: value for key, value in (asker | {"extra": extra}).items() if value}}
    draft["status"] = {}


def prepare_update(draft: Draft, old: Object, request: Request, lookup: Lookup) -> None:
    """Keep what was asked for."""
    del request, lookup
    draft["spec"] = old.get("spec") or {}


def prepare_status(draft: Draft, old: Object, request: Request, lookup: Lookup) -> None:
    """Note when conditions changed; an approval changes nothing else."""
    del lookup
    status, before = draft.get("status") or {}, old.get("status") or {}
    conditions = _timed(status.get("conditions") or [], before.get("conditions") or [], format_time(request.now))
    kept = before if request.subresource == "approval" else status
    draft["status"] = {key: value for key, value in kept.items() if key != "conditions"}
    if conditions:
        draft["status"]["conditions"] = conditions


def _timed(conditions: Sequence[Part], before: Sequence[Part], now: str) -> list[dict[str, Any]]:
    known = {(each.get("type"), each.get("status")): each.get("lastTransitionTime") for each in before}
    return [
        {
            **each,
            "lastUpdateTime": each.get("lastUpdateTime") or now,
            "lastTransitionTime": each.get("lastTransitionTime")
            or known.get((each.get("type"), each.get("status")))
            or now,
        }
        for each in conditions
    ]


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a request."""
    del request
    spec = obj.get("spec") or {}
    causes: list[Cause] = []
    if problem := _request_problem(spec.get("request")):
        causes.append(invalid("spec.request", spec.get("request"), problem))
    usages = spec.get("usages") or ()
    if not usages:
        causes.append(required("spec.usages"))
    for index, usage in enumerate(usages):
        if usage not in _USAGES:
            causes.append(not_supported(f"spec.usages[{index}]", usage, _USAGES))
        if usage in usages[:index]:
            causes.append(duplicate(f"spec.usages[{index}]", usage))
    signer = spec.get("signerName") or ""
    if signer == _LEGACY:
        causes.append(invalid("spec.signerName", signer, "the legacy signerName is not allowed via this API version"))
    else:
        causes += validate_signer_name("spec.signerName", signer)
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < EXPIRATION_SECONDS_LEAST:
        text = f"may not specify a duration less than {EXPIRATION_SECONDS_LEAST} seconds (10 minutes)"
        causes.append(invalid("spec.expirationSeconds", seconds, text))
    return causes + _validate_conditions(obj) + _validate_certificate(obj)


def _request_problem(text: str | None) -> str:
    found = blocks_of_base64(text)
    if not found or found[0].type != "CERTIFICATE REQUEST":
        return "PEM block type must be CERTIFICATE REQUEST"
    from cryptography import x509

    try:
        x509.load_der_x509_csr(found[0].data)
    except ValueError:
        return "asn1: structure error: not a certificate request"
    return ""


def _conditions(obj: Object) -> list[Part]:
    return (obj.get("status") or {}).get("conditions") or []


def _validate_conditions(obj: Object) -> list[Cause]:
    causes: list[Cause] = []
    types = [each.get("type") or "" for each in _conditions(obj)]
    for index, condition in enumerate(_conditions(obj)):
        path, kind, state = f"{_CONDITIONS}[{index}]", types[index], condition.get("status") or ""
        if not kind:
            causes.append(required(f"{path}.type"))
        allowed = ("True",) if kind in _LASTING else _STATES
        if not state:
            causes.append(required(f"{path}.status"))
        elif state not in allowed:
            causes.append(not_supported(f"{path}.status", state, allowed))
        if kind in types[:index]:
            causes.append(duplicate(f"{path}.type", kind))
    if all(each in types for each in _DECISIONS):
        causes.append(invalid(_CONDITIONS, f"{{{_BOTH}}}", _ONE_OF))
    return causes


def _validate_certificate(obj: Object) -> list[Cause]:
    text = (obj.get("status") or {}).get("certificate")
    if not text:
        return []
    path, shown = "status.certificate", "<certificate data>"
    found = blocks_of_base64(text)
    if not found:
        return [invalid(path, shown, "must contain at least one CERTIFICATE PEM block")]
    causes = [
        invalid(path, shown, f"only CERTIFICATE PEM blocks are allowed, found {each.type!r}".replace("'", '"'))
        for each in found
        if each.type != "CERTIFICATE"
    ]
    if any(each.has_headers for each in found):
        causes.append(invalid(path, shown, "no PEM block headers are permitted"))
    return causes


def validate_status(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a status may not change so: decisions stay, and each endpoint has its own part."""
    approves = request.subresource == "approval"
    causes = _validate_conditions(obj)
    after, before = _by_type(obj), _by_type(old)
    for kind in _LASTING:
        if kind in before and kind not in after:
            causes.append(forbidden(_CONDITIONS, f'updates may not remove a condition of type "{kind}"'))
        elif kind in _DECISIONS and not approves:
            if kind in after and kind not in before:
                causes.append(forbidden(_CONDITIONS, f'updates may not add a condition of type "{kind}"'))
            elif after.get(kind) != before.get(kind):
                changed = difference_text(
                    *(internal_list("CertificateCondition", [each[kind]]) for each in (before, after))
                )
                text = f'updates may not modify a condition of type "{kind}"\n{changed}'
                causes.append(forbidden(_CONDITIONS, text))
    new_text, old_text = ((each.get("status") or {}).get("certificate") for each in (obj, old))
    if new_text == old_text:
        return causes
    if approves:
        causes.append(forbidden("status.certificate", "updates may not set certificate content"))
    elif old_text:
        causes.append(forbidden("status.certificate", "updates may not modify existing certificate content"))
    return causes + _validate_certificate(obj)


def _by_type(obj: Object) -> dict[str, Part]:
    return {each.get("type") or "": each for each in _conditions(obj)}


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, age, signer, requestor, asked duration, condition."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    seconds = spec.get("expirationSeconds")
    types = {each.get("type") for each in _conditions(obj)}
    state = "Denied" if "Denied" in types else "Approved" if "Approved" in types else "Pending"
    state += ",Failed" if "Failed" in types else ""
    state += ",Issued" if status.get("certificate") else ""
    return [
        name_of(obj),
        age_of(obj, now),
        spec.get("signerName") or "<none>",
        spec.get("username") or "",
        human_duration(seconds) if seconds is not None else "<none>",
        state,
    ]
