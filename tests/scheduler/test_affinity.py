"""Pods near and far from other pods."""

from tests.scheduler.cluster import make_node, make_pod, make_world, message_of, near, node_for, required

ZONE = "topology.kubernetes.io/zone"
NODES = [make_node("a", labels={ZONE: "1"}), make_node("b", labels={ZONE: "1"}), make_node("c", labels={ZONE: "2"})]


def test_a_pod_joins_those_it_wants_to_be_near() -> None:
    world = make_world(NODES, [make_pod("x", labels={"app": "x"}, nodeName="c")])
    assert node_for(make_pod("p", affinity=required("podAffinity", near("app", "x", ZONE))), world) == "c"


def test_the_first_of_a_group_that_wants_to_be_together_finds_a_place() -> None:
    affinity = required("podAffinity", near("app", "x", ZONE))
    assert node_for(make_pod("p", labels={"app": "x"}, affinity=affinity), make_world(NODES)) == "a"
    assert node_for(make_pod("p", labels={"app": "y"}, affinity=affinity), make_world(NODES)) == ""


def test_a_pod_keeps_away_from_others_in_the_whole_zone() -> None:
    world = make_world(NODES, [make_pod("x", labels={"app": "x"}, nodeName="a")])
    assert node_for(make_pod("p", affinity=required("podAntiAffinity", near("app", "x", ZONE))), world) == "c"


def test_those_who_are_there_keep_others_away() -> None:
    guard = make_pod("x", nodeName="a", affinity=required("podAntiAffinity", near("app", "p", ZONE)))
    world = make_world(NODES[:2], [guard])
    assert message_of(make_pod("p", labels={"app": "p"}), world) == (
        "0/2 nodes are available: 2 node(s) didn't satisfy existing pods anti-affinity rules."
        " preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod."
    )
    world.snapshot.remove_pod("default-x")
    assert node_for(make_pod("p", labels={"app": "p"}), world) == "a"


def test_terms_mean_pods_of_the_own_namespace_only() -> None:
    world = make_world(NODES, [make_pod("x", namespace="other", labels={"app": "x"}, nodeName="a")])
    everywhere = {**near("app", "x"), "namespaceSelector": {}}
    assert node_for(make_pod("p", affinity=required("podAffinity", near("app", "x"))), world) == ""
    assert node_for(make_pod("p", affinity=required("podAffinity", everywhere)), world) == "a"


def test_preferences_of_both_sides_decide_between_equals() -> None:
    preferred = {
        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 50, "podAffinityTerm": near("app", "x")}]
    }
    world = make_world(NODES, [make_pod("x", labels={"app": "x"}, nodeName="b")])
    assert node_for(make_pod("p", affinity={"podAffinity": preferred}), world) == "b"
    fan = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 50, "podAffinityTerm": near("app", "p")}]}
    world = make_world(NODES, [make_pod("x", affinity={"podAffinity": fan}, nodeName="c")])
    assert node_for(make_pod("p", labels={"app": "p"}), world) == "c"
