"""Structural schemas: every field has a type outside of logical junctors, so that what is unknown can be pruned.

Source: apiextensions-apiserver/pkg/apiserver/schema/{validation,complete}.go, schema/defaulting (v1.37).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from moorage.objects.errors import Cause
from moorage.objects.validation import forbidden, invalid, not_supported, required, type_invalid

Schema = Mapping[str, Any]

_PRESERVE, _EMBEDDED = "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"
_INT_OR_STRING = "x-kubernetes-int-or-string"

#: What a schema within a junctor may not say, and the words for it.
_NOT_NESTED = (
    ("type", "must be empty to be structural"),
    ("additionalProperties", "must be undefined to be structural"),
    ("default", "must be undefined to be structural"),
    ("title", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    (_PRESERVE, "must be false to be structural"),
    (_EMBEDDED, "must be false to be structural"),
    (_INT_OR_STRING, "must be false to be structural"),
    ("x-kubernetes-list-map-keys", "must be empty to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-map-type", "must be undefined to be structural"),
    ("x-kubernetes-validations", "must be empty to be structural"),
)
_MISSING_TYPE = {
    "root": "must not be empty at the root",
    "item": "must not be empty for specified array items",
    "field": "must not be empty for specified object fields",
}
_METADATA = "must not specify anything other than name and generateName, but metadata is implicitly specified"
_INT_OR_STRING_FORM = [{"type": "integer"}, {"type": "string"}]


def validate_structural(path: str, schema: Schema) -> list[Cause]:
    """Return why a schema is not structural."""
    causes = _validate(path, schema, "root")
    if not causes:
        causes = _validate_defaults(path, schema, at_root=True, in_metadata=False)
    return causes


def _validate(path: str, schema: Schema, level: str) -> list[Cause]:
    causes: list[Cause] = []
    properties, values, items = schema.get("properties") or {}, schema.get("additionalProperties"), schema.get("items")
    if schema.get("type") == "array" and not isinstance(items, dict):
        causes.append(required(f"{path}.items", "must be specified"))
    if isinstance(items, dict):
        causes += _validate(f"{path}.items", items, "item")
    for name, each in properties.items():
        causes += _validate(f"{path}.properties[{name}]", each, "field")
    if isinstance(values, dict):
        causes += _validate(f"{path}.additionalProperties", values, "field")
    causes += _validate_type(path, schema, level)
    if level == "root" or schema.get(_EMBEDDED):
        causes += _validate_metadata(path, properties)
    for place, each in _nested(path, schema):
        causes += _validate_nested(place, each, schema)
    return causes


def _validate_type(path: str, schema: Schema, level: str) -> list[Cause]:
    kind = schema.get("type") or ""
    causes: list[Cause] = []
    if schema.get(_EMBEDDED):
        if not schema.get("properties") and not schema.get(_PRESERVE):
            text = f"must not be empty if {_EMBEDDED} is true without {_PRESERVE}"
            causes.append(required(f"{path}.properties", text))
        if kind != "object":
            text = f"must be object if {_EMBEDDED} is true"
            causes.append(invalid(f"{path}.type", kind, text) if kind else required(f"{path}.type", text))
        if schema.get("additionalProperties") is not None:
            text = f"must not be used if {_EMBEDDED} is set"
            causes.append(forbidden(f"{path}.additionalProperties", text))
    if schema.get(_INT_OR_STRING):
        text = f"must be false if {_INT_OR_STRING} is true"
        causes += [invalid(f"{path}.{word}", schema[word], text) for word in (_PRESERVE, _EMBEDDED) if schema.get(word)]
    if not kind and not schema.get(_INT_OR_STRING) and (level == "root" or not schema.get(_PRESERVE)):
        causes.append(required(f"{path}.type", _MISSING_TYPE[level]))
    if level == "root":
        if kind and kind != "object":
            causes.append(invalid(f"{path}.type", kind, "must be object at the root"))
        if schema.get("additionalProperties") is not None:
            causes.append(forbidden(f"{path}.additionalProperties", "must not be used at the root"))
        if schema.get("nullable"):
            causes.append(forbidden(f"{path}.nullable", "nullable cannot be true at the root"))
    return causes


def _validate_metadata(path: str, properties: Mapping[str, Schema]) -> list[Cause]:
    causes: list[Cause] = []
    for name, kind in (("apiVersion", "string"), ("kind", "string"), ("metadata", "object")):
        each = properties.get(name)
        if each is not None and each.get("type") != kind:
            place = f"{path}.properties[{name}].type"
            causes.append(invalid(place, each.get("type") or "", f"must be {kind}"))
    metadata = properties.get("metadata")
    if metadata is not None and _says_more(metadata):
        causes.append(forbidden(f"{path}.properties[metadata]", _METADATA))
    return causes


def _says_more(metadata: Schema) -> bool:
    """Tell whether a schema of metadata says more than what names look like."""
    if set(metadata) - {"type", "properties", "description"}:
        return True
    return bool(set(metadata.get("properties") or ()) - {"name", "generateName"})


def _nested(path: str, schema: Schema) -> Iterator[tuple[str, Schema]]:
    for junctor in ("allOf", "anyOf", "oneOf"):
        for index, each in enumerate(schema.get(junctor) or ()):
            yield f"{path}.{junctor}[{index}]", each
    if isinstance(negated := schema.get("not"), dict):
        yield f"{path}.not", negated


def _validate_nested(path: str, schema: Schema, outer: Schema) -> list[Cause]:
    """Return why a schema within a junctor is not structural; `outer` is the schema that it speaks of."""
    if outer.get(_INT_OR_STRING) and schema in (*_INT_OR_STRING_FORM, {"anyOf": _INT_OR_STRING_FORM}):
        return []
    causes = [forbidden(f"{path}.{word}", text) for word, text in _NOT_NESTED if schema.get(word) not in (None, False)]
    known = outer.get("properties") or {}
    for name, each in (schema.get("properties") or {}).items():
        place = f"{path}.properties[{name}]"
        if name == "metadata":
            causes.append(forbidden(place, "must not be specified in a nested context"))
        if name in known:
            causes += _validate_nested(place, each, known[name])
        elif not isinstance(outer.get("additionalProperties"), dict):
            stem = _outer_path(path)
            causes.append(required(f"{stem}.properties[{name}]", f"because it is defined in {place}"))
    if isinstance(items := schema.get("items"), dict):
        causes += _validate_nested(f"{path}.items", items, outer.get("items") or {})
    for place, each in _nested(path, schema):
        causes += _validate_nested(place, each, outer)
    return causes


def _outer_path(path: str) -> str:
    """Return the path without its junctors: where a nested schema's fields have to be declared."""
    kept = [part for part in path.split(".") if part != "not" and not part.startswith(("allOf[", "anyOf[", "oneOf["))]
    return ".".join(kept)


def _validate_defaults(path: str, schema: Schema, *, at_root: bool, in_metadata: bool) -> list[Cause]:
    causes: list[Cause] = []
    default = schema.get("default")
    if default is not None:
        if in_metadata:
            return [forbidden(f"{path}.default", "must not be set in top-level metadata")]
        causes += _validate_default(f"{path}.default", default, schema)
    for name, each in (schema.get("properties") or {}).items():
        inside = in_metadata or (at_root and name == "metadata")
        causes += _validate_defaults(f"{path}.properties[{name}]", each, at_root=False, in_metadata=inside)
    for word in ("items", "additionalProperties"):
        if isinstance(each := schema.get(word), dict):
            causes += _validate_defaults(f"{path}.{word}", each, at_root=False, in_metadata=in_metadata)
    return causes


def _validate_default(path: str, value: Any, schema: Schema) -> list[Cause]:
    """Return why a default is not allowed by its own schema: its type, and what may be chosen."""
    kind = schema.get("type") or ""
    given = _type_of(value)
    if kind and not schema.get(_INT_OR_STRING) and given != kind and (given, kind) != ("integer", "number"):
        return [type_invalid(path, given, f' in body must be of type {kind}: "{given}"')]
    choices = schema.get("enum")
    if choices and value not in choices:
        return [not_supported(path, value, [each if isinstance(each, str) else str(each) for each in choices])]
    causes: list[Cause] = []
    if isinstance(value, dict):
        for name, each in (schema.get("properties") or {}).items():
            if name in value:
                causes += _validate_default(f"{path}.{name}", value[name], each)
        for name in schema.get("required") or ():
            if name not in value:
                causes.append(required(f"{path}.{name}"))
    elif isinstance(value, list) and isinstance(items := schema.get("items"), dict):
        for index, each in enumerate(value):
            causes += _validate_default(f"{path}[{index}]", each, items)
    return causes


def _type_of(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")
