"""What nodes alone decide."""

from typing import Any

import pytest

from tests.scheduler.cluster import make_node, make_pod, make_world, node_for, refusal_of

NO = {"key": "k", "value": "v", "effect": "NoSchedule"}


def reasons(pod: dict[str, Any], *nodes: dict[str, Any], placed: tuple[dict[str, Any], ...] = ()) -> list[str]:
    found = refusal_of(pod, make_world(nodes, placed))
    return [reason for each in found.failures.values() for reason in each.reasons]


def test_tainted_and_cordoned_nodes_want_to_be_tolerated() -> None:
    assert reasons(make_pod("p"), make_node("a", taints=[NO])) == ["node(s) had untolerated taint(s)"]
    assert reasons(make_pod("p"), make_node("a", unschedulable=True)) == ["node(s) were unschedulable"]
    tolerant = make_pod("p", tolerations=[{"operator": "Exists"}])
    assert node_for(tolerant, make_world([make_node("a", taints=[NO], unschedulable=True)])) == "a"


def test_a_taint_that_is_only_preferred_keeps_nobody_out() -> None:
    soft = {**NO, "effect": "PreferNoSchedule"}
    assert node_for(make_pod("p"), make_world([make_node("a", taints=[soft])])) == "a"
    assert node_for(make_pod("p"), make_world([make_node("a", taints=[soft]), make_node("b")])) == "b"


@pytest.mark.parametrize(
    ("other", "fits"),
    [
        ({"hostPort": 80}, False),
        ({"hostPort": 81}, True),
        ({"hostPort": 80, "protocol": "UDP"}, True),
        ({"hostPort": 80, "hostIP": "10.0.0.1"}, False),
        ({"containerPort": 80}, True),
    ],
)
def test_a_host_port_is_given_once(other: dict[str, Any], fits: bool) -> None:
    world = make_world([make_node("a")], [make_pod("x", ports=[{"hostPort": 80}], nodeName="a")])
    assert bool(node_for(make_pod("p", ports=[other]), world)) is fits


def test_all_that_is_lacking_is_named_in_order() -> None:
    pod = make_pod("p", requests={"memory": "9Gi", "cpu": "5", "example.com/b": "1", "example.com/a": "1"})
    assert reasons(pod, make_node("a", allocatable={"pods": "0"})) == [
        "Too many pods",
        "Insufficient cpu",
        "Insufficient memory",
        "Insufficient example.com/a",
        "Insufficient example.com/b",
    ]


def test_what_preference_and_image_say_decides_between_equals() -> None:
    image = {"names": ["docker.io/library/nginx:latest", "nginx:latest"], "sizeBytes": 900_000_000}
    assert node_for(make_pod("p"), make_world([make_node("a"), make_node("b", images=[image])])) == "b"
    preferred = [{"weight": 1, "preference": {"matchExpressions": [{"key": "h", "operator": "Exists"}]}}]
    affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
    assert (
        node_for(make_pod("p", affinity=affinity), make_world([make_node("a"), make_node("b", labels={"h": ""})]))
        == "b"
    )
