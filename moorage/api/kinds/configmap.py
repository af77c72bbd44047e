"""ConfigMaps: data by key.

Source: pkg/apis/core/validation, ValidateConfigMap (v1.37).
"""

from datetime import datetime
from typing import Any

from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, name_of
from moorage.objects.validation import config_key_problems, each_invalid, forbidden, invalid, too_long

#: The largest data of one ConfigMap or Secret.
DATA_MOST_BYTES = 1024 * 1024


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a ConfigMap."""
    del request
    causes: list[Cause] = []
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    size = 0
    for key, text in data.items():
        if problems := config_key_problems(key):
            causes += each_invalid(f"data[{key}]", key, problems)
        if key in binary:
            causes.append(invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
        size += len(text) if text.isascii() else len(text.encode())
    for key, text in binary.items():
        if problems := config_key_problems(key):
            causes += each_invalid(f"binaryData[{key}]", key, problems)
        size += len(text) * 3 // 4 - text.count("=", -2)
    if size > DATA_MOST_BYTES:
        causes.append(too_long("", DATA_MOST_BYTES))
    return causes


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of an immutable ConfigMap changed."""
    del request
    return immutable_causes(obj, old, ("data", "binaryData"))


def immutable_causes(obj: Object, old: Object, fields: tuple[str, ...]) -> list[Cause]:
    """Return the causes of data that was declared immutable and changed."""
    if not old.get("immutable"):
        return []
    text = "field is immutable when `immutable` is set"
    causes = [] if obj.get("immutable") else [forbidden("immutable", text)]
    causes += [forbidden(field, text) for field in fields if (obj.get(field) or {}) != (old.get(field) or {})]
    return causes


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, number of keys, age."""
    count = len(obj.get("data") or ()) + len(obj.get("binaryData") or ())
    return [name_of(obj), count, age_of(obj, now)]
