"""Secrets: data by key, of a type that says which keys there must be.

Source: pkg/apis/core/validation, ValidateSecret; pkg/registry/core/secret (v1.37).
"""

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.configmap import DATA_MOST_BYTES, immutable_causes
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Draft, Request
from moorage.objects.errors import Cause
from moorage.objects.go_values import decode_go
from moorage.objects.metadata import Object, annotations_of, name_of
from moorage.objects.validation import config_key_problems, each_invalid, invalid, required, too_long

ACCOUNT_NAME = "kubernetes.io/service-account.name"

_NEEDED: Mapping[str, tuple[str, ...]] = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
_REDACTED = "<secret contents redacted>"


def default(draft: Draft) -> None:
    """Take plain text into the data."""
    texts = draft.pop("stringData", None)
    if texts:
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
        draft["data"] = {**(draft.get("data") or {}), **encoded}


def prepare_update(draft: Draft, old: Object, request: Request, lookup: Lookup) -> None:
    """Keep the type when the client left it out."""
    del request, lookup
    if not draft.get("type"):
        draft["type"] = old.get("type") or "Opaque"


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a Secret."""
    del request
    data: Mapping[str, str] = obj.get("data") or {}
    causes: list[Cause] = []
    size = 0
    for key, text in data.items():
        if problems := config_key_problems(key):
            causes += each_invalid(f"data[{key}]", key, problems)
        size += len(text) * 3 // 4 - text.count("=", -2)
    if size > DATA_MOST_BYTES:
        causes.append(too_long("data", DATA_MOST_BYTES))
    return causes + _type_causes(obj, data)


def _type_causes(obj: Object, data: Mapping[str, str]) -> list[Cause]:
    kind = obj.get("type") or ""
    if kind == "kubernetes.io/service-account-token":
        if annotations_of(obj).get(ACCOUNT_NAME):
            return []
        return [required(f"metadata.annotations[{ACCOUNT_NAME}]")]
    if kind == "kubernetes.io/basic-auth" and not {"username", "password"} & set(data):
        return [required("data[username]"), required("data[password]")]
    causes: list[Cause] = []
    for key in _NEEDED.get(kind, ()):
        if key not in data or (key == "ssh-privatekey" and not data[key]):
            causes.append(required(f"data[{key}]"))
        elif key.startswith(".docker"):
            causes += _json_causes(f"data[{key}]", data[key])
    return causes


def _json_causes(path: str, encoded: str) -> list[Cause]:
    try:
        text = base64.b64decode(encoded).decode("utf-8", "replace")
    except binascii.Error:
        return []
    value, problem = decode_go(text)
    if not problem and value is not None and not isinstance(value, dict):
        problem = f"json: cannot unmarshal {_json_kind(value)} into Go value of type map[string]interface {{}}"
    return [invalid(path, _REDACTED, problem)] if problem else []


def _json_kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "number"


def warnings(obj: Object, old: Object | None) -> list[str]:
    """Return what to warn about: a key that does not fit its certificate."""
    del old
    if obj.get("type") != "kubernetes.io/tls":
        return []
    from moorage.api.kinds.certificates.key_pairs import key_pair_problem

    data = obj.get("data") or {}
    problem = key_pair_problem(data.get("tls.crt"), data.get("tls.key"))
    return [problem] if problem else []


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a Secret may not change."""
    del request
    causes = [] if obj.get("type") == old.get("type") else [invalid("type", obj.get("type"), "field is immutable")]
    return causes + immutable_causes(obj, old, ("data",))


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, type, number of keys, age."""
    return [name_of(obj), obj.get("type") or "", len(obj.get("data") or ()), age_of(obj, now)]
