"""Nodes that are posted with KWOK's annotation run pods without processes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from moorage.client.client import Client, Target
from moorage.cluster.cluster import Cluster
from moorage.cluster.config import ClusterConfig
from moorage.cluster.posted_nodes import ANNOTATION
from moorage.objects.errors import NotFound
from moorage.objects.metadata import Object

AMOUNTS = {"cpu": "4", "memory": "8Gi", "pods": "20"}


def node(name: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"h": name}, "annotations": dict([ANNOTATION])},
        "status": {"capacity": AMOUNTS, "allocatable": AMOUNTS},
    }


def pod(name: str, **spec: Any) -> Object:
    containers = [{"name": "c", "image": "registry.k8s.io/pause:3.10"}]
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": containers, **spec}}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    cluster = Cluster(ClusterConfig("test", tmp_path, nodes=0, memory=True))
    await cluster.start(lambda _: None)
    assert cluster.control is not None
    yield cluster.control.client
    await cluster.close()


async def until(look: Callable[[], Awaitable[Object]], holds: Callable[[Object], bool]) -> Object:
    async with asyncio.timeout(10):
        while not holds(obj := await look()):
            await asyncio.sleep(0.01)
    return obj


async def is_gone(client: Client, target: Target) -> bool:
    try:
        await client.get(target)
    except NotFound:
        return True
    return False


async def test_a_posted_node_becomes_ready_with_what_it_was_given_and_runs_pods(client: Client) -> None:
    await client.create("nodes", node("fake"))
    ready = await until(
        lambda: client.get(Target("nodes", "", "fake")),
        lambda n: n["status"].get("phase") == "Running" and not n["spec"].get("taints"),
    )
    assert ready["status"]["allocatable"] == AMOUNTS
    assert ready["metadata"]["labels"] == {"h": "fake"}
    assert ready["spec"]["podCIDRs"] == [ready["spec"]["podCIDR"]]
    await client.create("pods", pod("p", nodeSelector={"h": "fake"}))
    target = Target("pods", "default", "p")
    running = await until(lambda: client.get(target), lambda p: p["status"]["phase"] == "Running")
    assert running["spec"]["nodeName"] == "fake"


async def test_a_deleted_node_says_no_more_that_it_lives_and_may_come_again(client: Client) -> None:
    target = Target("nodes", "", "fake")
    for _ in range(2):
        await client.create("nodes", node("fake"))
        await until(lambda: client.get(target), lambda n: n["status"].get("phase") == "Running")
        await client.delete(target)
    async with asyncio.timeout(10):
        while not await is_gone(client, Target("leases.coordination.k8s.io", "kube-node-lease", "fake")):
            await asyncio.sleep(0.01)


async def test_a_pod_whose_address_somebody_else_gave_is_left_as_it_is_until_it_is_deleted(client: Client) -> None:
    await client.create("nodes", node("fake"))
    target = Target("pods", "default", "posed")
    made = await client.create("pods", pod("posed", schedulerName="none"))
    status = {"phase": "Running", "podIP": "192.0.2.1", "podIPs": [{"ip": "192.0.2.1"}]}
    await client.update("pods", {**made, "status": status}, subresource="status")
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "posed", "namespace": "default"}}
    await client.create("pods", {**binding, "target": {"kind": "Node", "name": "fake"}}, subresource="binding")
    await client.create("pods", pod("other", nodeName="fake"))
    await until(lambda: client.get(Target("pods", "default", "other")), lambda p: p["status"]["phase"] == "Running")
    assert (await client.get(target))["status"]["podIP"] == "192.0.2.1"
    await client.delete(target)
    async with asyncio.timeout(10):
        while not await is_gone(client, target):
            await asyncio.sleep(0.01)


async def test_a_deleted_pod_runs_on_while_a_finalizer_holds_it(client: Client) -> None:
    await client.create("nodes", node("fake"))
    await client.create("pods", pod("p", nodeName="fake"))
    target = Target("pods", "default", "p")
    await until(lambda: client.get(target), lambda p: p["status"]["phase"] == "Running")
    await client.patch(target, {"metadata": {"finalizers": ["example.com/hold"]}})
    await client.delete(target)
    await client.create("pods", pod("other", nodeName="fake"))
    await until(lambda: client.get(Target("pods", "default", "other")), lambda p: p["status"]["phase"] == "Running")
    assert (await client.get(target))["status"]["phase"] == "Running"
    await client.patch(target, {"metadata": {"finalizers": None}})
    async with asyncio.timeout(10):
        while not await is_gone(client, target):
            await asyncio.sleep(0.01)
