"""What an expression may cost at most, estimated from how large its variables may become.

Differs from Kubernetes: an estimate is never above upstream's, and often below: what upstream takes is taken here.
Source: cel-go 0.26 checker/cost.go, apiserver/pkg/cel/library/cost.go (v1.37).
"""

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

from moorage.objects.cel.syntax import Node

#: Larger than any limit.
HUGE: Final = 2**63 - 1

#: What reading a text costs for each of its characters.
_READ: Final = 0.1

#: Functions that read their receiver or first argument, and whether what they return may be as large.
_READERS: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("lowerAscii", "upperAscii", "replace", "trim", "substring", "reverse"), True),
    **dict.fromkeys(("split", "findAll", "find", "join"), True),
    **dict.fromkeys(("contains", "indexOf", "lastIndexOf", "matches", "isSorted", "sum", "min", "max"), False),
    **dict.fromkeys(("url", "isURL", "ip", "isIP", "cidr", "isCIDR", "quantity", "isQuantity"), False),
}

_LIST, _MAP = 10, 30


class Extent(NamedTuple):
    """How large a value may be: the length of a text, list or map, and the extents inside."""

    most: int = 1
    items: "Extent | None" = None
    fields: "Mapping[str, Extent] | None" = None

    def part(self, name: str) -> "Extent":
        """Return the extent of a field, or of a map's value."""
        if self.fields is not None and name in self.fields:
            return self.fields[name]
        return self.items or Extent()


class Estimate(NamedTuple):
    """What a part costs at most, and how large its value may be. is_text: it is known to be a text."""

    cost: int
    extent: Extent
    is_text: bool = False


def estimate(node: Node, variables: Mapping[str, Extent]) -> Estimate:
    """Return what an expression costs at most."""
    if node.kind == "literal":
        is_text = isinstance(node.value, str)
        return Estimate(0, Extent(len(node.value) if is_text else 1), is_text)
    if node.kind == "name":
        return Estimate(1, variables.get(node.value, Extent()))
    if node.kind in ("select", "test") and node.operand is not None:
        owner = estimate(node.operand, variables)
        return Estimate(_sum(owner.cost, 1), owner.extent.part(node.value))
    if node.kind in ("list", "map"):
        costs = [estimate(each, variables).cost for each in node.args]
        return Estimate(_sum(_LIST if node.kind == "list" else _MAP, *costs), Extent(len(node.args)))
    if node.kind == "bind":
        value = estimate(node.args[0], variables)
        body = estimate(node.args[1], {**variables, node.names[0]: value.extent})
        return body._replace(cost=_sum(value.cost, body.cost))
    return _fold(node, variables) if node.kind == "fold" else _call(node, variables)


def _fold(node: Node, variables: Mapping[str, Extent]) -> Estimate:
    assert node.operand is not None  # noqa: S101 (the parser's promise)
    over = estimate(node.operand, variables)
    item = over.extent.items or Extent()
    inner = {**variables, **dict.fromkeys(node.names[:1], Extent() if len(node.names) == 2 else item)}
    inner |= dict.fromkeys(node.names[1:], item)
    bodies = [estimate(each, inner) for each in node.args]
    times = 1 if node.value.startswith("opt") else over.extent.most
    cost = _sum(over.cost, _times(times, _sum(1, *(each.cost for each in bodies))))
    kept = Extent(over.extent.most, item if node.value == "filter" else bodies[-1].extent)
    return Estimate(cost, kept if node.value in ("filter", "map") else Extent())


def _call(node: Node, variables: Mapping[str, Extent]) -> Estimate:
    parts = [estimate(each, variables) for each in node.args]
    if node.operand is not None:
        parts.insert(0, estimate(node.operand, variables))
    cost = _sum(1, *(each.cost for each in parts))
    name, first = node.value, parts[0] if parts else Estimate(0, Extent())
    if name == "_?_:_":
        larger = max(parts[1:], key=lambda each: each.extent.most)
        return Estimate(_sum(1, first.cost, max(each.cost for each in parts[1:])), larger.extent, larger.is_text)
    if name == "string":
        return Estimate(cost, Extent(first.extent.most if first.extent.most > 1 else HUGE), is_text=True)
    if name == "_+_" and any(each.is_text for each in parts):
        length = min(HUGE, sum(each.extent.most for each in parts))
        return Estimate(_sum(cost, math.ceil(length * _READ)), Extent(length), is_text=True)
    if name == "@in":
        return Estimate(cost, Extent())
    if name in ("_[_]", "_[?_]"):
        return Estimate(cost, first.extent.items or Extent())
    if name in _READERS:
        length = math.ceil(first.extent.most * _READ)
        return Estimate(_sum(cost, length), first.extent if _READERS[name] else Extent(), _READERS[name])
    return Estimate(cost, Extent())


def _sum(*costs: int) -> int:
    return min(HUGE, sum(costs))


def _times(one: int, other: int) -> int:
    return min(HUGE, one * other)


def times(cost: int, count: int) -> int:
    """Return what something costs that is done several times."""
    return _times(cost, count)
