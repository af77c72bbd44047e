"""Objects as rows: the columns of each resource from data, the cells from its kind's rules.

Resources without columns of their own show their name and when they were created, as upstream's fallback does.
Source: pkg/printers/internalversion/printers.go, registry/rest/table.go (v1.37).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import orjson

from moorage.api.kind_rules import rules_for
from moorage.api.printer_columns import printer_cells, printer_columns
from moorage.objects.ages import age_since
from moorage.objects.facts import packaged
from moorage.objects.kinds import Resource
from moorage.objects.metadata import Object, metadata_of, name_of


@cache
def _columns() -> Mapping[str, Any]:
    found: Mapping[str, Any] = orjson.loads(packaged("tables.json"))
    return found


@cache
def _descriptions() -> Mapping[str, Mapping[str, str]]:
    found: Mapping[str, Mapping[str, str]] = orjson.loads(packaged("table-descriptions.json"))
    return found


def _own_texts(resource: Resource) -> Mapping[str, str]:
    """Return the descriptions of the columns that a custom resource has of its own."""
    columns = () if resource.rules is None else resource.rules.columns
    return {
        each["name"]: each.get("description")
        or f"Custom resource definition column (in JSONPath format): {each['jsonPath']}"
        for each in columns
    }


class Tables:
    """Columns and cells of every resource."""

    def columns(self, resource: Resource, subresource: str) -> Sequence[Object]:
        """Return the column definitions, as in the Table."""
        place = "scale" if subresource == "scale" else f"{resource.api_version}/{resource.plural}"
        texts = _descriptions().get(place, {})
        common = {**_descriptions()["*"], **_own_texts(resource)}
        common.setdefault("Age", common["Created At"] if resource.custom else "")
        return [
            {
                "name": name,
                "type": kind,
                "format": form,
                "description": texts.get(name) or common.get(name, ""),
                "priority": priority,
            }
            for name, kind, form, priority in self._rows(resource, subresource)
        ]

    def cells(self, resource: Resource, subresource: str, obj: Object, now: datetime) -> Sequence[Any]:
        """Return the cells of an object's row, in the order of the columns."""
        age = age_since(metadata_of(obj).get("creationTimestamp"), now)
        if subresource == "scale":
            replicas = obj["spec"].get("replicas", 0), obj["status"].get("replicas", 0)
            return [name_of(obj), *replicas, age]
        rules = None if resource.custom else rules_for(resource.kind)
        make = getattr(rules, "cells", None)
        if make is not None:
            cells: Sequence[Any] = make(obj, now)
            return cells
        if resource.rules is not None:
            return printer_cells(resource.rules.columns, obj, now)
        return [name_of(obj), metadata_of(obj).get("creationTimestamp")]

    def is_general(self, resource: Resource, subresource: str) -> bool:
        """Tell whether the columns are those that objects without columns of their own have."""
        return bool(self._rows(resource, subresource) == _columns()["$"]["fallback"])

    def conditions(self, resource: Resource, subresource: str, obj: Object) -> Sequence[Object]:
        """Return the conditions of an object's row: what is special about it as a row, such as that it is done."""
        find = (
            None
            if resource.custom or subresource == "scale"
            else getattr(rules_for(resource.kind), "row_conditions", None)
        )
        found: Sequence[Object] = find(obj) if find is not None else ()
        return found

    def _rows(self, resource: Resource, subresource: str) -> Sequence[Sequence[Any]]:
        table = _columns()
        general = table["$"]
        if subresource == "scale":
            rows: Sequence[Sequence[Any]] = general["scaleSubresource"]
        elif resource.rules is not None:
            rows = printer_columns(resource.rules.columns)
        else:
            rows = table.get(f"{resource.api_version}/{resource.plural}", general["fallback"])
        return rows
