"""The garbage collector decides as upstream's."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.controllers import garbage_collector
from moorage.controllers.garbage_collector import Collector
from moorage.objects.kinds import resource_of_kind
from moorage.objects.metadata import Ref
from tests.controllers.world import World

RESOURCES = ("configmaps", "pods", "namespaces", "priorityclasses.scheduling.k8s.io")
COLLECTOR = Collector(resource_of_kind, lambda: RESOURCES)
CONTROLLER = garbage_collector.controller_for(COLLECTOR, RESOURCES)


@pytest.fixture
def world() -> World:
    return empty()


def empty() -> World:
    made = World(datetime(2026, 1, 1, tzinfo=UTC))
    made.collects = False
    return made


def make(world: World, name: str, *owners: Any, resource: str = "configmaps", **metadata: Any) -> Any:
    kinds = {"configmaps": "ConfigMap", "pods": "Pod"}
    whole = {"name": name, "namespace": "default", "ownerReferences": list(owners), **metadata}
    return world.create(resource, {"apiVersion": "v1", "kind": kinds[resource], "metadata": whole})


def owner(obj: Any, *, blocks: bool = False, **more: Any) -> dict[str, Any]:
    reference = {
        "apiVersion": "v1",
        "kind": obj["kind"],
        "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"],
    }
    return {**reference, **({"blockOwnerDeletion": True} if blocks else {}), **more}


def collect(world: World, start: int = 0) -> int:
    """Run the collector on whom the changes since `start` concern, as the loop does, until it rests."""
    queue: list[Ref] = []
    seen = start
    for rounds in range(500):
        news = [entry for entry in world.log if entry[0] > seen]
        seen = world.revision
        for revision, _, resource, obj in news:
            for each in (obj, *_before(world, revision, obj)):
                queue += [ref._replace(uid="") for ref in CONTROLLER.wakes[resource](world, each)]
        queue = list(dict.fromkeys(queue))
        if not queue:
            return rounds
        world.run(CONTROLLER, queue.pop(0))
    raise AssertionError("the collector does not come to rest")


def _before(world: World, revision: int, obj: Any) -> list[Any]:
    """Return what the object was before a change, which the loop shows to rules too."""
    uid = obj["metadata"]["uid"]
    return [old for at, _, _, old in world.log if at < revision and old["metadata"]["uid"] == uid][-1:]


def names(world: World) -> list[str]:
    return sorted(name for _, _, name in world.objects)


def test_a_dependent_goes_with_its_owner(world: World) -> None:
    make(world, "dep", owner(make(world, "owner")))
    collect(world)
    assert names(world) == ["dep", "owner"]
    world.delete("configmaps", "default", "owner")
    collect(world)
    assert names(world) == []


def test_a_settled_object_wakes_nobody(world: World) -> None:
    dependent = make(world, "dep", owner(make(world, "owner")))
    assert list(CONTROLLER.wakes["configmaps"](world, dependent)) == []


def test_orphans_lose_their_reference_and_stay(world: World) -> None:
    make(world, "dep", owner(make(world, "owner")))
    world.delete("configmaps", "default", "owner", propagation="Orphan")
    collect(world)
    assert names(world) == ["dep"]
    assert "ownerReferences" not in world.objects["configmaps", "default", "dep"]["metadata"]


def test_an_owner_in_the_foreground_waits_for_what_blocks_it(world: World) -> None:
    make(world, "dep", owner(make(world, "owner"), blocks=True), finalizers=["example.com/hold"])
    world.delete("configmaps", "default", "owner", propagation="Foreground")
    collect(world)
    assert names(world) == ["dep", "owner"]
    assert world.objects["configmaps", "default", "dep"]["metadata"]["deletionTimestamp"]
    start = world.revision
    world.patch("configmaps", "default", "dep", {"metadata": {"finalizers": None}})
    collect(world, start)
    assert names(world) == []


def test_an_owner_in_the_foreground_does_not_wait_for_others(world: World) -> None:
    make(world, "dep", owner(make(world, "owner")), finalizers=["example.com/hold"])
    world.delete("configmaps", "default", "owner", propagation="Foreground")
    collect(world)
    assert names(world) == ["dep"]


def test_a_chain_in_the_foreground_goes_from_its_end(world: World) -> None:
    a = make(world, "a")
    b = make(world, "b", owner(a, blocks=True))
    make(world, "c", owner(b, blocks=True), finalizers=["example.com/hold"])
    world.delete("configmaps", "default", "a", propagation="Foreground")
    collect(world)
    assert world.objects["configmaps", "default", "b"]["metadata"]["finalizers"] == ["foregroundDeletion"]
    start = world.revision
    world.patch("configmaps", "default", "c", {"metadata": {"finalizers": None}})
    collect(world, start)
    assert names(world) == []


def test_with_a_living_owner_only_the_reference_goes(world: World) -> None:
    a, b = make(world, "a"), make(world, "b")
    make(world, "d", owner(a), owner(b))
    world.delete("configmaps", "default", "a")
    collect(world)
    left = world.objects["configmaps", "default", "d"]["metadata"]["ownerReferences"]
    assert [each["name"] for each in left] == ["b"]


@pytest.mark.parametrize("name", ["ghost", "owner"])
def test_an_owner_that_never_was_counts_as_gone(world: World, name: str) -> None:
    make(world, "owner")
    make(world, "d", {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": "no-such"})
    collect(world)
    assert names(world) == ["owner"]


def test_an_owner_of_an_unknown_kind_keeps_its_dependent(world: World) -> None:
    make(world, "d", {"apiVersion": "example.com/v1", "kind": "Nonsense", "name": "x", "uid": "u"})
    collect(world)
    assert names(world) == ["d"]


@pytest.mark.parametrize("propagation", ["", "Foreground"])
def test_a_circle_can_be_deleted(world: World, propagation: str) -> None:
    a = make(world, "a")
    b = make(world, "b", owner(a, blocks=True))
    world.patch("configmaps", "default", "a", {"metadata": {"ownerReferences": [owner(b, blocks=True)]}})
    collect(world)
    assert names(world) == ["a", "b"]
    world.delete("configmaps", "default", "a", propagation=propagation)
    collect(world)
    assert names(world) == []


def test_an_owner_in_another_namespace_is_told_and_counts_as_gone(world: World) -> None:
    there = make(world, "owner", namespace="other")
    make(world, "d", owner(there), resource="pods")
    collect(world)
    uid = there["metadata"]["uid"]
    assert set(world.events) == {
        f'ownerRef [v1/ConfigMap, namespace: default, name: owner, uid: {uid}] does not exist in namespace "default"'
    }
    assert names(world) == ["owner"]


def test_a_namespaced_owner_of_a_cluster_scoped_object_changes_nothing(world: World) -> None:
    there = make(world, "owner")
    metadata = {"name": "p", "ownerReferences": [owner(there)]}
    made = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": metadata}
    world.create("priorityclasses.scheduling.k8s.io", made)
    collect(world)
    world.delete("configmaps", "default", "owner")
    collect(world)
    assert names(world) == ["p"]


def test_a_young_owner_that_no_cache_shows_saves_its_dependent(world: World) -> None:
    dependent = make(world, "dep", owner(make(world, "owner")))
    hidden = world.objects.pop(("configmaps", "default", "owner"))
    observed = CONTROLLER.observe(world, Ref("configmaps", "default", "dep"))
    decision = CONTROLLER.decide(observed, world.now)
    world.objects["configmaps", "default", "owner"] = hidden
    assert world.perform(decision.actions) is not None
    assert world.objects["configmaps", "default", "dep"] == dependent


EDGES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.booleans()), max_size=14)


@settings(max_examples=100, deadline=None)
@given(EDGES, st.lists(st.integers(0, 6), max_size=4), st.sampled_from(["", "Foreground"]))
def test_what_stays_has_a_living_owner_or_never_had_one(edges: Any, deleted: Any, propagation: str) -> None:
    world = empty()
    objs = [make(world, str(number)) for number in range(7)]
    for number in range(7):
        references = [owner(objs[to], blocks=blocks) for of, to, blocks in edges if of == number and to != number]
        unique = {each["uid"]: each for each in references}
        if unique:
            patch = {"metadata": {"ownerReferences": list(unique.values())}}
            world.patch("configmaps", "default", str(number), patch)
    collect(world)
    assert len(world.objects) == 7
    # Two objects that block each other and are both deleted in the foreground wait for ever, upstream's as well.
    most = 1 if propagation == "Foreground" else len(deleted)
    for number in list(dict.fromkeys(deleted))[:most]:
        if ("configmaps", "default", str(number)) in world.objects:
            world.delete("configmaps", "default", str(number), propagation=propagation)
    collect(world)
    uids = {obj["metadata"]["uid"] for obj in world.objects.values()}
    for obj in world.objects.values():
        assert "deletionTimestamp" not in obj["metadata"]
        assert {each["uid"] for each in obj["metadata"].get("ownerReferences") or ()} <= uids
    kept = {number for number in range(7) if number not in deleted[:most]}
    assert {str(number) for number in kept if not any(of == number for of, _, _ in edges)} <= set(names(world))
