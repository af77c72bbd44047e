"""The measurements: each function does some work on a server and returns figures by the ids of budgets.json."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

from benchmarks.load import Ask, Readers, Server
from benchmarks.machine import cpu_seconds, memory_mb
from moorage.testing import builders
from moorage.testing.connection import Connection

Figures = dict[str, float]
Row = Callable[[Server], Awaitable[Figures]]

NAMESPACE = "bench"
CORE = f"/api/v1/namespaces/{NAMESPACE}"
APPS = f"/apis/apps/v1/namespaces/{NAMESPACE}"

#: A scheduler that does not exist: such pods cost what their creation costs, and nothing else.
NOBODY = "nobody"

_MERGE = (("Content-Type", "application/merge-patch+json"),)
_APPLY = (("Content-Type", "application/apply-patch+yaml"),)
_KILOBYTE = {"data": "x" * 850}


async def prepare(server: Server) -> None:
    """Make the namespace that everything happens in."""
    await server.ask(Ask("POST", "/api/v1/namespaces", builders.namespace(NAMESPACE)))
    await server.until(f"{CORE}/serviceaccounts/default", lambda answer: answer.get("kind") == "ServiceAccount")


async def config_maps(server: Server) -> Figures:
    """Create, get and patch ConfigMaps."""
    count = server.some(6000, 1500)
    path = f"{CORE}/configmaps"
    await server.load(200, 16, lambda i: Ask("POST", path, builders.config_map(f"warm-{i}", NAMESPACE, _KILOBYTE)))
    made = await server.load(
        count, 64, lambda i: Ask("POST", path, builders.config_map(f"c-{i}", NAMESPACE, _KILOBYTE))
    )
    got = await server.load(2 * count, 16, lambda i: Ask("GET", f"{path}/c-{i % count}", headers=()))
    patched = await server.load(
        count, 16, lambda i: Ask("PATCH", f"{path}/c-{i % 500}", {"data": {"n": str(i)}}, headers=_MERGE)
    )
    return {
        "create-configmap": made.cpu / count * 1e6,
        "get-configmap": got.cpu / count / 2 * 1e6,
        "patch-configmap": patched.cpu / count * 1e6,
    }


async def applies(server: Server) -> Figures:
    """Apply new ReplicaSets without pods."""
    count = server.some(1000, 300)

    def ask(index: int) -> Ask:
        made = builders.replica_set(f"applied-{index}", NAMESPACE, 0)
        return Ask("PATCH", f"{APPS}/replicasets/applied-{index}?fieldManager=bench", made, headers=_APPLY)

    cost = await server.load(count, 1, ask)
    return {"apply-replicaset": cost.cpu / count * 1e6}


async def pods(server: Server) -> Figures:
    """Create 2,500 pods that nobody schedules, list them, delete them."""
    count, path = 2500, f"{CORE}/pods"

    def ask(index: int) -> Ask:
        made = builders.pod(f"p-{index}", NAMESPACE, labels={"app": "p", "part": str(index % 10)})
        return Ask("POST", path, {**made, "spec": {**made["spec"], "schedulerName": NOBODY}})

    made = await server.load(count, 32, ask)
    lists = server.some(30, 10)
    listed = await server.load(lists, 1, lambda _: Ask("GET", path, headers=()))
    labelled = await server.load(3 * lists, 1, lambda _: Ask("GET", f"{path}?labelSelector=part%3D3", headers=()))
    async with server.measured() as deleted:
        await server.ask(Ask("DELETE", path, headers=()))
        await server.until(f"{path}?limit=1", lambda answer: not answer["items"])
    return {
        "create-pod": made.cpu / count * 1e6,
        "list-pods": listed.cpu / lists * 1e3,
        "list-labelled": labelled.cpu / lists / 3 * 1e3,
        "delete-pods": deleted[0].cpu / count * 1e3,
    }


async def watches(server: Server) -> Figures:
    """Change one ConfigMap while 100, then 1,000 readers watch it; the cost of the change itself is taken off."""
    path = f"{CORE}/configmaps"
    await server.ask(Ask("POST", path, builders.config_map("watched", NAMESPACE, _KILOBYTE)))

    def ask(index: int) -> Ask:
        return Ask("PATCH", f"{path}/watched", {"data": {"n": str(time.perf_counter_ns() + index)}}, headers=_MERGE)

    alone = await server.load(300, 1, ask)
    figures = {}
    for count, changes in ((100, server.some(500, 200)), (1000, server.some(100, 40))):
        readers = Readers(server.endpoint, f"{path}?watch=true&fieldSelector=metadata.name%3Dwatched")
        await readers.open(count)
        await asyncio.sleep(0.3)
        before = readers.seen
        async with server.measured() as cost:
            await server.load(changes, 1, ask)
            await readers.reach(before + count * changes)
        await readers.close()
        figures[f"watch-{count}"] = (cost[0].cpu - alone.cpu / 300 * changes) / count / changes * 1e6
    return figures


async def replica_set(server: Server) -> Figures:
    """Start a ReplicaSet of 300 on simulated nodes."""
    path = f"{APPS}/replicasets"
    async with server.measured() as cost:
        await server.ask(Ask("POST", path, builders.replica_set("many", NAMESPACE, 300)))
        await server.until(f"{path}/many", lambda answer: _ready(answer) == 300)
    await server.ask(Ask("DELETE", f"{path}/many", {"propagationPolicy": "Background"}))
    await server.until(f"{CORE}/pods?limit=1", lambda answer: not answer["items"])
    return {"replicaset-rate": 300 / cost[0].wall, "replicaset-cpu": cost[0].cpu / 300 * 1e3}


async def stateful_set(server: Server) -> Figures:
    """Start an ordered StatefulSet on simulated nodes, then take it down to 0."""
    count, path = server.some(100, 40), f"{APPS}/statefulsets"
    async with server.measured() as up:
        await server.ask(Ask("POST", path, builders.stateful_set("row", NAMESPACE, count)))
        await server.until(f"{path}/row", lambda answer: _ready(answer) == count)
    async with server.measured() as down:
        await server.ask(Ask("PATCH", f"{path}/row", {"spec": {"replicas": 0}}, headers=_MERGE))
        await server.until(f"{CORE}/pods?limit=1", lambda answer: not answer["items"])
    return {
        "statefulset-up-rate": count / up[0].wall,
        "statefulset-up-cpu": up[0].cpu / count * 1e3,
        "statefulset-down-rate": count / down[0].wall,
        "statefulset-down-cpu": down[0].cpu / count * 1e3,
    }


async def many_pods(server: Server) -> Figures:
    """Run 2,500 pods on simulated nodes and see what they weigh."""
    path = f"{APPS}/replicasets"
    await server.ask(Ask("POST", path, builders.replica_set("crowd", NAMESPACE, 2500)))
    await server.until(f"{path}/crowd", lambda answer: _ready(answer) == 2500, every_seconds=0.5)
    await asyncio.sleep(2)
    return {"memory-pods": memory_mb(server.processes())}


async def rest(server: Server) -> Figures:
    """Do nothing, and see what that costs."""
    await asyncio.sleep(server.some(5, 2))
    seconds = server.some(30, 8)
    before = cpu_seconds(server.processes())
    await asyncio.sleep(seconds)
    idle = (cpu_seconds(server.processes()) - before) / seconds * 100
    return {"memory-rest": memory_mb(server.processes()), "cpu-idle": idle}


async def real_pods(server: Server) -> Figures:
    """Start pods as processes of this machine, one after another; the time is that between two changes of a watch."""
    connection = await Connection.open(server.endpoint)
    head = await connection.begin("GET", f"{CORE}/pods?watch=true")
    lines, times = connection.lines(head), []
    for index in range(server.some(20, 8)):
        name, bound = f"real-{index}", 0.0
        pod = builders.pod(name, NAMESPACE, "moorage.local/host", {"app": "real"})
        pod["spec"]["terminationGracePeriodSeconds"] = 1
        await server.ask(Ask("POST", f"{CORE}/pods", pod))
        async for line in lines:
            seen = json.loads(line)["object"]
            if seen["metadata"]["name"] != name:
                continue
            if not bound and seen["spec"].get("nodeName"):
                bound = time.perf_counter()
            if seen["status"].get("phase") == "Running":
                times.append(time.perf_counter() - bound)
                break
    connection.close()
    await server.ask(Ask("DELETE", f"{CORE}/pods", headers=()))
    return {"real-pod": median(times[1:]) * 1e3}


#: What runs on a cluster with three simulated nodes, in this order.
ON_SIMULATED: tuple[Row, ...] = (config_maps, applies, pods, watches, replica_set, stateful_set)


def _ready(answer: Any) -> int:
    return int((answer.get("status") or {}).get("readyReplicas") or 0)
