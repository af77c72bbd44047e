"""Sets of fields as FieldsV1 writes them: nested dicts that are worked on directly, never decoded into something else.

A key is one step: `f:<field>`, `k:<keys of a list item as JSON>`, `v:<item of a set as JSON>` or `i:<index>`. Under it
stand the steps below; the step itself belongs to the set if nothing stands below it, or the key `.` does.
Sets are read-only and share their parts; all functions return an argument itself where nothing changes.
Source: structured-merge-diff v6, fieldpath/{set,serialize,serialize-pe}.go.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import orjson

#: A set of fields, FieldsV1.
Fields = Mapping[str, Any]
Path = tuple[str, ...]

#: The step itself, with nothing below it. Shared: nobody may change it.
LEAF: Final[dict[str, Any]] = {}

#: The empty set.
NONE: Final[dict[str, Any]] = {}

#: How many list item keys are remembered: names and ports of containers, types of conditions.
_REMEMBERED: Final = 4096


def is_member(node: Fields) -> bool:
    """Tell whether the step that leads to this node belongs to the set itself."""
    return not node or "." in node


def union(one: Fields, other: Fields) -> Fields:
    """Return what is in either set."""
    if one is other or not other:
        return one
    if not one:
        return other
    result = dict(one)
    for step, node in other.items():
        there = result.get(step)
        result[step] = node if there is None else _union_nodes(there, node)
    return result


def _union_nodes(one: Fields, other: Fields) -> Fields:
    if not one:
        return other if is_member(other) else {".": LEAF, **other}
    if not other:
        return one if is_member(one) else {".": LEAF, **one}
    return union(one, other)


def difference(one: Fields, other: Fields) -> Fields:
    """Return what is in the first set and not in the other one. Steps below a removed one stay."""
    if not one or not other:
        return one
    result: dict[str, Any] | None = None
    for step, node in other.items():
        there = one.get(step)
        if there is None:
            continue
        left = _difference_nodes(there, node)
        if left is there:
            continue
        if result is None:
            result = dict(one)
        if left is None:
            del result[step]
        else:
            result[step] = left
    return one if result is None else result


def _difference_nodes(one: Fields, other: Fields) -> Fields | None:
    """Return what is left of a node, None if nothing is."""
    if not one:
        return None if is_member(other) else one
    if not other:
        if "." not in one:
            return one
        left = {step: node for step, node in one.items() if step != "."}
        return left or None
    left_over = difference(one, other)
    if len(left_over) == 1 and "." in left_over:
        return LEAF
    return left_over or None


def intersection(one: Fields, other: Fields) -> Fields:
    """Return what is in both sets."""
    if one is other:
        return one
    result: dict[str, Any] = {}
    for step, node in one.items():
        there = other.get(step)
        if there is None:
            continue
        both = _intersection_nodes(node, there)
        if both is not None:
            result[step] = both
    return result


def _intersection_nodes(one: Fields, other: Fields) -> Fields | None:
    if not one:
        return LEAF if is_member(other) else None
    if not other:
        return LEAF if is_member(one) else None
    both = intersection(one, other)
    if not both:
        return None
    return LEAF if len(both) == 1 and "." in both else both


def paths(fields: Fields, prefix: Path = ()) -> Iterator[Path]:
    """Yield the path of every member: those of a level before those below, each sorted."""
    steps = sorted(step for step in fields if step != ".")
    for step in steps:
        if is_member(fields[step]):
            yield (*prefix, step)
    for step in steps:
        if fields[step]:
            yield from paths(fields[step], (*prefix, step))


def path_text(path: Path) -> str:
    """Return a path as messages write it: `.spec.containers[name="c"].image`."""
    return "".join(map(step_text, path))


def step_text(step: str) -> str:
    """Return one step as messages write it: `.image`, `[name="c"]`, `[="x"]`, `[0]`."""
    kind, _, rest = step.partition(":")
    if kind == "f":
        return f".{rest}"
    if kind == "i":
        return f"[{rest}]"
    if kind == "v":
        return f"[={rest}]"
    keys: Mapping[str, Any] = orjson.loads(rest)
    return f"[{','.join(f'{key}={orjson.dumps(keys[key]).decode()}' for key in sorted(keys))}]"


def from_path(*steps: str) -> Fields:
    """Return the set of one field, given by its names: `from_path("spec", "replicas")`."""
    node: Fields = LEAF
    for step in reversed(steps):
        node = {f"f:{step}": node}
    return node


def has(fields: Fields, *steps: str) -> bool:
    """Tell whether the field with these names belongs to the set."""
    node: Fields | None = fields
    for step in steps:
        node = node.get(f"f:{step}") if node is not None else None
    return node is not None and is_member(node)


@lru_cache(_REMEMBERED)
def key_step(keys: tuple[str, ...], values: tuple[Any, ...]) -> str:
    """Return the step of a list item with these keys, which are sorted by name."""
    pairs = dict(sorted(zip(keys, values, strict=True)))
    return "k:" + orjson.dumps(pairs).decode()


def value_step(value: Any) -> str:
    """Return the step of an item of a set."""
    return "v:" + orjson.dumps(value).decode()


def without(fields: Fields, hidden: Fields) -> Fields:
    """Return the fields without those that stand in `hidden`, and without all that stands below them."""
    if not fields or not hidden:
        return fields
    result = dict(fields)
    for step, node in hidden.items():
        there = result.get(step)
        if there is None:
            continue
        if is_member(node):
            del result[step]
            continue
        left = without(there, node)
        if left:
            result[step] = left
        elif there:
            del result[step]
    return result
