"""See your own writes before you decide again."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from moorage.aio.tasks import Tasks
from moorage.objects.metadata import Ref
from moorage.reconciler.barrier import Barrier, Written
from moorage.reconciler.informer import Informers
from tests.controllers.world import World
from tests.reconciler.memory import MemoryClient, StandingClock

WEB = Ref("replicasets.apps", "default", "web")
POD = {"metadata": {"name": "a", "namespace": "default"}}


@pytest.fixture
def client() -> MemoryClient:
    return MemoryClient(World(StandingClock().now()), lag=5)


@pytest.fixture
async def informers(client: MemoryClient) -> AsyncIterator[Informers]:
    async with Tasks("test") as tasks:
        informers = Informers(client, StandingClock(), tasks)
        await informers.synced(["pods"])
        await asyncio.sleep(0)
        yield informers


async def test_a_reference_waits_until_its_writes_are_visible(client: MemoryClient, informers: Informers) -> None:
    barrier, written = Barrier(client, informers), Written()
    client.world.create("pods", POD)
    written.note("pods", client.world.revision)
    barrier.raise_to(WEB, written)
    client.tell()
    assert informers.get("pods", "default", "a") is None
    await barrier.wait(WEB)
    assert informers.get("pods", "default", "a") is not None


async def test_a_reference_waits_until_what_it_deleted_is_gone(client: MemoryClient, informers: Informers) -> None:
    made = client.world.create("pods", POD)
    client.tell()
    await informers.cache("pods").reach(client.world.revision)
    client.world.delete("pods", "default", "a")
    client.tell()
    gone = Ref("pods", "default", "a", made["metadata"]["uid"])
    barrier = Barrier(client, informers)
    barrier.raise_to(WEB, Written(deleted=[gone]))
    await barrier.wait(WEB)
    assert informers.get("pods", "default", "a") is None


async def test_a_lost_answer_makes_a_reference_wait_for_the_newest_revision(
    client: MemoryClient, informers: Informers
) -> None:
    client.world.create("pods", POD)
    client.tell()
    barrier = Barrier(client, informers)
    barrier.raise_to(WEB, Written(lost={"pods"}))
    await barrier.wait(WEB)
    assert informers.get("pods", "default", "a") is not None


async def test_kinds_that_nobody_reads_are_not_waited_for(client: MemoryClient, informers: Informers) -> None:
    written = Written()
    written.note("secrets", 1000)
    barrier = Barrier(client, informers)
    barrier.raise_to(WEB, written)
    await barrier.wait(WEB)
    assert informers.running("secrets") is None
