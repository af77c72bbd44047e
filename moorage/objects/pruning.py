"""Custom resources: fields that their schema does not name are dropped; metadata is the built-in one.

Types are not judged here: a value of the wrong kind is for validation to refuse.
Source: apiextensions-apiserver pkg/apiserver/schema/{pruning,objectmeta} (v1.37).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from moorage.objects.decoding import Decoded, decode_object, may_have_duplicates
from moorage.objects.inspection import Members, members, parse
from moorage.objects.schema import Type, named_type

_OBJECT_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


class _Refused(Exception):
    """The metadata of an object, or of one embedded in it, is no metadata."""


def decode_custom(type_: Type, obj: dict[str, Any], raw: bytes | None = None) -> Decoded:
    """Return the object with only what its schema knows, changed in place. Unknown paths come sorted, as upstream says."""
    duplicate: tuple[str, ...] = ()
    if raw is not None and may_have_duplicates(raw, obj):
        duplicate = tuple(dict.fromkeys(_duplicates(parse(raw), "")))
    unknown: list[str] = []
    try:
        _prune(type_, obj, "", unknown)
    except _Refused as error:
        return Decoded(obj, error=str(error))
    unknown.sort()
    problems = [f'duplicate field "{path}"' for path in duplicate] + [f'unknown field "{path}"' for path in unknown]
    return Decoded(obj, tuple(unknown), duplicate, tuple(problems))


def prune(type_: Type, obj: dict[str, Any] | list[Any]) -> list[str]:
    """Drop in place what the schema does not know, and return the sorted paths. Metadata must be valid."""
    unknown: list[str] = []
    _prune(type_, obj, "", unknown)
    return sorted(unknown)


def _prune(type_: Type, value: Any, path: str, unknown: list[str]) -> None:
    if isinstance(value, list):
        if type_.items is not None:
            for index, item in enumerate(value):
                _prune(type_.items, item, f"{path}[{index}]", unknown)
    elif isinstance(value, dict):
        _prune_object(type_, value, path, unknown)


def _prune_object(type_: Type, value: dict[str, Any], path: str, unknown: list[str]) -> None:
    fields = type_.fields
    for key in list(value):
        at = f"{path}.{key}" if path else key
        field = fields.get(key) or type_.values
        if type_.embedded and key == "metadata":
            _coerce(value, at, unknown)
        elif field is not None:
            if not (type_.embedded and key in ("apiVersion", "kind")):
                _prune(field, value[key], at, unknown)
        elif not type_.preserves_unknown:
            del value[key]
            unknown.append(at)


def _coerce(parent: dict[str, Any], path: str, unknown: list[str]) -> None:
    """Make the metadata of an object what Go makes of it."""
    written = parent["metadata"]
    if written is None:
        del parent["metadata"]
        return
    text = orjson.dumps(written, option=orjson.OPT_SORT_KEYS).decode()
    decoded = decode_object(named_type(_OBJECT_META), written) if isinstance(written, dict) else None
    if decoded is None or decoded.error is not None:
        kind = {str: "string", bool: "bool", list: "array"}.get(type(written), "number")
        why = decoded.error if decoded else f"json: cannot unmarshal {kind} into Go value of type v1.ObjectMeta"
        raise _Refused(f"{path}: Invalid value: {text}: {why}")
    parent["metadata"] = decoded.obj
    unknown += [f"{path}.{each}" for each in decoded.unknown]


def _duplicates(value: Any, path: str) -> Iterator[str]:
    """Yield the paths of keys that stand twice in the same object."""
    if isinstance(value, Members | Mapping):
        seen: set[str] = set()
        for key, each in members(value):
            at = f"{path}.{key}" if path else key
            if key in seen:
                yield at
            seen.add(key)
            yield from _duplicates(each, at)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _duplicates(each, f"{path}[{index}]")
