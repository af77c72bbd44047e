"""Defaults of custom resources, in place: for missing fields, and for nulls where none may be.

Source: apiextensions-apiserver pkg/apiserver/schema/defaulting (v1.37).
"""

from typing import Any

import orjson

from moorage.api.custom_resources.values import value_causes
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object
from moorage.objects.pruning import prune
from moorage.objects.schema import ANY, Type, type_from_structural
from moorage.objects.validation import invalid


def apply_schema_defaults(type_: Type, value: Any) -> None:
    """Fill the defaults of a schema into a value; nulls that may not be and have no default are dropped."""
    if isinstance(value, dict):
        _default_object(type_, value)
    elif isinstance(value, list) and type_.items is not None:
        for index, item in enumerate(value):
            if item is None and not type_.items.nullable and type_.items.default is not None:
                value[index] = _copied(type_.items.default)
            apply_schema_defaults(type_.items, value[index])


def has_defaults(type_: Type) -> bool:
    """Tell whether the type, or one inside it, has a default."""
    if type_.default is not None:
        return True
    inside = [each for each in (type_.items, type_.values) if each is not None]
    inside += [field for name, field in type_.fields.items() if not (type_.embedded and name == "metadata")]
    return any(has_defaults(each) for each in inside)


def _default_object(type_: Type, value: dict[str, Any]) -> None:
    for name, field in type_.fields.items():
        if type_.embedded and name in ("apiVersion", "kind", "metadata"):
            continue
        if field.default is not None and (name not in value or (value[name] is None and not field.nullable)):
            value[name] = _copied(field.default)
    for name in list(value):
        if type_.embedded and name in ("apiVersion", "kind", "metadata"):
            continue
        field_type = type_.fields.get(name) or type_.values
        if field_type is None or field_type is ANY:
            continue
        if value[name] is None and not field_type.nullable:
            if field_type.default is None:
                del value[name]
                continue
            value[name] = _copied(field_type.default)
        apply_schema_defaults(field_type, value[name])


def default_problem(schema: Object, path: str) -> list[Cause]:
    """Return what is wrong with the default of a schema: it must be a value that the schema allows and keeps whole."""
    default = schema["default"]
    type_ = type_from_structural(schema) if schema.get("x-kubernetes-embedded-resource") else _plain_type(schema)
    pruned = _copied(default)
    if isinstance(pruned, dict | list) and prune(type_, pruned) and pruned != default:
        return [invalid(path, default, "must not have unknown fields")]
    return value_causes(schema, default, path)


def _plain_type(schema: Object) -> Type:
    """Return the type of a value that is no whole object."""
    return type_from_structural({"type": "object", "properties": {"it": schema}}).fields["it"]


def _copied(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value)) if isinstance(value, dict | list) else value
