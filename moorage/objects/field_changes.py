"""Which fields differ between two states of an object, as sets of fields. Runs on every write.

Each type is compiled once into two functions: `everything(value)` returns what a value that was not there before has,
`changes(old, new)` what was touched (added or changed) and what was removed. Equal parts are skipped by comparing them
as a whole, which costs next to nothing.
Source: structured-merge-diff v6, typed/compare.go; a container that was null before was there before.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from moorage.objects.field_sets import LEAF, NONE, Fields, key_step, value_step
from moorage.objects.schema import ANY, Type

Everything = Callable[[Any], Fields]


class Changes(NamedTuple):
    """What differs: touched was added or has another value, removed is gone."""

    touched: Fields
    removed: Fields


_NOTHING: Final = Changes(NONE, NONE)
_TOUCHED_LEAF: Final = Changes(LEAF, NONE)

#: What a walk returns: None for "nothing here", which the empty dict cannot say: that is a leaf.
_Found = tuple[Fields | None, Fields | None]
Compare = Callable[[Any, Any], _Found]

#: The kinds whose value is one field, whatever it is.
_SCALARS: Final = frozenset(
    "string integer number boolean int-or-string quantity time micro-time bytes duration".split()
)

_LEAF_FOUND: Final[_Found] = (LEAF, None)


def compare(type_: Type, old: Any, new: Any) -> Changes:
    """Return what differs between two values of a type."""
    if old == new:
        return _NOTHING
    touched, removed = walker_of(type_).changes(old, new)
    return Changes(NONE if touched is None else touched, NONE if removed is None else removed)


class Walker(NamedTuple):
    """The compiled functions of a type. `everything` is None for types whose value is one field."""

    everything: Everything | None
    changes: Compare


_walkers: dict[Type, Walker] = {}


def walker_of(type_: Type) -> Walker:
    """Return the functions of a type, compiled on first use."""
    found = _walkers.get(type_)
    if found is None:
        found = _walkers[type_] = _compiled(type_)
    return found


def is_one_field(type_: Type) -> bool:
    """Tell whether a value of this type is owned as a whole."""
    return type_.kind in _SCALARS or (type_.list_type or type_.map_type) == "atomic"


def _compiled(type_: Type) -> Walker:
    if is_one_field(type_):
        return Walker(None, lambda old, new: _LEAF_FOUND)
    if type_.kind == "list":
        return _list_walker(type_)
    if type_.kind in ("object", "map"):
        return _object_walker(type_)
    return _ANY_WALKER


def _step_finder(type_: Type) -> Callable[[str], tuple[str, Type]]:
    """Return what finds the step and the type of a member; answers are remembered for declared fields."""
    fields, others = type_.fields, type_.values or ANY
    known = {name: (f"f:{name}", field) for name, field in fields.items()}
    return lambda name: known.get(name) or (f"f:{name}", others)


def _object_walker(type_: Type) -> Walker:  # noqa: C901 (closures over one table: a call a field costs more than the work)
    steps: dict[str, tuple[str, Everything | None, Compare]] = {}
    find = _step_finder(type_)

    def look_up(name: str) -> tuple[str, Everything | None, Compare]:
        step, field = find(name)
        walker = walker_of(field)
        entry = (step, walker.everything, walker.changes)
        if name in type_.fields:
            steps[name] = entry
        return entry

    def everything(value: Any) -> Fields:
        if not value:
            return LEAF
        result: dict[str, Any] = {".": LEAF}
        for name, member in value.items():
            step, inside, _ = steps.get(name) or look_up(name)
            result[step] = LEAF if inside is None or not member else inside(member)
        return result

    def changes(old: Any, new: Any) -> _Found:
        if not old and not new:
            return _LEAF_FOUND
        old, new = old or {}, new or {}
        touched: dict[str, Any] = {}
        removed: dict[str, Any] = {}
        for name, value in new.items():
            if name in old:
                before = old[name]
                if before == value:
                    continue
                step, _, differ = steps.get(name) or look_up(name)
                one, other = differ(before, value)
                if one is not None:
                    touched[step] = one
                if other is not None:
                    removed[step] = other
            else:
                step, inside, _ = steps.get(name) or look_up(name)
                touched[step] = LEAF if inside is None or not value else inside(value)
        for name, value in old.items():
            if name not in new:
                step, inside, _ = steps.get(name) or look_up(name)
                removed[step] = LEAF if inside is None or not value else inside(value)
        return touched or None, removed or None

    return Walker(everything, changes)


def item_stepper(type_: Type) -> Callable[[Any], str]:
    """Return what finds the step of a list's item: its keys, or itself in a set. A missing key has its default."""
    if type_.list_type == "set":
        return value_step
    keys = tuple(sorted(type_.list_map_keys))
    items = type_.items or ANY
    defaults = {key: items.fields[key].default for key in keys if key in items.fields}
    if len(keys) == 1:
        key, default = keys[0], defaults.get(keys[0])
        return lambda item: key_step(keys, (item.get(key, default),))
    return lambda item: key_step(keys, tuple([item.get(key, defaults.get(key)) for key in keys]))


def _list_walker(type_: Type) -> Walker:  # noqa: C901 (as above)
    step_of = item_stepper(type_)
    items = walker_of(type_.items or ANY)
    inside = items.everything

    def everything(value: Any) -> Fields:
        if not value:
            return LEAF
        result: dict[str, Any] = {".": LEAF}
        for item in value:
            step = step_of(item)
            result[step] = LEAF if inside is None or step in result else inside(item)
        return result

    def changes(old: Any, new: Any) -> _Found:
        if not old and not new:
            return _LEAF_FOUND
        before, after = _by_step(old or (), step_of), _by_step(new or (), step_of)
        touched: dict[str, Any] = {}
        removed: dict[str, Any] = {}
        for step, value in after.items():
            if step not in before:
                touched[step] = LEAF if inside is None or isinstance(value, _Repeated) else inside(value)
            elif before[step] != value:
                one, other = _differ(before[step], value, items.changes)
                if one is not None:
                    touched[step] = one
                if other is not None:
                    removed[step] = other
        for step, value in before.items():
            if step not in after:
                removed[step] = LEAF if inside is None or isinstance(value, _Repeated) else inside(value)
        return touched or None, removed or None

    return Walker(everything, changes)


class _Repeated(list[Any]):
    """Items of one list with the same keys: they are owned as a whole."""


def _by_step(items: Any, step_of: Callable[[Any], str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in items:
        step = step_of(item)
        if step not in found:
            found[step] = item
        elif isinstance(found[step], _Repeated):
            found[step].append(item)
        else:
            found[step] = _Repeated((found[step], item))
    return found


def _differ(old: Any, new: Any, changes: Compare) -> _Found:
    if isinstance(old, _Repeated) or isinstance(new, _Repeated):
        return _LEAF_FOUND
    return changes(old, new)


def _anything(value: Any) -> Fields:
    """Return the fields of a value without a type: objects are taken apart, lists are one field."""
    if not value or not isinstance(value, Mapping):
        return LEAF
    return {".": LEAF, **{f"f:{name}": _anything(member) for name, member in value.items()}}


def _any_changes(old: Any, new: Any) -> _Found:
    old_map, new_map = isinstance(old, Mapping), isinstance(new, Mapping)
    if not (old_map or old is None) or not (new_map or new is None) or not (old or new):
        return _LEAF_FOUND
    old, new = old or {}, new or {}
    touched: dict[str, Any] = {}
    removed = {f"f:{name}": _anything(value) for name, value in old.items() if name not in new}
    for name, value in new.items():
        if name not in old:
            touched[f"f:{name}"] = _anything(value)
        elif old[name] != value:
            one, other = _any_changes(old[name], value)
            if one is not None:
                touched[f"f:{name}"] = one
            if other is not None:
                removed[f"f:{name}"] = other
    return touched or None, removed or None


_ANY_WALKER: Final = Walker(_anything, _any_changes)
