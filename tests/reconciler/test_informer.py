"""Caches of what the API holds."""

from collections.abc import AsyncIterator

import pytest

from moorage.aio.tasks import Tasks
from moorage.reconciler.informer import Informers
from tests.controllers.world import World
from tests.reconciler.memory import MemoryClient, StandingClock, until


@pytest.fixture
def client() -> MemoryClient:
    clock = StandingClock()
    return MemoryClient(World(clock.now()))


@pytest.fixture
async def informers(client: MemoryClient) -> AsyncIterator[Informers]:
    async with Tasks("test") as tasks:
        yield Informers(client, StandingClock(), tasks)


def pod(name: str, namespace: str = "default", owner: str = "", node: str = "") -> dict[str, object]:
    metadata: dict[str, object] = {"name": name, "namespace": namespace}
    if owner:
        metadata["ownerReferences"] = [{"uid": owner, "controller": True}]
    return {"metadata": metadata, "spec": {"nodeName": node} if node else {}}


def names(objects: object) -> list[str]:
    return [obj["metadata"]["name"] for obj in objects]  # type: ignore[attr-defined]


async def test_a_cache_shows_what_was_there_and_what_came_since(client: MemoryClient, informers: Informers) -> None:
    client.world.create("pods", pod("b"))
    await informers.synced(["pods"])
    assert names(informers.list("pods")) == ["b"]
    client.world.create("pods", pod("a"))
    client.tell()
    await informers.cache("pods").reach(client.world.revision)
    assert names(informers.list("pods")) == ["a", "b"]
    client.world.delete("pods", "default", "b")
    client.tell()
    await informers.cache("pods").reach(client.world.revision)
    assert informers.get("pods", "default", "b") is None
    assert client.lists == 1


async def test_indexes_follow_changes(client: MemoryClient, informers: Informers) -> None:
    world = client.world
    for made in (pod("a", owner="u1", node="n1"), pod("b", node="n1"), pod("c", "other", owner="u1")):
        world.create("pods", made)
    await informers.synced(["pods"])
    assert names(informers.owned("pods", "u1")) == ["a", "c"]
    assert names(informers.orphans("pods", "default")) == ["b"]
    assert names(informers.list("pods", "other")) == ["c"]
    assert names(informers.indexed("pods", "spec.nodeName", "n1")) == ["a", "b"]
    world.patch("pods", "default", "b", {"spec": {"nodeName": "n2"}, "metadata": {"ownerReferences": [{"uid": "u1"}]}})
    world.delete("pods", "default", "a", force=True)
    client.tell()
    await informers.cache("pods").reach(world.revision)
    assert names(informers.indexed("pods", "spec.nodeName", "n1")) == []
    assert names(informers.indexed("pods", "spec.nodeName", "n2")) == ["b"]
    assert names(informers.owned("pods", "u1")) == ["b", "c"]
    assert names(informers.orphans("pods", "default")) == ["b"], "an owner that is no controller does not count"


async def test_listeners_are_told_what_changed_even_across_a_forgotten_history(
    client: MemoryClient, informers: Informers
) -> None:
    world, told = client.world, []
    for name in ("stays", "goes", "changes"):
        world.create("pods", pod(name))
    await informers.synced(["pods"])
    cache = informers.cache("pods")
    cache.subscribe(lambda new, old: told.append((new.name if new else None, old.name if old else None)))
    world.delete("pods", "default", "goes")
    world.set_status("pods", "changes", phase="Running")
    world.create("pods", pod("comes"))
    world.log.clear()
    client.floor = world.revision + 1
    world.revision += 1
    client.tell()
    await until(lambda: len(told) == 3)
    assert sorted(told, key=str) == [("changes", "changes"), ("comes", None), (None, "goes")]


async def test_an_idle_kind_reaches_a_revision_by_listing(client: MemoryClient, informers: Informers) -> None:
    await informers.synced(["pods"])
    client.world.revision += 10
    await informers.cache("pods").reach(client.world.revision)
    assert informers.cache("pods").revision == client.world.revision


async def test_a_cache_that_cannot_connect_tries_again(client: MemoryClient, informers: Informers) -> None:
    listing, failures = client.list, iter([ConnectionError("refused")])

    async def flaky(*args: object) -> object:
        for failure in failures:
            raise failure
        return await listing(*args)  # type: ignore[arg-type]

    client.list = flaky  # type: ignore[method-assign, assignment]
    client.world.create("pods", pod("a"))
    await informers.synced(["pods"])
    assert names(informers.list("pods")) == ["a"]
