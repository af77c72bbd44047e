"""Watches during a case: lines collected from one path, and the trace of what became of a namespace's objects."""

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from moorage.testing.connection import Connection, Endpoint, Pool, Reply
from tests.golden.names import Names

#: Where the resources of traces live, beside those of apps/v1.
_ROOTS = {"pods": "/api/v1", "persistentvolumeclaims": "/api/v1", "events": "/api/v1", "jobs": "/apis/batch/v1"}

#: Events of nodes are not compared: which there are depends on what runs the pods.
_NODE_SOURCES = {"kubelet", "kwok", "", None}

_ASSIGNED = re.compile(r"^(Successfully assigned .*) to \S+$")

ACCEPT = ("Accept", "application/json")


class Watch:
    """Lines of one watch, until there are `count` of them or it is finished."""

    def __init__(self, connection: Connection, head: Reply, count: int | None, sink: Callable[[Any], None]) -> None:
        self._connection = connection
        self._count = count
        self._sink = sink
        self._task = asyncio.create_task(self._collect(head))

    @classmethod
    async def open(
        cls,
        endpoint: Endpoint,
        path: str,
        query: dict[str, Any] | None,
        sink: Callable[[Any], None],
        count: int | None = None,
    ) -> "Watch":
        """Start a watch; returns once the server has begun to answer."""
        connection = await Connection.open(endpoint)
        target = f"{path}?{urlencode({'watch': 'true', **(query or {})}, doseq=True)}"
        return cls(connection, await connection.begin("GET", target, [ACCEPT]), count, sink)

    async def finish(self, seconds: float) -> None:
        """Wait for the end of the watch, at most so long, then end it."""
        await asyncio.wait([self._task], timeout=seconds)
        self._connection.close()
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _collect(self, head: Reply) -> None:
        if head.status != 200:
            body = b"".join([chunk async for chunk in self._connection.chunks(head)])
            self._sink({"status": head.status, "body": json.loads(body or b"null")})
            return
        seen = 0
        try:
            async for line in self._connection.lines(head):
                if line.strip():
                    self._sink(json.loads(line))
                    seen += 1
                    if seen == self._count:
                        return
        except (OSError, ValueError, KeyError):
            return  # what came until then is what is compared


class Trace:
    """What happened to a namespace's objects since `begin`: the order of their stages, and the set of Events."""

    def __init__(self, pool: Pool, namespace: str, names: Names) -> None:
        self._pool = pool
        self._namespace = namespace
        self._names = names
        self._order: list[str] = []
        self._events: set[str] = set()
        self._stages: dict[tuple[str, str, str], set[str]] = {}
        self._watches: list[Watch] = []

    async def begin(self, resources: Sequence[str]) -> None:
        """Look at what is there, then follow it."""
        for resource in [*resources, "events"]:
            path = f"{_ROOTS.get(resource, '/apis/apps/v1')}/namespaces/{self._namespace}/{resource}"
            listing = json.loads((await self._pool.request("GET", path, [ACCEPT])).body)
            note = self._note_event if resource == "events" else self._noting(resource)
            if resource != "events":
                for item in listing["items"]:
                    self._note(resource, "ADDED", item, is_new=False)
            query = {"resourceVersion": listing["metadata"]["resourceVersion"], "timeoutSeconds": "600"}
            self._watches.append(await Watch.open(self._pool.endpoint, path, query, note))

    async def finish(self, seconds: float, *, is_sorted: bool) -> dict[str, list[str]]:
        """Follow for so long yet, then return what was seen, with names."""
        await asyncio.sleep(seconds)
        for watch in self._watches:
            await watch.finish(0)
        order = sorted(self._order) if is_sorted else self._order
        order = [self._names.text(stage) for stage in order]
        events = {self._names.text(event) for event in sorted(self._events)}
        return {"order": sorted(order) if is_sorted else order, "events": sorted(events)}

    def _noting(self, resource: str) -> Callable[[Any], None]:
        return lambda line: self._note(resource, line["type"], line["object"], is_new=True)

    def _note(self, resource: str, kind: str, item: dict[str, Any], *, is_new: bool) -> None:
        self._names.learn(item)
        metadata = item["metadata"]
        known = self._stages.setdefault((resource, metadata["name"], metadata["uid"]), set())
        for stage in _stages_of(resource, kind, item):
            if stage not in known and is_new:
                self._order.append(f"{resource}/{metadata['name']} {stage}")
            known.add(stage)

    def _note_event(self, line: Any) -> None:
        event = line["object"]
        source = event.get("reportingComponent") or (event.get("source") or {}).get("component")
        if source in _NODE_SOURCES or line["type"] == "DELETED":
            return
        about = event["involvedObject"]
        text = _ASSIGNED.sub(r"\1 to <node>", event.get("message") or "")
        named = f"{about.get('kind')}/{about.get('name')}"
        self._events.add(f"{event.get('type')} {event.get('reason')} {named} [{source}] {text}")


def _stages_of(resource: str, kind: str, item: dict[str, Any]) -> list[str]:
    """Return the stages that an object has reached, in the order of a life."""
    status = item.get("status") or {}
    stages = ["created"]
    conditions = status.get("conditions") or []
    if resource == "pods" and any(each["type"] == "Ready" and each["status"] == "True" for each in conditions):
        stages.append("ready")
    if resource == "persistentvolumeclaims" and status.get("phase") == "Bound":
        stages.append("bound")
    if item["metadata"].get("deletionTimestamp") or kind == "DELETED":
        stages.append("deleting")
    return [*stages, "gone"] if kind == "DELETED" else stages
