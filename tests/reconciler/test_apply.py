"""Performing what a rule decided."""

from typing import Any

import pytest

from moorage.objects.actions import Action, Confirm, Create, Delete, Patch, Record, SetStatus, Update
from moorage.objects.errors import forbidden
from moorage.objects.metadata import Ref
from moorage.reconciler.apply import Applier, Verdict
from moorage.reconciler.events import Recorder
from tests.controllers.world import World
from tests.reconciler.memory import MemoryClient, StandingClock

SET = {"apiVersion": "v1", "kind": "Set", "metadata": {"name": "web", "namespace": "default"}}


class Told(Recorder):
    """Remembers messages instead of writing Events."""

    def __init__(self, client: MemoryClient, clock: StandingClock) -> None:
        super().__init__(client, clock)
        self.messages: list[str] = []

    def record(self, record: Record, component: str) -> None:
        self.messages.append(record.message)


@pytest.fixture
def world() -> World:
    return World(StandingClock().now())


@pytest.fixture
def told(world: World) -> Told:
    return Told(MemoryClient(world), StandingClock())


@pytest.fixture
def applier(world: World, told: Told) -> Applier:
    return Applier(MemoryClient(world), told, "test-controller")


def pod(name: str, **more: Any) -> Create:
    done, failed = (Record(SET, "Yes", "made {name}"),), (Record(SET, "No", "cannot: {error}"),)
    metadata = {"name": name, "namespace": "default"} if name else {"generateName": "web-", "namespace": "default"}
    return Create("pods", {"metadata": metadata}, done=done, failed=failed, **more)


async def test_actions_are_performed_in_order_and_told(world: World, applier: Applier, told: Told) -> None:
    outcome = await applier.apply([pod("a"), pod(""), Record(SET, "x", "said")])
    assert (outcome.verdict, outcome.changes, outcome.error) == (Verdict.DONE, 2, None)
    assert outcome.written.revisions == {"pods": world.revision}
    assert told.messages == ["made a", "made web-00002", "said"]


async def test_the_first_refusal_ends_the_round_and_is_told(world: World, applier: Applier, told: Told) -> None:
    world.refuse = lambda verb, resource, obj: (
        forbidden("pods", "", "b", "no") if obj["metadata"]["name"] == "b" else None
    )
    outcome = await applier.apply([pod("a"), pod("b"), pod("c")])
    assert outcome.verdict is Verdict.REFUSED
    assert list(world.pods()) == ["a"]
    assert told.messages == ["made a", 'cannot: pods "b" is forbidden: no']


async def test_a_status_that_tells_of_failures_is_written_after_one(world: World, applier: Applier) -> None:
    made = world.create("sets", SET)
    world.refuse = lambda verb, resource, obj: forbidden("pods", "", "a", "no") if resource == "pods" else None
    failed = {"count": 0, "conditions": [{"type": "Failed", "message": "{error}"}]}
    await applier.apply([pod("a"), SetStatus("sets", {**made, "status": {"count": 1}}, when_failed=failed)])
    [stored] = world.list("sets")
    assert stored["status"]["conditions"][0]["message"] == 'pods "a" is forbidden: no'


async def test_an_unchanged_status_is_not_written(world: World, applier: Applier) -> None:
    made = world.create("sets", SET)
    before = world.revision
    await applier.apply([SetStatus("sets", made, unchanged=True)])
    assert world.revision == before


async def test_a_taken_name_is_a_refusal_without_an_event(world: World, applier: Applier, told: Told) -> None:
    world.create("pods", pod("a").obj)
    assert (await applier.apply([pod("a")])).verdict is Verdict.REFUSED
    assert told.messages == []


@pytest.mark.parametrize(
    "action",
    [
        Update("sets", {**SET, "metadata": {**SET["metadata"], "resourceVersion": "1000"}}),  # type: ignore[dict-item]
        Patch(Ref("sets", "default", "missing"), {}),
        Delete(Ref("sets", "default", "web", "another-uid")),
        Confirm(Ref("sets", "default", "web", "another-uid")),
        Confirm(Ref("sets", "default", "missing", "uid")),
    ],
)
async def test_a_world_that_moved_on_ends_the_round_quietly(
    world: World, applier: Applier, told: Told, action: Action
) -> None:
    world.create("sets", SET)
    outcome = await applier.apply([action, pod("a")])
    assert outcome.verdict is Verdict.STALE
    assert not world.pods()
    assert told.messages == []


async def test_deleting_what_is_gone_counts_as_done(applier: Applier) -> None:
    outcome = await applier.apply([Delete(Ref("pods", "default", "a"))])
    assert (outcome.verdict, outcome.changes) == (Verdict.DONE, 0)


async def test_a_lost_answer_is_remembered_for_its_resource(world: World, told: Told) -> None:
    applier = Applier(MemoryClient(world, loses=1.0), told, "test-controller")
    outcome = await applier.apply([pod("a"), pod("b")])
    assert outcome.verdict is Verdict.LOST
    assert outcome.written.lost == {"pods"}
    assert list(world.pods()) == ["a"]


async def test_creations_side_by_side_start_slowly_and_stop_at_the_first_bad_batch(
    world: World, applier: Applier, told: Told
) -> None:
    tried = []

    def refuse(verb: str, resource: str, obj: Any) -> Any:
        tried.append(1)
        return forbidden("pods", "", "", "no") if len(tried) >= 3 else None

    world.refuse = refuse
    outcome = await applier.apply([pod("", together=True)] * 10)
    assert len(tried) == 3, "one, then two; the batch of four is never tried"
    assert len(world.pods()) == 2
    assert outcome.verdict is Verdict.REFUSED


async def test_deletions_side_by_side_all_happen(world: World, applier: Applier) -> None:
    for name in "abc":
        world.create("pods", pod(name).obj)
    outcome = await applier.apply([Delete(Ref("pods", "default", name), together=True) for name in "abc"])
    assert not world.pods()
    assert len(outcome.written.deleted) == 3
