"""What a node says of itself, and when it says it again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from moorage.node.node_status import Machine, is_status_due, node_object, node_status

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MACHINE = Machine("n", "10.0.0.1", 2, 2**30, 2**33, "amd64", "6.1", "Debian", "m", "b", "native://1", "v1.37.2")


def registered() -> dict[str, Any]:
    node = node_object(MACHINE)
    return {**node, "status": node_status(MACHINE, node, NOW)}


def test_a_node_that_said_all_keeps_quiet_for_five_minutes():
    assert not is_status_due(MACHINE, registered(), NOW + timedelta(seconds=299))
    assert is_status_due(MACHINE, registered(), NOW + timedelta(seconds=300))


def test_a_node_that_was_declared_dead_says_that_it_lives():
    node = registered()
    for condition in node["status"]["conditions"]:
        condition |= {"status": "Unknown", "reason": "NodeStatusUnknown"}
    assert is_status_due(MACHINE, node, NOW)
    later = NOW + timedelta(seconds=50)
    ready = node_status(MACHINE, node, later)["conditions"][-1]
    assert (ready["status"], ready["lastTransitionTime"]) == ("True", "2026-01-01T00:00:50Z")


def test_conditions_of_others_do_not_matter():
    node = registered()
    node["status"]["conditions"].append({"type": "KernelDeadlock", "status": "False"})
    assert not is_status_due(MACHINE, node, NOW)


def test_resources_that_others_added_stay():
    node = registered()
    node["status"]["capacity"] = {**node["status"]["capacity"], "example.com/dongle": "4", "cpu": "64"}
    capacity = node_status(MACHINE, node, NOW)["capacity"]
    assert (capacity["example.com/dongle"], capacity["cpu"]) == ("4", "2")


def test_a_simulated_node_has_what_it_was_given():
    machine = replace(MACHINE, is_simulated=True)
    node = {**node_object(machine), "status": {"capacity": {"cpu": "4", "pods": "20"}}}
    status = node_status(machine, node, NOW)
    assert status["capacity"] == status["allocatable"] == {"cpu": "4", "pods": "20"}
    assert status["phase"] == "Running"
    assert node_status(machine, node_object(machine), NOW)["allocatable"]["cpu"] == "2"
