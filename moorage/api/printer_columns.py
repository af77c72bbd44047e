"""The columns that custom resources define for themselves: additionalPrinterColumns.

A small JSONPath: fields, indexes, `[*]`, and filters that compare a field with a text.
Source: apiextensions-apiserver/pkg/registry/customresource/tableconvertor (v1.37).
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import orjson

from moorage.objects.ages import age_since
from moorage.objects.metadata import Object, name_of

#: What a definition without columns shows beside the name.
AGE: Final[Mapping[str, Any]] = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}

_step = re.compile(
    r"\.((?:\\.|[^.\[\]])+)|\[(-?\d+|\*)\]|\['([^']*)'\]|\[\?\(@\.([\w.]+)\s*==\s*['\"]([^'\"]*)['\"]\)\]"
)


def printer_columns(columns: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str, int]]:
    """Return name, type, format and priority of each column, the name's first."""
    rows = [("Name", "string", "name", 0)]
    rows += [
        (each["name"], each.get("type") or "string", each.get("format") or "", each.get("priority") or 0)
        for each in columns or (AGE,)
    ]
    return rows


def printer_cells(columns: Sequence[Mapping[str, Any]], obj: Object, now: datetime) -> list[Any]:
    """Return the cells of an object's row, in the order of `printer_columns`."""
    return [name_of(obj), *(_cell(each, obj, now) for each in columns or (AGE,))]


def _cell(column: Mapping[str, Any], obj: Object, now: datetime) -> Any:
    """Return what the column's path finds, as its type; None where it finds nothing that fits."""
    found = values_at(obj, column.get("jsonPath") or "")
    if not found:
        return None
    value, kind = found[0], column.get("type")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "date":
        return _date_cell(value, now)
    if kind == "integer":
        return int(value) if is_number else None
    if kind == "number":
        return value if is_number else None
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _date_cell(value: Any, now: datetime) -> str | None:
    try:
        return age_since(value, now) if isinstance(value, str) else None
    except ValueError:
        return "<invalid>"


def values_at(obj: Any, path: str) -> list[Any]:
    """Return what a JSONPath finds, nothing if it cannot be read or finds nothing."""
    found = [obj]
    position = 0
    text = path if path.startswith((".", "[")) else f".{path}"
    while position < len(text):
        match = _step.match(text, position)
        if not match:
            return []
        found = [each for value in found for each in _stepped(value, match)]
        position = match.end()
    return found


def _stepped(value: Any, match: re.Match[str]) -> list[Any]:
    field, index, quoted, key, wanted = match.groups()
    name = field.replace("\\.", ".") if field else quoted
    if name is not None:
        return [value[name]] if isinstance(value, Mapping) and name in value else []
    if index == "*":
        items = list(value.values()) if isinstance(value, Mapping) else value
        return list(items) if isinstance(items, list) else []
    if not isinstance(value, list):
        return []
    if index is not None:
        return value[int(index) :][:1] if int(index) >= -len(value) else []
    return [each for each in value if [str(found) for found in values_at(each, f".{key}")] == [wanted]]
