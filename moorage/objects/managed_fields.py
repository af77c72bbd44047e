"""Who owns which field: keeps metadata.managedFields up to date on every write. `apply` is moorage.objects.server_side_apply.

Entries stay the JSON dicts they are; one that loses nothing stays the very same dict. Fields that the server owns
(names, uid, revision, …) are never tracked, nor what the endpoint resets: status on the main one, spec on status.
Source: apimachinery/pkg/util/managedfields/internal, GetResetFields of each registry strategy (v1.37).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple

from moorage.objects.decoding import decode_object
from moorage.objects.field_changes import Changes, walker_of
from moorage.objects.field_sets import LEAF, NONE, Fields, difference, union, without
from moorage.objects.metadata import Object
from moorage.objects.schema import ANY, Type

Entry = Mapping[str, Any]

#: How many managers may have updated an object; the oldest ones are put together.
UPDATERS_MOST: Final = 10

ANCIENT: Final = "ancient-changes"

#: Members of the object and of its metadata that nobody owns.
_UNTRACKED: Final = frozenset({"apiVersion", "kind"})
_UNTRACKED_METADATA: Final = frozenset(
    "name namespace creationTimestamp selfLink uid clusterName generation managedFields resourceVersion".split()
)


@dataclass(frozen=True, slots=True)
class Tracking:
    """Who writes what kind of object, where and when.

    type:       the kind's type, None if it has none.
    time:       of the write, as metav1.Time writes it.
    has_status: whether the main endpoint ignores the status (custom resources may have no status subresource).
    """

    type: Type | None
    api_version: str
    kind: str
    manager: str
    time: str
    subresource: str = ""
    has_status: bool = True

    def is_mine(self, entry: Entry, operation: str = "Update") -> bool:
        """Tell whether this entry is the one that a write of this operation extends."""
        return bool(
            entry.get("operation") == operation
            and entry.get("manager") == (self.manager or "unknown")
            and (operation == "Apply" or entry.get("apiVersion") == self.api_version)
            and (entry.get("subresource") or "") == self.subresource
        )

    def entry(self, operation: str, fields: Fields, time: str | None) -> dict[str, Any]:
        """Return the entry of this writer; members stand in upstream's order."""
        entry: dict[str, Any] = {
            "manager": self.manager or "unknown",
            "operation": operation,
            "apiVersion": self.api_version,
        }
        if time:
            entry["time"] = time
        entry["fieldsType"] = "FieldsV1"
        entry["fieldsV1"] = fields
        if self.subresource:
            entry["subresource"] = self.subresource
        return entry


class Hidden(NamedTuple):
    """What an endpoint does not let its writers own: members of the object and of its metadata."""

    members: frozenset[str]
    metadata: frozenset[str] = frozenset()


def track_update(old: Object | None, new: Object, tracking: Tracking) -> list[dict[str, Any]]:
    """Return the managedFields after a create (old is None), update or patch wrote `new`.

    The entries that go on are those of `old` (see `requested_managed_fields`); on a create those that the client gave.
    """
    if old is None:
        given = requested_managed_fields(None, new["metadata"].get("managedFields"))
        if given:
            return given
        return _after_create(new, tracking)
    entries: list[dict[str, Any]] = old["metadata"].get("managedFields") or []
    if not entries:
        return []
    touched, removed = written_changes(old, new, tracking)
    if not touched and not removed:
        return entries
    return _after_update(entries, touched, removed, tracking)


def requested_managed_fields(old: Object | None, requested: Any) -> list[dict[str, Any]]:
    """Return the entries that a write goes on with: what the client gives, unless it gives nothing or nonsense.

    An empty list, or one empty entry, forgets all owners.
    """
    live: list[dict[str, Any]] = (old["metadata"].get("managedFields") if old is not None else None) or []
    if requested is None or requested is live:
        return live
    if requested in ([], [{}]):
        return []
    return requested if _are_valid(requested) else live


def before_first_apply(live: Object, tracking: Tracking) -> list[dict[str, Any]]:
    """Return the entry that owns all fields of an object whose owners nobody tracked before it is applied to."""
    writer = Tracking(
        tracking.type, tracking.api_version, tracking.kind, "before-first-apply", tracking.time, tracking.subresource
    )
    return _after_create(live, writer)


def _are_valid(entries: Any) -> bool:
    return isinstance(entries, list) and all(
        isinstance(entry, Mapping)
        and entry.get("operation") in ("Apply", "Update")
        and entry.get("apiVersion")
        and entry.get("fieldsType") == "FieldsV1"
        and isinstance(entry.get("fieldsV1", NONE), Mapping)
        for entry in entries
    )


def _after_create(new: Object, tracking: Tracking) -> list[dict[str, Any]]:
    touched = written_changes(empty_object(tracking), new, tracking).touched
    return [tracking.entry("Update", touched, tracking.time)] if touched else []


def empty_object(tracking: Tracking) -> Object:
    """Return the object of this kind in which nothing is set; Go's structs are there even then."""
    return _empty(tracking.type, tracking.api_version, tracking.kind)


@cache
def _empty(type_: Type | None, api_version: str, kind: str) -> Object:
    obj = {"apiVersion": api_version, "kind": kind}
    if type_ is None or not type_.name.startswith("io.k8s."):
        return {**obj, "metadata": {}}
    return decode_object(type_, obj).obj


def _after_update(
    entries: Sequence[dict[str, Any]], touched: Fields, removed: Fields, tracking: Tracking
) -> list[dict[str, Any]]:
    lost = union(touched, removed)
    result: list[dict[str, Any]] = []
    mine: Fields = NONE
    for entry in entries:
        fields: Fields = entry.get("fieldsV1") or NONE
        left = difference(fields, lost)
        if touched and tracking.is_mine(entry):
            mine = left
        elif left is fields:
            result.append(entry)
        elif left:
            result.append({**entry, "fieldsV1": left})
    if touched:
        result.append(tracking.entry("Update", union(mine, touched), tracking.time))
        result = _capped(result)
    return sort_entries(result)


def sort_entries(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the entries in upstream's order: appliers first, then by time and names."""
    if len(entries) > 1:
        entries.sort(key=_entry_order)
    return entries


def _entry_order(entry: Entry) -> tuple[str, ...]:
    return (
        entry.get("operation") or "",
        entry.get("time") or "",
        entry.get("manager") or "",
        entry.get("apiVersion") or "",
        entry.get("subresource") or "",
    )


def _capped(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put the oldest updaters of the same version together until there are not too many."""
    updaters = [entry for entry in entries if entry.get("operation") == "Update"]
    if len(updaters) <= UPDATERS_MOST:
        return entries
    updaters.sort(key=lambda entry: (entry.get("time") or "", entry.get("manager") or ""))
    count = len(updaters)
    buckets: dict[str, dict[str, Any]] = {}
    gone: set[int] = set()
    for entry in updaters:
        if count <= UPDATERS_MOST:
            break
        version = entry["apiVersion"]
        bucket = buckets.get(version)
        if bucket is None:
            buckets[version] = entry
            continue
        gone |= {id(bucket), id(entry)}
        merged = {**bucket, "manager": ANCIENT, "fieldsV1": union(bucket["fieldsV1"], entry["fieldsV1"])}
        merged.pop("subresource", None)
        if "time" in entry:
            merged["time"] = entry["time"]
        buckets[version] = merged
        count -= 1
    kept = [entry for entry in entries if id(entry) not in gone]
    return kept + [bucket for bucket in buckets.values() if bucket["manager"] == ANCIENT and bucket not in kept]


def written_changes(old: Object, new: Object, tracking: Tracking) -> Changes:
    """Return what a write changes of the fields that can be owned and that its endpoint may write."""
    type_ = tracking.type or ANY
    hidden = hidden_for(tracking)
    touched: dict[str, Any] = {}
    removed: dict[str, Any] = {}
    for name in {**old, **new} if old.keys() != new.keys() else new:
        if name in hidden.members or (name in old and name in new and old[name] == new[name]):
            continue
        step, field = f"f:{name}", type_.fields.get(name) or type_.values or ANY
        one, other = _member_changes(name, field, old, new)
        if name == "metadata":
            one, other = _owned_metadata(one, hidden), _owned_metadata(other, hidden)
        if one is not None:
            touched[step] = one
        if other is not None:
            removed[step] = other
    return Changes(touched, removed)


def _member_changes(name: str, field: Type, old: Object, new: Object) -> tuple[Fields | None, Fields | None]:
    walker = walker_of(field)
    if name in old and name in new:
        return walker.changes(old[name], new[name])
    value = new[name] if name in new else old[name]
    fields = LEAF if walker.everything is None else walker.everything(value)
    return (fields, None) if name in new else (None, fields)


def _owned_metadata(fields: Fields | None, hidden: Hidden) -> Fields | None:
    """Return the fields of metadata that somebody may own, None if there are none."""
    if fields is None:
        return None
    owned = {
        step: node
        for step, node in fields.items()
        if step[2:] not in _UNTRACKED_METADATA and step != "." and step[2:] not in hidden.metadata
    }
    return owned or None


#: What the status endpoint of a kind resets beyond the spec, in the object and in its metadata.
_STATUS_RESETS: Final[Mapping[str, tuple[str, str]]] = {
    "Deployment": ("spec", "labels"),
    "Pod": ("spec", "deletionTimestamp ownerReferences"),
    "CustomResourceDefinition": ("spec metadata", ""),
    "FlowSchema": ("spec metadata", ""),
    "PriorityLevelConfiguration": ("spec metadata", ""),
    "ResourceClaim": ("spec metadata", ""),
    "VolumeAttachment": ("spec metadata", ""),
    "ValidatingAdmissionPolicy": ("spec metadata", ""),
    "StorageVersionMigration": ("spec metadata", ""),
}


def hidden_for(tracking: Tracking) -> Hidden:
    """Return what the endpoint resets, and what nobody owns."""
    return _hidden(tracking.kind, tracking.subresource, has_status=tracking.has_status)


@cache
def _hidden(kind: str, subresource: str, *, has_status: bool) -> Hidden:
    if subresource == "status":
        members, metadata = _STATUS_RESETS.get(kind, ("spec", ""))
        return Hidden(_UNTRACKED | frozenset(members.split()), frozenset(metadata.split()))
    return Hidden(_UNTRACKED | {"status"} if has_status else _UNTRACKED)


def strip(fields: Fields, tracking: Tracking) -> Fields:
    """Return a set without what nobody owns and what the endpoint resets."""
    hidden = hidden_for(tracking)
    fields = without(fields, {f"f:{name}": LEAF for name in hidden.members})
    metadata = fields.get("f:metadata")
    if metadata is None:
        return fields
    left = _owned_metadata(metadata, hidden)
    others = {step: node for step, node in fields.items() if step != "f:metadata"}
    return others if left is None else {**others, "f:metadata": left}
