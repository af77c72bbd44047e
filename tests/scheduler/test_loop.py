"""The scheduler beside the real API: pods get nodes, and say why when they do not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from moorage.aio.clock import SystemClock
from moorage.aio.entropy import seeded
from moorage.aio.tasks import Tasks
from moorage.client.client import Target
from moorage.cluster.control_plane import ControlPlane
from moorage.objects.errors import NotFound
from moorage.scheduler.loop import Scheduler
from moorage.store.memory import MemoryStore
from tests.scheduler.cluster import make_node, make_pod, near, required

NOW = {"gracePeriodSeconds": 0}


class Cluster:
    """A control plane with a scheduler and nothing else, and what tests ask of it."""

    def __init__(self, plane: ControlPlane, scheduler: Scheduler) -> None:
        self.plane = plane
        self.scheduler = scheduler
        self.client = plane.client

    async def node(self, name: str, **more: Any) -> None:
        await self.client.create("nodes", make_node(name, **more))
        await self.client.patch(Target("nodes", "", name), {"spec": {"taints": more.get("taints")}})

    async def pod(self, name: str, **more: Any) -> None:
        await self.client.create("pods", make_pod(name, **more))

    async def get(self, name: str) -> Any:
        return await self.client.get(Target("pods", "default", name))

    async def delete(self, name: str) -> None:
        await self.client.delete(Target("pods", "default", name), NOW)

    async def until(self, name: str, holds: Callable[[Any], bool]) -> Any:
        """Wait for a state of a pod, with a deadline."""
        pod: Any = None
        try:
            async with asyncio.timeout(5):
                while pod is None or not holds(pod):
                    await asyncio.sleep(0.002)
                    pod = await self.get(name)
        except TimeoutError:
            raise AssertionError(f"still {pod}") from None
        return pod

    async def placed(self, name: str) -> str:
        pod = await self.until(name, lambda pod: "nodeName" in pod["spec"])
        return str(pod["spec"]["nodeName"])

    async def refused(self, name: str, text: str = "") -> str:
        pod = await self.until(name, lambda pod: text in message_of(pod) and bool(message_of(pod)))
        return message_of(pod)

    async def events(self, name: str) -> list[tuple[str, str, str]]:
        await self.plane.recorder.flushed()
        items = [item.object for item in (await self.client.list("events")).items]
        return [
            (each["type"], each["reason"], each["action"]) for each in items if each["involvedObject"]["name"] == name
        ]


def message_of(pod: Any) -> str:
    for each in (pod.get("status") or {}).get("conditions") or ():
        if each["type"] == "PodScheduled" and each["status"] == "False":
            return str(each.get("message"))
    return ""


@asynccontextmanager
async def a_cluster(*nodes: str) -> AsyncIterator[Cluster]:
    async with Tasks("test") as tasks:
        plane = ControlPlane(MemoryStore(), SystemClock(), seeded(1), tasks)
        await plane.open(6443)
        account = {"apiVersion": "v1", "kind": "ServiceAccount"}
        await plane.client.create(
            "serviceaccounts", {**account, "metadata": {"name": "default", "namespace": "default"}}
        )
        tasks.keep("events", plane.recorder.run)
        client = plane.client_for("kube-scheduler")
        scheduler = Scheduler(client, plane.informers, plane.recorder, plane.clock, plane.entropy, tasks)
        cluster = Cluster(plane, scheduler)
        for name in nodes:
            await cluster.node(name)
        await scheduler.start()
        yield cluster
        scheduler.stop()


async def test_a_pod_is_bound_and_an_event_says_where() -> None:
    async with a_cluster("a") as cluster:
        await cluster.pod("p")
        assert await cluster.placed("p") == "a"
        assert await cluster.events("p") == [("Normal", "Scheduled", "Binding")]


async def test_a_refused_pod_says_why_and_runs_once_a_node_fits() -> None:
    async with a_cluster("a") as cluster:
        await cluster.pod("p", nodeSelector={"h": "1"})
        assert await cluster.refused("p") == (
            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. preemption: "
            "0/1 nodes are available: 1 Preemption is not helpful for scheduling."
        )
        assert await cluster.events("p") == [("Warning", "FailedScheduling", "Scheduling")]
        await cluster.node("h", labels={"h": "1"})
        assert await cluster.placed("p") == "h"


async def test_no_nodes_at_all_is_said_and_ends_with_the_first() -> None:
    async with a_cluster() as cluster:
        await cluster.pod("p")
        assert await cluster.refused("p") == "no nodes available to schedule pods"
        await cluster.node("a")
        assert await cluster.placed("p") == "a"


async def test_a_pod_that_leaves_makes_room_for_one_that_waits() -> None:
    async with a_cluster("a") as cluster:
        await cluster.pod("x", requests={"cpu": "3"})
        await cluster.placed("x")
        await cluster.pod("p", requests={"cpu": "3"})
        assert "1 Insufficient cpu." in await cluster.refused("p")
        await cluster.delete("x")
        assert await cluster.placed("p") == "a"


async def test_a_finished_pod_makes_room_too() -> None:
    async with a_cluster("a") as cluster:
        await cluster.pod("x", requests={"cpu": "3"})
        await cluster.placed("x")
        await cluster.pod("p", requests={"cpu": "3"})
        await cluster.refused("p")
        await cluster.client.patch(Target("pods", "default", "x", "status"), {"status": {"phase": "Succeeded"}})
        assert await cluster.placed("p") == "a"


async def test_a_pod_that_others_wait_for_wakes_them() -> None:
    async with a_cluster("a") as cluster:
        await cluster.pod("p", affinity=required("podAffinity", near("app", "x")))
        await cluster.refused("p")
        await cluster.pod("x", labels={"app": "x"})
        assert await cluster.placed("p") == "a"


async def test_a_gated_pod_is_left_alone_until_its_gates_are_gone() -> None:
    async with a_cluster("a") as cluster:
        await cluster.pod("p", schedulingGates=[{"name": "example.com/g"}])
        await cluster.pod("q")
        await cluster.placed("q")
        assert "nodeName" not in (await cluster.get("p"))["spec"]
        await cluster.client.patch(Target("pods", "default", "p"), {"spec": {"schedulingGates": []}})
        assert await cluster.placed("p") == "a"


async def test_pods_of_other_schedulers_are_left_alone() -> None:
    async with a_cluster("a") as cluster:
        await cluster.pod("p", schedulerName="mine")
        await cluster.pod("q")
        await cluster.placed("q")
        assert "nodeName" not in (await cluster.get("p"))["spec"]


async def test_a_more_important_pod_has_others_evicted_and_waits_until_they_are_gone() -> None:
    async with a_cluster("a") as cluster:
        high = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "high"}, "value": 9}
        await cluster.client.create("priorityclasses.scheduling.k8s.io", high)
        await cluster.pod("low", requests={"cpu": "3"})
        await cluster.placed("low")
        hold = {"metadata": {"finalizers": ["example.com/hold"]}}
        await cluster.client.patch(Target("pods", "default", "low"), hold)
        await cluster.pod("p", requests={"cpu": "3"}, priorityClassName="high")
        found = "preemption: found a potential placement for pod on node a, preempting 1 victims"
        assert found in await cluster.refused("p")
        low = await cluster.until("low", lambda pod: "deletionTimestamp" in pod["metadata"])
        (target,) = [each for each in low["status"]["conditions"] if each["type"] == "DisruptionTarget"]
        assert target["reason"] == "PreemptionByScheduler"
        assert target["message"] == "default-scheduler: preempting to accommodate a higher priority pod"
        await cluster.refused("p", "preemption: not eligible due to a terminating pod on the nominated node.")
        assert (await cluster.get("p"))["status"]["nominatedNodeName"] == "a"
        await cluster.delete("low")
        await cluster.client.patch(Target("pods", "default", "low"), {"metadata": {"finalizers": None}})
        assert await cluster.placed("p") == "a"
        assert "nominatedNodeName" not in (await cluster.get("p"))["status"]
        assert ("Normal", "Preempted", "Preempting") in await cluster.events("low")


async def test_many_pods_never_overcommit_a_node() -> None:
    async with a_cluster("a", "b") as cluster:
        for index in range(12):
            await cluster.pod(f"p{index}", requests={"cpu": "900m"})
        for index in range(12):
            pod = await cluster.until(f"p{index}", lambda pod: "nodeName" in pod["spec"] or bool(message_of(pod)))
            assert ("nodeName" in pod["spec"]) is (index < 8)


async def test_a_claim_that_waits_is_provisioned_for_the_chosen_node_before_the_pod_is_bound() -> None:
    async with a_cluster("a") as cluster:
        await make_class(cluster, "made", "example.com/made")
        claim = await make_claim(cluster, "c", "made")
        await cluster.pod("p", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}])
        async with asyncio.timeout(5):
            while "volume.kubernetes.io/selected-node" not in (claim["metadata"].get("annotations") or {}):
                await asyncio.sleep(0.002)
                claim = await cluster.client.get(Target("persistentvolumeclaims", "default", "c"))
        assert "nodeName" not in (await cluster.get("p"))["spec"]
        await cluster.pod("q")
        await cluster.placed("q")
        await bind_claim(cluster, claim, await make_volume(cluster, "v", "made", "a"))
        assert await cluster.placed("p") == "a"


async def test_a_volume_decides_about_the_node_and_is_reserved() -> None:
    async with a_cluster("a", "b") as cluster:
        await make_class(cluster, "local", "kubernetes.io/no-provisioner")
        claim = await make_claim(cluster, "c", "local")
        await cluster.pod("p", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}])
        assert "2 node(s) didn't find available persistent volumes to bind." in await cluster.refused("p")
        volume = await make_volume(cluster, "v", "local", "b")
        async with asyncio.timeout(5):
            while "claimRef" not in volume["spec"]:
                await asyncio.sleep(0.002)
                volume = await cluster.client.get(Target("persistentvolumes", "", "v"))
        assert volume["spec"]["claimRef"]["uid"] == claim["metadata"]["uid"]
        await bind_claim(cluster, claim, volume)
        assert await cluster.placed("p") == "b"


async def test_a_pod_that_is_deleted_while_it_waits_for_its_volume_gives_its_place_back() -> None:
    async with a_cluster("a") as cluster:
        await make_class(cluster, "made", "example.com/made")
        await make_claim(cluster, "c", "made")
        volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]
        await cluster.pod("p", requests={"cpu": "3"}, volumes=volumes)
        await cluster.pod("q", requests={"cpu": "3"})
        await cluster.refused("q")
        await cluster.delete("p")
        assert await cluster.placed("q") == "a"


async def test_a_pod_that_vanishes_while_it_is_bound_is_forgotten() -> None:
    async with a_cluster("a") as cluster:
        for index in range(20):
            await cluster.pod(f"p{index}")
        for index in range(20):
            try:
                await cluster.delete(f"p{index}")
            except NotFound:
                continue
        await cluster.pod("last")
        await cluster.placed("last")
        async with asyncio.timeout(5):
            while len(cluster.scheduler.snapshot.places["a"].pods) > 1 or not cluster.scheduler.is_idle():
                await asyncio.sleep(0.002)


async def make_class(cluster: Cluster, name: str, provisioner: str) -> None:
    head = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}}
    body = {**head, "provisioner": provisioner, "volumeBindingMode": "WaitForFirstConsumer"}
    await cluster.client.create("storageclasses.storage.k8s.io", body)


async def make_claim(cluster: Cluster, name: str, storage_class: str) -> Any:
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": storage_class,
    }
    head = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    metadata = {"name": name, "namespace": "default"}
    return await cluster.client.create("persistentvolumeclaims", {**head, "metadata": metadata, "spec": spec})


async def make_volume(cluster: Cluster, name: str, storage_class: str, node: str) -> Any:
    there = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": storage_class,
        "hostPath": {"path": "/data"},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [there]}},
    }
    body = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}
    await cluster.client.create("persistentvolumes", body)
    target = Target("persistentvolumes", "", name, "status")
    return await cluster.client.patch(target, {"status": {"phase": "Available"}})


async def bind_claim(cluster: Cluster, claim: Any, volume: Any) -> None:
    """Do what the volume controller does at the end."""
    target = Target("persistentvolumeclaims", "default", claim["metadata"]["name"])
    done = {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}}
    await cluster.client.patch(target, {"metadata": done, "spec": {"volumeName": volume["metadata"]["name"]}})
