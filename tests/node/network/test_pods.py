"""Addresses of pods."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.node.network.pods import (
    NODES_MAX,
    PodAddresses,
    gateway_for,
    node_address_for,
    pod_network_for,
)
from moorage.node.runtimes.runtime import RuntimeFailure


def test_a_node_has_a_network_of_its_own() -> None:
    assert (pod_network_for(3), gateway_for(3), node_address_for(3)) == ("10.124.3.0/24", "10.124.3.1", "172.30.0.3")
    assert len({pod_network_for(index) for index in range(1, NODES_MAX + 1)}) == NODES_MAX
    with pytest.raises(ValueError, match="not in"):
        pod_network_for(0)


@given(st.lists(st.tuples(st.sampled_from(["take", "release"]), st.integers(0, 20)), max_size=60))
def test_no_two_pods_have_the_same_address_and_one_keeps_its_own(steps: list[tuple[str, int]]) -> None:
    addresses = PodAddresses(1)
    held: dict[str, str] = {}
    for verb, number in steps:
        uid = f"uid-{number}"
        if verb == "release":
            addresses.release(uid)
            held.pop(uid, None)
            continue
        address = addresses.take(uid)
        assert held.get(uid, address) == address
        held[uid] = address
        assert len(set(held.values())) == len(held)


def test_a_freed_address_rests_until_the_others_were_used() -> None:
    addresses = PodAddresses(1)
    first = addresses.take("a")
    addresses.release("a")
    assert addresses.take("b") != first


def test_adopted_addresses_are_not_given_again() -> None:
    addresses = PodAddresses(1)
    addresses.adopt("a", "10.124.1.2")
    addresses.adopt("b", "10.124.9.3")
    addresses.adopt("c", "")
    assert addresses.take("a") == "10.124.1.2"
    assert addresses.take("d") == "10.124.1.3"


def test_a_full_node_says_so() -> None:
    addresses = PodAddresses(1)
    for number in range(253):
        addresses.take(str(number))
    with pytest.raises(RuntimeFailure, match=r"no free address left in 10\.124\.1\.0/24"):
        addresses.take("one more")
