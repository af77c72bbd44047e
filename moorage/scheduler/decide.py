"""Which node a pod gets, or why none: a pure function of the pod and of what is where.

Source: pkg/scheduler/schedule_one.go, framework/types.go FitError (v1.37).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from moorage.scheduler import affinity, spread
from moorage.scheduler.demand import Demand
from moorage.scheduler.failure import Failure
from moorage.scheduler.filters import CONFLICTING, NOT_NAMED, Check, checks_for, named_nodes
from moorage.scheduler.scores import add, score_nodes
from moorage.scheduler.snapshot import Place
from moorage.scheduler.volumes import (
    Bindings,
    Wants,
    bindings_for,
    check_exclusive,
    check_volumes,
    check_zones,
    wants_of,
)
from moorage.scheduler.world import World

#: So many suitable nodes are looked for at least; then a share that falls with the size of the cluster suffices.
NODES_LEAST: Final = 100
SHARE_LEAST: Final = 5

NO_NODES: Final = "no nodes available to schedule pods"

#: Who refuses pods while there are no nodes.
NO_NODES_PLUGIN: Final = "NoNodes"

#: What upstream says after a pod was refused as a whole: a later plugin misses what it would have prepared.
NOT_PREPARED: Final = "not found"

#: Chooses one of so many equally good nodes.
Pick = Callable[[int], int]


@dataclass(frozen=True, slots=True)
class Refusal:
    """No node takes the pod.

    nodes: how many there are; failures: why not, by node; others: why not the nodes that were not even looked at;
    whole: why not, whatever the node.
    """

    nodes: int
    failures: Mapping[str, Failure] = field(default_factory=dict)
    others: Failure | None = None
    whole: Failure | None = None

    @property
    def plugins(self) -> frozenset[str]:
        """Who refused the pod."""
        if not self.nodes:
            return frozenset((NO_NODES_PLUGIN,))
        found = {each.plugin for each in self.failures.values()}
        found |= {each.plugin for each in (self.others, self.whole) if each is not None}
        return frozenset(found)

    def message(self, afterwards: str = "") -> str:
        """Return the text that users read; `afterwards` says what preemption found."""
        if not self.nodes:
            return NO_NODES
        head = f"0/{self.nodes} nodes are available:"
        if self.whole is not None:
            return f"{head} {', '.join(self.whole.reasons)}. {NOT_PREPARED}"
        counts: dict[str, int] = {}
        for failure in self.failures.values():
            for reason in failure.reasons:
                counts[reason] = counts.get(reason, 0) + 1
        if self.others is not None:
            for reason in self.others.reasons:
                counts[reason] = counts.get(reason, 0) + self.nodes - len(self.failures)
        text = f"{head} {tell(counts)}."
        return f"{text} {afterwards}" if afterwards else text


@dataclass(frozen=True, slots=True)
class Choice:
    """The node that the pod gets, and what its volumes need before it can be bound."""

    place: Place
    bindings: Bindings | None = None


@dataclass(slots=True)
class Turn:
    """What one decision leaves to the next: where to start looking, so that every node gets its turn."""

    start: int = 0


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of one pod, in upstream's order, and what its claims need (None: it has none)."""

    checks: Sequence[Check]
    wants: Wants | None


def tell(counts: Mapping[str, int]) -> str:
    """Return reasons with how often they hold, in upstream's order (as texts)."""
    return ", ".join(sorted(f"{count} {reason}" for reason, count in counts.items()))


def decide(pod: Demand, world: World, turn: Turn, pick: Pick) -> Choice | Refusal:
    """Return the node that suits the pod best, or why none does."""
    nodes = world.snapshot.nodes
    count = len(nodes)
    if not count:
        return Refusal(0)
    others: Failure | None = None
    named = named_nodes(pod) if pod.node_affinity else None
    if named is not None:
        if not named:
            return Refusal(count, whole=CONFLICTING)
        nodes = [place for place in nodes if place.name in named]
        others = NOT_NAMED
    filters = prepare(pod, world)
    if isinstance(filters, Failure):
        return Refusal(count, whole=filters)
    nominated = world.snapshot.places.get(pod.nominated) if pod.nominated else None
    if nominated is not None and nominated in nodes:
        suitable, _ = find(pod, [nominated], filters, world, Turn())
        if suitable:
            return _chosen(nominated, filters, world)
    suitable, failures = find(pod, nodes, filters, world, turn)
    if not suitable:
        return Refusal(count, failures, others)
    return _chosen(best(pod, suitable, world, pick), filters, world)


def _chosen(place: Place, filters: Filters, world: World) -> Choice:
    wants = filters.wants
    return Choice(place, bindings_for(wants, place, world.promises) if wants is not None and wants.waiters else None)


def prepare(pod: Demand, world: World) -> Filters | Failure:
    """Return the filters that have something to say for the pod, or why it cannot be placed anywhere."""
    checks: list[Check | None] = [*checks_for(pod)]
    wants: Wants | None = None
    if pod.claims:
        found = wants_of(pod, world)
        if isinstance(found, Failure):
            return found
        wants = found
        checks += [check_exclusive(pod, wants, world), check_volumes(wants, world.promises), check_zones(wants)]
    checks.append(spread.check_spread(pod, world.snapshot) if pod.spread else None)
    checks.append(affinity.check_affinity_to_pods(pod, world.snapshot))
    return Filters([check for check in checks if check is not None], wants)


def find(
    pod: Demand, nodes: Sequence[Place], filters: Filters, world: World, turn: Turn
) -> tuple[list[Place], dict[str, Failure]]:
    """Return enough nodes that take the pod, from where the last search ended, and why others do not."""
    wanted = wanted_count(len(nodes))
    suitable: list[Place] = []
    failures: dict[str, Failure] = {}
    checks = filters.checks
    count = len(nodes)
    start = turn.start % count if count else 0
    looked = 0
    for index in range(start, start + count):
        place = nodes[index if index < count else index - count]
        looked += 1
        failure = first_failure(place, checks)
        if failure is None and place.nominated:
            failure = _failure_with_nominated(pod, place, world)
        if failure is not None:
            failures[place.name] = failure
            continue
        suitable.append(place)
        if len(suitable) >= wanted:
            break
    if count:
        turn.start = (start + looked) % count
    return suitable, failures


def first_failure(place: Place, checks: Sequence[Check]) -> Failure | None:
    """Return what the first filter that fails says about a node."""
    for check in checks:
        failure = check(place)
        if failure is not None:
            return failure
    return None


def failure_at(pod: Demand, place: Place, world: World) -> Failure | None:
    """Return why a node does not take the pod as things are now, None if it does."""
    filters = prepare(pod, world)
    return filters if isinstance(filters, Failure) else first_failure(place, filters.checks)


def _failure_with_nominated(pod: Demand, place: Place, world: World) -> Failure | None:
    """Return why the pod must leave room to those, not less important, that wait for it on the node."""
    snapshot = world.snapshot
    guests = [
        each
        for each in place.nominated.values()
        if each.priority >= pod.priority and each.uid != pod.uid and not snapshot.node_of(each.uid)
    ]
    if not guests:
        return None
    for guest in guests:
        snapshot.set_pod(guest, place.name)
    failure = failure_at(pod, place, world)
    for guest in guests:
        snapshot.remove_pod(guest.uid)
    return failure


def wanted_count(nodes: int) -> int:
    """Return how many suitable nodes are enough to choose from. Source: numFeasibleNodesToFind."""
    if nodes < NODES_LEAST:
        return nodes
    share = max(SHARE_LEAST, 50 - nodes // 125)
    return max(NODES_LEAST, nodes * share // 100)


def best(pod: Demand, suitable: Sequence[Place], world: World, pick: Pick) -> Place:
    """Return the node with the highest score, one of them if there are several."""
    if len(suitable) == 1:
        return suitable[0]
    totals = score_nodes(pod, suitable, world.snapshot)
    spreads = spread.score_spread(pod, suitable, world.snapshot, world.view)
    if spreads is not None:
        add(totals, spread.WEIGHT, spreads)
    affinities = affinity.score_affinity_to_pods(pod, suitable, world.snapshot)
    if affinities is not None:
        add(totals, affinity.WEIGHT, affinities)
    most = max(totals)
    highest = [place for place, total in zip(suitable, totals, strict=True) if total == most]
    return highest[0] if len(highest) == 1 else highest[pick(len(highest))]
