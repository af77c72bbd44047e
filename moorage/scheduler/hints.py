"""Which waiting pods a change may help: those that were refused by a filter whose answer can be another one now.

A hint may be too generous, never too strict: a pod that is not woken waits for minutes.
Source: EventsToRegister and queueing hints of pkg/scheduler/framework/plugins (v1.37).
"""

from collections.abc import Callable
from typing import Final

from moorage.objects.encoded import Encoded
from moorage.scheduler import affinity, spread
from moorage.scheduler.decide import NO_NODES_PLUGIN, first_failure
from moorage.scheduler.demand import Demand
from moorage.scheduler.filters import CORDONED, FIT, PORTS_TAKEN, TAINTED, UNWANTED, checks_for
from moorage.scheduler.queue import Waiting
from moorage.scheduler.snapshot import Place
from moorage.scheduler.volumes import BINDING, RESTRICTIONS, ZONES

#: Says whether a change may help a pod.
Helps = Callable[[Waiting], bool]

#: Whom nodes that come or change may help.
BY_NODES: Final = (
    NO_NODES_PLUGIN,
    CORDONED.plugin,
    TAINTED.plugin,
    UNWANTED.plugin,
    PORTS_TAKEN.plugin,
    FIT,
    BINDING,
    ZONES,
    spread.PLUGIN,
    affinity.PLUGIN,
)
BY_PODS_GONE: Final = (PORTS_TAKEN.plugin, FIT, RESTRICTIONS, spread.PLUGIN, affinity.PLUGIN)
BY_PODS_PLACED: Final = (spread.PLUGIN, affinity.PLUGIN)
BY_VOLUMES: Final = (RESTRICTIONS, BINDING, ZONES)
BY_NAMESPACES: Final = (affinity.PLUGIN,)


def node_helps(place: Place) -> Helps:
    """Return whom a node that came or changed may help."""

    def helps(entry: Waiting) -> bool:
        if spread.PLUGIN in entry.plugins or NO_NODES_PLUGIN in entry.plugins:
            return True
        failure = first_failure(place, tuple(checks_for(entry.demand)))
        return failure is None or not failure.final

    return helps


def departure_helps(pod: Demand, place: Place | None) -> Helps:
    """Return whom a pod that left a node may help."""

    def helps(entry: Waiting) -> bool:
        plugins = entry.plugins
        if affinity.PLUGIN in plugins or (spread.PLUGIN in plugins and entry.demand.namespace == pod.namespace):
            return True
        if RESTRICTIONS in plugins and _share_claim(entry.demand, pod):
            return True
        return place is not None and first_failure(place, tuple(checks_for(entry.demand))) is None

    return helps


def arrival_helps(pod: Demand) -> Helps:
    """Return whom a pod that was placed may help: those who want to be near it, and those who wait for a balance."""

    def helps(entry: Waiting) -> bool:
        if spread.PLUGIN in entry.plugins and entry.demand.namespace == pod.namespace:
            return True
        terms = entry.demand.terms
        return terms is not None and any(
            term.whom.spaces is not None or term.whom.takes(pod.namespace, pod.labels, {}) for term in terms.near
        )

    return helps


def claim_helps(namespace: str, name: str) -> Helps:
    """Return whom a claim that came or changed may help: those who mount it."""
    return lambda entry: entry.demand.namespace == namespace and any(claim == name for claim, _ in entry.demand.claims)


def anything_helps(entry: Waiting) -> bool:
    """Say yes."""
    return True


def is_node_changed(new: Encoded, old: Encoded) -> bool:
    """Tell whether a node differs in what filters look at (and not just in its heartbeat)."""
    if new.labels != old.labels:
        return True
    one, other = new.object, old.object
    if (one.get("spec") or {}) != (other.get("spec") or {}):
        return True
    return (one.get("status") or {}).get("allocatable") != (other.get("status") or {}).get("allocatable")


def _share_claim(one: Demand, other: Demand) -> bool:
    return one.namespace == other.namespace and bool(
        {claim for claim, _ in one.claims} & {claim for claim, _ in other.claims}
    )
