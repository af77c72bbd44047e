"""The history of a DaemonSet: ControllerRevisions that keep its pod templates, told apart by the hash of a template.

Source: pkg/controller/daemon/update.go constructHistory, snapshot, cleanupHistory (v1.37).
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple

from moorage.controllers.rule import View
from moorage.objects.actions import Action, Create, Delete, Update
from moorage.objects.metadata import Object, annotations_of, controller_reference, labels_of, name_of, namespace_of
from moorage.objects.workloads import (
    POD_REVISION,
    is_same_revision,
    ref_of,
    revision_data,
    revision_number,
    template_hash,
    template_of,
)

RESOURCE = "controllerrevisions.apps"

#: How many old revisions are kept where the set does not say. Source: defaulting of apps/v1.
HISTORY_LIMIT = 10


class Revisions(NamedTuple):
    """The hash of the present template, the old revisions, how often a name was taken, what makes the stored ones agree."""

    hashed: str
    old: tuple[Object, ...]
    collisions: int | None
    actions: tuple[Action, ...] = ()


def find_taken(view: View, workload: Object, revisions: Iterable[Object]) -> dict[str, Object]:
    """Return by name the revisions in the way of one that must be made for the present template."""
    taken: dict[str, Object] = {}
    data = revision_data(template_of(workload))
    if any(is_same_revision(each, data) for each in revisions):
        return taken
    for collisions in _collisions_from(workload):
        found = view.get(RESOURCE, namespace_of(workload), _name_for(workload, collisions))
        if found is None:
            return taken
        taken[name_of(found)] = found
    return taken


def choose_revisions(workload: Object, revisions: Sequence[Object], taken: Mapping[str, Object]) -> Revisions:
    """Return the revisions of the set. `revisions` are its own, oldest first."""
    data = revision_data(template_of(workload))
    same = [each for each in revisions if is_same_revision(each, data)]
    old = tuple(each for each in revisions if not is_same_revision(each, data))
    number = max(map(revision_number, old), default=0) + 1
    if not same:
        return _new_revision(workload, old, taken, number)
    current = same[-1]
    duplicates = tuple(Delete(ref_of(RESOURCE, each)) for each in same[:-1])
    renumbered = (Update(RESOURCE, {**current, "revision": number}),) if revision_number(current) < number else ()
    collisions = (workload.get("status") or {}).get("collisionCount")
    return Revisions(labels_of(current).get(POD_REVISION, ""), old, collisions, (*duplicates, *renumbered))


def forget_history(workload: Object, old: Sequence[Object], pods: Iterable[Object]) -> tuple[Delete, ...]:
    """Return the deletions of the oldest revisions beyond the limit that no pod was made from."""
    limit = workload["spec"].get("revisionHistoryLimit")
    surplus = len(old) - (HISTORY_LIMIT if limit is None else int(limit))
    if surplus <= 0:
        return ()
    used = {labels_of(pod).get(POD_REVISION) for pod in pods}
    unused = [each for each in old if labels_of(each).get(POD_REVISION) not in used]
    return tuple(Delete(ref_of(RESOURCE, each)) for each in unused[:surplus])


def _new_revision(workload: Object, old: tuple[Object, ...], taken: Mapping[str, Object], number: int) -> Revisions:
    for collisions in _collisions_from(workload):
        name = _name_for(workload, collisions)
        if name in taken:
            continue
        hashed = template_hash(template_of(workload), collisions)
        made = _revision_for(workload, name, hashed, number)
        return Revisions(hashed, old, collisions, (Create(RESOURCE, made),))
    raise AssertionError("counting does not end")


def _revision_for(workload: Object, name: str, hashed: str, number: int) -> dict[str, Any]:
    template = template_of(workload)
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": namespace_of(workload),
        "labels": {**labels_of(template), POD_REVISION: hashed},
        "ownerReferences": [controller_reference(workload)],
    }
    if annotations_of(workload):
        metadata["annotations"] = annotations_of(workload)
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": metadata,
        "data": revision_data(template),
        "revision": number,
    }


def _name_for(workload: Object, collisions: int | None) -> str:
    return f"{name_of(workload)}-{template_hash(template_of(workload), collisions)}"


def _collisions_from(workload: Object) -> Iterable[int | None]:
    """Yield the counts of collisions to try: what the status says, then more."""
    first = (workload.get("status") or {}).get("collisionCount")
    yield None if first is None else int(first)
    yield from count(1 if first is None else int(first) + 1)
