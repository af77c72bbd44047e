"""Pods of one kind spread over nodes and zones: the filter and the score PodTopologySpread.

Source: pkg/scheduler/framework/plugins/podtopologyspread, plugins/helper/spread.go (v1.37).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import log
from typing import Any, Final, NamedTuple

from moorage.controllers.rule import Index, View
from moorage.objects.metadata import Object, namespace_of
from moorage.objects.nodes import HOSTNAME, untolerated_taint
from moorage.scheduler.demand import Demand
from moorage.scheduler.failure import Failure
from moorage.scheduler.filters import wants
from moorage.scheduler.snapshot import ZONE, Place, Snapshot
from moorage.scheduler.tallies import Query, Tally
from moorage.scheduler.terms import Selector, Whom

PLUGIN: Final = "PodTopologySpread"
WEIGHT: Final = 2
MOST: Final = 100

UNEVEN: Final = Failure(PLUGIN, ("node(s) didn't match pod topology spread constraints",), final=False)
NO_LABEL: Final = Failure(
    PLUGIN, ("node(s) didn't match pod topology spread constraints (missing required label)",), final=True
)

#: How pods without constraints of their own are spread, by label and skew. Source: systemDefaultConstraints.
DEFAULTS: Final = ((HOSTNAME, 3), (ZONE, 5))

#: Kinds of owners whose selector tells which pods belong together, with their resource.
_OWNERS: Final = {
    "ReplicationController": "replicationcontrollers",
    "ReplicaSet": "replicasets.apps",
    "StatefulSet": "statefulsets.apps",
}

#: What defaults are read from.
READS: Final = ("services", *_OWNERS.values())

_NOTHING: Mapping[str, Any] = {}


class Constraint(NamedTuple):
    """One constraint, with how many pods it concerns there are on each node."""

    topology: str
    skew: int
    least_domains: int
    tally: Tally
    means_itself: bool
    honors_affinity: bool = True
    honors_taints: bool = False


def _first_pairs(service: Object) -> Iterable[str]:
    selector = (service.get("spec") or _NOTHING).get("selector")
    for key, value in sorted((selector or _NOTHING).items())[:1]:
        yield f"{namespace_of(service)}/{key}={value}"


#: Services by a label that all their pods have.
SERVICES_BY_LABEL: Final = Index("services-by-label", _first_pairs)


def check_spread(pod: Demand, snapshot: Snapshot) -> Callable[[Place], Failure | None] | None:
    """Return the filter, None if the pod does not insist on being spread."""
    constraints = _own(pod, snapshot, "DoNotSchedule")
    if not constraints:
        return None
    domains = _domains(pod, constraints, snapshot.nodes, needs_all=True)
    limits = []
    for constraint, counts in zip(constraints, domains, strict=True):
        few = len(counts) < constraint.least_domains
        least = 0 if few else min(counts.values(), default=None)
        # No domain at all: nothing to compare with.
        limit = None if least is None else constraint.skew + least - constraint.means_itself
        limits.append((constraint.topology, counts, limit))

    def check(place: Place) -> Failure | None:
        labels = place.labels
        for topology, counts, limit in limits:
            value = labels.get(topology)
            if value is None:
                return NO_LABEL
            if limit is not None and counts.get(value, 0) > limit:
                return UNEVEN
        return None

    return check


def score_spread(pod: Demand, places: Sequence[Place], snapshot: Snapshot, view: View) -> Sequence[int] | None:
    """Return the score, None if the pod need not be spread."""
    is_own = bool(pod.spread)
    constraints = _own(pod, snapshot, "ScheduleAnyway") if is_own else _defaults(pod, snapshot, view)
    if not constraints:
        return None
    ignored = {place.name for place in places if is_own and not _has_all(place, constraints)}
    weights, counted = _prepare(pod, constraints, places, snapshot, ignored)
    raw: list[int | None] = []
    for place in places:
        if place.name in ignored:
            raw.append(None)
            continue
        total = 0.0
        for constraint, weight, counts in zip(constraints, weights, counted, strict=True):
            value = place.labels.get(constraint.topology)
            if value is None:
                continue
            is_host = constraint.topology == HOSTNAME
            count = constraint.tally.counts.get(place.name, 0) if is_host else counts.get(value, 0)
            total += count * weight + (constraint.skew - 1)
        raw.append(_rounded(total))
    return _normalized(raw)


def _prepare(
    pod: Demand, constraints: Sequence[Constraint], places: Sequence[Place], snapshot: Snapshot, ignored: set[str]
) -> tuple[list[float], list[dict[str, int]]]:
    """Return a weight and the counts by value for each constraint; hosts are counted when they are scored."""
    weights: list[float] = []
    counted: list[dict[str, int]] = []
    others = [each for each in constraints if each.topology != HOSTNAME]
    domains = iter(_domains(pod, others, snapshot.nodes, needs_all=bool(pod.spread)) if others else [])
    for constraint in constraints:
        if constraint.topology == HOSTNAME:
            size = len(places) - len(ignored)
            counted.append({})
        else:
            values = {place.labels.get(constraint.topology) for place in places if place.name not in ignored}
            size = len(values - {None})
            counted.append(next(domains))
        weights.append(log(size + 2))
    return weights, counted


def _normalized(raw: Sequence[int | None]) -> Sequence[int]:
    known = [each for each in raw if each is not None]
    least, most = min(known, default=0), max(known, default=0)
    return [0 if each is None else MOST if not most else MOST * (most + least - each) // most for each in raw]


def _rounded(value: float) -> int:
    """Return the nearest whole number, halves away from zero."""
    return int(value + 0.5)


def _domains(
    pod: Demand, constraints: Sequence[Constraint], nodes: Sequence[Place], *, needs_all: bool
) -> list[dict[str, int]]:
    """Return the pods by value of each constraint, over the nodes that count for the pod."""
    found: list[dict[str, int]] = [{} for _ in constraints]
    is_wanted = wants(pod) if pod.node_selector or pod.node_affinity else None
    rows = [(each.topology, each.tally.counts, each, counts) for each, counts in zip(constraints, found, strict=True)]
    for place in nodes:
        labels = place.labels
        if needs_all and not all(each.topology in labels for each in constraints):
            continue
        for topology, tallied, constraint, counts in rows:
            value = labels.get(topology)
            if value is None:
                continue
            if constraint.honors_affinity and is_wanted is not None and not is_wanted(place):
                continue
            if constraint.honors_taints and not _is_tolerated(place, pod):
                continue
            counts[value] = counts.get(value, 0) + tallied.get(place.name, 0)
    return found


def _is_tolerated(place: Place, pod: Demand) -> bool:
    return not place.taints or untolerated_taint(place.taints, pod.tolerations) is None


def _has_all(place: Place, constraints: Iterable[Constraint]) -> bool:
    return all(each.topology in place.labels for each in constraints)


def _own(pod: Demand, snapshot: Snapshot, when: str) -> list[Constraint]:
    """Return the pod's own constraints of a kind."""
    found = []
    for each in pod.spread:
        if each.get("whenUnsatisfiable") != when:
            continue
        selector = _selector(each, pod.labels)
        found.append(
            Constraint(
                each["topologyKey"],
                int(each.get("maxSkew") or 1),
                int(each.get("minDomains") or 1),
                snapshot.tally(Query((Whom(selector, frozenset((pod.namespace,))),), alive=True)),
                selector.takes(pod.labels),
                each.get("nodeAffinityPolicy", "Honor") == "Honor",
                each.get("nodeTaintsPolicy", "Ignore") == "Honor",
            )
        )
    return found


def _selector(constraint: Object, labels: Mapping[str, str]) -> Selector:
    """Return the selector of a constraint, narrowed to the pod's own values of `matchLabelKeys`."""
    body = constraint.get("labelSelector")
    keys = [key for key in constraint.get("matchLabelKeys") or () if key in labels]
    if not keys:
        return Selector(body)
    more = [{"key": key, "operator": "In", "values": [labels[key]]} for key in keys]
    known: Mapping[str, Any] = body or _NOTHING
    return Selector({**known, "matchExpressions": [*(known.get("matchExpressions") or ()), *more]})


def _defaults(pod: Demand, snapshot: Snapshot, view: View) -> list[Constraint]:
    """Return the constraints of every cluster, for pods that belong to a service or a workload."""
    selectors = _belonging(pod, view)
    if not selectors:
        return []
    home = frozenset((pod.namespace,))
    tally = snapshot.tally(Query(tuple(Whom(each, home) for each in selectors), alive=True))
    itself = all(each.takes(pod.labels) for each in selectors)
    return [Constraint(topology, skew, 1, tally, itself) for topology, skew in DEFAULTS]


def _belonging(pod: Demand, view: View) -> list[Selector]:
    """Return what selects the pods that belong together with this one. Source: helper.DefaultSelector."""
    wanted: dict[str, str] = {}
    for key, value in pod.labels.items():
        for service in view.matching("services", SERVICES_BY_LABEL, f"{pod.namespace}/{key}={value}"):
            selector: Mapping[str, str] = service["spec"]["selector"]
            if all(pod.labels.get(name) == text for name, text in selector.items()):
                wanted.update(selector)
    found = []
    for kind, name, uid in pod.owners:
        owner = view.get(_OWNERS[kind], pod.namespace, name) if kind in _OWNERS else None
        if owner is None or owner["metadata"].get("uid") != uid:
            continue
        selector = (owner.get("spec") or _NOTHING).get("selector") or _NOTHING
        if kind == "ReplicationController":
            wanted.update(selector)
        elif selector:
            found.append(Selector(selector))
    return [*([Selector({"matchLabels": wanted})] if wanted else []), *found]
