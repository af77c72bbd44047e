"""Choosing a node: what is chosen can take the pod, what is refused says why, to the letter."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.scheduler.decide import Choice, Refusal, Turn, decide, failure_at, wanted_count
from moorage.scheduler.demand import demand_of
from tests.scheduler.cluster import first, make_node, make_pod, make_world, message_of, near, node_for, required

HELPLESS = "Preemption is not helpful for scheduling."
NOBODY = "No preemption victims found for incoming pod."

amounts = st.sampled_from(["0", "100m", "1", "1500m", "3"])
zones = st.sampled_from(["x", "y"])


@st.composite
def nodes(draw: st.DrawFn) -> list[dict[str, Any]]:
    taint = {"key": "k", "effect": "NoSchedule"}
    return [
        make_node(
            f"n{index}",
            labels={"zone": draw(zones)},
            allocatable={"cpu": draw(st.sampled_from(["1", "2", "4"])), "pods": draw(st.sampled_from(["1", "3"]))},
            taints=draw(st.sampled_from([[], [], [taint]])),
            unschedulable=draw(st.sampled_from([False, False, True])),
        )
        for index in range(draw(st.integers(1, 4)))
    ]


@st.composite
def pods(draw: st.DrawFn) -> list[dict[str, Any]]:
    found = []
    for index in range(draw(st.integers(1, 8))):
        more: dict[str, Any] = {}
        if draw(st.booleans()):
            more["nodeSelector"] = {"zone": draw(zones)}
        if draw(st.booleans()):
            more["affinity"] = required("podAntiAffinity", near("app", draw(st.sampled_from("ab")), "zone"))
        elif draw(st.booleans()):
            more["affinity"] = required("podAffinity", near("app", draw(st.sampled_from("ab")), "zone"))
        if draw(st.booleans()):
            more["topologySpreadConstraints"] = [
                {
                    "maxSkew": 1,
                    "topologyKey": "zone",
                    "whenUnsatisfiable": draw(st.sampled_from(["DoNotSchedule", "ScheduleAnyway"])),
                    "labelSelector": {"matchLabels": {"app": draw(st.sampled_from("ab"))}},
                }
            ]
        if draw(st.booleans()):
            more["ports"] = [{"containerPort": 1, "hostPort": draw(st.sampled_from([80, 81]))}]
        found.append(
            make_pod(f"p{index}", requests={"cpu": draw(amounts)}, labels={"app": draw(st.sampled_from("ab"))}, **more)
        )
    return found


@given(nodes(), pods())
def test_a_chosen_node_passes_all_filters_and_is_never_overcommitted(given_nodes: Any, given_pods: Any) -> None:
    world = make_world(given_nodes)
    for pod in given_pods:
        demand = demand_of(pod)
        found = decide(demand, world, Turn(), first)
        if isinstance(found, Choice):
            assert failure_at(demand, found.place, world) is None
            world.snapshot.set_pod(demand, found.place.name)
        else:
            assert all(failure_at(demand, each, world) is not None for each in world.snapshot.nodes)
    for each in world.snapshot.nodes:
        assert len(each.pods) <= each.room
        assert each.requested.get("cpu", 0) <= each.allocatable["cpu"]
        assert all(count == 1 for count in each.ports.values())


@given(nodes(), pods())
def test_every_node_of_a_refusal_is_accounted_for(given_nodes: Any, given_pods: Any) -> None:
    world = make_world(given_nodes)
    for pod in given_pods:
        demand = demand_of(pod)
        found = decide(demand, world, Turn(), first)
        if isinstance(found, Refusal):
            assert len(found.failures) == len(given_nodes)
            assert found.message().startswith(f"0/{len(given_nodes)} nodes are available: ")
        else:
            world.snapshot.set_pod(demand, found.place.name)


@given(nodes(), pods(), st.integers(0, 5))
def test_where_the_search_begins_does_not_decide_whether_a_node_is_found(
    given_nodes: Any, given_pods: Any, start: int
) -> None:
    one, other = make_world(given_nodes), make_world(given_nodes)
    pod = demand_of(given_pods[0])
    assert type(decide(pod, one, Turn(), first)) is type(decide(pod, other, Turn(start), first))


def test_without_nodes_the_text_says_just_that() -> None:
    assert message_of(make_pod("p"), make_world([])) == "no nodes available to schedule pods"


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"nodeSelector": {"no": "such"}}, f"3 node(s) didn't match Pod's node affinity/selector. {HELPLESS}"),
        ({"requests": {"cpu": "1000"}}, f"3 Insufficient cpu. {HELPLESS}"),
        ({"requests": {"memory": "9Ti"}}, f"3 Insufficient memory. {HELPLESS}"),
        ({"requests": {"example.com/gpu": "1"}}, f"3 Insufficient example.com/gpu. {HELPLESS}"),
        (
            {"affinity": required("podAffinity", near("x", "y"))},
            f"3 node(s) didn't match pod affinity rules. {HELPLESS}",
        ),
        (
            {
                "affinity": {
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {
                            "nodeSelectorTerms": [
                                {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["ghost"]}]}
                            ]
                        }
                    }
                }
            },
            f"3 node(s) didn't satisfy plugin(s) [NodeAffinity]. {HELPLESS}",
        ),
    ],
)
def test_a_refusal_says_why_as_upstream_does(spec: dict[str, Any], text: str) -> None:
    world = make_world([make_node(name) for name in "abc"])
    reason, rest = text.split(". ", 1)
    expected = f"0/3 nodes are available: {reason}. preemption: 0/3 nodes are available: 3 {rest}"
    assert message_of(make_pod("p", **spec), world) == expected


def test_different_reasons_are_sorted_as_texts() -> None:
    world = make_world(
        [*(make_node(name) for name in "abc"), make_node("h", labels={"h": "1"}, allocatable={"pods": "1"})],
        [make_pod("a", nodeName="h")],
    )
    assert message_of(make_pod("p", nodeSelector={"h": "1"}), world) == (
        "0/4 nodes are available: 1 Too many pods, 3 node(s) didn't match Pod's node affinity/selector."
        f" preemption: 0/4 nodes are available: 1 {NOBODY[:-1]}, 3 {HELPLESS}"
    )


def test_a_missing_claim_refuses_the_pod_as_a_whole() -> None:
    world = make_world([make_node("a")])
    pod = make_pod("p", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}])
    assert message_of(pod, world) == '0/1 nodes are available: persistentvolumeclaim "c" not found. not found'


def test_pods_go_where_most_is_left() -> None:
    world = make_world([make_node("a"), make_node("b")], [make_pod("x", requests={"cpu": "2"}, nodeName="a")])
    assert node_for(make_pod("p", requests={"cpu": "1"}), world) == "b"


def test_room_is_left_for_a_more_important_pod_that_waits_for_it() -> None:
    world = make_world([make_node("a")])
    guest = demand_of(make_pod("guest", requests={"cpu": "3"}, priority=10))
    world.snapshot.nominate(guest, "a")
    assert node_for(make_pod("p", requests={"cpu": "2"}), world) == ""
    assert node_for(make_pod("p", requests={"cpu": "1"}), world) == "a"
    assert node_for(make_pod("p", requests={"cpu": "2"}, priority=11), world) == "a"
    assert not world.snapshot.nodes[0].pods


@given(st.integers(0, 20_000))
def test_large_clusters_are_sampled(count: int) -> None:
    wanted = wanted_count(count)
    assert wanted <= count
    assert wanted == count or wanted >= 100
