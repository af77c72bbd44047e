"""Structural schemas: each value has one type, said outside of anyOf, oneOf, allOf and not. Pure.

Source: apiextensions-apiserver pkg/apiserver/schema/{validation,complete}.go (v1.37).
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from moorage.objects.errors import Cause
from moorage.objects.metadata import Object
from moorage.objects.patterns import BadPattern, compiled
from moorage.objects.validation import forbidden, invalid, required

#: What may not be said inside anyOf and its like -> how upstream says so.
_OUTSIDE: Final = {
    "type": "empty",
    "additionalProperties": "undefined",
    "default": "undefined",
    "title": "empty",
    "description": "empty",
    "nullable": "false",
    "x-kubernetes-preserve-unknown-fields": "false",
    "x-kubernetes-embedded-resource": "false",
    "x-kubernetes-int-or-string": "false",
    "x-kubernetes-list-map-keys": "empty",
    "x-kubernetes-list-type": "undefined",
    "x-kubernetes-map-type": "undefined",
}

_INT_OR_STRING: Final = [{"type": "integer"}, {"type": "string"}]

_ROOT, _ITEM, _FIELD = "root", "item", "field"

_NO_TYPE: Final = {
    _ROOT: "must not be empty at the root",
    _ITEM: "must not be empty for specified array items",
    _FIELD: "must not be empty for specified object fields",
}


def structural_causes(schema: Object, path: str) -> list[Cause]:
    """Return why the schema is not structural, sorted as upstream sorts."""
    causes = [*_invariants(schema, path, _ROOT), *_incomplete(schema, path)]
    return sorted(causes, key=str)


def _invariants(schema: Object, path: str, level: str) -> list[Cause]:
    causes: list[Cause] = []
    kind = schema.get("type") or ""
    items = schema.get("items")
    if kind == "array" and items is None:
        causes.append(required(f"{path}.items", "must be specified"))
    if isinstance(items, Mapping):
        causes += _invariants(items, f"{path}.items", _ITEM)
    for name, each in (schema.get("properties") or {}).items():
        causes += _invariants(each, f"{path}.properties[{name}]", _FIELD)
    if isinstance(schema.get("additionalProperties"), Mapping):
        causes += _invariants(schema["additionalProperties"], f"{path}.additionalProperties", _FIELD)
    causes += _int_or_string_causes(schema, path)
    causes += _value_causes(schema, path, is_int_or_string=bool(schema.get("x-kubernetes-int-or-string")))
    causes += _type_causes(schema, path, level)
    if level == _ROOT or schema.get("x-kubernetes-embedded-resource"):
        causes += _metadata_causes(schema, path, level)
    return causes


def _int_or_string_causes(schema: Object, path: str) -> Iterable[Cause]:
    if schema.get("x-kubernetes-int-or-string"):
        for key in ("x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"):
            if schema.get(key):
                yield invalid(f"{path}.{key}", True, "must be false if x-kubernetes-int-or-string is true")  # noqa: FBT003


def _type_causes(schema: Object, path: str, level: str) -> Iterable[Cause]:
    kind, embedded = schema.get("type") or "", schema.get("x-kubernetes-embedded-resource")
    preserves = schema.get("x-kubernetes-preserve-unknown-fields")
    if embedded and kind != "object":
        text = "must be object if x-kubernetes-embedded-resource is true"
        yield invalid(f"{path}.type", kind, text) if kind else required(f"{path}.type", text)
    elif not kind and not schema.get("x-kubernetes-int-or-string") and not preserves:
        yield required(f"{path}.type", _NO_TYPE[level])
    if embedded and schema.get("additionalProperties") is not None:
        yield forbidden(f"{path}.additionalProperties", "must not be used if x-kubernetes-embedded-resource is set")
    if embedded and not preserves and not schema.get("properties"):
        text = (
            "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields"
        )
        yield required(f"{path}.properties", text)
    if level == _ROOT and kind and kind != "object":
        yield invalid(f"{path}.type", kind, "must be object at the root")


def _metadata_causes(schema: Object, path: str, level: str) -> Iterable[Cause]:
    properties = schema.get("properties") or {}
    for name, wanted in (("kind", "string"), ("apiVersion", "string"), ("metadata", "object")):
        written = properties.get(name)
        if written is not None and (written.get("type") or "") != wanted:
            yield invalid(f"{path}.properties[{name}].type", written.get("type") or "", f"must be {wanted}")
    metadata = properties.get("metadata")
    if level == _ROOT and metadata is not None and not _only_names(metadata):
        text = "must not specify anything other than name and generateName, but metadata is implicitly specified"
        yield forbidden(f"{path}.properties[metadata]", text)


def _only_names(metadata: Object) -> bool:
    said = {key for key, value in metadata.items() if value not in (None, {}, [], "", False)}
    names = set(metadata.get("properties") or {})
    return said <= {"type", "properties", "default"} and names <= {"name", "generateName"}


def _value_causes(schema: Object, path: str, *, is_int_or_string: bool = False) -> list[Cause]:
    """Return what is wrong with the parts that judge values: anyOf and its like, and the pattern."""
    causes: list[Cause] = []
    for key in ("anyOf", "allOf", "oneOf"):
        branches = schema.get(key) or ()
        if is_int_or_string and key == "anyOf" and branches == _INT_OR_STRING:
            continue
        for index, each in enumerate(branches):
            at = f"{path}.{key}[{index}]"
            known = is_int_or_string and key == "allOf" and index == 0 and each.get("anyOf") == _INT_OR_STRING
            causes += _nested_causes({**each, "anyOf": ()} if known else each, at)
    if isinstance(schema.get("not"), Mapping):
        causes += _nested_causes(schema["not"], f"{path}.not")
    if pattern := schema.get("pattern"):
        try:
            compiled(pattern)
        except BadPattern as error:
            causes.append(
                invalid(f"{path}.pattern", pattern, f"must be a valid regular expression, but isn't: {error}")
            )
    return causes


def _nested_causes(schema: Object, path: str) -> list[Cause]:
    causes = _value_causes(schema, path)
    if isinstance(schema.get("items"), Mapping):
        causes += _nested_causes(schema["items"], f"{path}.items")
    properties = schema.get("properties") or {}
    for name, each in properties.items():
        causes += _nested_causes(each, f"{path}.properties[{name}]")
    if "metadata" in properties:
        causes.append(forbidden(f"{path}.properties[metadata]", "must not be specified in a nested context"))
    for key, wanted in _OUTSIDE.items():
        if schema.get(key) not in (None, "", False, []):
            causes.append(forbidden(f"{path}.{key}", f"must be {wanted} to be structural"))
    return causes


def _incomplete(schema: Object, path: str) -> list[Cause]:
    """Return what anyOf and its like speak of although the schema itself does not say that it exists."""
    causes: list[Cause] = []
    for key in ("anyOf", "allOf", "oneOf"):
        for index, each in enumerate(schema.get(key) or ()):
            causes += _undefined(each, schema, path, f"{path}.{key}[{index}]")
    if isinstance(schema.get("not"), Mapping):
        causes += _undefined(schema["not"], schema, path, f"{path}.not")
    if isinstance(schema.get("items"), Mapping):
        causes += _incomplete(schema["items"], f"{path}.items")
    if isinstance(schema.get("additionalProperties"), Mapping):
        causes += _incomplete(schema["additionalProperties"], f"{path}.additionalProperties")
    for name, each in (schema.get("properties") or {}).items():
        causes += _incomplete(each, f"{path}.properties[{name}]")
    return causes


def _undefined(nested: Object, schema: Any, path: str, source: str) -> list[Cause]:
    causes: list[Cause] = []
    items = nested.get("items")
    if isinstance(items, Mapping):
        causes += _known(items, schema.get("items"), f"{path}.items", f"{source}.items")
    fields = schema.get("properties") or {}
    for name, each in (nested.get("properties") or {}).items():
        step = f".properties[{name}]"
        causes += _known(each, fields.get(name), f"{path}{step}", f"{source}{step}")
    for key in ("anyOf", "allOf", "oneOf"):
        for index, each in enumerate(nested.get(key) or ()):
            causes += _undefined(each, schema, path, f"{source}.{key}[{index}]")
    if isinstance(nested.get("not"), Mapping):
        causes += _undefined(nested["not"], schema, path, f"{source}.not")
    return causes


def _known(nested: Object, schema: Any, path: str, source: str) -> list[Cause]:
    if not isinstance(schema, Mapping):
        return [required(path, f"because it is defined in {source}")]
    return _undefined(nested, schema, path, source)
