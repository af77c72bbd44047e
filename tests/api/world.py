"""A whole API over a store in memory, without admission: requests go in, answers and refusals come out."""

from datetime import UTC, datetime
from typing import Any

import orjson

from moorage.aio.clock import SystemClock
from moorage.aio.entropy import seeded
from moorage.api.answers import Answer
from moorage.api.api import Api
from moorage.api.request import SYSTEM, Request
from moorage.objects.encoded import Encoded
from moorage.objects.kinds import builtin
from moorage.store.memory import MemoryStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class NoAdmission:
    """Lets everything pass."""

    async def mutate(self, *_: object) -> None: ...

    async def validate(self, *_: object) -> None: ...

    async def ask(self, *_: object) -> None: ...


class World:
    """Asks the API about objects of the namespace `ns`; `warnings` are those of the last request."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.api = Api(self.store, SystemClock(), seeded(1), NoAdmission())
        self.warnings: list[str] = []

    async def create(self, resource: str, body: Any, name: str = "", **query: str) -> dict[str, Any]:
        """POST to a resource (`pods`), or to a subresource of a named object (`pods/eviction`)."""
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        return shown(await self.api.create(self.request("create", resource, name, raw, query), orjson.loads(raw)))

    async def update(self, resource: str, body: Any, **query: str) -> dict[str, Any]:
        """PUT an object or a subresource; the name is the body's."""
        request = self.request("update", resource, body["metadata"]["name"], orjson.dumps(body), query)
        return shown(await self.api.update(request, orjson.loads(orjson.dumps(body))))

    async def patch(self, resource: str, name: str, patch: Any, kind: str = "merge", **query: str) -> dict[str, Any]:
        """PATCH; `kind` is merge, json, strategic or apply."""
        form = {"merge": "merge-patch+json", "json": "json-patch+json", "apply": "apply-patch+yaml"}
        content_type = f"application/{form.get(kind, 'strategic-merge-patch+json')}"
        return shown(await self.api.patch(self.request("patch", resource, name, None, query), patch, content_type))

    async def get(self, resource: str, name: str) -> dict[str, Any]:
        """GET an object or a subresource."""
        return shown(await self.api.get(self.request("get", resource, name, None, {})))

    def request(self, verb: str, resource: str, name: str, raw: bytes | None, query: dict[str, str]) -> Request:
        """Return a request about `plural.group/subresource`."""
        plural, _, subresource = resource.partition("/")
        row = self.api.resources.by_id(plural) or builtin(plural)
        self.warnings = []
        return Request(
            SYSTEM,
            verb,
            row,
            "ns" if row.namespaced else "",
            name,
            NOW,
            subresource=subresource,
            query=query,
            warnings=self.warnings,
            raw=raw,
        )


def shown(answer: Answer) -> dict[str, Any]:
    """Return the object of an answer."""
    body = answer.body
    return dict(body.object if isinstance(body, Encoded) else body)


def pod(name: str = "p", **spec: Any) -> dict[str, Any]:
    """Return a pod that runs one container and is labelled a=b."""
    metadata = {"name": name, "labels": {"a": "b"}}
    return {"metadata": metadata, "spec": {"containers": [{"name": "c", "image": "nginx"}], **spec}}
