"""Kubernetes Events as client-go's recorder writes them."""

from collections.abc import AsyncIterator

import pytest

from moorage.aio.tasks import Tasks
from moorage.objects.actions import Record
from moorage.objects.errors import forbidden
from moorage.reconciler.events import BURST, Recorder
from tests.controllers.world import World
from tests.reconciler.memory import MemoryClient, StandingClock

WEB = {
    "apiVersion": "apps/v1",
    "kind": "StatefulSet",
    "metadata": {"name": "web", "namespace": "default", "uid": "u", "resourceVersion": "7"},
}


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def client(clock: StandingClock) -> MemoryClient:
    return MemoryClient(World(clock.now()))


@pytest.fixture
async def recorder(client: MemoryClient, clock: StandingClock) -> AsyncIterator[Recorder]:
    async with Tasks("test") as tasks:
        recorder = Recorder(client, clock)
        tasks.keep("events", recorder.run)
        yield recorder


def record(recorder: Recorder, message: str = "hello", reason: str = "SuccessfulCreate", about: object = WEB) -> None:
    recorder.record(Record(about, reason, message), "statefulset-controller")  # type: ignore[arg-type]


async def test_an_event_says_what_happened_to_whom_and_who_says_so(recorder: Recorder, client: MemoryClient) -> None:
    record(recorder)
    await recorder.flushed()
    [event] = client.world.list("events")
    assert event["metadata"]["name"].startswith("web.")
    assert event["involvedObject"] == {
        "kind": "StatefulSet",
        "namespace": "default",
        "name": "web",
        "uid": "u",
        "apiVersion": "apps/v1",
        "resourceVersion": "7",
    }
    assert event["source"] == {"component": "statefulset-controller"}
    assert event["reportingComponent"] == "statefulset-controller"
    assert (event["type"], event["reason"], event["message"], event["count"]) == (
        "Normal",
        "SuccessfulCreate",
        "hello",
        1,
    )


async def test_the_same_event_again_is_counted(recorder: Recorder, client: MemoryClient, clock: StandingClock) -> None:
    for _ in range(3):
        record(recorder)
        clock.advance(1)
    await recorder.flushed()
    [event] = client.world.list("events")
    assert event["count"] == 3
    assert event["lastTimestamp"] == "2026-01-01T00:00:02Z"
    assert event["firstTimestamp"] == "2026-01-01T00:00:00Z"


async def test_an_event_that_expired_is_written_anew(recorder: Recorder, client: MemoryClient) -> None:
    record(recorder)
    await recorder.flushed()
    client.world.delete("events", "default", client.world.list("events")[0]["metadata"]["name"])
    record(recorder)
    await recorder.flushed()
    assert client.world.list("events")[0]["count"] == 1


async def test_many_similar_events_are_combined(recorder: Recorder, client: MemoryClient) -> None:
    for number in range(14):
        record(recorder, f"Created pod: {number}")
    await recorder.flushed()
    events = client.world.list("events")
    assert len(events) == 10
    [combined] = [event for event in events if event["message"].startswith("(combined from similar events): ")]
    assert combined["message"].endswith("Created pod: 13")
    assert combined["count"] == 5


async def test_a_flood_about_one_object_is_cut(recorder: Recorder, client: MemoryClient, clock: StandingClock) -> None:
    for number in range(BURST + 10):
        record(recorder, reason=f"Reason{number}")
    await recorder.flushed()
    assert len(client.world.list("events")) == BURST
    clock.advance(301)
    record(recorder, reason="Later")
    await recorder.flushed()
    assert len(client.world.list("events")) == BURST + 1


async def test_a_refused_event_is_dropped_and_the_next_one_written(recorder: Recorder, client: MemoryClient) -> None:
    refusals = iter([forbidden("events", "", "", "no")])
    client.world.refuse = lambda verb, resource, obj: next(refusals, None)
    record(recorder, "first")
    record(recorder, "second")
    await recorder.flushed()
    assert [event["message"] for event in client.world.list("events")] == ["second"]


async def test_events_about_cluster_scoped_objects_go_to_the_default_namespace(
    recorder: Recorder, client: MemoryClient
) -> None:
    record(recorder, about={"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "uid": "n1"}})
    await recorder.flushed()
    [event] = client.world.list("events")
    assert event["metadata"]["namespace"] == "default"
    assert "namespace" not in event["involvedObject"]
