"""The ReplicaSets of a Deployment: which one is new, how one is made, what their annotations say, which are forgotten.

Source: pkg/controller/deployment/sync.go and util/deployment_util.go (v1.37).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from moorage.controllers.rule import View
from moorage.objects.actions import Create, Delete, Record, Update
from moorage.objects.metadata import (
    Object,
    annotations_of,
    controller_reference,
    generation_of,
    is_terminating,
    labels_of,
    metadata_of,
    name_of,
    namespace_of,
)
from moorage.objects.workloads import (
    created_order,
    min_ready_seconds_of,
    percent_of,
    ref_of,
    replicas_of,
    template_hash,
    template_of,
)

RESOURCE = "replicasets.apps"
HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MOST = "deployment.kubernetes.io/max-replicas"

#: Annotations of a Deployment that its ReplicaSets do not get.
_OWN = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        "deprecated.deployment.rollback.to",
        REVISION,
        REVISION_HISTORY,
        DESIRED,
        MOST,
    }
)

#: The list of former revisions is cut to this many characters. Source: maxRevHistoryLengthInChars.
HISTORY_CHARACTERS_MOST = 2000


class Sets(NamedTuple):
    """The ReplicaSet of the present template (None if there is none yet) and all others, oldest first."""

    new: Object | None
    old: tuple[Object, ...]

    @property
    def all(self) -> tuple[Object, ...]:
        """All of them."""
        return self.old if self.new is None else (*self.old, self.new)


class Fenceposts(NamedTuple):
    """How many pods a rolling update may have too many and too few."""

    surge: int
    unavailable: int


def split(workload: Object, owned: Iterable[Object]) -> Sets:
    """Tell the new ReplicaSet from the old ones: the oldest one with the Deployment's template is the new one."""
    ordered = sorted(owned, key=created_order)
    template = template_of(workload)
    new = next((each for each in ordered if _plain_template(each) == template), None)
    return Sets(new, tuple(each for each in ordered if each is not new))


def is_rolling(workload: Object) -> bool:
    """Tell whether the strategy is RollingUpdate."""
    return bool((workload["spec"].get("strategy") or {}).get("type") != "Recreate")


def fenceposts_of(workload: Object) -> Fenceposts:
    """Return surge (rounded up) and unavailable (rounded down); never both zero for a rolling update."""
    if not is_rolling(workload):
        return Fenceposts(0, 0)
    rolling = (workload["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    replicas = replicas_of(workload)
    surge = percent_of(rolling.get("maxSurge", "25%"), replicas, up=True)
    unavailable = percent_of(rolling.get("maxUnavailable", "25%"), replicas, up=False)
    if not surge and not unavailable:
        unavailable = 1
    return Fenceposts(surge, min(unavailable, replicas))


def number_in(replica_set: Object, annotation: str) -> int | None:
    """Return the number in an annotation, None if there is none."""
    text = annotations_of(replica_set).get(annotation, "")
    return int(text) if text.isdecimal() else None


def revision_of_set(replica_set: Object) -> int:
    """Return the revision of a ReplicaSet, 0 if it has none."""
    return number_in(replica_set, REVISION) or 0


def count(replica_sets: Iterable[Object], counter: str) -> int:
    """Return the sum of a counter in the statuses."""
    return sum(int((each.get("status") or {}).get(counter) or 0) for each in replica_sets)


def active(replica_sets: Iterable[Object]) -> list[Object]:
    """Return those that ask for pods."""
    return [each for each in replica_sets if replicas_of(each)]


def find_taken(view: View, workload: Object) -> frozenset[str]:
    """Return the names, in the order of collisions, that a new ReplicaSet would have and that are taken."""
    taken = set()
    for name, _ in _names(workload):
        if view.get(RESOURCE, namespace_of(workload), name) is None:
            break
        taken.add(name)
    return frozenset(taken)


def make(workload: Object, sets: Sets, taken: frozenset[str], size: int) -> tuple[Object, int | None, Create]:
    """Return a new ReplicaSet, the count of collisions, and the action that creates it."""
    name, collisions = next(pair for pair in _names(workload) if pair[0] not in taken)
    hashed = name[len(name_of(workload)) + 1 :]
    template = template_of(workload)
    labels = {**(metadata_of(template).get("labels") or {}), HASH_LABEL: hashed}
    selector = workload["spec"]["selector"]
    spec: dict[str, Any] = {
        "replicas": size,
        "selector": {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), HASH_LABEL: hashed}},
        "template": {**template, "metadata": {**metadata_of(template), "labels": labels}},
    }
    if min_ready_seconds_of(workload):
        spec["minReadySeconds"] = min_ready_seconds_of(workload)
    metadata = {
        "name": name,
        "namespace": namespace_of(workload),
        "labels": labels,
        "annotations": {**annotations_for(workload, {}, next_revision(sets)), **size_annotations(workload)},
        "ownerReferences": [controller_reference(workload)],
    }
    made = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata, "spec": spec}
    text = f"Scaled up replica set {name} from 0 to {size}"
    done = (Record(workload, "ScalingReplicaSet", text),) if size else ()
    refusal = f'Failed to create new replica set "{name}": {{error}}'
    failed = (Record(workload, "ReplicaSetCreateError", refusal, kind="Warning"),)
    return made, collisions, Create(RESOURCE, made, done=done, failed=failed)


def refresh(workload: Object, sets: Sets) -> Update | None:
    """Return the update of the new ReplicaSet's annotations and minReadySeconds, None if they are right.

    A ReplicaSet that becomes new again (a rollback) gets a new revision and remembers the one it had.
    """
    if sets.new is None:
        return None
    before = annotations_of(sets.new)
    after = annotations_for(workload, before, next_revision(sets))
    seconds = min_ready_seconds_of(workload)
    if after == before and seconds == min_ready_seconds_of(sets.new):
        return None
    metadata = {**metadata_of(sets.new), "annotations": after}
    return Update(
        RESOURCE, {**sets.new, "metadata": metadata, "spec": {**sets.new["spec"], "minReadySeconds": seconds}}
    )


def next_revision(sets: Sets) -> int:
    """Return the revision of the new ReplicaSet."""
    return max(map(revision_of_set, sets.old), default=0) + 1


def annotations_for(workload: Object, before: Mapping[str, str], revision: int) -> dict[str, str]:
    """Return the annotations of the new ReplicaSet, which had those `before`."""
    after = {**before, **{key: value for key, value in annotations_of(workload).items() if key not in _OWN}}
    text = before.get(REVISION, "")
    former = int(text) if text.isdecimal() else 0
    if former < revision:
        after[REVISION] = str(revision)
        if text:
            after[REVISION_HISTORY] = _with_former(before.get(REVISION_HISTORY, ""), text)
    return after


def size_annotations(workload: Object) -> dict[str, str]:
    """Return the annotations by which a ReplicaSet remembers for which size of the Deployment it was scaled."""
    replicas = replicas_of(workload)
    return {DESIRED: str(replicas), MOST: str(replicas + fenceposts_of(workload).surge)}


def resize(workload: Object, replica_set: Object, sizes: Sequence[int]) -> Update | None:
    """Return the update that brings a ReplicaSet to the last of `sizes`, with an Event for each step; None if none."""
    steps = list(zip([replicas_of(replica_set), *sizes], sizes, strict=False))
    annotations = {**annotations_of(replica_set), **size_annotations(workload)}
    if all(before == after for before, after in steps) and annotations == annotations_of(replica_set):
        return None
    name = name_of(replica_set)
    done = tuple(
        Record(
            workload,
            "ScalingReplicaSet",
            f"Scaled {'up' if after > before else 'down'} replica set {name} from {before} to {after}",
        )
        for before, after in steps
        if before != after
    )
    spec = {**replica_set["spec"], "replicas": sizes[-1]}
    changed = {**replica_set, "metadata": {**metadata_of(replica_set), "annotations": annotations}, "spec": spec}
    return Update(RESOURCE, changed, done=done)


def forget(workload: Object, old: Iterable[Object]) -> tuple[Delete, ...]:
    """Return the deletions of old, empty ReplicaSets beyond the history limit, those of the lowest revision first."""
    limit = workload["spec"].get("revisionHistoryLimit")
    limit = 10 if limit is None else int(limit)
    alive = sorted((each for each in old if not is_terminating(each)), key=revision_of_set)
    excess = alive[: max(0, len(alive) - limit)]
    return tuple(Delete(ref_of(RESOURCE, each)) for each in excess if _is_settled_empty(each))


def _is_settled_empty(replica_set: Object) -> bool:
    status = replica_set.get("status") or {}
    observed = int(status.get("observedGeneration") or 0)
    return not replicas_of(replica_set) and not status.get("replicas") and observed >= generation_of(replica_set)


def _names(workload: Object) -> Iterable[tuple[str, int | None]]:
    """Yield the names that a new ReplicaSet may have, each with the count of collisions that leads to it."""
    collisions = (workload.get("status") or {}).get("collisionCount")
    while True:
        yield f"{name_of(workload)}-{template_hash(template_of(workload), collisions)}", collisions
        collisions = (collisions or 0) + 1


def _plain_template(replica_set: Object) -> dict[str, Any]:
    """Return the pod template of a ReplicaSet without the label that its Deployment added."""
    template = template_of(replica_set)
    labels = {key: value for key, value in labels_of(template).items() if key != HASH_LABEL}
    return {**template, "metadata": {**metadata_of(template), "labels": labels}}


def _with_former(history: str, former: str) -> str:
    revisions = [*history.split(","), former] if history else [former]
    while len(revisions) > 1 and len(",".join(revisions)) > HISTORY_CHARACTERS_MOST:
        del revisions[0]
    return ",".join(revisions)
