"""Schemas of custom resources: which keywords may be used, and how lists and maps are declared.

That the rules of `x-kubernetes-validations` compile is checked by who evaluates them.
Source: apiextensions-apiserver/pkg/apis/apiextensions/validation (v1.37).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from moorage.objects.errors import Cause
from moorage.objects.validation import forbidden, invalid, not_supported, required

Schema = Mapping[str, Any]

TYPES = ("array", "boolean", "integer", "number", "object", "string")
LIST_TYPES = ("atomic", "map", "set")

_UNSUPPORTED = ("$schema", "id", "$ref", "additionalItems", "patternProperties", "definitions", "dependencies")
_REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_JUNCTORS = ("allOf", "anyOf", "oneOf")
_PRESERVE, _LIST, _KEYS = "x-kubernetes-preserve-unknown-fields", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"
_MAP, _RULES = "x-kubernetes-map-type", "x-kubernetes-validations"
_ATOMIC = "must be atomic as item of a list with x-kubernetes-list-type=set"

#: One step of the path of a field.
_STEP = re.compile(r"(\.([A-Za-z_$][\w-]*)|\['([^']*)'\])")

#: Go names of what Python's regular expressions do not have: enough to tell whether a pattern is one.
_GO_CLASSES = re.compile(r"\\[pP](\{\w+\}|\w)|\[:\w+:\]|\\[zQEC]")


def validate_schema(path: str, schema: Schema) -> list[Cause]:
    """Return every broken rule of the keywords of a schema and of those in it."""
    causes: list[Cause] = []
    if schema.get("uniqueItems"):
        text = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        causes.append(forbidden(f"{path}.uniqueItems", text))
    if isinstance(schema.get("additionalProperties"), dict) and schema.get("properties"):
        text = "additionalProperties and properties are mutual exclusive"
        causes.append(forbidden(f"{path}.additionalProperties", text))
    for place, each in children(path, schema):
        causes += validate_schema(place, each)
    if schema.get(_PRESERVE) is False:
        causes.append(invalid(f"{path}.{_PRESERVE}", schema[_PRESERVE], "must be true or undefined"))
    kind = schema.get(_MAP)
    if kind is not None and kind not in {"atomic", "granular"}:
        causes.append(not_supported(f"{path}.{_MAP}", kind, ("atomic", "granular")))
    causes += _validate_keywords(path, schema) + _validate_list(path, schema)
    return causes + _validate_rules(f"{path}.{_RULES}", schema)


def is_convertible(schema: Schema) -> bool:
    """Tell whether a schema has no keyword that a structural one cannot have; else structure is not looked at."""
    if any(schema.get(word) for word in _UNSUPPORTED) or isinstance(schema.get("items"), list):
        return False
    return all(is_convertible(each) for _, each in children("", schema))


def children(path: str, schema: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield the schemas directly in a schema with their paths."""
    if isinstance(values := schema.get("additionalProperties"), dict):
        yield f"{path}.additionalProperties", values
    for name, each in (schema.get("properties") or {}).items():
        yield f"{path}.properties[{name}]", each
    for junctor in _JUNCTORS:
        for index, each in enumerate(schema.get(junctor) or ()):
            yield f"{path}.{junctor}[{index}]", each
    if isinstance(negated := schema.get("not"), dict):
        yield f"{path}.not", negated
    if isinstance(items := schema.get("items"), dict):
        yield f"{path}.items", items


def _validate_keywords(path: str, schema: Schema) -> list[Cause]:
    causes = [forbidden(f"{path}.{word}", f"{word} is not supported") for word in _UNSUPPORTED if schema.get(word)]
    kind = schema.get("type")
    if kind == "null":
        causes.append(forbidden(f"{path}.type", "type cannot be set to null, use nullable as an alternative"))
    elif kind and kind not in TYPES:
        causes.append(not_supported(f"{path}.type", kind, TYPES))
    if isinstance(schema.get("items"), list):
        causes.append(forbidden(f"{path}.items", "items must be a schema object and not an array"))
    pattern = schema.get("pattern")
    if pattern and (problem := pattern_problem(pattern)):
        text = f"must be a valid regular expression, but isn't: {problem}"
        causes.append(invalid(f"{path}.pattern", pattern, text))
    return causes


def pattern_problem(pattern: str) -> str:
    """Return why a text is no regular expression, as Go tells it as far as we can; "" if it is one."""
    try:
        re.compile(_GO_CLASSES.sub("a", pattern))
    except re.error as error:
        return _go_regexp_error(pattern, error)
    return ""


def _go_regexp_error(pattern: str, error: re.error) -> str:
    rest = pattern[error.pos or 0 :]
    if "unterminated character set" in error.msg:
        return f"error parsing regexp: missing closing ]: `{rest}`"
    if "missing )" in error.msg:
        return f"error parsing regexp: missing closing ): `{pattern}`"
    if "unbalanced parenthesis" in error.msg:
        return f"error parsing regexp: unexpected ): `{pattern}`"
    if "nothing to repeat" in error.msg:
        return f"error parsing regexp: missing argument to repetition operator: `{rest[:1]}`"
    return f"error parsing regexp: {error.msg}: `{rest}`"


def _validate_list(path: str, schema: Schema) -> list[Cause]:
    kind, keys, declared = schema.get("type") or "", schema.get(_KEYS) or [], schema.get(_LIST)
    causes: list[Cause] = []
    if declared is not None:
        if kind != "array":
            text = f"must be array if {_LIST} is specified"
            causes.append(invalid(f"{path}.type", kind, text) if kind else required(f"{path}.type", text))
        if declared not in LIST_TYPES:
            causes.append(not_supported(f"{path}.{_LIST}", declared, LIST_TYPES))
    if schema.get(_MAP) is not None and kind != "object":
        text = f"must be object if {_MAP} is specified"
        causes.append(invalid(f"{path}.type", kind, text) if kind else required(f"{path}.type", text))
    if keys and declared != "map":
        text, place = f"must be map if {_KEYS} is non-empty", f"{path}.{_LIST}"
        causes.append(required(place, text) if declared is None else invalid(place, declared, text))
    if declared == "map":
        causes += _validate_map_list(path, schema, keys)
    if declared == "set" and isinstance(items := schema.get("items"), dict):
        causes += _validate_set_items(f"{path}.items", items)
    return causes


def _validate_set_items(path: str, items: Schema) -> list[Cause]:
    causes: list[Cause] = []
    if items.get("nullable"):
        causes.append(forbidden(f"{path}.nullable", f"cannot be nullable when {_LIST} is set"))
    for kind, word in (("array", _LIST), ("object", _MAP)):
        declared = items.get(word)
        # A list is atomic unless it says otherwise; a map is not.
        if items.get("type") == kind and declared != "atomic" and not (kind == "array" and declared is None):
            causes.append(invalid(f"{path}.{word}", declared, _ATOMIC))
    return causes


def _validate_map_list(path: str, schema: Schema, keys: list[str]) -> list[Cause]:
    causes: list[Cause] = []
    if not keys:
        causes.append(required(f"{path}.{_KEYS}", f"must not be empty if {_LIST} is map"))
    items = schema.get("items")
    if not isinstance(items, dict):
        return [*causes, required(f"{path}.items", f"must have a schema if {_LIST} is map")]
    if items.get("type") != "object":
        text = f"must be object if parent array's {_LIST} is map"
        causes.append(invalid(f"{path}.items.type", items.get("type") or "", text))
    if items.get("nullable"):
        causes.append(forbidden(f"{path}.items.nullable", f"cannot be nullable when {_LIST} is map"))
    properties = items.get("properties") or {}
    for key in keys:
        place = f"{path}.items.properties[{key}]"
        if key not in properties:
            causes.append(invalid(f"{path}.{_KEYS}", keys, "entries must all be names of item properties"))
            continue
        if properties[key].get("type") in {"array", "object"}:
            text = f"must be a scalar type if parent array's {_LIST} is map"
            causes.append(invalid(f"{place}.type", properties[key]["type"], text))
        if properties[key].get("default") is None and key not in (items.get("required") or ()):
            text = f"this property is in {_KEYS}, so it must have a default or be a required property"
            causes.append(required(f"{place}.default", text))
        if properties[key].get("nullable"):
            causes.append(forbidden(f"{place}.nullable", f"this property is in {_KEYS}, so it cannot be nullable"))
    if len(set(keys)) != len(keys):
        causes.append(invalid(f"{path}.{_KEYS}", keys, "must not contain duplicate entries"))
    return causes


def _validate_rules(path: str, schema: Schema) -> list[Cause]:
    causes: list[Cause] = []
    for index, each in enumerate(schema.get(_RULES) or ()):
        place = f"{path}[{index}]"
        rule, message = (each.get("rule") or "").strip(), each.get("message") or ""
        if not rule:
            causes.append(required(f"{place}.rule", "rule is not specified"))
        causes += _validate_text(f"{place}.message", message)
        if ("\n" in rule or "\r" in rule) and not message.strip():
            causes.append(required(f"{place}.message", "message must be specified if rule contains line breaks"))
        expression = each.get("messageExpression") or ""
        if expression and not expression.strip():
            text = "messageExpression must be non-empty if specified"
            causes.append(required(f"{place}.messageExpression", text))
        reason = each.get("reason")
        if reason is not None and reason not in _REASONS:
            causes.append(not_supported(f"{place}.reason", reason, _REASONS))
        field = each.get("fieldPath") or ""
        found = _validate_text(f"{place}.fieldPath", field)
        if field and not found and not _is_field(field, schema):
            found = [invalid(f"{place}.fieldPath", field, "must be a valid path")]
        causes += found
    return causes


def _is_field(path: str, schema: Schema) -> bool:
    """Tell whether a path (`.a.b`, `.a['b']`) leads to a field that the schema declares."""
    steps = _STEP.findall(path)
    if "".join(step[0] for step in steps) != path:
        return False
    found: Any = schema
    for _, word, quoted in steps:
        name = word or quoted
        values = found.get("additionalProperties")
        found = (found.get("properties") or {}).get(name) or (values if isinstance(values, dict) else None)
        if found is None:
            return False
    return True


def _validate_text(path: str, text: str) -> list[Cause]:
    if text and not text.strip():
        return [invalid(path, text, "must be non-empty if specified")]
    if "\n" in text or "\r" in text:
        return [invalid(path, text, "must not contain line breaks")]
    return []
