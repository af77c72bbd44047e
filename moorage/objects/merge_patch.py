"""Merge patches (RFC 7386): the patch is an object whose nulls delete.

Never changes its arguments: what is not patched is shared with the current object.
Source: RFC 7386, and gopkg.in/evanphx/json-patch.v4 as apiserver v1.37 uses it, which takes nulls out of new lists too.
"""

from collections.abc import Mapping
from typing import Any

from moorage.objects.errors import BadRequest
from moorage.objects.go_values import go_type
from moorage.objects.metadata import Object


def merge_patch(current: Object, patch: Any) -> dict[str, Any]:
    """Return the object with the patch merged into it. Raises BadRequest if the patch is no object."""
    if patch is None:
        raise BadRequest("Invalid JSON Patch")
    if not isinstance(patch, Mapping):
        kind = _JSON_NAMES.get(go_type(patch), "number")
        raise BadRequest(
            f"error decoding patch: json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
        )
    return _merged(current, patch)


_JSON_NAMES = {"[]interface {}": "array", "string": "string", "bool": "bool"}


def _merged(current: Object, patch: Object) -> dict[str, Any]:
    result = dict(current)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
            continue
        before = result.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            result[key] = _merged(before, value)
        else:
            result[key] = _without_nulls(value)
    return result


def _without_nulls(value: Any) -> Any:
    """Take nulls out of objects at any depth; inside lists a null stays an item."""
    if isinstance(value, Mapping):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_nulls(each) for each in value]
    return value
