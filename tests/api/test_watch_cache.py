"""Watchers of a cache see every change of their selection once, in order, or are told to list again."""

import asyncio

import pytest

from moorage.api.resources import prefix_of_id
from moorage.api.selection import Selection, Step, seen_by
from moorage.api.watch_cache import STEPS_MOST, Caches, ResourceCache
from moorage.objects.encoded import Encoded, encode
from moorage.objects.errors import Expired
from moorage.store.memory import MemoryStore


def config_map(name: str, **labels: str) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "ns", "uid": f"uid-{name}", "labels": labels},
    }


async def world() -> tuple[MemoryStore, Caches, ResourceCache]:
    store = MemoryStore()
    caches = Caches(store)
    await caches.load()
    return store, caches, caches.of(prefix_of_id("configmaps"))


async def put(store: MemoryStore, name: str, expected: int = 0, **labels: str) -> int:
    key, value = f"core/configmaps/ns/{name}", encode(config_map(name, **labels))
    return await (store.update(key, value, expected=expected) if expected else store.create(key, value))


async def test_an_object_is_readable_as_soon_as_its_write_is_acknowledged() -> None:
    store, _, cache = await world()
    revision = await put(store, "a", tier="db")
    item = cache.get("ns", "a")
    assert item is not None
    assert (item.revision, dict(item.labels)) == (revision, {"tier": "db"})
    assert item.object["metadata"]["resourceVersion"] == str(revision)


async def test_a_list_at_an_older_revision_shows_what_was_true_then() -> None:
    store, _, cache = await world()
    first = await put(store, "a")
    second = await put(store, "b")
    await store.delete("core/configmaps/ns/a", expected=first)
    names = [item.name for item in cache.items_at(second, Selection("ns"))]
    assert names == ["a", "b"]
    assert [item.name for item in cache.items_at(first, Selection("ns"))] == ["a"]
    assert [item.name for item in cache.items(Selection("ns"))] == ["b"]


async def test_forgotten_history_is_expired() -> None:
    store, _, cache = await world()
    revision = first = await put(store, "a")
    for _ in range(STEPS_MOST + 1):
        revision = await put(store, "a", revision)
    with pytest.raises(Expired):
        cache.position_after(first - 1)
    with pytest.raises(Expired):
        list(cache.items_at(first - 1, Selection()))
    assert cache.position_after(revision) == cache.first + len(cache.steps)


async def test_a_deletion_carries_the_last_state_at_the_revision_of_the_deletion() -> None:
    store, _, cache = await world()
    created = await put(store, "a", tier="db")
    deleted = await store.delete("core/configmaps/ns/a", expected=created)
    (step,) = cache.steps_from(cache.position_after(created))
    assert step.deleted
    assert step.item.object["metadata"]["resourceVersion"] == str(deleted)


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (None, "db", "ADDED"),
        ("db", "db", "MODIFIED"),
        ("db", "web", "DELETED"),
        ("web", "db", "ADDED"),
        ("web", "web", None),
    ],
)
def test_a_watcher_sees_objects_enter_and_leave_its_selection(before: str | None, after: str, kind: str | None) -> None:
    def item(tier: str, revision: int) -> Encoded:
        obj = config_map("a", tier=tier)
        raw = encode(obj).replace(b'"resourceVersion":""', b'"resourceVersion":"%d"' % revision)
        return Encoded(raw, revision, obj, {})

    selection = Selection(test=lambda each: each.labels.get("tier") == "db")
    step = Step(8, item(after, 8), item(before, 7) if before else None, deleted=False)
    change = seen_by(selection, step)
    assert (change.kind if change else None) == kind
    if kind == "DELETED" and change is not None and change.item is not None:
        assert change.item.object["metadata"] == {**config_map("a", tier="db")["metadata"], "resourceVersion": "8"}


async def test_waiting_readers_are_woken_for_their_resource_alone() -> None:
    store, caches, cache = await world()
    other = caches.of(prefix_of_id("secrets"))
    waiting = asyncio.ensure_future(cache.changed.wait_beyond(cache.changed.count))
    idle = asyncio.ensure_future(other.changed.wait_beyond(other.changed.count))
    await asyncio.sleep(0)
    await put(store, "a")
    await waiting
    assert not idle.done()
    idle.cancel()


async def test_caches_that_open_a_filled_store_know_all_of_it_and_no_history() -> None:
    store = MemoryStore()
    revision = await put(store, "a")
    caches = Caches(store)
    await caches.load()
    cache = caches.of("core/configmaps")
    assert [item.name for item in cache.items()] == ["a"]
    assert caches.revision == revision
    assert cache.position_after(revision) == 0
