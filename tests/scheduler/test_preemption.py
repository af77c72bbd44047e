"""Whom to evict: as few and as unimportant as possible, and nobody for nothing."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from moorage.scheduler.decide import Choice, Refusal, Turn, decide, failure_at
from moorage.scheduler.demand import demand_of
from moorage.scheduler.preemption import preempt
from tests.controllers.world import World as Objects
from tests.scheduler.cluster import NOW, first, make_node, make_pod, make_world, preemption_of


def victims(outcome: Any) -> list[str]:
    return [] if outcome.eviction is None else [each.name for each in outcome.eviction.victims]


def test_the_least_important_pods_that_suffice_are_evicted() -> None:
    placed = [
        make_pod("low", requests={"cpu": "1"}, priority=1, nodeName="a"),
        make_pod("mid", requests={"cpu": "2"}, priority=2, nodeName="a"),
        make_pod("top", requests={"cpu": "1"}, priority=9, nodeName="a"),
    ]
    world = make_world([make_node("a")], placed)
    outcome = preemption_of(make_pod("p", requests={"cpu": "1"}, priority=5), world)
    assert victims(outcome) == ["low"]
    assert outcome.told == "preemption: found a potential placement for pod on node a, preempting 1 victims"


def test_the_node_whose_victims_matter_least_is_chosen() -> None:
    placed = [
        make_pod("x", requests={"cpu": "4"}, priority=3, nodeName="a"),
        make_pod("y", requests={"cpu": "4"}, priority=2, nodeName="b"),
    ]
    world = make_world([make_node("a"), make_node("b")], placed)
    assert victims(preemption_of(make_pod("p", requests={"cpu": "1"}, priority=5), world)) == ["y"]


def test_budgets_are_kept_where_possible() -> None:
    objects = Objects(NOW)
    objects.objects["poddisruptionbudgets.policy", "default", "b"] = {
        "metadata": {"name": "b", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"kept": "yes"}}},
        "status": {"disruptionsAllowed": 0},
    }
    placed = [
        make_pod("kept", requests={"cpu": "4"}, priority=1, labels={"kept": "yes"}, nodeName="a"),
        make_pod("free", requests={"cpu": "4"}, priority=4, nodeName="b"),
    ]
    world = make_world([make_node("a"), make_node("b")], placed, objects)
    assert victims(preemption_of(make_pod("p", requests={"cpu": "1"}, priority=5), world)) == ["free"]


def test_a_pod_that_never_preempts_is_told_so() -> None:
    world = make_world([make_node("a")], [make_pod("x", requests={"cpu": "4"}, nodeName="a")])
    outcome = preemption_of(make_pod("p", requests={"cpu": "1"}, priority=5, preemptionPolicy="Never"), world)
    assert outcome.told == "preemption: not eligible due to preemptionPolicy=Never."


def test_evicting_everybody_may_still_not_be_enough() -> None:
    placed = [
        make_pod("top", requests={"cpu": "3"}, priority=9, nodeName="a"),
        make_pod("low", requests={"cpu": "1"}, nodeName="a"),
    ]
    outcome = preemption_of(make_pod("p", requests={"cpu": "2"}, priority=5), make_world([make_node("a")], placed))
    assert outcome.told == "preemption: 0/1 nodes are available: 1 Insufficient cpu."


def test_a_pod_waits_for_those_who_are_leaving_already() -> None:
    leaving = make_pod("x", requests={"cpu": "4"}, nodeName="a")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    leaving["status"]["conditions"] = [
        {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
    ]
    pod = make_pod("p", requests={"cpu": "2"}, priority=5)
    pod["status"]["nominatedNodeName"] = "a"
    outcome = preemption_of(pod, make_world([make_node("a")], [leaving]))
    assert outcome.told == "preemption: not eligible due to a terminating pod on the nominated node."
    assert outcome.keeps


@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["1", "2"]), st.sampled_from("ab")), max_size=6),
    st.integers(0, 3),
    st.sampled_from(["1", "2", "4"]),
)
def test_evictions_make_room_take_nobody_in_vain_and_are_only_tried(
    given_pods: list[tuple[int, str, str]], priority: int, cpu: str
) -> None:
    placed = [
        make_pod(f"x{index}", requests={"cpu": asks}, priority=rank, nodeName=node)
        for index, (rank, asks, node) in enumerate(given_pods)
    ]
    world = make_world([make_node("a"), make_node("b")], placed)
    before = {name: (set(each.pods), dict(each.weights)) for name, each in world.snapshot.places.items()}
    pod = demand_of(make_pod("p", requests={"cpu": cpu}, priority=priority))
    found = decide(pod, world, Turn(), first)
    if isinstance(found, Choice):
        return
    assert isinstance(found, Refusal)
    outcome = preempt(pod, world, found, first)
    assert {name: (set(each.pods), dict(each.weights)) for name, each in world.snapshot.places.items()} == before
    if outcome.eviction is None:
        return
    assert all(each.priority < priority for each in outcome.eviction.victims)
    place = world.snapshot.places[outcome.eviction.node]
    for each in outcome.eviction.victims:
        world.snapshot.remove_pod(each.uid)
    assert failure_at(pod, place, world) is None
    for each in outcome.eviction.victims:
        world.snapshot.set_pod(each, place.name)
        assert failure_at(pod, place, world) is not None
        world.snapshot.remove_pod(each.uid)
