"""How many pods each ReplicaSet of a Deployment should have next: arithmetic, nothing else.

Answers are sizes by name, in order; several sizes in a row are steps that users see as Events.
Source: pkg/controller/deployment/rolling.go, recreate.go, sync.go scale (v1.37).
"""

from collections.abc import Mapping, Sequence

from moorage.controllers.deployment.replica_sets import (
    DESIRED,
    MOST,
    Sets,
    active,
    count,
    fenceposts_of,
    is_rolling,
    number_in,
)
from moorage.objects.metadata import Object, name_of
from moorage.objects.workloads import created_order, replicas_of

#: By name of the ReplicaSet: the sizes that it passes through.
Sizes = Mapping[str, Sequence[int]]


def size_of_new(workload: Object, sets: Sets) -> int:
    """Return the size that the new ReplicaSet may have now: all for Recreate, as much as the surge admits otherwise."""
    wanted = replicas_of(workload)
    now = 0 if sets.new is None else replicas_of(sets.new)
    if not is_rolling(workload) or now >= wanted:
        return wanted
    room = wanted + fenceposts_of(workload).surge - sum(map(replicas_of, sets.all))
    return now + min(max(0, room), wanted - now)


def roll(workload: Object, sets: Sets) -> Sizes:
    """Return the next step of a rolling update: first the new ReplicaSet grows, else the old ones shrink."""
    if sets.new is None:
        return {}
    size = size_of_new(workload, sets)
    if size != replicas_of(sets.new):
        return {name_of(sets.new): [size]}
    return _shrink_old(workload, sets, sets.new)


def stop_old(sets: Sets) -> Sizes:
    """Return the first step of a Recreate: no old ReplicaSet keeps a pod."""
    return {name_of(each): [0] for each in active(sets.old)}


def scale(workload: Object, sets: Sets) -> Sizes:
    """Return the sizes after the Deployment's size changed: in the middle of a rollout each keeps its proportion."""
    wanted = replicas_of(workload)
    busy = active(sets.all)
    only = _only_or_latest(sets, busy)
    if only is not None:
        return {name_of(only): [wanted]}
    if not busy:
        return {}
    if sets.new is not None and _is_saturated(workload, sets.new):
        return {**stop_old(sets), name_of(sets.new): [wanted]}
    if not is_rolling(workload):
        return {}
    most = wanted + fenceposts_of(workload).surge if wanted else 0
    to_add = most - sum(map(replicas_of, busy))
    return {name: [size] for name, size in _proportions(workload, busy, to_add).items()}


def is_scaled(workload: Object, sets: Sets) -> bool:
    """Tell whether the Deployment has another size than the one that its ReplicaSets were scaled for."""
    wanted = replicas_of(workload)
    return any(number_in(each, DESIRED) not in (None, wanted) for each in active(sets.all))


def _shrink_old(workload: Object, sets: Sets, new: Object) -> Sizes:
    """Take away old pods: first those that do not serve anyway, then as many as availability admits."""
    if not any(map(replicas_of, sets.old)):
        return {}
    least = replicas_of(workload) - fenceposts_of(workload).unavailable
    starting = replicas_of(new) - count([new], "availableReplicas")
    budget = sum(map(replicas_of, sets.all)) - least - starting
    if budget <= 0:
        return {}
    sizes = {name_of(each): replicas_of(each) for each in sets.old}
    steps: dict[str, list[int]] = {}
    for each in sets.old:
        broken = sizes[name_of(each)] - count([each], "availableReplicas")
        budget -= _take(sizes, steps, each, min(budget, broken))
    spare = count(sets.all, "availableReplicas") - least
    for each in sets.old:
        spare -= _take(sizes, steps, each, min(spare, sizes[name_of(each)]))
    return steps


def _take(sizes: dict[str, int], steps: dict[str, list[int]], replica_set: Object, number: int) -> int:
    """Note that a ReplicaSet loses `number` pods, if any; returns how many."""
    if number <= 0:
        return 0
    name = name_of(replica_set)
    sizes[name] -= number
    steps.setdefault(name, []).append(sizes[name])
    return number


def _only_or_latest(sets: Sets, busy: Sequence[Object]) -> Object | None:
    """Return the one ReplicaSet that a change of size concerns, None if there are several."""
    if len(busy) == 1:
        return busy[0]
    if busy or not sets.all:
        return None
    return sets.new if sets.new is not None else sets.old[-1]


def _is_saturated(workload: Object, replica_set: Object) -> bool:
    wanted = replicas_of(workload)
    return (
        number_in(replica_set, DESIRED)
        == replicas_of(replica_set)
        == count([replica_set], "availableReplicas")
        == wanted
    )


def _proportions(workload: Object, busy: Sequence[Object], to_add: int) -> dict[str, int]:
    """Share `to_add` pods (negative: to remove) by size, what is left over goes to the largest."""
    if not to_add:
        return {name_of(each): replicas_of(each) for each in busy}
    ordered = sorted(busy, key=created_order, reverse=to_add > 0)
    ordered.sort(key=replicas_of, reverse=True)
    sizes: dict[str, int] = {}
    added = 0
    for each in ordered:
        share = _share(workload, each)
        left = to_add - added
        share = min(share, left) if to_add > 0 else max(share, left)
        sizes[name_of(each)] = replicas_of(each) + share
        added += share
    largest = name_of(ordered[0])
    sizes[largest] = max(0, sizes[largest] + to_add - added)
    return sizes


def _share(workload: Object, replica_set: Object) -> int:
    """Return by how much a ReplicaSet should grow so that it keeps its proportion of the Deployment."""
    size, wanted = replicas_of(replica_set), replicas_of(workload)
    if not wanted:
        return -size
    before = number_in(replica_set, MOST) or int((workload.get("status") or {}).get("replicas") or 0)
    if not before:
        return 0
    most = wanted + fenceposts_of(workload).surge
    return (2 * size * most + before) // (2 * before) - size
