"""Pods of one kind, spread."""

from typing import Any

from tests.controllers.world import World as Objects
from tests.scheduler.cluster import NOW, make_node, make_pod, make_world, message_of, node_for

ZONE = "topology.kubernetes.io/zone"


def constraint(topology: str = "kubernetes.io/hostname", when: str = "DoNotSchedule", **more: Any) -> dict[str, Any]:
    selector = {"matchLabels": {"app": "x"}}
    return {"maxSkew": 1, "topologyKey": topology, "whenUnsatisfiable": when, "labelSelector": selector, **more}


def member(name: str, **more: Any) -> dict[str, Any]:
    return make_pod(name, labels={"app": "x"}, **more)


def test_the_emptiest_domain_comes_first() -> None:
    world = make_world([make_node("a"), make_node("b")], [member("m", nodeName="a")])
    assert node_for(member("p", topologySpreadConstraints=[constraint()]), world) == "b"


def test_a_full_domain_is_refused_even_if_no_other_takes_the_pod() -> None:
    world = make_world([make_node("a"), make_node("b", allocatable={"pods": "0"})], [member("m", nodeName="a")])
    text = message_of(member("p", topologySpreadConstraints=[constraint()]), world)
    assert text.startswith(
        "0/2 nodes are available: 1 Too many pods, 1 node(s) didn't match pod topology spread constraints. preemption:"
    )


def test_nodes_without_the_label_are_named() -> None:
    world = make_world([make_node("a")])
    assert "1 node(s) didn't match pod topology spread constraints (missing required label)." in message_of(
        member("p", topologySpreadConstraints=[constraint(ZONE)]), world
    )


def test_too_few_domains_count_as_empty_ones() -> None:
    world = make_world([make_node("a")], [member("m", nodeName="a")])
    assert node_for(member("p", topologySpreadConstraints=[constraint(minDomains=2)]), world) == ""
    assert node_for(member("p", topologySpreadConstraints=[constraint(minDomains=1)]), world) == "a"


def test_pods_that_are_leaving_do_not_count() -> None:
    leaving = member("m", nodeName="a")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    world = make_world([make_node("a"), make_node("b", allocatable={"pods": "0"})], [leaving])
    assert node_for(member("p", topologySpreadConstraints=[constraint()]), world) == "a"


def test_only_nodes_that_the_pod_may_use_set_the_measure() -> None:
    nodes = [make_node("a", labels={"pool": "1"}), make_node("b")]
    world = make_world(nodes, [member("m", nodeName="a")])
    pod = member("p", nodeSelector={"pool": "1"}, topologySpreadConstraints=[constraint()])
    assert node_for(pod, world) == "a"
    ignoring = constraint(nodeAffinityPolicy="Ignore")
    assert node_for(member("p", nodeSelector={"pool": "1"}, topologySpreadConstraints=[ignoring]), world) == ""


def test_what_is_only_preferred_gives_way_and_still_counts() -> None:
    nodes = [make_node("a", labels={ZONE: "1"}), make_node("b", labels={ZONE: "2"})]
    world = make_world(nodes, [member("m", nodeName="a")])
    assert node_for(member("p", topologySpreadConstraints=[constraint(ZONE, "ScheduleAnyway")]), world) == "b"


def test_pods_of_a_workload_are_spread_without_asking() -> None:
    objects = Objects(NOW)
    objects.objects["statefulsets.apps", "default", "web"] = {
        "metadata": {"name": "web", "namespace": "default", "uid": "u"},
        "spec": {"selector": {"matchLabels": {"app": "x"}}},
    }
    owners = [{"kind": "StatefulSet", "name": "web", "uid": "u", "controller": True}]
    big = {"cpu": "8", "memory": "16Gi"}
    world = make_world([make_node("a", allocatable=big), make_node("b")], [member("m", nodeName="a")], objects)
    assert node_for(member("p", owners=owners), world) == "b"
