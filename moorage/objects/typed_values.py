"""What server-side apply does with values of a type: check, list fields, merge, and remove fields.

Values are decoded JSON, read-only; results share what they do not change.
Source: structured-merge-diff v6, typed/{validate,tofieldset,merge,remove}.go and fieldpath/set.go.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import NoneType
from typing import Any, Final

from moorage.objects.field_changes import is_one_field, item_stepper
from moorage.objects.field_sets import LEAF, Fields, is_member, step_text
from moorage.objects.go_values import go_text, go_type
from moorage.objects.schema import ANY, Type

_TEXTS: Final = frozenset({"string", "bytes", "duration"})
_NUMBERS: Final = frozenset({"integer", "number"})
_ANY_SCALARS: Final = frozenset({"int-or-string", "quantity", "time", "micro-time"})

#: The classes of decoded values that are right for a kind of type without a closer look.
_SOUND: Final[Mapping[str, frozenset[type]]] = {
    **dict.fromkeys(_TEXTS, frozenset({str})),
    **dict.fromkeys(_NUMBERS, frozenset({int, float})),
    **dict.fromkeys(_ANY_SCALARS, frozenset({str, int, float, bool})),
    "boolean": frozenset({bool}),
}


def member_type(type_: Type, name: str) -> Type:
    """Return the type of an object's or map's member."""
    return type_.fields.get(name) or type_.values or ANY


def is_declared(type_: Type, name: str) -> bool:
    """Tell whether the type itself names this member, as it does not for the keys of maps."""
    return type_.kind == "object" and name in type_.fields


def problems_of(type_: Type, value: Any, path: str = "") -> list[str]:
    """Return what keeps a value from being of this type: `.data.k: expected string, got …`."""
    if value is None:
        return []
    if type_.kind == "list":
        return _list_problems(type_, value, path)
    if type_.kind in ("object", "map"):
        return _object_problems(type_, value, path)
    found = _scalar_problem(type_.kind, value)
    return [f"{path}: {found}"] if found else []


def _scalar_problem(kind: str, value: Any) -> str:
    go = go_type(value)
    if kind in _NUMBERS and go not in ("int64", "float64"):
        return f"expected numeric (int or float), got {go}"
    if kind in _TEXTS and go != "string":
        shown = f'"{value}"' if isinstance(value, str) else go_text(value)
        return f"expected string, got &value.valueUnstructured{{Value:{shown}}}"
    if kind == "boolean" and go != "bool":
        return f"expected boolean, got &{{{go_text(value)}}}"
    if kind in _ANY_SCALARS and isinstance(value, (dict, list)):
        return f"expected any scalar, got &{{{go_text(value)}}}"
    return ""


def _object_problems(type_: Type, value: Any, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: expected map, got &{{{go_text(value)}}}"]
    problems: list[str] = []
    for name in sorted(value):
        inside = type_.fields.get(name) or type_.values
        if inside is not None and type(value[name]) in _SOUND.get(inside.kind, ()):
            continue
        if inside is None and not (type_.preserves_unknown or type_.embedded or not type_.fields):
            problems.append(f"{path}.{name}: field not declared in schema")
        else:
            problems += problems_of(inside or ANY, value[name], f"{path}.{name}")
    return problems


def _list_problems(type_: Type, value: Any, path: str) -> list[str]:
    if not isinstance(value, list):
        return [f"{path}: expected list, got &{{{go_text(value)}}}"]
    items, problems, seen = type_.items or ANY, [], set()
    step_of = None if type_.list_type == "atomic" else item_stepper(type_)
    for index, item in enumerate(value):
        step = f"i:{index}"
        if step_of is not None:
            fault = _element_fault(type_, item)
            if fault:
                problems.append(f"{path}: element {index}: {fault}")
                break
            step = step_of(item)
            if step in seen:
                problems.append(f"{path}: duplicate entries for key {step_text(step)}")
            seen.add(step)
        problems += problems_of(items, item, path + step_text(step))
    return problems


def _element_fault(type_: Type, item: Any) -> str:
    """Say why an item has no place in a set or map list."""
    if type_.list_type == "set":
        if item is None:
            return "associative list without keys has an element that's an explicit null"
        if isinstance(item, (dict, list)):
            kind = "map" if isinstance(item, dict) else "list"
            return f"associative list without keys has an element that's a {kind} type"
        return ""
    if item is None:
        return "associative list with keys may not have a null element"
    if not isinstance(item, dict):
        return "associative list with keys may not have non-map elements"
    for key in type_.list_map_keys:
        if key not in item and member_type(type_.items or ANY, key).default is None:
            return f'associative list with keys has an element that omits key field "{key}" (and doesn\'t have default value)'
    return ""


def field_set(type_: Type, value: Any) -> Fields:
    """Return the fields that a value sets, as an applier owns them: no containers, but list items and empty objects."""
    result: dict[str, Any] = {}
    for step, inside, item, own in _members(type_, value):
        if is_one_field(inside) or item is None or item == {} or not isinstance(item, (dict, list)):
            result[step] = LEAF
            continue
        if inside.kind == "any" and isinstance(item, list):
            result[step] = LEAF
            continue
        below = field_set(inside, item)
        if own:
            below = {".": LEAF, **below} if below else LEAF
        if below or own:
            result[step] = below
    return result


def _members(type_: Type, value: Any) -> Iterator[tuple[str, Type, Any, bool]]:
    """Yield step, type and value of each member or item, and whether it is owned beside what is in it."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield f"f:{name}", member_type(type_, name), member, not is_declared(type_, name)
    elif isinstance(value, list) and type_.kind == "list":
        step_of, items = item_stepper(type_), type_.items or ANY
        for item in value:
            yield step_of(item), items, item, True


def with_declared(type_: Type, fields: Fields) -> Fields:
    """Return a set with every declared field that leads to a member as a member itself."""
    result: dict[str, Any] = {}
    for step, node in fields.items():
        if not node:
            result[step] = node
            continue
        below = with_declared(_step_type(type_, step), node)
        if step[:2] == "f:" and is_declared(type_, step[2:]) and "." not in below:
            below = {".": LEAF, **below}
        result[step] = below
    return result


def _step_type(type_: Type, step: str) -> Type:
    return member_type(type_, step[2:]) if step[:2] == "f:" else type_.items or ANY


def remove_fields(type_: Type, value: Any, fields: Fields) -> Any:
    """Return the value without these fields; None if nothing is left."""
    if not value:
        return value
    if isinstance(value, dict):
        return _kept_members(type_, value, fields)
    if isinstance(value, list) and type_.list_type in ("map", "set"):
        return _kept_items(type_, value, fields)
    return value


def _kept_members(type_: Type, value: Mapping[str, Any], fields: Fields) -> dict[str, Any] | None:
    kept: dict[str, Any] = {}
    for name, member in value.items():
        node = fields.get(f"f:{name}")
        if node is None:
            kept[name] = member
        elif not is_member(node):
            kept[name] = remove_fields(member_type(type_, name), member, node)
    return kept or None


def _kept_items(type_: Type, value: list[Any], fields: Fields) -> list[Any] | None:
    step_of, items, kept = item_stepper(type_), type_.items or ANY, []
    for item in value:
        node = fields.get(step_of(item))
        if node is None:
            kept.append(item)
        elif not is_member(node):
            kept.append(remove_fields(items, item, node))
    return kept or None


def merge_values(type_: Type, live: Any, applied: Any) -> Any:
    """Return the live value with the applied one on top; what is one field is taken from the applied one.

    An empty or null list or map takes nothing away from one that is merged item by item.
    """
    if is_one_field(type_) or not live:
        return applied
    if isinstance(live, dict) and isinstance(applied, (dict, NoneType)):
        merged = dict(live)
        for name, value in (applied or {}).items():
            merged[name] = merge_values(member_type(type_, name), live[name], value) if name in live else value
        return merged
    if isinstance(live, list) and isinstance(applied, (list, NoneType)) and type_.kind == "list":
        return _merge_lists(type_, live, applied or [])
    return applied


def _merge_lists(type_: Type, live: list[Any], applied: list[Any]) -> list[Any]:
    """Merge by keys: applied items in their order, live ones where they stood between those that both have."""
    step_of, items = item_stepper(type_), type_.items or ANY
    left = [(step_of(item), item) for item in live]
    right = [(step_of(item), item) for item in applied]
    mine, theirs = _unique(left), dict(right)

    def merged(step: str) -> Any:
        return merge_values(items, mine[step], theirs[step]) if step in mine else theirs[step]

    return list(_interleave(left, right, theirs, merged))


def _unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return the items by step, without those that have a twin: they merge with nothing."""
    found: dict[str, Any] = {}
    twins: set[str] = set()
    for step, item in pairs:
        if step in found:
            twins.add(step)
        found[step] = item
    return {step: item for step, item in found.items() if step not in twins}


def _interleave(
    left: list[tuple[str, Any]],
    right: list[tuple[str, Any]],
    theirs: Mapping[str, Any],
    merged: Callable[[str], Any],
) -> Iterator[Any]:
    in_left = {step for step, _ in left}
    shared = iter([step for step, _ in right if step in in_left])
    awaited = next(shared, None)
    done: set[str] = set()
    one = other = 0
    while one < len(left) or other < len(right):
        if one < len(left) and other < len(right):
            step = left[one][0]
            if step == right[other][0]:
                done.add(step)
                yield merged(step)
                one, other, awaited = one + 1, other + 1, next(shared, None)
                continue
            if step in theirs and awaited is not None and step != awaited:
                one += 1  # both have it, but the applied list wants another one first
                continue
        if one < len(left):
            step, item = left[one]
            if step not in theirs:
                yield item
                one += 1
                continue
            if step in done:
                one += 1
        if other < len(right):
            step = right[other][0]
            done.add(step)
            yield merged(step)
            other += 1
            if step == awaited:
                awaited = next(shared, None)
