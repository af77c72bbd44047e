"""How Go's %v prints decoded JSON; some messages of the API show whole values so.

Source: package fmt (Go 1.25): maps are sorted by key, texts stand bare.
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["go_text", "go_type"]


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
