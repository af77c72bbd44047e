"""The loop that runs rules, over caches that lag and connections that break."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import orjson
import pytest

from moorage.aio.tasks import Tasks
from moorage.controllers import replicaset, statefulset
from moorage.objects.errors import forbidden
from moorage.objects.pods import is_active, is_ready
from moorage.reconciler.informer import Informers
from moorage.reconciler.loop import Reconciler
from tests.controllers.world import World, ready
from tests.reconciler.memory import MemoryClient, StandingClock, until

TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}
METADATA = {"name": "web", "namespace": "default"}


def workload(kind: str, **spec: Any) -> dict[str, Any]:
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE, **spec}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": METADATA, "spec": spec}


@asynccontextmanager
async def running(client: MemoryClient) -> AsyncIterator[Reconciler]:
    clock = StandingClock()
    async with Tasks("test") as tasks:
        reconciler = Reconciler(client, Informers(client, clock, tasks), clock, tasks)
        await reconciler.start([statefulset.CONTROLLER, replicaset.CONTROLLER])
        yield reconciler
        reconciler.stop()


def world_of(*objects: dict[str, Any]) -> World:
    world = World(StandingClock().now())
    for obj in objects:
        world.create({"StatefulSet": "statefulsets.apps", "ReplicaSet": "replicasets.apps"}[obj["kind"]], obj)
    return world


async def test_a_statefulset_comes_up_in_order_with_events_and_a_story() -> None:
    world = world_of(workload("StatefulSet", replicas=3))
    client = MemoryClient(world)
    async with running(client) as reconciler:
        for ordinal in range(3):
            await until(lambda name=f"web-{ordinal}": name in world.pods())
            assert len(world.pods()) == ordinal + 1
            ready(world, f"web-{ordinal}", world.now - timedelta(days=1))
            client.tell()
        found = lambda: (world.get("statefulsets.apps", "default", "web") or {}).get("status", {})  # noqa: E731
        await until(lambda: found().get("availableReplicas") == 3)
        await until(reconciler.is_idle)
        await reconciler.recorder.flushed()
    reasons = Counter(event["reason"] for event in world.list("events"))
    assert reasons == {"SuccessfulCreate": 3}
    story = orjson.loads(reconciler.story.dump())
    assert story[0]["because"] == "create web-0: it is missing"
    assert "create pods web-0" in story[0]["actions"]


@pytest.mark.parametrize("seed", range(6))
async def test_pods_with_generated_names_are_never_too_many_however_the_cache_lags(seed: int) -> None:
    world = world_of(workload("ReplicaSet", replicas=4))
    client = MemoryClient(world, lag=seed * 3, seed=seed)
    async with running(client) as reconciler:
        most = 0
        for round_ in range(30):
            active = [name for name, pod in world.pods().items() if is_active(pod)]
            most = max(most, len(active))
            if active and round_ % 3 == 0:
                world.delete("pods", "default", active[(seed + round_) % len(active)])
                client.tell()
            await asyncio.sleep(0)
        await until(lambda: len(world.pods()) == 4)
        await until(reconciler.is_idle)
        assert max(most, len(world.pods())) == 4


@pytest.mark.parametrize("seed", range(4))
async def test_lost_answers_do_not_make_pods_too_many(seed: int) -> None:
    world = world_of(workload("ReplicaSet", replicas=4))
    client = MemoryClient(world, lag=3, loses=0.3, seed=seed)
    async with running(client) as reconciler:
        await until(lambda: len(world.pods()) >= 4)
        await until(reconciler.is_idle)
        assert len(world.pods()) == 4


async def test_a_refused_pod_is_tried_again_until_it_is_taken() -> None:
    world = world_of(workload("ReplicaSet", replicas=1))
    refusals = iter([forbidden("pods", "", "web-", "not yet")] * 3)
    world.refuse = lambda verb, resource, obj: next(refusals, None) if resource == "pods" else None
    client = MemoryClient(world)
    async with running(client) as reconciler:
        await until(lambda: len(world.pods()) == 1)
        await until(
            lambda: "conditions" not in (world.get("replicasets.apps", "default", "web") or {}).get("status", {})
        )
        await reconciler.recorder.flushed()
    reasons = Counter(event["reason"] for event in world.list("events"))
    assert reasons == {"FailedCreate": 1, "SuccessfulCreate": 1}


async def test_an_idle_world_costs_nothing() -> None:
    world = world_of(workload("ReplicaSet", replicas=2))
    client = MemoryClient(world)
    async with running(client) as reconciler:
        await until(lambda: len(world.pods()) == 2)
        await until(reconciler.is_idle)
        for name, pod in world.pods().items():
            if not is_ready(pod):
                ready(world, name)
        client.tell()
        await until(lambda: world.get("replicasets.apps", "default", "web")["status"].get("readyReplicas") == 2)  # type: ignore[index]
        await until(reconciler.is_idle)
        before, lists = world.revision, client.lists
        for _ in range(20):
            await asyncio.sleep(0)
        assert (world.revision, client.lists) == (before, lists)
