"""Cells that tables of workloads share.

Source: pkg/printers/internalversion/printers.go (v1.37).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moorage.objects.ages import age_since
from moorage.objects.metadata import Object, metadata_of
from moorage.objects.selector_rules import selector_text


def age_of(obj: Object, now: datetime) -> str:
    """Return how long ago the object was made."""
    return age_since(metadata_of(obj).get("creationTimestamp"), now)


def container_cells(template: Mapping[str, Any] | None) -> list[str]:
    """Return the names and the images of a template's containers."""
    containers = ((template or {}).get("spec") or {}).get("containers") or ()
    return [",".join(each.get(field) or "" for each in containers) for field in ("name", "image")]


def selector_cell(selector: Mapping[str, Any] | None) -> str:
    """Return a label selector as text, `<none>` if there is none."""
    return selector_text(selector) or "<none>"
