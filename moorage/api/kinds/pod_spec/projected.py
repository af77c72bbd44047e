"""Volumes made of the cluster's own objects: secret, configMap, downwardAPI, projected.

Source: pkg/apis/core/validation/validation.go, validateProjectedVolumeSource and its like (v1.37).
"""

from collections.abc import Mapping
from typing import Any

from moorage.api.kinds.pod_spec.downward import VOLUME_FIELDS, validate_field_ref, validate_resource_ref
from moorage.api.kinds.pod_spec.paths import validate_file_mode, validate_unreserved_path
from moorage.objects.errors import Cause
from moorage.objects.internal_form import internal_form
from moorage.objects.selector_rules import validate_label_selector
from moorage.objects.validation import (
    Check,
    dns1123_label_problems,
    dns1123_subdomain_problems,
    each_invalid,
    forbidden,
    id_problems,
    invalid,
    not_supported,
    required,
    too_long,
)

Source = Mapping[str, Any]

TOKEN_LEAST_SECONDS, TOKEN_MOST_SECONDS = 600, 1 << 32
CERTIFICATE_LEAST_SECONDS, CERTIFICATE_MOST_SECONDS = 3600, 86400
_KEY_TYPES = ("RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519")
_SIGNER_TEXT = "must be a fully qualified domain and path of the form 'example.com/signer-name'"

#: The longest domain of a signer's name, and the longest such name.
_DOMAIN_MOST, _SIGNER_MOST = 253, 571


def validate_secret(path: str, source: Source) -> list[Cause]:
    """Return the causes of a secret volume."""
    return _validate_keyed(path, source, "secretName")


def validate_config_map(path: str, source: Source) -> list[Cause]:
    """Return the causes of a configMap volume."""
    return _validate_keyed(path, source, "name")


def _validate_keyed(path: str, source: Source, name_field: str) -> list[Cause]:
    causes = [] if source.get(name_field) else [required(f"{path}.{name_field}")]
    causes += validate_file_mode(f"{path}.defaultMode", source.get("defaultMode"))
    for index, item in enumerate(source.get("items") or ()):
        causes += _validate_key_to_path(f"{path}.items[{index}]", item)
    return causes


def _validate_key_to_path(path: str, item: Source) -> list[Cause]:
    causes = [required(f"{path}.{field}") for field in ("key", "path") if not item.get(field)]
    causes += validate_unreserved_path(f"{path}.path", item.get("path") or "")
    causes += validate_file_mode(f"{path}.mode", item.get("mode"))
    if (user := item.get("user")) is not None:
        causes += each_invalid(f"{path}.user", user, id_problems(user))
    return causes


def validate_downward_api(path: str, source: Source) -> list[Cause]:
    """Return the causes of a downwardAPI volume."""
    causes = validate_file_mode(f"{path}.defaultMode", source.get("defaultMode"))
    for item in source.get("items") or ():
        causes += _validate_downward_file(path, item)
    return causes


def _validate_downward_file(path: str, item: Source) -> list[Cause]:
    name, field, resource = item.get("path") or "", item.get("fieldRef"), item.get("resourceFieldRef")
    causes = [] if name else [required(f"{path}.path")]
    causes += validate_unreserved_path(f"{path}.path", name)
    if field is not None:
        causes += validate_field_ref(f"{path}.fieldRef", field, VOLUME_FIELDS)
        if resource is not None:
            text = "fieldRef and resourceFieldRef can not be specified simultaneously"
            causes.append(invalid(path, "resource", text))
    elif resource is not None:
        causes += validate_resource_ref(f"{path}.resourceFieldRef", resource, in_volume=True)
    else:
        causes.append(required(path, "one of fieldRef and resourceFieldRef is required"))
    return causes + validate_file_mode(f"{path}.mode", item.get("mode"))


def validate_projected(path: str, source: Source) -> list[Cause]:
    """Return the causes of a projected volume: of each source, of paths that collide, of the mode."""
    causes: list[Cause] = validate_file_mode(f"{path}.defaultMode", source.get("defaultMode"))
    taken: set[str] = set()
    for index, each in enumerate(source.get("sources") or ()):
        place = f"{path}.sources[{index}]"
        kinds = [kind for kind in _PROJECTIONS if each.get(kind) is not None]
        for kind in kinds:
            found, paths = _PROJECTIONS[kind](path, f"{place}.{kind}", each[kind])
            causes += found
            shown = each[kind].get("name") if kind in {"secret", "configMap"} else None
            for one in paths:
                if one and one in taken:
                    causes.append(invalid(path, one if shown is None else shown, "conflicting duplicate paths"))
                taken.add(one)
        if len(kinds) > 1:
            causes.append(forbidden(place, "may not specify more than 1 volume type per source"))
    return causes


Found = tuple[list[Cause], list[str]]


def _project_keys(_: str, place: str, source: Source) -> Found:
    causes = [] if source.get("name") else [required(f"{place}.name")]
    items = source.get("items") or ()
    for index, item in enumerate(items):
        causes += _validate_key_to_path(f"{place}.items[{index}]", item)
    return causes, [item.get("path") or "" for item in items]


def _project_downward(_: str, place: str, source: Source) -> Found:
    causes: list[Cause] = []
    items = source.get("items") or ()
    for item in items:
        causes += _validate_downward_file(place, item)
    return causes, [item.get("path") or "" for item in items]


def _project_token(path: str, place: str, source: Source) -> Found:
    causes: list[Cause] = []
    seconds, where = source.get("expirationSeconds") or 0, f"{place}.expirationSeconds"
    if not seconds:
        causes.append(required(where))
    elif seconds < TOKEN_LEAST_SECONDS:
        causes.append(invalid(where, seconds, "may not specify a duration less than 10 minutes"))
    elif seconds > TOKEN_MOST_SECONDS:
        causes.append(invalid(where, seconds, "may not specify a duration larger than 2^32 seconds"))
    name = source.get("path") or ""
    causes += validate_unreserved_path(f"{path}.path", name) if name else [required(f"{path}.path")]
    return causes, [name]


def _project_bundle(path: str, place: str, source: Source) -> Found:
    causes: list[Cause] = []
    name, signer, selector = source.get("name"), source.get("signerName"), source.get("labelSelector")
    if name is not None and signer is not None:
        shown = internal_form("TrustBundle", source)
        causes.append(invalid(place, shown, "only one of name and signerName may be used"))
    elif name is not None:
        if not name:
            causes.append(required(f"{place}.name", "must be a valid object name"))
        if selector is not None:
            text = "labelSelector must be unset if name is specified"
            causes.append(invalid(f"{place}.labelSelector", selector, text))
    elif signer is not None:
        if not signer:
            causes.append(required(f"{place}.signerName", "must be a valid signer name"))
        else:
            causes += validate_signer_name(f"{place}.signerName", signer)
        causes += validate_label_selector(f"{place}.labelSelector", selector)
    else:
        causes.append(required(place, "either name or signerName must be specified"))
    file = source.get("path") or ""
    causes += validate_unreserved_path(f"{place}.path", file) if file else [required(f"{place}.path")]
    return causes, [file]


def _project_certificate(_: str, place: str, source: Source) -> Found:
    causes = validate_signer_name(f"{place}.signerName", source.get("signerName") or "")
    if (key_type := source.get("keyType") or "") not in _KEY_TYPES:
        causes.append(not_supported(f"{place}.keyType", key_type, _KEY_TYPES))
    if (seconds := source.get("maxExpirationSeconds")) is not None:
        where = f"{place}.maxExpirationSeconds"
        if seconds < CERTIFICATE_LEAST_SECONDS:
            causes.append(invalid(where, seconds, "if provided, maxExpirationSeconds must be >= 3600"))
        elif seconds > CERTIFICATE_MOST_SECONDS:
            causes.append(invalid(where, seconds, "if provided, maxExpirationSeconds must be <= 86400"))
    paths = []
    for field in ("credentialBundlePath", "keyPath", "certificateChainPath"):
        if text := source.get(field):
            paths.append(text)
            causes += validate_unreserved_path(f"{place}.{field}", text)
    if not paths:
        text = "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"
        causes.append(required(place, text))
    return causes, paths


_PROJECTIONS = {
    "secret": _project_keys,
    "configMap": _project_keys,
    "downwardAPI": _project_downward,
    "serviceAccountToken": _project_token,
    "clusterTrustBundle": _project_bundle,
    "podCertificate": _project_certificate,
}


def validate_signer_name(path: str, name: str) -> list[Cause]:
    """Return the causes of a signer's name that is not `domain/path`."""
    if not name:
        return [required(path)]
    segments = name.split("/")
    if len(segments) != 2:
        return [invalid(path, name, _SIGNER_TEXT)]
    domain, rest = segments
    labels = domain.split(".")
    causes = [too_long(path, _DOMAIN_MOST)] if len(domain) > _DOMAIN_MOST else []
    causes += _first_wrong(path, domain, labels, dns1123_label_problems)
    if len(labels) < 2:
        causes.append(invalid(path, domain, "should be a domain with at least two segments separated by dots"))
    causes += _first_wrong(path, rest, rest.split("."), dns1123_subdomain_problems)
    if len(name) > _SIGNER_MOST:
        causes.append(too_long(path, _SIGNER_MOST))
    return causes


def _first_wrong(path: str, segment: str, labels: list[str], check: Check) -> list[Cause]:
    """Return the causes of the first label that is wrong: what is said about the others would be the same."""
    for label in labels:
        if problems := check(label):
            return each_invalid(path, segment, [f'validating label "{label}": {problem}' for problem in problems])
    return []
