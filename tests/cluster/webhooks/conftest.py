"""A control plane in this process, and a real HTTPS server beside it that answers as webhooks do."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moorage.aio.clock import SystemClock
from moorage.aio.entropy import SystemEntropy
from moorage.aio.tasks import Tasks
from moorage.cluster.control_plane import ControlPlane
from moorage.cluster.webhooks.calling import HttpsCaller
from moorage.store.memory import MemoryStore
from tests.cluster.webhooks.plane import Node, Plane
from tests.cluster.webhooks.server import Certificate, WebhookServer


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    clock, entropy = SystemClock(), SystemEntropy()
    async with Tasks("test") as tasks, WebhookServer(Certificate(tmp_path, "hook.n.svc")) as server:
        store, node = MemoryStore(), Node()
        control = ControlPlane(store, clock, entropy, tasks)
        caller = HttpsCaller(control.lookup, node, clock, entropy)
        control.call_webhooks_with(caller)
        await control.open(6443)
        await control.client.create("namespaces", {"metadata": {"name": "n", "labels": {"env": "dev"}}})
        yield Plane(control, server, node)
        await caller.close()
        await store.close()
