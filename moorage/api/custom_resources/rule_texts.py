"""What x-kubernetes-validations say beside their expressions: messages, reasons, paths. Pure.

Source: apiextensions-apiserver pkg/apis/apiextensions/validation/validation.go, validateXValidations (v1.37).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from moorage.objects.errors import Cause
from moorage.objects.metadata import Object
from moorage.objects.validation import invalid, not_supported, required

_REASONS: Final = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")


def validation_rule_causes(schema: Object, path: str) -> list[Cause]:
    """Return the broken rules of all validations of a schema and of those inside it."""
    return [cause for at, owner in _owners(schema, path) for cause in _of_owner(owner, at)]


def _owners(schema: Any, path: str) -> Iterator[tuple[str, Object]]:
    """Yield the parts of a schema that have validations, inner ones first."""
    if not isinstance(schema, Mapping):
        return
    yield from _owners(schema.get("additionalProperties"), f"{path}.additionalProperties")
    for name, each in sorted((schema.get("properties") or {}).items()):
        yield from _owners(each, f"{path}.properties[{name}]")
    yield from _owners(schema.get("items"), f"{path}.items")
    if schema.get("x-kubernetes-validations"):
        yield path, schema


def _of_owner(schema: Object, path: str) -> Iterator[Cause]:
    for index, rule in enumerate(schema["x-kubernetes-validations"]):
        at = f"{path}.x-kubernetes-validations[{index}]"
        message, expression = rule.get("message") or "", (rule.get("rule") or "").strip()
        if not expression:
            yield required(f"{at}.rule", "rule is not specified")
        if message and not message.strip():
            yield invalid(f"{at}.message", message, "must be non-empty if specified")
        elif "\n" in message.strip() or "\r" in message.strip():
            yield invalid(f"{at}.message", message, "must not contain line breaks")
        elif "\n" in expression and not message:
            yield required(f"{at}.message", "message must be specified if rule contains line breaks")
        if "messageExpression" in rule and rule["messageExpression"] and not rule["messageExpression"].strip():
            yield required(f"{at}.messageExpression", "must be non-empty if specified")
        reason = rule.get("reason")
        if reason is not None and reason not in _REASONS:
            yield not_supported(f"{at}.reason", reason, _REASONS)
        field = rule.get("fieldPath") or ""
        if field and not _is_field_of(schema, field):
            yield invalid(f"{at}.fieldPath", field, "must be a valid path")


def _is_field_of(schema: Any, field: str) -> bool:
    """Tell whether a path such as `.a.b` or `['a']` leads to a field that the schema knows."""
    rest = field
    while rest:
        if rest.startswith("['") and "']" in rest:
            name, _, rest = rest[2:].partition("']")
        elif rest.startswith("."):
            end = min((place for place in (rest.find(".", 1), rest.find("[", 1)) if place > 0), default=len(rest))
            name, rest = rest[1:end], rest[end:]
        else:
            return False
        schema = (schema.get("properties") or {}).get(name) or schema.get("additionalProperties")
        if not isinstance(schema, Mapping):
            return False
    return True
