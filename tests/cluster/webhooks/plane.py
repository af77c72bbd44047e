"""Requests to a control plane in this process, by one user, in one namespace."""

import socket
from typing import Any

import pytest

from moorage.api.request import Request, User
from moorage.cluster.control_plane import ControlPlane
from moorage.objects.encoded import Encoded
from moorage.objects.errors import StatusError
from moorage.objects.metadata import Object
from tests.cluster.webhooks.server import WebhookServer

JANE = User("jane", ("dev", "system:authenticated"), extra={"scopes": ["a"]})


class Node:
    """Reaches ports inside pods: all of them are the server's."""

    def __init__(self) -> None:
        self.dialled: list[tuple[str, int]] = []
        self.port = 0

    async def dial(self, pod: Object, port: int) -> socket.socket:
        """Connect to the server, whatever the pod's port is."""
        self.dialled.append((pod["metadata"]["name"], port))
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.setblocking(False)
        return connection


class Plane:
    """A control plane with a namespace `n`; `warnings` are those of the last request."""

    def __init__(self, control: ControlPlane, server: WebhookServer, node: Node) -> None:
        self.control = control
        self.server = server
        self.node = node
        self.warnings: list[str] = []
        self._configurations = 0

    def request(self, verb: str, resource: str, name: str = "", subresource: str = "", **query: str) -> Request:
        row = self.control.api.resources.by_id(resource)
        assert row is not None
        self.warnings = []
        now = self.control.clock.now()
        namespace = "n" if row.namespaced else ""
        return Request(JANE, verb, row, namespace, name, now, subresource, query=query, warnings=self.warnings)

    async def create(self, resource: str, obj: dict[str, Any], **query: str) -> dict[str, Any]:
        row = self.control.api.resources.by_id(resource)
        assert row is not None
        whole = {"apiVersion": row.api_version, "kind": row.kind, **obj}
        answer = await self.control.api.create(self.request("create", resource, **query), whole)
        return dict(answer.body.object if isinstance(answer.body, Encoded) else answer.body)

    async def config_map(self, name: str = "c", **query: str) -> dict[str, Any]:
        return await self.create("configmaps", {"metadata": {"name": name}, "data": {"a": "1"}}, **query)

    async def hook(self, sort: str, client: dict[str, Any], **more: Any) -> None:
        rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"]}]
        self._configurations += 1
        webhook = {
            "name": f"w{self._configurations}.example.com",
            "clientConfig": client,
            "rules": rules,
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            **more,
        }
        kind = f"{sort}webhookconfigurations.admissionregistration.k8s.io"
        await self.create(kind, {"metadata": {"name": f"c{self._configurations}"}, "webhooks": [webhook]})

    async def refusal(self, name: str = "c", **query: str) -> dict[str, Any]:
        with pytest.raises(StatusError) as refusal:
            await self.config_map(name, **query)
        return refusal.value.status()
