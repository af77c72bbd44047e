"""What the rules of a schema may cost: each for itself, and all together.

Source: apiextensions-apiserver pkg/apis/apiextensions/validation/{validation,cel_validation}.go (v1.37).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from moorage.objects.cel.cost import Extent, estimate, times
from moorage.objects.cel.syntax import parse
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object
from moorage.objects.validation import forbidden

#: What one expression, and all of a schema, may cost.
EXPRESSION_MOST: Final = 10_000_000
SCHEMA_MOST: Final = 100_000_000

#: How large a request may be, and so what is in it: bytes.
_REQUEST_BYTES: Final = 3 * 1024 * 1024

#: How many of the dearest expressions are told.
_TOLD_MOST: Final = 4

_HINT: Final = (
    "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are "
    "declared)"
)


class _Cost(NamedTuple):
    path: str
    word: str
    cost: int


def budget_causes(schema: Object, path: str) -> list[Cause]:
    """Return which rules are too dear. All of them compile."""
    costs = list(_costs(schema, path, 1))
    causes = [
        forbidden(
            each.path, f"estimated {each.word} cost exceeds budget by {_factor(each.cost, EXPRESSION_MOST)} {_HINT}"
        )
        for each in costs
        if each.cost > EXPRESSION_MOST
    ]
    total = sum(each.cost for each in costs)
    if total > SCHEMA_MOST:
        text = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
        dear = sorted(costs, key=lambda each: -each.cost)[:_TOLD_MOST]
        causes += [forbidden(each.path, text) for each in dear if each.cost * 100 >= total]
        text = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget by "
        causes.append(forbidden(path, f"{text}{_factor(total, SCHEMA_MOST)} {_HINT}"))
    return causes


def _factor(cost: int, most: int) -> str:
    factor = cost / most
    return "factor of more than 100x" if factor > 100 else f"factor of {factor:.1f}x"


def _costs(schema: Object, path: str, count: int | None) -> Iterator[_Cost]:
    """Yield what each expression costs.

    count: how often the schema may apply in one object; None: as often as its values fit into a request.
    """
    rules = schema.get("x-kubernetes-validations") or ()
    if rules:
        extent = extent_of(schema)
        for index, rule in enumerate(rules):
            at = f"{path}.x-kubernetes-validations[{index}]"
            for key, word in (("rule", "rule"), ("messageExpression", "messageExpression")):
                if rule.get(key):
                    cost = estimate(parse(rule[key]), {"self": extent, "oldSelf": extent}).cost
                    yield _Cost(f"{at}.{key}", word, times(cost, _most(count, schema)))
    for name, each in sorted((schema.get("properties") or {}).items()):
        yield from _costs(each, f"{path}.properties[{name}]", count)
    for key, limit in (("additionalProperties", "maxProperties"), ("items", "maxItems")):
        inner, most = schema.get(key), schema.get(limit)
        if isinstance(inner, Mapping):
            yield from _costs(
                inner, f"{path}.{key}", None if count is None or most is None else times(count, int(most))
            )


def _most(limit: Any, inner: Object) -> int:
    """Return how many items there may be: as many as are allowed, or fit into a request."""
    fit = _REQUEST_BYTES // (_least_bytes(inner) + 1)
    return min(int(limit), fit) if limit is not None else fit


def _least_bytes(schema: Object) -> int:
    """Return the length of the shortest JSON text of a value."""
    kind = schema.get("type")
    if kind == "object":
        fields = schema.get("properties") or {}
        needed = [name for name in schema.get("required") or () if name in fields]
        return 2 + sum(len(name) + 4 + _least_bytes(fields[name]) for name in needed)
    return {"string": 2, "array": 2, "boolean": 4}.get(str(kind), 1)


def extent_of(schema: Object) -> Extent:
    """Return how large a value of a schema may be."""
    kind = schema.get("type")
    if kind == "array":
        items = schema.get("items") or {}
        return Extent(_most(schema.get("maxItems"), items), extent_of(items))
    if kind == "object":
        values = schema.get("additionalProperties")
        if isinstance(values, Mapping):
            return Extent(_most(schema.get("maxProperties"), values), extent_of(values))
        return Extent(1, None, {name: extent_of(each) for name, each in (schema.get("properties") or {}).items()})
    if kind != "string":
        return Extent()
    if schema.get("enum"):
        return Extent(max(len(str(each)) for each in schema["enum"]))
    if schema.get("format"):
        return Extent(min(int(schema.get("maxLength") or 32), 32))
    longest = schema.get("maxLength")
    return Extent(_REQUEST_BYTES - 2 if longest is None else max(2, int(longest)))
