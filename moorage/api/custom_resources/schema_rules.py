"""What the `openAPIV3Schema` of a definition may contain. Pure; messages are upstream's.

Three layers, in this order: keywords (what Kubernetes takes of JSON Schema), structure (every value has a type, said
once), and defaults (which must be what the schema allows).
Source: apiextensions-apiserver pkg/apis/apiextensions/validation, pkg/apiserver/schema/{validation,defaulting} (v1.37).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from moorage.api.custom_resources.budgets import budget_causes
from moorage.api.custom_resources.defaulting import default_problem
from moorage.api.custom_resources.expressions import expression_causes
from moorage.api.custom_resources.rule_texts import validation_rule_causes
from moorage.api.custom_resources.structure import structural_causes
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object
from moorage.objects.validation import forbidden, invalid, not_supported, required

TYPES: Final = ("array", "boolean", "integer", "number", "object", "string")

#: Keywords of JSON Schema that are not supported; only the first group is forbidden even when it is empty.
_NEVER: Final = ("additionalItems", "dependencies", "$ref")
_NOT_FILLED: Final = ("id", "patternProperties", "definitions")

#: What the root may have beside properties when the status is validated for itself.
_ROOT_WITH_STATUS: Final = (
    *("type", "properties", "description", "example", "externalDocs", "format", "required", "title", "default"),
    *("x-kubernetes-preserve-unknown-fields", "x-kubernetes-validations", "x-kubernetes-embedded-resource"),
    *("maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum", "maxLength", "minLength", "pattern", "maxItems"),
    *("minItems", "uniqueItems", "multipleOf", "items"),
)

_META_FIELDS: Final = ("metadata", "kind", "apiVersion")


class _Place(NamedTuple):
    """Where a schema stands. why_no_default: the reason why defaults are forbidden there, "" if they are not."""

    path: str
    is_root: bool = False
    in_metadata: bool = False
    why_no_default: str = ""

    def at(self, step: str) -> "_Place":
        return self._replace(path=f"{self.path}{step}", is_root=False)


def schema_causes(schema: Object, path: str, *, has_status: bool) -> list[Cause]:
    """Return the broken rules of the schema at `path` (…openAPIV3Schema)."""
    causes = _root_causes(schema, path) if has_status else []
    if schema.get("nullable"):
        causes.append(forbidden(f"{path}.nullable", "nullable cannot be true at the root"))
    causes += _keyword_causes(schema, _Place(path, is_root=True))
    if not is_convertible(schema):
        return causes
    structure = structural_causes(schema, path)
    causes += structure
    if structure or causes:
        return causes
    causes += _default_causes(schema, path)
    causes += validation_rule_causes(schema, path)
    return causes or expression_causes(schema, path) or budget_causes(schema, path)


def _root_causes(schema: Object, path: str) -> list[Cause]:
    if schema.get("type") not in (None, "", "object"):
        text = 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled'
        return [invalid(f"{path}.type", schema["type"], text)]
    odd = [key for key, value in schema.items() if value not in (None, {}, [], "") and key not in _ROOT_WITH_STATUS]
    if not odd:
        return []
    names = "[" + " ".join(f'"{_go_name(each)}"' for each in _ROOT_WITH_STATUS) + "]"
    text = f"only {names} fields are allowed at the root of the schema if the status subresource is enabled"
    return [invalid(path, dict(schema), text)]


def _go_name(key: str) -> str:
    words = key.removeprefix("x-kubernetes-").split("-")
    return ("X" if key.startswith("x-kubernetes-") else "") + "".join(word[:1].upper() + word[1:] for word in words)


def is_convertible(schema: Any) -> bool:
    """Tell whether the schema has nothing that a structural schema cannot express."""
    if not isinstance(schema, Mapping):
        return True
    if any(schema.get(key) is not None for key in _NEVER) or any(schema.get(key) for key in _NOT_FILLED):
        return False
    if isinstance(schema.get("items"), list):
        return False
    return all(is_convertible(each) for _, each in _children(schema))


def _children(schema: Object) -> Iterator[tuple[str, Any]]:
    """Yield the schemas inside a schema, with the steps that lead to them, in upstream's order."""
    if isinstance(schema.get("additionalProperties"), Mapping):
        yield ".additionalProperties", schema["additionalProperties"]
    for name, each in sorted((schema.get("properties") or {}).items()):
        yield f".properties[{name}]", each
    if isinstance(schema.get("not"), Mapping):
        yield ".not", schema["not"]
    for key in ("allOf", "oneOf", "anyOf"):
        for index, each in enumerate(schema.get(key) or ()):
            yield f".{key}[{index}]", each
    for name, each in sorted((schema.get("definitions") or {}).items()):
        yield f".definitions[{name}]", each
    items = schema.get("items")
    if isinstance(items, Mapping):
        yield ".items", items
    elif isinstance(items, list):
        for index, each in enumerate(items):
            yield f".items[{index}]", each


def _keyword_causes(schema: Object, place: _Place) -> list[Cause]:
    path = place.path
    causes = _standard_causes(schema, place)
    if schema.get("uniqueItems"):
        text = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        causes.append(forbidden(f"{path}.uniqueItems", text))
    more = schema.get("additionalProperties")
    if schema.get("properties") and (more is False or isinstance(more, Mapping)):
        text = "additionalProperties and properties are mutual exclusive"
        causes.append(forbidden(f"{path}.additionalProperties", text))
    for step, child in _children(schema):
        if isinstance(child, Mapping):
            causes += _keyword_causes(child, _inner(schema, place, step))
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        causes.append(invalid(f"{path}.x-kubernetes-preserve-unknown-fields", False, "must be true or undefined"))  # noqa: FBT003
    return causes + _map_type_causes(schema, path) + _list_type_causes(schema, path) + _map_key_causes(schema, path)


def _inner(schema: Object, place: _Place, step: str) -> _Place:
    """Return the place of a child: inside metadata there are further restrictions."""
    inner = place.at(step)
    name = step.removeprefix(".properties[").removesuffix("]")
    if step.startswith(".properties[") and name in _META_FIELDS:
        if place.is_root:
            return inner._replace(in_metadata=True, why_no_default=f"in top-level {name}")
        if schema.get("x-kubernetes-embedded-resource"):
            return inner._replace(in_metadata=True)
    if step == ".additionalProperties" and place.in_metadata:
        return inner._replace(why_no_default="inside additionalProperties applying to object metadata")
    return inner


def _standard_causes(schema: Object, place: _Place) -> list[Cause]:
    path, causes = place.path, []
    if schema.get("default") is not None and place.why_no_default:
        causes.append(forbidden(f"{path}.default", f"must not be set {place.why_no_default}"))
    causes += [
        forbidden(f"{path}.{key}", f"{key} is not supported")
        for key in ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref")
        if schema.get(key) or (key in _NEVER and schema.get(key) is not None)
    ]
    kind = schema.get("type") or ""
    if kind == "null":
        causes.append(forbidden(f"{path}.type", "type cannot be set to null, use nullable as an alternative"))
    if kind and kind not in TYPES:
        causes.append(not_supported(f"{path}.type", kind, TYPES))
    if isinstance(schema.get("items"), list) and schema["items"]:
        causes.append(forbidden(f"{path}.items", "items must be a schema object and not an array"))
    if place.in_metadata and schema.get("x-kubernetes-embedded-resource"):
        causes.append(forbidden(f"{path}.x-kubernetes-embedded-resource", "must not be used inside of resource meta"))
    return causes


def _must_be_type(schema: Object, path: str, kind: str, keyword: str) -> list[Cause]:
    written, text = schema.get("type") or "", f"must be {kind} if {keyword} is specified"
    if written == kind:
        return []
    return [invalid(f"{path}.type", written, text) if written else required(f"{path}.type", text)]


def _map_type_causes(schema: Object, path: str) -> list[Cause]:
    map_type = schema.get("x-kubernetes-map-type")
    if map_type is None:
        return []
    causes = _must_be_type(schema, path, "object", "x-kubernetes-map-type")
    if map_type not in ("atomic", "granular"):
        causes.append(not_supported(f"{path}.x-kubernetes-map-type", map_type, ("atomic", "granular")))
    return causes


def _list_type_causes(schema: Object, path: str) -> list[Cause]:
    list_type = schema.get("x-kubernetes-list-type")
    if list_type is None:
        return []
    causes = _must_be_type(schema, path, "array", "x-kubernetes-list-type")
    items = schema.get("items")
    if not causes and list_type == "set" and isinstance(items, Mapping):
        text = "must be atomic as item of a list with x-kubernetes-list-type=set"
        inner, map_type = items.get("x-kubernetes-list-type"), items.get("x-kubernetes-map-type")
        if items.get("type") == "array" and inner not in (None, "atomic"):
            causes.append(invalid(f"{path}.items.x-kubernetes-list-type", inner, text))
        if items.get("type") == "object" and map_type != "atomic":
            causes.append(invalid(f"{path}.items.x-kubernetes-map-type", map_type, text))
    if list_type not in ("atomic", "set", "map"):
        causes.append(not_supported(f"{path}.x-kubernetes-list-type", list_type, ("atomic", "set", "map")))
    return causes


def _map_key_causes(schema: Object, path: str) -> list[Cause]:
    """Return what is wrong with the keys of a list of type map."""
    keys, list_type = schema.get("x-kubernetes-list-map-keys") or [], schema.get("x-kubernetes-list-type")
    causes: list[Cause] = []
    if keys and list_type != "map":
        at, text = f"{path}.x-kubernetes-list-type", "must be map if x-kubernetes-list-map-keys is non-empty"
        causes.append(required(at, text) if list_type is None else invalid(at, list_type, text))
    items = schema.get("items")
    if list_type == "map":
        causes += _keyed_item_causes(items, keys, path)
    if list_type in ("set", "map") and isinstance(items, Mapping):
        if items.get("nullable"):
            text = f"cannot be nullable when x-kubernetes-list-type is {list_type}"
            causes.append(forbidden(f"{path}.items.nullable", text))
        if list_type == "map":
            causes += _missing_key_causes(items, keys, path)
    return causes


def _keyed_item_causes(items: Any, keys: list[str], path: str) -> list[Cause]:
    causes: list[Cause] = []
    at = f"{path}.x-kubernetes-list-map-keys"
    if not keys:
        causes.append(required(at, "must not be empty if x-kubernetes-list-type is map"))
    if items is None:
        causes.append(required(f"{path}.items", "must have a schema if x-kubernetes-list-type is map"))
        return causes
    if not isinstance(items, Mapping):
        text = "must only have a single schema if x-kubernetes-list-type is map"
        return [*causes, invalid(f"{path}.items", items, text)]
    if items.get("type") != "object":
        text = "must be object if parent array's x-kubernetes-list-type is map"
        return [*causes, invalid(f"{path}.items.type", items.get("type") or "", text)]
    for index, key in enumerate(keys):
        field = (items.get("properties") or {}).get(key)
        if field is None:
            causes.append(invalid(at, keys, "entries must all be names of item properties"))
        elif field.get("type") in ("array", "object"):
            text = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            causes.append(invalid(f"{path}.items.properties[{key}].type", items.get("type"), text))
        elif field.get("nullable"):
            text = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable"
            causes.append(forbidden(f"{path}.items.properties[{key}].nullable", text))
        if key in keys[:index]:
            causes.append(invalid(at, keys, "must not contain duplicate entries"))
    return causes


def _missing_key_causes(items: Object, keys: list[str], path: str) -> list[Cause]:
    needed, fields = items.get("required") or (), items.get("properties") or {}
    text = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
    return [
        required(f"{path}.items.properties[{key}].default", text)
        for key in keys
        if key in fields and key not in needed and fields[key].get("default") is None
    ]


def _default_causes(schema: Object, path: str) -> list[Cause]:
    """Return what is wrong with defaults. Those inside additionalProperties are not followed, as upstream does."""
    causes = default_problem(schema, f"{path}.default") if schema.get("default") is not None else []
    if isinstance(schema.get("items"), Mapping):
        causes += _default_causes(schema["items"], f"{path}.items")
    for name, each in sorted((schema.get("properties") or {}).items()):
        causes += _default_causes(each, f"{path}.properties[{name}]")
    return causes
