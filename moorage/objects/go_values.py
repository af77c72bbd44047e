"""How Go's %v prints decoded JSON, and what its decoder says about wrong JSON; messages of the API show both.

Source: package fmt (Go 1.25): maps are sorted by key, texts stand bare.
"""

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["decode_go", "go_text", "go_type", "shown_kind"]


def go_text(value: Any) -> str:
    """Return what %v prints of a decoded JSON value: `map[a:1 b:[x y] c:<nil>]`."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return f"map[{' '.join(f'{key}:{go_text(value[key])}' for key in sorted(value))}]"
    if isinstance(value, (list, tuple)):
        return f"[{' '.join(map(go_text, value))}]"
    if isinstance(value, float):
        return _float_text(value)
    return str(value)


def go_type(value: Any) -> str:
    """Return the Go type of a decoded JSON value, as reflection names it."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, Mapping):
        return "map[string]interface {}"
    if isinstance(value, (list, tuple)):
        return "[]interface {}"
    if isinstance(value, float):
        return "float64"
    return "int64" if isinstance(value, int) else "string"


def _float_text(number: float) -> str:
    """Print the shortest form, with an exponent for 21 digits and more, as %v does."""
    if number.is_integer() and abs(number) < 1e21:
        return str(int(number))
    text = repr(number)
    return text if "e" in text or abs(number) >= 1e-4 else f"{number:e}"


def decode_go(text: str) -> tuple[Any, str]:
    """Return the decoded JSON of a text, and what Go's decoder says is wrong with it, "" for nothing."""
    try:
        return json.loads(text), ""
    except ValueError:
        return None, _json_problem(text)


def _json_problem(text: str) -> str:
    """Return what Go's JSON decoder says about the first wrong character."""
    stripped = text.lstrip()
    if not stripped:
        return "unexpected end of JSON input"
    for literal in ("null", "true", "false"):
        if stripped[0] == literal[0]:
            for index, char in enumerate(literal[1:], 1):
                if index >= len(stripped):
                    return "unexpected end of JSON input"
                if stripped[index] != char:
                    return f"invalid character '{stripped[index]}' in literal {literal} (expecting '{char}')"
    if stripped[0] in '{["-0123456789':
        return "unexpected end of JSON input"
    return f"invalid character '{stripped[0]}' looking for beginning of value"


def shown_kind(obj: Mapping[str, Any]) -> str:
    """Return the kind of an object as Go prints it: `example.com/v1, Kind=Widget`, `/v1, Kind=Pod`."""
    group, _, version = str(obj.get("apiVersion") or "").rpartition("/")
    return f"{group}/{version}, Kind={obj.get('kind') or ''}"
