"""What a pod asks for, digested."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from moorage.scheduler.demand import ASSUMED, demand_of, requests_of
from tests.scheduler.cluster import make_pod


def container(cpu: int, *, sidecar: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {"resources": {"requests": {"cpu": str(cpu)}}}
    return {**found, "restartPolicy": "Always"} if sidecar else found


def cpu_of(spec: dict[str, Any]) -> int:
    return requests_of(spec, {}).get("cpu", 0)


cores = st.lists(st.integers(0, 9), max_size=4)


@given(cores, st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=4))
def test_a_pod_reserves_the_hungriest_moment_of_its_life(regular: list[int], inits: list[tuple[int, bool]]) -> None:
    spec = {
        "containers": [container(each) for each in regular],
        "initContainers": [container(each, sidecar=sidecar) for each, sidecar in inits],
    }
    sidecars, peak = 0, 0
    for each, sidecar in inits:
        sidecars += each if sidecar else 0
        peak = max(peak, sidecars if sidecar else sidecars + each)
    assert cpu_of(spec) == 1000 * max(peak, sidecars + sum(regular))


def test_overhead_is_added_and_requests_of_the_pod_win() -> None:
    assert cpu_of({"containers": [container(1)], "overhead": {"cpu": "500m"}}) == 1500
    assert cpu_of({"containers": [container(1)], "resources": {"requests": {"cpu": "3"}}}) == 3000


def test_containers_without_requests_weigh_something() -> None:
    assert demand_of(make_pod("p")).weights == ASSUMED
    assert demand_of(make_pod("p")).requests == {}


def test_claims_of_ephemeral_volumes_carry_the_name_of_the_pod() -> None:
    pod = make_pod(
        "p", volumes=[{"name": "v", "ephemeral": {}}, {"name": "w", "persistentVolumeClaim": {"claimName": "c"}}]
    )
    assert demand_of(pod).claims == (("p-v", True), ("c", False))
