"""Parts of a version of a custom resource beside its schema: scale, columns, selectable fields, conversion.

Source: apiextensions-apiserver/pkg/apis/apiextensions/validation (v1.37).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.api.kinds.webhooks.hooks import validate_client
from moorage.objects.errors import Cause
from moorage.objects.validation import (
    dns1035_label_problems,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    required,
    too_many,
)

Part = Mapping[str, Any]

SELECTABLE_MOST = 8

_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_STRATEGIES = ("None", "Webhook")
_REVIEW_VERSIONS = ("v1", "v1beta1")
_SELECTABLE = (
    "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed."
)
_ONLY_WEBHOOK = "should not be set when strategy is not set to Webhook"


def _validate_simple_path(path: str, text: str) -> list[Cause]:
    return [] if text.startswith(".") else [invalid(path, text, "must be a simple json path starting with .")]


def validate_scale(path: str, scale: Part) -> list[Cause]:
    """Return every broken rule of where a scale finds its numbers."""
    causes: list[Cause] = []
    for field, place in (("specReplicasPath", ".spec"), ("statusReplicasPath", ".status")):
        text = scale.get(field) or ""
        if not text:
            causes.append(required(f"{path}.{field}"))
        elif found := _validate_simple_path(f"{path}.{field}", text):
            causes += found
        elif not text.startswith(f"{place}."):
            causes.append(invalid(f"{path}.{field}", text, f"should be a json path under {place}"))
    if selector := scale.get("labelSelectorPath"):
        place = f"{path}.labelSelectorPath"
        if found := _validate_simple_path(place, selector):
            causes += found
        elif not selector.startswith((".spec.", ".status.")):
            causes.append(invalid(place, selector, "should be a json path under either .spec or .status"))
    return causes


def validate_columns(path: str, columns: Sequence[Part]) -> list[Cause]:
    """Return every broken rule of printer columns."""
    causes: list[Cause] = []
    for index, column in enumerate(columns):
        place, kind = f"{path}[{index}]", column.get("type") or ""
        if not column.get("name"):
            causes.append(required(f"{place}.name"))
        text = f"must be one of {','.join(_COLUMN_TYPES)}"
        if not kind:
            causes.append(required(f"{place}.type", text))
        elif kind not in _COLUMN_TYPES:
            causes.append(invalid(f"{place}.type", kind, text))
        if (form := column.get("format")) and form not in _COLUMN_FORMATS:
            causes.append(invalid(f"{place}.format", form, f"must be one of {','.join(_COLUMN_FORMATS)}"))
        where = column.get("jsonPath") or ""
        found = _validate_simple_path(f"{place}.JSONPath", where)
        causes += found if where else [required(f"{place}.JSONPath")]
    return causes


def validate_selectable(path: str, fields: Sequence[Part], schema: Part | None) -> list[Cause]:
    """Return every broken rule of fields that can be selected by, against the schema."""
    if schema is None:
        return [invalid(path, "", "may only be set when validations.schema is included")]
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, field in enumerate(fields):
        place, text = f"{path}[{index}].jsonPath", field.get("jsonPath") or ""
        if not text:
            causes.append(required(place))
            continue
        causes += _validate_selectable(place, text, schema)
        if text in seen:
            causes.append(duplicate(place, text))
        seen.add(text)
    if len(fields) > SELECTABLE_MOST:
        causes.append(too_many(path, len(fields), SELECTABLE_MOST))
    return causes


def _validate_selectable(path: str, text: str, schema: Part) -> list[Cause]:
    if not text.startswith((".", "[")):
        token = text.partition(".")[0].partition("[")[0]
        return [invalid(path, text, f"is an invalid path: expected [ or . but got: {token}")]
    found: Part | None = schema
    for name in text[1:].split("."):
        found = ((found or {}).get("properties") or {}).get(name)
    if found is None:
        return [invalid(path, text, "is an invalid path: does not refer to a valid field")]
    if text.startswith(".metadata"):
        return [invalid(path, text, "must not point to fields in metadata")]
    return [] if found.get("type") in {"string", "boolean", "integer"} else [invalid(path, text, _SELECTABLE)]


def validate_conversion(path: str, conversion: Part) -> list[Cause]:
    """Return every broken rule of how versions become each other."""
    strategy, hook = conversion.get("strategy") or "", conversion.get("webhook") or {}
    client, versions = hook.get("clientConfig"), hook.get("conversionReviewVersions") or []
    causes: list[Cause] = []
    if not strategy:
        causes.append(required(f"{path}.strategy"))
    elif strategy not in _STRATEGIES:
        causes.append(not_supported(f"{path}.strategy", strategy, _STRATEGIES))
    place, listed = f"{path}.webhookClientConfig", f"{path}.conversionReviewVersions"
    if strategy != "Webhook":
        if client is not None:
            causes.append(forbidden(place, _ONLY_WEBHOOK))
        return [*causes, forbidden(listed, _ONLY_WEBHOOK)] if versions else causes
    if client is None:
        causes.append(required(place, "required when strategy is set to Webhook"))
    else:
        causes += validate_client(place, client)
    return causes + _validate_review_versions(listed, versions)


def _validate_review_versions(path: str, versions: list[str]) -> list[Cause]:
    if not versions:
        return [required(path)]
    causes: list[Cause] = []
    for index, version in enumerate(versions):
        if version in versions[:index]:
            causes.append(invalid(f"{path}[{index}]", version, "duplicate version"))
        else:
            causes += each_invalid(f"{path}[{index}]", version, dns1035_label_problems(version))
    if not any(version in _REVIEW_VERSIONS for version in versions):
        text = f"must include at least one of {', '.join(_REVIEW_VERSIONS)}"
        causes.append(invalid(path, versions, text))
    return causes
