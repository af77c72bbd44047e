"""Expressions that select devices: what they may name, whether they compile, and what they may cost.

Source: dynamic-resource-allocation/cel/compile.go, pkg/apis/resource/validation (v1.37).
"""

from functools import lru_cache
from typing import Final

from moorage.objects.cel.checker import check
from moorage.objects.cel.cost import Extent, estimate
from moorage.objects.cel.syntax import CelError, parse
from moorage.objects.cel.types import BOOL, DYN, STRING, CelType, map_of, named_object
from moorage.objects.errors import Cause
from moorage.objects.validation import forbidden, invalid, too_long

#: How long an expression may be, in bytes, and what it may cost.
EXPRESSION_MOST: Final = 10 * 1024
COST_MOST: Final = 1_000_000

#: How many attributes and capacities a device may have; how long names, and values of attributes, may be.
_NAMES_MOST: Final = 32
_DRIVER_MOST, _VALUE_MOST = 63, 64

_DEVICE: Final = named_object(
    "kubernetes.DRADevice",
    {
        "driver": STRING,
        "attributes": map_of(STRING, map_of(STRING, DYN)),
        "capacity": map_of(STRING, map_of(STRING, CelType("quantity"))),
        "allowMultipleAllocations": BOOL,
    },
)
_EXTENT: Final = Extent(
    fields={
        "driver": Extent(_DRIVER_MOST),
        "attributes": Extent(_NAMES_MOST, Extent(_NAMES_MOST, Extent(_VALUE_MOST))),
        "capacity": Extent(_NAMES_MOST, Extent(_NAMES_MOST)),
    }
)


def validate_expression(path: str, text: str) -> list[Cause]:
    """Return the cause of an expression that selects no device: too long, wrong, or too dear."""
    if len(text.encode()) > EXPRESSION_MOST:
        return [too_long(path, EXPRESSION_MOST)]
    problem, is_dear = _judged(text)
    if problem:
        return [invalid(path, text, problem)]
    return [forbidden(path, "too complex, exceeds cost limit")] if is_dear else []


@lru_cache(256)
def _judged(text: str) -> tuple[str, bool]:
    """Return what is wrong with an expression, and whether it costs too much."""
    try:
        tree = parse(text)
        found = check(text, tree, {"device": _DEVICE})
    except CelError as error:
        return f"compilation failed: {error}", False
    if found.name not in {"bool", "dyn"}:
        return f"must evaluate to bool or the unknown type, not {found}", False
    return "", estimate(tree, {"device": _EXTENT}).cost > COST_MOST
