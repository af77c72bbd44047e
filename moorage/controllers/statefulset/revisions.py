"""The history of a StatefulSet: ControllerRevisions that keep its pod templates.

The update revision keeps the template as it is now, the current revision the one that pods had before the update
began. Going back to an older template gives its revision a new number instead of a second object.
Source: stateful_set_control.go getStatefulSetRevisions, truncateHistory; pkg/controller/history (v1.37).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from moorage.controllers.rule import View
from moorage.objects.actions import Action, Create, Delete, Update
from moorage.objects.metadata import (
    Object,
    annotations_of,
    controller_reference,
    labels_of,
    metadata_of,
    name_of,
    namespace_of,
)
from moorage.objects.workloads import (
    POD_REVISION,
    REVISION_HASH,
    is_same_revision,
    ref_of,
    revision_data,
    revision_hash,
    revision_name,
    revision_number,
    template_of,
)

RESOURCE = "controllerrevisions.apps"

#: How many revisions nobody uses are kept when the set does not say. Source: defaulting of apps/v1.
HISTORY_LIMIT = 10


class Revisions(NamedTuple):
    """The two revisions that matter now, how often a name was taken, and what makes the stored ones agree."""

    current: Object
    update: Object
    collisions: int
    actions: tuple[Action, ...] = ()


def find_taken(view: View, workload: Object, revisions: Iterable[Object]) -> dict[str, Object]:
    """Return by name the revisions in the way of one that must be created for the present template."""
    data = revision_data(template_of(workload))
    taken: dict[str, Object] = {}
    if any(is_same_revision(each, data) for each in revisions):
        return taken
    for count in _counts_from(_collisions_of(workload)):
        name = revision_name(name_of(workload), revision_hash(data, count))
        found = view.get(RESOURCE, namespace_of(workload), name)
        if found is None:
            break
        taken[name] = found
        if is_same_revision(found, data):
            break
    return taken


def choose_revisions(workload: Object, revisions: Sequence[Object], taken: Mapping[str, Object]) -> Revisions:
    """Return the current and the update revision. `revisions` are the set's own, oldest first."""
    data = revision_data(template_of(workload))
    collisions = _collisions_of(workload)
    same = [each for each in revisions if is_same_revision(each, data)]
    actions: tuple[Action, ...] = ()
    if same and same[-1] is revisions[-1]:
        update = same[-1]
    elif same:
        update = {**same[-1], "revision": _next_number(revisions)}
        actions = (Update(RESOURCE, update),)
    else:
        update, collisions, actions = _new_revision(workload, revisions, taken)
    named = (workload.get("status") or {}).get("currentRevision")
    current = next((each for each in revisions if name_of(each) == named), update)
    return Revisions(current, update, collisions, actions)


def forget_history(workload: Object, revisions: Sequence[Object], live: Iterable[str]) -> tuple[Delete, ...]:
    """Return the deletions of the oldest revisions beyond the limit; those in use (`live`, names) do not count."""
    limit = workload["spec"].get("revisionHistoryLimit")
    limit = HISTORY_LIMIT if limit is None else int(limit)
    used = set(live)
    history = [each for each in revisions if name_of(each) not in used]
    if limit < 0 or len(history) <= limit:
        return ()
    return tuple(Delete(ref_of(RESOURCE, each)) for each in history[: len(history) - limit])


def template_at(revision: Object) -> Mapping[str, Any]:
    """Return the pod template that a revision keeps."""
    template = revision["data"]["spec"]["template"]
    return {key: value for key, value in template.items() if key != "$patch"}


def revision_of_pod(pod: Object) -> str:
    """Return the name of the revision that a pod was made from, "" for one that was adopted."""
    return labels_of(pod).get(POD_REVISION, "")


def _new_revision(
    workload: Object, revisions: Sequence[Object], taken: Mapping[str, Object]
) -> tuple[Object, int, tuple[Action, ...]]:
    data = revision_data(template_of(workload))
    first = _collisions_of(workload)
    for count in _counts_from(first):
        name = revision_name(name_of(workload), revision_hash(data, count))
        found = taken.get(name)
        if found is None:
            made = _revision_for(workload, name, revision_hash(data, first), _next_number(revisions))
            return made, count, (Create(RESOURCE, made),)
        if is_same_revision(found, data):
            return found, count, ()
    raise AssertionError("counting does not end")


def _revision_for(workload: Object, name: str, hashed: str, number: int) -> dict[str, Any]:
    template = template_of(workload)
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": namespace_of(workload),
        "labels": {**(metadata_of(template).get("labels") or {}), REVISION_HASH: hashed},
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


def _collisions_of(workload: Object) -> int:
    return int((workload.get("status") or {}).get("collisionCount") or 0)


def _next_number(revisions: Sequence[Object]) -> int:
    return max((revision_number(each) for each in revisions), default=0) + 1


def _counts_from(first: int) -> Iterable[int]:
    count = first
    while True:
        yield count
        count += 1
