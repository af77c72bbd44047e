"""Server-side apply: a client says which fields it wants, and owns them; what it does not say any more goes.

`apply` returns the merged object, not yet defaulted or checked, and its managedFields.
Source: structured-merge-diff v6 merge/update.go, apimachinery/pkg/util/managedfields (v1.37).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from moorage.objects.errors import BadRequest, Cause, Conflict, PlainError
from moorage.objects.field_sets import (
    NONE,
    Fields,
    Path,
    difference,
    intersection,
    path_text,
    paths,
    union,
)
from moorage.objects.managed_fields import (
    Entry,
    Tracking,
    before_first_apply,
    empty_object,
    sort_entries,
    strip,
    written_changes,
)
from moorage.objects.metadata import Object, annotations_of, name_of, namespace_of
from moorage.objects.schema import ANY, Type
from moorage.objects.typed_values import (
    field_set,
    merge_values,
    problems_of,
    remove_fields,
    with_declared,
)

#: Where kubectl's client-side apply keeps what it applied last; its server-side apply goes on from there.
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_KUBECTL: Final = "kubectl"

#: The longest that all annotations of an object may be together, in bytes.
_ANNOTATIONS_MOST: Final = 262_144


class Applied(NamedTuple):
    """The object after an apply, and its managedFields."""

    obj: Object
    managed: list[dict[str, Any]]


class _Clash(NamedTuple):
    """One field that is to change and that somebody else owns."""

    owner: Entry
    path: Path


def apply(live: Object | None, applied: Object, tracking: Tracking, *, force: bool = False) -> Applied:
    """Apply an object to the live one (None: there is none) in the name of `tracking.manager`.

    Raises BadRequest for another kind or for managedFields, PlainError where the object does not fit the type, Conflict
    where somebody else owns a field that would change, unless `force`.
    """
    check_applied(applied, tracking)
    base = live if live is not None else empty_object(tracking)
    entries: list[dict[str, Any]] = base.get("metadata", NONE).get("managedFields") or []
    if not entries and live is not None:
        entries = before_first_apply(base, tracking)
    base = _without_managed_fields(base)
    result = _forced(base, applied, entries, tracking, force=force)
    if tracking.manager == _KUBECTL and annotations_of(result.obj).get(LAST_APPLIED):
        return Applied(_with_last_applied(result.obj, applied), result.managed)
    return result


def check_applied(applied: Object, tracking: Tracking) -> None:
    """Refuse what cannot be applied to this kind. Raises BadRequest, PlainError."""
    api_version, kind = str(applied.get("apiVersion") or ""), str(applied.get("kind") or "")
    shown = f"{api_version if '/' in api_version else f'/{api_version}'}, Kind={kind}"
    if (api_version, kind) != (tracking.api_version, tracking.kind):
        raise BadRequest(f"invalid object type: {shown}")
    metadata = applied.get("metadata")
    if isinstance(metadata, Mapping) and metadata.get("managedFields") is not None:
        raise BadRequest("metadata.managedFields must be nil")
    problems = problems_of(tracking.type or ANY, applied)
    if problems:
        text = problems[0] if len(problems) == 1 else "\n  ".join(("errors:", *problems))
        where = f"{namespace_of(applied)}/{name_of(applied)}" if isinstance(metadata, Mapping) else "/"
        raise PlainError(f"failed to create typed patch object ({where}; {shown}): {text}")


def _forced(
    base: Object, applied: Object, entries: Sequence[dict[str, Any]], tracking: Tracking, *, force: bool
) -> Applied:
    """Apply; what kubectl's client-side apply owns through its annotation, kubectl's server-side apply may take."""
    result, clashes = _merged(base, applied, entries, tracking)
    if not clashes or force:
        return result
    if tracking.manager == _KUBECTL:
        allowed = set(paths(_last_applied_fields(base, tracking.type or ANY)))
        clashes = [clash for clash in clashes if clash.path not in allowed]
        if not clashes:
            return result
    raise _conflict(clashes)


def _merged(
    base: Object, applied: Object, entries: Sequence[dict[str, Any]], tracking: Tracking
) -> tuple[Applied, list[_Clash]]:
    """Return the outcome of a forced apply, and what it has to take from others."""
    type_ = tracking.type or ANY
    mine = next((entry for entry in entries if tracking.is_mine(entry, "Apply")), None)
    others = [entry for entry in entries if entry is not mine]
    wanted = strip(field_set(type_, applied), tracking)
    last: Fields = (mine.get("fieldsV1") if mine else None) or NONE
    obj = merge_values(type_, base, applied)
    if last:
        obj = _pruned(type_, obj, last, [wanted, *(entry.get("fieldsV1") or NONE for entry in others)])
    touched, removed = written_changes(base, obj, tracking)
    lost = union(touched, removed)
    clashes: list[_Clash] = []
    managed: list[dict[str, Any]] = []
    for entry in others:
        fields: Fields = entry.get("fieldsV1") or NONE
        clashes += [_Clash(entry, path) for path in paths(intersection(fields, touched))]
        left = difference(fields, lost)
        if left is fields:
            managed.append(entry)
        elif left:
            managed.append({**entry, "fieldsV1": left})
    if wanted:
        time = tracking.time if obj != base else (mine or NONE).get("time")
        managed.append(tracking.entry("Apply", wanted, time))
    return Applied(obj, sort_entries(managed)), clashes


def _pruned(type_: Type, merged: Object, last: Fields, owned: Sequence[Fields]) -> Object:
    """Remove what the applier applied last time and nobody owns now.

    Done as upstream does it: remove all of it, add back what somebody owns, then what the applier did not own.
    """
    last = with_declared(type_, last)
    everything = with_declared(type_, field_set(type_, merged))
    pruned = remove_fields(type_, merged, last)
    kept = with_declared(type_, field_set(type_, pruned))
    for fields in owned:
        kept = union(kept, with_declared(type_, fields))
    pruned = remove_fields(type_, merged, difference(everything, kept))
    kept = with_declared(type_, field_set(type_, pruned))
    result: Object = remove_fields(type_, merged, intersection(difference(everything, kept), last))
    return result


def _last_applied_fields(live: Object, type_: Type) -> Fields:
    text = annotations_of(live).get(LAST_APPLIED)
    if not text:
        return NONE
    try:
        obj = orjson.loads(text)
    except orjson.JSONDecodeError:
        return NONE
    return field_set(type_, obj) if isinstance(obj, Mapping) else NONE


def _with_last_applied(obj: Object, applied: Object) -> Object:
    """Return the object with kubectl's annotation brought up to date."""
    metadata = dict(applied.get("metadata") or NONE)
    annotations = {
        key: value for key, value in (metadata.pop("annotations", None) or {}).items() if key != LAST_APPLIED
    }
    if annotations:
        metadata["annotations"] = annotations
    text = orjson.dumps({**applied, "metadata": metadata}, option=orjson.OPT_SORT_KEYS).decode() + "\n"
    there = {**annotations_of(obj), LAST_APPLIED: text}
    if sum(len(key.encode()) + len(value.encode()) for key, value in there.items()) > _ANNOTATIONS_MOST:
        there[LAST_APPLIED] = ""
    return {**obj, "metadata": {**obj["metadata"], "annotations": there}}


def _without_managed_fields(obj: Object) -> Object:
    metadata = obj.get("metadata") or NONE
    if "managedFields" not in metadata:
        return obj
    return {**obj, "metadata": {key: value for key, value in metadata.items() if key != "managedFields"}}


def _conflict(clashes: Sequence[_Clash]) -> Conflict:
    """Return the error that names every field and its owner."""
    return conflict_over([(owner_text(clash.owner), path_text(clash.path)) for clash in clashes])


def conflict_over(clashes: Sequence[tuple[str, str]]) -> Conflict:
    """Return the error for fields that are owned by others: pairs of owner and path, as messages write them."""
    by_owner: dict[str, list[str]] = {}
    for owner, path in sorted(clashes, key=lambda clash: clash[0]):
        by_owner.setdefault(owner, []).append(path)
    causes = [
        Cause("FieldManagerConflict", f"conflict with {owner}", path)._asdict()
        for owner, owned in by_owner.items()
        for path in owned
    ]
    if len(clashes) == 1:
        text = f"Apply failed with 1 conflict: conflict with {clashes[0][0]}: {clashes[0][1]}"
    else:
        parts = [
            part
            for owner, owned in by_owner.items()
            for part in (f"conflicts with {owner}:", *(f"- {p}" for p in owned))
        ]
        lines = "\n".join(parts)
        text = f"Apply failed with {len(clashes)} conflicts: {lines}"
    return Conflict(text, details={"causes": causes})


def owner_text(entry: Entry) -> str:
    """Return the owner as messages name it: `"kubelet" with subresource "status" using v1`."""
    text = f'"{entry.get("manager")}"'
    if entry.get("subresource"):
        text += f' with subresource "{entry["subresource"]}"'
    return f"{text} using {entry.get('apiVersion')}" if entry.get("operation") == "Update" else text
