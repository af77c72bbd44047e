"""Strategic merge patches: lists of objects merge by key, and directives in the patch say what else to do.

Directives: `$patch: replace | delete` in an object, `$retainKeys`, `$setElementOrder/<list>` and
`$deleteFromPrimitiveList/<list>`. Neither argument is changed; what is not patched is shared with the current object.
Source: apimachinery/pkg/util/strategicpatch/patch.go (v1.37).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from moorage.objects.element_order import ordered
from moorage.objects.errors import BadRequest, Invalid, PlainError, StatusError
from moorage.objects.go_values import go_text, go_type
from moorage.objects.metadata import Object
from moorage.objects.schema import ANY, Type

_PATCH: Final = "$patch"
_RETAIN: Final = "$retainKeys"
_ORDER: Final = "$setElementOrder/"
_DELETE: Final = "$deleteFromPrimitiveList/"


def strategic_merge(current: Object, patch: Any, type_: Type) -> dict[str, Any]:
    """Return the object of this type with the patch merged into it. Raises BadRequest, Invalid or PlainError."""
    if patch is None:
        return dict(current)
    if not isinstance(patch, Mapping):
        kind = {"[]interface {}": "array", "string": "string", "bool": "bool"}.get(go_type(patch), "number")
        raise BadRequest(f"json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}")
    return _merge_object(current, patch, type_)


def _merge_object(current: Object, patch: Object, type_: Type) -> dict[str, Any]:
    if _PATCH in patch:
        return _replaced_object(patch)
    result, pending = dict(current), dict(patch)
    if _RETAIN in pending:
        _retain(result, pending)
    for key in patch:
        if key.startswith(_ORDER):
            _merge_ordered(result, pending, key, type_)
    for key, value in pending.items():
        if key.startswith(_DELETE):
            _delete_items(result, key.removeprefix(_DELETE), value, type_)
        elif value is None:
            result.pop(key, None)
        else:
            _merge_member(result, key, value, type_)
    return result


def _replaced_object(patch: Object) -> dict[str, Any]:
    """Do what `$patch` in an object says."""
    directive = patch[_PATCH]
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != _PATCH}
    if directive == "delete":
        return {}
    raise _unknown_directive(directive, patch)


def _retain(result: dict[str, Any], patch: dict[str, Any]) -> None:
    """Keep only the named members of the object; the patch may set no other ones."""
    keys = patch.pop(_RETAIN)
    if not isinstance(keys, list):
        raise BadRequest("invalid patch format of retainKeys")
    for key, value in patch.items():
        if value is not None and not key.startswith((_ORDER, _DELETE)) and key not in keys:
            raise BadRequest("invalid patch format of retainKeys")
    for key in [key for key in result if key not in keys]:
        del result[key]


def _merge_member(result: dict[str, Any], key: str, value: Any, type_: Type) -> None:
    before: Any = result.get(key)
    if key not in result or go_type(before) != go_type(value):
        kept, value = _without_directives(value)
        if kept:
            result[key] = value
        else:
            result.pop(key, None)
        return
    field = _field(type_, key)
    if isinstance(value, Mapping):
        result[key] = value if "replace" in field.patch_strategies else _merge_object(before, value, field)
    elif isinstance(value, list):
        result[key] = _merge_list(before, value, field) if "merge" in field.patch_strategies else value
    else:
        result[key] = value


def _field(type_: Type, key: str) -> Type:
    """Return the type of a member; what is not typed merges as a plain object."""
    return type_.fields.get(key) or type_.values or ANY


def _delete_items(result: dict[str, Any], key: str, gone: Any, type_: Type) -> None:
    """Do what `$deleteFromPrimitiveList/<key>` says."""
    before = result.get(key)
    if gone is None:
        result.pop(key, None)
        return
    if before is None or go_type(before) != go_type(gone) or not isinstance(gone, list):
        return
    if not before and not gone:
        return
    if isinstance(_checked_elements(before, gone), Mapping):
        result[key] = _merge_list(before, gone, _field(type_, key))
    else:
        result[key] = [item for item in before if item not in gone]


def _merge_ordered(result: dict[str, Any], patch: dict[str, Any], directive: str, type_: Type) -> None:
    """Merge a list together with the order that `$setElementOrder/<list>` gives; takes both out of the patch."""
    order, key = patch.pop(directive), directive.removeprefix(_ORDER)
    if not isinstance(order, list):
        raise _not_a_list(order)
    field, before, changes = _field(type_, key), result.get(key), patch.pop(key, None)
    for items in (before, changes):
        if items is not None and not isinstance(items, list):
            raise _not_a_list(items)
    _check_order(changes or [], order, field.merge_key)
    if before is None and changes is None:
        return
    if changes is None:
        merged = before or []
    elif before is None:
        merged = _without_directives(changes)[1]
    elif "merge" in field.patch_strategies:
        merged = _merge_list(before, changes, field)
    else:
        merged = changes
    _checked_elements(before or [], changes or [])
    result[key] = _in_order(merged, order, before or [], field.merge_key)


def _check_order(changes: Sequence[Any], order: Sequence[Any], merge_key: str) -> None:
    """Refuse an order that does not name the patched items, in their order."""
    if not changes or not order:
        return
    wanted = [item for item in changes if not (merge_key and isinstance(item, Mapping) and item.get(_PATCH))]
    names = iter([_identity(item, merge_key) for item in order])
    if not all(any(_identity(item, merge_key) == name for name in names) for item in wanted):
        raise PlainError(
            f"The order in patch list:\n{go_text(changes)}\n doesn't match $setElementOrder list:\n{go_text(order)}\n"
        )


def _merge_list(before: list[Any], changes: list[Any], field: Type) -> list[Any]:
    if not before and not changes:
        return before
    if not isinstance(_checked_elements(before, changes), Mapping):
        merged = _unique([*before, *changes])
        return _in_order(merged, changes, before, "")
    key = field.merge_key
    if not key:
        raise PlainError(f"cannot merge lists without merge key for {field.items.name if field.items else ''}")
    kept, changes = _obey_directives(before, changes, key)
    merged = _merge_items(kept, changes, key, field.items or ANY)
    return _in_order(merged, changes, kept, key)


def _obey_directives(before: list[Any], changes: list[Any], key: str) -> tuple[list[Any], list[Any]]:
    """Return the current and the patched items after `$patch` in items was done: delete one, or replace all."""
    plain, replaces = [], False
    for change in changes:
        directive = change.get(_PATCH)
        if _PATCH not in change:
            plain.append(change)
        elif directive == "delete":
            if key not in change:
                raise _no_merge_key(change, key)
            before = [item for item in before if not _is_same(item.get(key), change[key])]
        elif directive == "replace":
            replaces = True
        elif directive == "merge":
            raise PlainError("merging lists cannot yet be specified in the patch")
        else:
            raise _unknown_directive(directive, change)
    return (plain, []) if replaces else (before, plain)


def _merge_items(before: list[Any], changes: list[Any], key: str, items: Type) -> list[Any]:
    merged = list(before)
    for change in changes:
        if key not in change:
            raise _no_merge_key(change, key)
        value = change[key]
        for index, item in enumerate(merged):
            if key in item and _is_same(item[key], value):
                merged[index] = _merge_object(item, change, items)
                break
        else:
            merged.append(change)
    return merged


def _in_order(merged: list[Any], order: Sequence[Any], before: Sequence[Any], merge_key: str) -> list[Any]:
    """Return the merged items in the patch's order, the other ones where they were, as far as possible."""
    if merge_key:
        for item in (*merged, *order):
            if not isinstance(item, Mapping) or merge_key not in item:
                raise _no_merge_key(item, merge_key)
    elif any(isinstance(item, (Mapping, list)) for item in (*merged, *order, *before)):
        raise BadRequest("invalid patch format of setElementOrder list")
    return ordered(
        merged,
        [_identity(item, merge_key) for item in order],
        [_identity(item, merge_key) for item in before],
        lambda item: _identity(item, merge_key),
    )


def _identity(item: Any, merge_key: str) -> Any:
    return item.get(merge_key) if merge_key and isinstance(item, Mapping) else item


def _is_same(one: Any, other: Any) -> bool:
    return go_type(one) == go_type(other) and bool(one == other)


def _unique(items: Sequence[Any]) -> list[Any]:
    found: list[Any] = []
    for item in items:
        if item not in found:
            found.append(item)
    return found


def _checked_elements(*lists: list[Any]) -> Any:
    """Return one of the elements, which must all be of one type and no lists."""
    elements = [element for items in lists for element in items]
    if not elements:
        raise PlainError("no elements in any of the given slices")
    kinds = {go_type(element) for element in elements}
    if "[]interface {}" in kinds:
        raise Invalid("lists of lists are not supported", details={})
    if len(kinds) > 1:
        raise PlainError(f"list element types are not identical: {go_text(lists)}")
    return elements[0]


def _without_directives(value: Any) -> tuple[bool, Any]:
    """Return whether a value that is new in the object is kept, and what it is without `$patch` and nulls."""
    if isinstance(value, Mapping):
        if _PATCH in value:
            return False, None
        pairs = [(key, _without_directives(each)) for key, each in value.items() if each is not None]
        return True, {key: each for key, (kept, each) in pairs if kept}
    if isinstance(value, list):
        return True, [each for kept, each in map(_without_directives, value) if kept]
    return True, value


def _not_a_list(value: Any) -> StatusError:
    return PlainError(f"expected a []interface {{}}, but received a {go_type(value)}")


def _no_merge_key(item: Any, merge_key: str) -> StatusError:
    return PlainError(f"map: {go_text(item)} does not contain declared merge key: {merge_key}")


def _unknown_directive(directive: Any, patch: Object) -> StatusError:
    return PlainError(f"unknown patch type: {go_text(directive)} in map: {go_text(patch)}")
