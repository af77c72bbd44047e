"""Whom to evict so that a more important pod finds room: as few and as unimportant pods as possible, budgets kept.

Nothing is evicted here: decided is which pods would have to go, and what users are told.
Source: pkg/scheduler/framework/preemption, plugins/defaultpreemption (v1.37).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from moorage.objects.label_selectors import is_selected
from moorage.objects.metadata import Object
from moorage.scheduler.decide import Pick, Refusal, failure_at, tell
from moorage.scheduler.demand import Demand
from moorage.scheduler.failure import Failure
from moorage.scheduler.snapshot import Place
from moorage.scheduler.world import World

BUDGETS: Final = "poddisruptionbudgets.policy"

NOT_HELPFUL: Final = "Preemption is not helpful for scheduling"
NOBODY: Final = Failure("DefaultPreemption", ("No preemption victims found for incoming pod",), final=True)

#: So many nodes are tried at least, else this share of them. Source: DefaultPreemptionArgs.
CANDIDATES_LEAST: Final = 100
CANDIDATES_SHARE: Final = 10


@dataclass(frozen=True, slots=True)
class Eviction:
    """What would make room for a pod: `victims` leave `node`. breaks: how many of them their budgets would keep."""

    node: str
    victims: tuple[Demand, ...]
    breaks: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What preemption comes to: an eviction or none, and what users are told. keeps: the pod keeps its nomination."""

    told: str
    eviction: Eviction | None = None
    keeps: bool = False


def preempt(pod: Demand, world: World, refusal: Refusal, pick: Pick) -> Outcome:
    """Return whom to evict for a pod that no node takes."""
    why = _ineligible(pod, world, refusal)
    if why:
        return Outcome(f"preemption: not eligible due to {why}.", keeps=True)
    places = world.snapshot.places
    potential = [places[name] for name, failure in refusal.failures.items() if not failure.final]
    if pod.priority <= world.snapshot.least_priority and potential:
        # Nobody is less important, wherever it is.
        statuses: dict[str, Failure] = {place.name: NOBODY for place in potential}
        found: list[Eviction] = []
    else:
        found, statuses = _candidates(pod, potential, world, pick)
    if not found:
        return Outcome(f"preemption: {_told(refusal.nodes, statuses)}")
    eviction = min(found, key=_cost)
    text = f"found a potential placement for pod on node {eviction.node}, preempting {len(eviction.victims)} victims"
    return Outcome(f"preemption: {text}", eviction, keeps=True)


def _ineligible(pod: Demand, world: World, refusal: Refusal) -> str:
    """Return why the pod may not have others evicted, "" if it may."""
    if pod.never_preempts:
        return "preemptionPolicy=Never"
    place = world.snapshot.places.get(pod.nominated) if pod.nominated else None
    if place is None:
        return ""
    failure = refusal.failures.get(place.name) or refusal.others
    if failure is not None and failure.final:
        return ""
    if any(each.preempted and each.priority < pod.priority for each in place.pods.values()):
        return "a terminating pod on the nominated node"
    return ""


def _told(nodes: int, statuses: dict[str, Failure]) -> str:
    counts: dict[str, int] = {}
    for failure in statuses.values():
        for reason in failure.reasons:
            counts[reason] = counts.get(reason, 0) + 1
    if nodes > len(statuses):
        counts[NOT_HELPFUL] = counts.get(NOT_HELPFUL, 0) + nodes - len(statuses)
    return f"0/{nodes} nodes are available: {tell(counts)}."


def _candidates(
    pod: Demand, potential: Sequence[Place], world: World, pick: Pick
) -> tuple[list[Eviction], dict[str, Failure]]:
    """Return enough nodes where evictions would help, and why they would not on others."""
    count = len(potential)
    wanted = min(count, max(CANDIDATES_LEAST, count * CANDIDATES_SHARE // 100))
    budgets = world.view.list(BUDGETS) if count else ()
    found: list[Eviction] = []
    statuses: dict[str, Failure] = {}
    start = pick(count) if count > 1 else 0
    for index in range(count):
        place = potential[(start + index) % count]
        result = _try_node(pod, place, world, budgets)
        if isinstance(result, Failure):
            statuses[place.name] = result
            continue
        found.append(result)
        if len(found) >= wanted and any(not each.breaks for each in found):
            break
    return found, statuses


def _try_node(pod: Demand, place: Place, world: World, budgets: Sequence[Object]) -> Eviction | Failure:
    """Return the least evictions that make room on a node. What is tried is undone."""
    snapshot = world.snapshot
    lower = [each for each in place.pods.values() if each.priority < pod.priority]
    if not lower:
        return NOBODY
    guests = [each for each in place.nominated.values() if each.priority >= pod.priority and each.uid != pod.uid]
    guests = [each for each in guests if not snapshot.node_of(each.uid)]
    for each in lower:
        snapshot.remove_pod(each.uid)
    for each in guests:
        snapshot.set_pod(each, place.name)
    victims: list[Demand] = []
    try:
        failure = failure_at(pod, place, world)
        if failure is not None:
            return failure
        breaking, others = _by_budget(sorted(lower, key=_importance), budgets)
        for each in (*breaking, *others):
            snapshot.set_pod(each, place.name)
            if failure_at(pod, place, world) is not None:
                snapshot.remove_pod(each.uid)
                victims.append(each)
        breaks = sum(1 for each in victims if each in breaking)
        return Eviction(place.name, tuple(sorted(victims, key=_importance)), breaks)
    finally:
        for each in guests:
            snapshot.remove_pod(each.uid)
        for each in lower:
            if not snapshot.node_of(each.uid):
                snapshot.set_pod(each, place.name)


def _by_budget(pods: Sequence[Demand], budgets: Sequence[Object]) -> tuple[list[Demand], list[Demand]]:
    """Return the pods whose eviction their budgets would not allow, and the others, in order."""
    allowed = [int((each.get("status") or {}).get("disruptionsAllowed") or 0) for each in budgets]
    breaking: list[Demand] = []
    others: list[Demand] = []
    for pod in pods:
        breaks = False
        for index, budget in enumerate(budgets):
            if _covers(budget, pod):
                allowed[index] -= 1
                breaks = breaks or allowed[index] < 0
        (breaking if breaks else others).append(pod)
    return breaking, others


def _covers(budget: Object, pod: Demand) -> bool:
    """Tell whether a budget counts the pod, unless its disruption is counted already."""
    if budget["metadata"].get("namespace") != pod.namespace or not pod.labels:
        return False
    selector = (budget.get("spec") or {}).get("selector")
    if not selector or not is_selected(selector, pod.labels):
        return False
    return pod.name not in ((budget.get("status") or {}).get("disruptedPods") or {})


def _importance(pod: Demand) -> tuple[int, str, str]:
    """Return the order from the most important pod: higher priority, then older."""
    return -pod.priority, pod.created, pod.key


def _cost(eviction: Eviction) -> tuple[int, int, int, int, tuple[int, ...]]:
    """Return the order of evictions from the cheapest. Source: pickOneNodeForPreemption."""
    priorities = [each.priority for each in eviction.victims]
    highest = max(priorities, default=-(2**31))
    oldest = min((each.created for each in eviction.victims if each.priority == highest), default="")
    # Of those that are left, the one whose most important victim is youngest: texts in reverse order.
    reverse = tuple(-ord(each) for each in oldest)
    return eviction.breaks, highest, sum(each + 2**31 for each in priorities), len(priorities), reverse
