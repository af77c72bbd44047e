"""What can be said about a pod from its object alone."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from moorage.objects import pods
from moorage.objects.metadata import format_time

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def ready_pod(since: datetime, phase: str = "Running") -> dict[str, object]:
    condition = {"type": "Ready", "status": "True", "lastTransitionTime": format_time(since)}
    return {"metadata": {"name": "p"}, "status": {"phase": phase, "conditions": [condition]}}


@given(age=st.integers(0, 1000), least=st.integers(0, 1000))
def test_a_ready_pod_is_available_once_it_was_ready_for_long_enough(age: int, least: int) -> None:
    pod = ready_pod(NOW - timedelta(seconds=age))
    assert pods.is_available(pod, least, NOW) == (age >= least)
    wait = pods.available_in(pod, least, NOW)
    assert wait == (None if age >= least else least - age)


def test_a_pod_that_is_not_ready_is_never_available() -> None:
    pod = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}}
    assert not pods.is_available(pod, 0, NOW)
    assert pods.available_in(pod, 10, NOW) is None


def test_the_next_pod_to_become_available_decides_when_to_look_again() -> None:
    young = [ready_pod(NOW - timedelta(seconds=age)) for age in (1, 4, 30)]
    assert pods.first_available_in(young, 10, NOW) == 6
    assert pods.first_available_in([], 10, NOW) is None


def test_an_active_pod_is_neither_finished_nor_terminating() -> None:
    assert pods.is_active({"status": {"phase": "Pending"}})
    assert not pods.is_active({"status": {"phase": "Failed"}})
    assert not pods.is_active({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": {}})


def test_claims_of_a_pod_include_those_made_for_ephemeral_volumes() -> None:
    volumes = [{"name": "a", "persistentVolumeClaim": {"claimName": "x"}}, {"name": "b", "ephemeral": {}}]
    assert pods.claims_of({"metadata": {"name": "p"}, "spec": {"volumes": volumes}}) == ("x",)
    volumes[1]["ephemeral"] = {"volumeClaimTemplate": {}}
    assert pods.claims_of({"metadata": {"name": "p"}, "spec": {"volumes": volumes}}) == ("x", "p-b")


def test_restarts_of_sidecars_are_counted_apart() -> None:
    pod = {
        "spec": {"initContainers": [{"name": "s", "restartPolicy": "Always"}, {"name": "i"}]},
        "status": {
            "containerStatuses": [{"name": "c", "restartCount": 2}],
            "initContainerStatuses": [{"name": "s", "restartCount": 3}, {"name": "i", "restartCount": 9}],
        },
    }
    assert pods.restarts_of(pod) == (2, 3)
