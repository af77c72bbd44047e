"""The Client Protocol in process: what controllers, scheduler and nodes speak when they live beside the API.

Objects that are given are copied by encoding, as the wire would: the API may change its copy.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson

from moorage.api.answers import Answer
from moorage.api.api import Api
from moorage.api.request import Draft, Request, User
from moorage.client.client import Change, Listing, Selection, Target
from moorage.objects.encoded import Encoded
from moorage.objects.errors import not_found
from moorage.objects.kinds import Resource
from moorage.objects.metadata import Object, name_of, namespace_of


class LocalClient:
    """Speaks to an Api as one user; `agent` names the field manager of its writes."""

    def __init__(self, api: Api, user: User, agent: str) -> None:
        self._api = api
        self._user = user
        self._agent = agent

    async def get(self, target: Target) -> Object:
        """Return the object. Raises NotFound."""
        request = self._request("get", target.resource, target.namespace, target.name, target.subresource)
        return _object(await self._api.get(request))

    async def list(self, resource: str, selection: Selection = Selection()) -> Listing:
        """Return all objects of the selection."""
        page = await self._api.list(self._collection("list", resource, selection))
        return Listing(page.items, page.revision)

    async def watch(
        self, resource: str, after: int, selection: Selection = Selection()
    ) -> AsyncIterator[Sequence[Change]]:
        """Yield changes after `after` in order, in batches. Raises Expired when they were forgotten."""
        request = self._collection("watch", resource, selection, resourceVersion=str(after))
        async for batch in await self._api.watch(request, outlives=True):
            yield [Change(change.kind, change.item, change.revision) for change in batch]

    async def create(self, resource: str, obj: Object, *, subresource: str = "") -> Object:
        """Create; for a subresource the object of `obj`'s name gets it. Returns the answer."""
        name = name_of(obj) if subresource else ""
        request = self._request("create", resource, namespace_of(obj), name, subresource)
        return _object(await self._api.create(request, _draft(obj)))

    async def update(self, resource: str, obj: Object, *, subresource: str = "") -> Object:
        """Replace the object, or its status. Raises Conflict when obj's resourceVersion is outdated."""
        request = self._request("update", resource, namespace_of(obj), name_of(obj), subresource)
        return _object(await self._api.update(request, _draft(obj)))

    async def patch(
        self,
        target: Target,
        patch: Any,
        *,
        content_type: str = "application/merge-patch+json",
        manager: str = "",
    ) -> Object:
        """Patch the object; content_type says which kind of patch."""
        query = {"fieldManager": manager} if manager else {}
        request = self._request("patch", target.resource, target.namespace, target.name, target.subresource, **query)
        return _object(await self._api.patch(request, orjson.loads(orjson.dumps(patch)), content_type))

    async def delete(self, target: Target, options: Object | None = None) -> Object:
        """Delete the object."""
        request = self._request("delete", target.resource, target.namespace, target.name)
        return _object(await self._api.delete(request, options))

    async def delete_collection(self, resource: str, selection: Selection) -> None:
        """Delete every object of the selection."""
        await self._api.delete_collection(self._collection("deletecollection", resource, selection), None)

    async def revision(self) -> int:
        """Return the newest revision."""
        return self._api.caches.revision

    def _resource(self, resource: str) -> Resource:
        found = self._api.resources.by_id(resource)
        if found is None:
            plural, _, group = resource.partition(".")
            raise not_found(plural, group, "")
        return found

    def _request(
        self, verb: str, resource: str, namespace: str, name: str, subresource: str = "", **query: str
    ) -> Request:
        return Request(
            self._user,
            verb,
            self._resource(resource),
            namespace,
            name,
            self._api.clock.now(),
            subresource,
            query=query,
            agent=self._agent,
        )

    def _collection(self, verb: str, resource: str, selection: Selection, **query: str) -> Request:
        if selection.labels:
            query["labelSelector"] = selection.labels
        if selection.fields:
            query["fieldSelector"] = selection.fields
        return self._request(verb, resource, selection.namespace, "", **query)


def _draft(obj: Object) -> Draft:
    draft: Draft = orjson.loads(orjson.dumps(obj))
    return draft


def _object(answer: Answer) -> Object:
    return answer.body.object if isinstance(answer.body, Encoded) else answer.body
