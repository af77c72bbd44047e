"""Pods near or far from other pods: the filter and the score InterPodAffinity.

Source: pkg/scheduler/framework/plugins/interpodaffinity (v1.37).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from moorage.scheduler.demand import Demand
from moorage.scheduler.failure import Failure
from moorage.scheduler.snapshot import Place, Snapshot
from moorage.scheduler.tallies import Counts, Query
from moorage.scheduler.terms import Term

PLUGIN: Final = "InterPodAffinity"
WEIGHT: Final = 2
MOST: Final = 100

NOT_NEAR: Final = Failure(PLUGIN, ("node(s) didn't match pod affinity rules",), final=True)
TOO_NEAR: Final = Failure(PLUGIN, ("node(s) didn't match pod anti-affinity rules",), final=False)
KEPT_AWAY: Final = Failure(PLUGIN, ("node(s) didn't satisfy existing pods anti-affinity rules",), final=False)

#: Something by the values of a topology label.
ByValue = dict[str, int]


def check_affinity_to_pods(pod: Demand, snapshot: Snapshot) -> Callable[[Place], Failure | None] | None:
    """Return the filter, None if neither the pod nor any placed pod cares."""
    keeping = [
        (holder.term.topology, by_value(holder.counts, holder.term.topology, snapshot.places))
        for holder in snapshot.tallies.keeping_away(pod)
    ]
    terms = pod.terms
    near = _near(terms.near, snapshot) if terms is not None and terms.near else []
    far = [(term.topology, _count(term, snapshot)) for term in terms.far] if terms is not None else []
    if not keeping and not near and not far:
        return None
    first_ok = not any(counts for _, counts in near) and _means_itself(pod, snapshot)

    def check(place: Place) -> Failure | None:
        labels = place.labels
        if near and not _is_near(labels, near, first_ok=first_ok):
            return NOT_NEAR
        if _is_touched(labels, far):
            return TOO_NEAR
        return KEPT_AWAY if _is_touched(labels, keeping) else None

    return check


def score_affinity_to_pods(pod: Demand, places: Sequence[Place], snapshot: Snapshot) -> Sequence[int] | None:
    """Return the score, None if nobody prefers anything."""
    sums: dict[str, ByValue] = {}
    terms = pod.terms
    if terms is not None:
        for weight, term in terms.near_preferred:
            _weigh(sums, term.topology, _count(term, snapshot), weight)
        for weight, term in terms.far_preferred:
            _weigh(sums, term.topology, _count(term, snapshot), -weight)
    for holder in snapshot.tallies.attracting(pod):
        topology = holder.term.topology
        _weigh(sums, topology, by_value(holder.counts, topology, snapshot.places), holder.weight)
    if not sums:
        return None
    raw = [sum(values.get(place.labels.get(topology, ""), 0) for topology, values in sums.items()) for place in places]
    least, most = min(raw), max(raw)
    return [MOST * (each - least) // (most - least) if most > least else 0 for each in raw]


def by_value(counts: Counts, topology: str, places: Mapping[str, Place]) -> ByValue:
    """Return counts by node as counts by the value of a topology label; nodes without it do not count."""
    found: ByValue = {}
    for name, count in counts.items():
        place = places.get(name)
        value = None if place is None else place.labels.get(topology)
        if value is not None:
            found[value] = found.get(value, 0) + count
    return found


def _near(terms: Sequence[Term], snapshot: Snapshot) -> list[tuple[str, ByValue]]:
    """Return, for each term, where pods are that all the terms mean."""
    tally = snapshot.tally(Query(tuple(term.whom for term in terms), alive=False))
    return [(term.topology, by_value(tally.counts, term.topology, snapshot.places)) for term in terms]


def _count(term: Term, snapshot: Snapshot) -> ByValue:
    tally = snapshot.tally(Query((term.whom,), alive=False))
    return by_value(tally.counts, term.topology, snapshot.places)


def _means_itself(pod: Demand, snapshot: Snapshot) -> bool:
    """Tell whether the pod meets its own affinity, so that it can be the first of its kind."""
    return pod.terms is not None and all(
        term.whom.takes(pod.namespace, pod.labels, snapshot.spaces) for term in pod.terms.near
    )


def _is_near(labels: Mapping[str, str], near: Iterable[tuple[str, ByValue]], *, first_ok: bool) -> bool:
    exists = True
    for topology, counts in near:
        value = labels.get(topology)
        if value is None:
            return False
        if counts.get(value, 0) <= 0:
            exists = False
    return exists or first_ok


def _is_touched(labels: Mapping[str, str], counted: Iterable[tuple[str, ByValue]]) -> bool:
    for topology, counts in counted:
        value = labels.get(topology)
        if value is not None and counts.get(value, 0) > 0:
            return True
    return False


def _weigh(sums: dict[str, ByValue], topology: str, counts: ByValue, weight: int) -> None:
    if counts:
        values = sums.setdefault(topology, {})
        for value, count in counts.items():
            values[value] = values.get(value, 0) + weight * count
