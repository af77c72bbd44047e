"""Functions of CEL's extensions for lists and for making texts.

Source: cel-go 0.26 ext/{lists,strings,formatting}.go, apiserver/pkg/cel/library/jsonpatch.go (v1.37).
"""

import re
from collections.abc import Callable, Mapping
from functools import cmp_to_key
from typing import Any, Final

from moorage.objects.cel.values import EvaluationError, Optional, are_equal, is_number, type_name

_CLAUSE: Final = re.compile(r"%(?:\.(\d+))?(.?)", re.DOTALL)
_QUOTED: Final = {
    "\a": r"\a",
    "\b": r"\b",
    "\f": r"\f",
    "\n": r"\n",
    "\r": r"\r",
    "\t": r"\t",
    "\v": r"\v",
    "\\": r"\\",
    '"': r"\"",
}


def quoted(text: str) -> str:
    """Return a text in quotes, with what cannot be seen escaped."""
    return f'"{"".join(_QUOTED.get(char, char) for char in text)}"'


def _formatted(to_text: Callable[[Any], str], pattern: str, args: list[Any]) -> str:
    left = list(args)

    def clause(match: re.Match[str]) -> str:
        precision, letter = int(match[1] or 6), match[2]
        if letter == "%":
            return "%"
        if not left:
            raise EvaluationError(f"index {len(args)} out of range")
        return _clause(to_text, letter, left.pop(0), precision)

    return _CLAUSE.sub(clause, pattern)


def _clause(to_text: Callable[[Any], str], letter: str, value: Any, precision: int) -> str:
    if letter == "s":
        return _shown(to_text, value)
    if letter in ("x", "X") and isinstance(value, str | bytes):
        digits = (value.encode() if isinstance(value, str) else value).hex()
        return digits.upper() if letter == "X" else digits
    if letter in ("f", "e") and is_number(value):
        return f"{float(value):.{precision}{letter}}"
    if letter in ("d", "b", "o", "x", "X") and isinstance(value, int):
        return f"{int(value):{letter}}"
    raise EvaluationError(f"error during formatting: %{letter} does not fit values of type {type_name(value)}")


def _shown(to_text: Callable[[Any], str], value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_shown(to_text, each) for each in value)}]"
    if isinstance(value, Mapping):
        entries = sorted((_shown(to_text, key), _shown(to_text, each)) for key, each in value.items())
        return f"{{{', '.join(f'{key}: {each}' for key, each in entries)}}}"
    return "null" if value is None else to_text(value)


def _slice(items: list[Any], start: int, end: int) -> list[Any]:
    if start < 0 or end < 0:
        raise EvaluationError(f"cannot slice({start}, {end}), negative indexes not supported")
    if start > end:
        raise EvaluationError(f"cannot slice({start}, {end}), start index must be less than or equal to end index")
    if end > len(items):
        raise EvaluationError(f"cannot slice({start}, {end}), list is length {len(items)}")
    return items[start:end]


def _flatten(items: list[Any], depth: int = 1) -> list[Any]:
    if depth < 0:
        raise EvaluationError("level must be non-negative")
    flat: list[Any] = []
    for each in items:
        flat += _flatten(each, depth - 1) if isinstance(each, list) and depth else [each]
    return flat


def ordered(pairs: list[tuple[Any, Any]]) -> list[Any]:
    """Return the second ones of pairs in the order of the first ones. Raises EvaluationError."""
    first = pairs[0][0] if pairs else None
    if any(type(key) is not type(first) for key, _ in pairs):
        raise EvaluationError("list elements must have the same type")

    def compare(one: tuple[Any, Any], other: tuple[Any, Any]) -> int:
        try:
            return -1 if one[0] < other[0] else int(other[0] < one[0])
        except TypeError:
            raise EvaluationError("list elements must be comparable") from None

    return [value for _, value in sorted(pairs, key=cmp_to_key(compare))]


def _distinct(items: list[Any]) -> list[Any]:
    found: list[Any] = []
    for each in items:
        if not any(are_equal(each, other) for other in found):
            found.append(each)
    return found


def extensions_for(to_text: Callable[[Any], str]) -> Mapping[str, Callable[..., Any]]:
    """Return name -> what it does; a method's receiver is its first argument. to_text: how a value becomes a text."""
    return {
        "format": lambda pattern, args: _formatted(to_text, pattern, args),
        "strings.quote": quoted,
        "jsonpatch.escapeKey": lambda key: key.replace("~", "~0").replace("/", "~1"),
        "slice": _slice,
        "flatten": _flatten,
        "sort": lambda items: ordered([(each, each) for each in items]),
        "distinct": _distinct,
        "first": lambda items: Optional(tuple(items[:1])),
        "last": lambda items: Optional(tuple(items[-1:])),
        "lists.range": lambda count: list(range(count)),
    }
