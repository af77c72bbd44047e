"""OpenAPI v2 (`/openapi/v2`): one document of everything, as JSON and in the protobuf that older clients insist on.

kubectl up to 1.28 and Argo CD read it; newer kubectl only where v3 does not answer. The protobuf form carries what they
read: definitions, and the operations that patch (they tell which kinds exist and that fieldValidation is understood).
Source: /openapi/v2 of v1.37.2; gnostic openapiv2/OpenAPIv2.proto for the field numbers.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import orjson

from moorage.api.discovery import KUBERNETES_VERSION
from moorage.api.openapi import builtin_rows, kind_of, listed, parameter_type, written_schema
from moorage.api.openapi_custom import Published, custom_rows, custom_schemas
from moorage.objects.schema import definition, definition_names

#: The media type that clients ask for, and the one of the answer: with `@` in it Go cannot parse it.
PROTOBUF_ACCEPTED: Final = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
PROTOBUF: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

_REF: Final = "#/definitions/"

#: Definitions whose JSON is no object, in words that v2 has.
_FORMS: Final[Mapping[str, Mapping[str, Any]]] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": "string"},
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": "string", "format": "int-or-string"},
}

_REASONS: Final = {"200": "OK", "201": "Created", "202": "Accepted", "401": "Unauthorized"}

#: What v2 has no words for: such parts of a custom resource's schema are left out.
_UNKNOWN_TO_V2: Final = frozenset(("oneOf", "anyOf", "not", "nullable", "default", "enum", "x-kubernetes-validations"))


def swagger(custom: Iterable[Published]) -> dict[str, Any]:
    """Return the whole document, built-in and custom resources."""
    published = tuple(custom)
    rows = [*builtin_rows(), *(item for each in published for item in custom_rows(each.resource).items())]
    definitions = {name: _definition(name) for name in definition_names()}
    for each in published:
        definitions |= {name: _downgraded(schema) for name, schema in custom_schemas(each).items()}
    token = {"description": "Bearer Token authentication", "in": "header", "name": "authorization", "type": "apiKey"}
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": KUBERNETES_VERSION},
        "paths": {path: _path_item(path, row) for path, row in rows},
        "definitions": definitions,
        "securityDefinitions": {"BearerToken": token},
        "security": [{"BearerToken": []}],
    }


def as_json(custom: Iterable[Published]) -> bytes:
    """Return the document as JSON."""
    return orjson.dumps(swagger(custom))


def as_protobuf(custom: Iterable[Published]) -> bytes:
    """Return the document as gnostic's protobuf; its media type is PROTOBUF."""
    return _encoded(swagger(custom))


def _definition(name: str) -> dict[str, Any]:
    row = definition(name)
    form = _FORMS.get(name) or written_schema(row.get("type", "object"), {})
    out: dict[str, Any] = dict(form)
    if "p" in row:
        out["properties"] = {each: _property(written) for each, written in row["p"].items()}
    if "req" in row:
        out["required"] = row["req"]
    if "gvk" in row:
        out["x-kubernetes-group-version-kind"] = [kind_of(each) for each in row["gvk"]]
    if "map-type" in row:
        out["x-kubernetes-map-type"] = row["map-type"]
    if "unions" in row:
        out["x-kubernetes-unions"] = row["unions"]
    return out


def _property(written: Any) -> dict[str, Any]:
    text, extras = (written, {}) if isinstance(written, str) else written
    out = written_schema(text, {}, _REF)
    for name, value in extras.items():
        if name not in ("default", "enum") and not name.endswith(".enum"):
            out[f"x-kubernetes-{name}"] = value
    return out


def _downgraded(schema: Any) -> Any:
    """Return a schema of v3 without what v2 does not know."""
    if isinstance(schema, list):
        return [_downgraded(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema.replace("#/components/schemas/", _REF) if isinstance(schema, str) else schema
    inherited = schema.get("allOf")
    if inherited and "$ref" in inherited[0]:
        return {"$ref": _downgraded(inherited[0]["$ref"])}
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        kept = ("description", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-group-version-kind")
        return {key: value for key, value in schema.items() if key in kept or (key == "type" and value == "object")}
    out = {key: _downgraded(value) for key, value in schema.items() if key not in _UNKNOWN_TO_V2 and key != "allOf"}
    if "properties" in schema:
        out["properties"] = {name: _downgraded(each) for name, each in schema["properties"].items()}
    return out


def _path_item(path: str, row: Mapping[str, Any]) -> dict[str, Any]:
    item: dict[str, Any] = {method: _operation(each) for method, each in row.items() if method != "params"}
    names = dict.fromkeys(listed(row.get("params", 0)))
    if names:
        item["parameters"] = [_parameter(name, "path" if f"{{{name}}}" in path else "query") for name in names]
    return item


def _operation(row: Mapping[str, Any]) -> dict[str, Any]:
    parameters = [_parameter(name, "query") for name in listed(row["q"])] if "q" in row else []
    if "body" in row:
        body = {"in": "body", "name": "body", "schema": written_schema(row["body"], {}, _REF)}
        parameters.insert(0, {**body, "required": True} if row["bodyRequired"] else body)
    out: dict[str, Any] = {
        "operationId": row["id"],
        "tags": row["tags"],
        "consumes": listed(row["consumes"]) if "consumes" in row else ["*/*"],
        "produces": listed(row["produces"]),
        "schemes": ["https"],
        "responses": {code: _response(code, written) for code, written in row["r"].items()},
    }
    if parameters:
        out["parameters"] = parameters
    if "action" in row:
        out["x-kubernetes-action"] = row["action"]
    if "gvk" in row:
        out["x-kubernetes-group-version-kind"] = kind_of(row["gvk"])
    return out


def _response(code: str, written: str) -> dict[str, Any]:
    out: dict[str, Any] = {"description": _REASONS.get(code, "")}
    if written:
        out["schema"] = written_schema(written, {}, _REF)
    return out


def _parameter(name: str, place: str) -> dict[str, Any]:
    out = {"in": place, "name": name, "type": parameter_type(name), "uniqueItems": True}
    return {**out, "required": True} if place == "path" else out


def _encoded(document: Mapping[str, Any]) -> bytes:
    info = _text(1, document["info"]["title"]) + _text(2, document["info"]["version"])
    patches = ((path, item["patch"]) for path, item in document["paths"].items() if "patch" in item)
    paths = b"".join(_bytes(2, _named(path, _bytes(8, _encoded_operation(each)))) for path, each in patches)
    schemas = document["definitions"].items()
    definitions = b"".join(_bytes(1, _named(name, _encoded_schema(schema))) for name, schema in schemas)
    return _text(1, document["swagger"]) + _bytes(2, info) + _bytes(8, paths) + _bytes(9, definitions)


def _encoded_operation(operation: Mapping[str, Any]) -> bytes:
    parts = [_text(5, operation["operationId"])]
    parts += [_text(7, each) for each in operation["consumes"]]
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "query":
            query = _text(2, "query") + _text(4, parameter["name"]) + _text(6, parameter["type"])
            parts.append(_bytes(8, _bytes(1, _bytes(2, _bytes(3, query)))))
    return b"".join([*parts, *_extensions(13, operation)])


def _encoded_schema(schema: Mapping[str, Any]) -> bytes:
    """Return a Schema message: reference, format, description, required, type, items, properties, extensions."""
    parts = []
    for number, key in ((1, "$ref"), (2, "format"), (4, "description")):
        if isinstance(schema.get(key), str):
            parts.append(_text(number, schema[key]))
    parts += [_text(19, each) for each in schema.get("required", ())]
    values = schema.get("additionalProperties")
    if isinstance(values, Mapping):
        parts.append(_bytes(21, _bytes(1, _encoded_schema(values))))
    if "type" in schema:
        parts.append(_bytes(22, _text(1, schema["type"])))
    if "items" in schema:
        parts.append(_bytes(23, _bytes(1, _encoded_schema(schema["items"]))))
    properties = schema.get("properties", {}).items()
    if properties:
        parts.append(_bytes(25, b"".join(_bytes(1, _named(name, _encoded_schema(each))) for name, each in properties)))
    return b"".join([*parts, *_extensions(31, schema)])


def _extensions(number: int, owner: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield the `x-` members as named values in YAML (JSON is YAML)."""
    for name, value in owner.items():
        if name.startswith("x-"):
            yield _bytes(number, _named(name, _text(2, orjson.dumps(value).decode() + "\n")))


def _named(name: str, value: bytes) -> bytes:
    return _text(1, name) + _bytes(2, value)


def _text(number: int, text: str) -> bytes:
    return _bytes(number, text.encode())


def _bytes(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
