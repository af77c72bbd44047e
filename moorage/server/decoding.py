"""Request bodies: from bytes and their Content-Type to the object or patch that the API gets.

Faults of the text are told here in upstream's words; faults of the object (wrong kind, wrong types) are the API's to find.
Source: apiserver/pkg/endpoints/handlers/{create,update,patch,delete,rest}.go, negotiation/negotiate.go,
apimachinery/pkg/runtime/serializer (v1.37).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from moorage.objects.errors import BadRequest, TooLarge, UnsupportedMediaType
from moorage.server import json_faults
from moorage.server.negotiation import JSON, PROTOBUF, YAML

#: The largest body that is read: what a store of Kubernetes' kind takes, with room. Source: config.go MaxRequestBodyBytes.
BODY_BYTES_MOST: Final = 3 * 1024 * 1024

#: Kinds of patches, in upstream's order.
PATCHES: Final = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)
_JSON_PATCH, _MERGE_PATCH, _, _APPLY = PATCHES
_INTO_MAP: Final = "into Go value of type map[string]interface {}"

_OPERATION_MEMBERS: Final = frozenset({"op", "path", "from", "value"})

#: How much of a body a refusal shows.
_SHOWN_BYTES: Final = 30

_HEAD: Final = r'struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }'


#: Fields of DeleteOptions: what JSON they are, and what Go calls their type.
_OPTION_TYPES: Final = (
    ("gracePeriodSeconds", "number", "int64"),
    ("preconditions", "object", "v1.Preconditions"),
    ("orphanDependents", "bool", "bool"),
    ("propagationPolicy", "string", "v1.DeletionPropagation"),
    ("dryRun", "array", "[]string"),
)


class Body(NamedTuple):
    """What a body says.

    duplicates: what is wrong with a YAML text although it could be read (`line 3: key "a" already set in map`).
    raw:        the text if it is JSON: whoever knows the type finds what is wrong with it.
    """

    value: dict[str, Any]
    duplicates: tuple[str, ...] = ()
    raw: bytes | None = None


#: From a protobuf body to (apiVersion, kind, object); raises ValueError with upstream's text.
ProtobufDecoder = Callable[[bytes], tuple[str, str, dict[str, Any]]]


class _Unreadable(Exception):
    """The text cannot be read; the message says why in upstream's words."""


def too_large() -> TooLarge:
    """Return the error for a body over the limit."""
    return TooLarge(f"Request entity too large: limit is {BODY_BYTES_MOST}")


def media_type_of(content_type: str | None) -> str:
    """Return the bare media type of a Content-Type header; JSON if there is none."""
    if content_type is None:
        return JSON
    return content_type.partition(";")[0].strip().lower() or JSON


def read_object(
    data: bytes, content_type: str | None, kind: str, *, strict: bool, protobuf: ProtobufDecoder | None = None
) -> Body:
    """Return the object in a body of create or update. `kind` is the expected kind.

    strict: the request will be refused for repeated keys, not only warned: YAML's are then told in one text.

    Raises BadRequest, UnsupportedMediaType.
    """
    media_type = media_type_of(content_type)
    try:
        return _read(data, media_type, strict=strict, protobuf=protobuf)
    except _Unreadable as fault:
        message = f"the object provided is unrecognized (must be of type {kind}): {fault} ({_shown(data)})"
        raise BadRequest(message) from None


def read_options(data: bytes, content_type: str | None, protobuf: ProtobufDecoder | None = None) -> dict[str, Any]:
    """Return the DeleteOptions of a body, empty if there is no body. Raises BadRequest, UnsupportedMediaType."""
    if not data:
        return {}
    try:
        options = _read(data, media_type_of(content_type), strict=False, protobuf=protobuf).value
    except _Unreadable as fault:
        raise BadRequest(str(fault)) from None
    for field, kind, go_type in _OPTION_TYPES:
        found = options.get(field)
        shown = json_faults.kind_of_value(found)
        if found is not None and (shown != kind or isinstance(found, float)):
            number = f" {found}" if isinstance(found, float) else ""
            into = f"Go struct field DeleteOptions.{field} of type {go_type}"
            raise BadRequest(f"json: cannot unmarshal {shown}{number} into {into}")
    return options


def patch_type_of(content_type: str | None) -> str:
    """Return which kind of patch a Content-Type header names. Raises UnsupportedMediaType."""
    media_type = (content_type or "").partition(";")[0].strip()
    if media_type not in PATCHES:
        raise UnsupportedMediaType("415: Unsupported Media Type", details={})
    return media_type


def read_patch(data: bytes, patch_type: str, *, strict: bool) -> tuple[Any, tuple[str, ...]]:
    """Return the patch in a body, and what is wrong with its text. Raises BadRequest."""
    if patch_type == _APPLY:
        return _read_applied(data, strict=strict)
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise BadRequest("invalid JSON patch") from None
    if patch_type == _JSON_PATCH:
        return _checked_operations(value), _unknown_members(value or ())
    _check_merge(value, patch_type)
    return _with_repeats(data, value)


def _with_repeats(data: bytes, value: Any) -> tuple[Any, tuple[str, ...]]:
    """Return a patch, and a text about each of its keys that is there twice."""
    if _may_repeat(data, value):
        value, repeats = json_faults.read_with_repeats(data)
        return value, tuple(f'duplicate field "{path}"' for path in repeats)
    return value, ()


def _checked_operations(value: Any) -> list[Any]:
    """Refuse a JSON patch that is no list of objects; `null` is an empty one."""
    if value is None:
        return []
    wrong = value if not isinstance(value, list) else next((each for each in value if not isinstance(each, dict)), None)
    if wrong is not None or not isinstance(value, list):
        what = "[]handlers.jsonPatchOp" if wrong is value else "handlers.jsonPatchOp"
        shown = json_faults.kind_of_value(wrong)
        raise BadRequest(f"error decoding patch: json: cannot unmarshal {shown} into Go value of type {what}")
    return value


def _unknown_members(operations: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """Return a text about each member of an operation that no operation has."""
    return tuple(
        f'json patch unknown field "[{index}].{name}"'
        for index, operation in enumerate(operations)
        for name in operation
        if name not in _OPERATION_MEMBERS
    )


def _check_merge(value: Any, patch_type: str) -> None:
    """Refuse a merge patch that is no object."""
    if isinstance(value, dict):
        return
    if value is None and patch_type == _MERGE_PATCH:
        raise BadRequest("Invalid JSON Patch")
    before = "error decoding patch: " if patch_type == _MERGE_PATCH else ""
    raise BadRequest(f"{before}json: cannot unmarshal {json_faults.kind_of_value(value)} {_INTO_MAP}")


def _read_applied(data: bytes, *, strict: bool) -> tuple[Any, tuple[str, ...]]:
    """Read an applied configuration: YAML, of which JSON is a part and read much faster."""
    if data.lstrip()[:1] == b"{":
        try:
            value = _read_json(data).value
        except _Unreadable:
            pass
        else:
            return _with_repeats(data, value)
    from moorage.server import yaml_text

    try:
        value, repeats = yaml_text.load(data)
    except yaml_text.YamlFault as fault:
        raise BadRequest(f"error encoding patch: {fault}") from fault
    if not isinstance(value, dict):
        why = f"json: cannot unmarshal {json_faults.kind_of_value(value)} {_INTO_MAP}"
        raise BadRequest(f"error decoding patch: error unmarshaling JSON: while decoding JSON: {why}")
    return value, _told(repeats, strict=strict)


def _read(data: bytes, media_type: str, *, strict: bool, protobuf: ProtobufDecoder | None) -> Body:
    if media_type == JSON:
        return _read_json(data)
    if media_type == YAML:
        return _read_yaml(data, strict=strict)
    if media_type == PROTOBUF and protobuf is not None:
        return _read_protobuf(data, protobuf)
    known = f"{JSON}, {YAML}, {PROTOBUF}"
    raise UnsupportedMediaType(
        f"the body of the request was in an unknown format - accepted media types include: {known}"
    )


def _read_json(data: bytes) -> Body:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return _read_slowly(data)
    _check_head(value)
    return Body({}) if value is None else Body(value, raw=data)


def _may_repeat(data: bytes, value: Any) -> bool:
    """Tell whether keys may be there twice; of a value that is nested too deeply to be written again, nobody knows."""
    try:
        return json_faults.may_repeat(data, orjson.dumps(value))
    except orjson.JSONEncodeError:
        return False


def _read_slowly(data: bytes) -> Body:
    """Say what is wrong with a text that orjson refused, or read it after all: Go takes broken UTF-8, and deep nesting."""
    fault = json_faults.fault_of(data)
    if fault:
        raise _Unreadable(f"couldn't get version/kind; json parse error: {fault}")
    import json

    text = data.decode("utf-8", "replace").encode("utf-8", "replace")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _Unreadable(f"couldn't get version/kind; json parse error: {error}") from error
    _check_head(value)
    return Body(value or {}, raw=text)


def _read_yaml(data: bytes, *, strict: bool) -> Body:
    from moorage.server import yaml_text

    try:
        value, repeats = yaml_text.load(data)
    except yaml_text.YamlFault as fault:
        raise _Unreadable(str(fault)) from fault
    _check_head(value)
    return Body(value or {}, _told(repeats, strict=strict))


def _told(repeats: list[str], *, strict: bool) -> tuple[str, ...]:
    """Return repeated keys of a YAML text as Go tells them: all in one error, or a warning for each."""
    if strict and repeats:
        return ("yaml: unmarshal errors:\n" + "\n".join(f"  {line}" for line in repeats),)
    return tuple(repeats)


def _read_protobuf(data: bytes, decode: ProtobufDecoder) -> Body:
    try:
        api_version, kind, value = decode(data)
    except ValueError as error:
        raise _Unreadable(str(error)) from error
    return Body({**value, "apiVersion": api_version, "kind": kind} if api_version or kind else dict(value))


def _check_head(value: Any) -> None:
    """Refuse what is no object, or whose apiVersion and kind are no texts. `null` counts as an empty object."""
    if value is None:
        return
    why = ""
    if not isinstance(value, dict):
        why = f"cannot unmarshal {json_faults.kind_of_value(value)} into Go value of type {_HEAD}"
    else:
        for field in ("kind", "apiVersion"):
            found = value.get(field)
            if found is not None and not isinstance(found, str):
                shown = json_faults.kind_of_value(found)
                why = f"cannot unmarshal {shown} into Go struct field .{field} of type string"
    if why:
        raise _Unreadable(f"couldn't get version/kind; json parse error: json: {why}")
    _check_group_version(value)


def _check_group_version(value: Mapping[str, Any]) -> None:
    api_version = value.get("apiVersion") or ""
    if api_version.count("/") > 1:
        raise _Unreadable(f"unexpected GroupVersion string: {api_version}")


def _shown(data: bytes) -> str:
    """Show the beginning of a body: as text if it looks like JSON, else as hexadecimal digits."""
    if not data:
        return "<empty>"
    more = " ..." if len(data) > _SHOWN_BYTES else ""
    begin = data[:_SHOWN_BYTES]
    return (begin.decode("utf-8", "replace") if data[:1] == b"{" else begin.hex()) + more
