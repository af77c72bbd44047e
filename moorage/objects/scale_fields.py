"""Ownership of `replicas` when it is written through the scale subresource.

Entries of the main object are what they are; the field moves between them under its path in the main object.
Source: apimachinery/pkg/util/managedfields/scalehandler.go (v1.37), which loses the time of a new owner: so do we.
"""

from collections.abc import Sequence
from typing import Any, Final

from moorage.objects.errors import Conflict
from moorage.objects.field_sets import difference, from_path, has
from moorage.objects.managed_fields import Entry, Tracking, sort_entries
from moorage.objects.server_side_apply import conflict_over

#: Where most kinds keep their number of replicas.
REPLICAS: Final = ("spec", "replicas")

_SCALE_PATH: Final = ".spec.replicas"
_SCALE_VERSION: Final = "autoscaling/v1"


def track_scale(
    entries: Sequence[dict[str, Any]],
    tracking: Tracking,
    *,
    operation: str = "Update",
    path: tuple[str, ...] = REPLICAS,
) -> list[dict[str, Any]]:
    """Return the managedFields of the main object after its replicas were written through scale.

    tracking: of the main object's version, with subresource "scale". Objects without managedFields stay without.
    """
    if not entries:
        return []
    field = from_path(*path)
    result: list[dict[str, Any]] = []
    for entry in entries:
        if tracking.is_mine(entry, operation):
            continue
        left = difference(entry.get("fieldsV1") or {}, field)
        if left is entry.get("fieldsV1"):
            result.append(entry)
        elif left:
            result.append({**entry, "fieldsV1": left})
    mine = next((entry for entry in entries if tracking.is_mine(entry, operation)), None)
    result.append(tracking.entry(operation, field, mine.get("time") if mine else None))
    return sort_entries(result)


def scale_conflict(
    entries: Sequence[Entry], tracking: Tracking, *, path: tuple[str, ...] = REPLICAS
) -> Conflict | None:
    """Return the error for applying other replicas through scale while others own them, None if nobody does."""
    owners = [
        entry for entry in entries if not tracking.is_mine(entry, "Apply") and has(entry.get("fieldsV1") or {}, *path)
    ]
    if not owners:
        return None
    return conflict_over([(_owner_text(entry), _SCALE_PATH) for entry in owners])


def _owner_text(entry: Entry) -> str:
    text = f'"{entry.get("manager")}"'
    return f"{text} using {_SCALE_VERSION}" if entry.get("operation") == "Update" else text
