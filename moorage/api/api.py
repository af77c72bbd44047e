"""The API: its verbs on requests. Finds the kind, calls the functions that do it, answers with stored bytes.

`Api` speaks requests (moorage.api.request); moorage.cluster.local.LocalClient gives it the Client Protocol in process, and
moorage.server speaks HTTP in front of it. Authentication and authorization happen before.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from moorage.aio.clock import Clock
from moorage.aio.entropy import Entropy
from moorage.aio.pace import Pace
from moorage.api import delete as deletion
from moorage.api import patch as patching
from moorage.api import read, write
from moorage.api.answers import Answer, Page, WatchChange
from moorage.api.custom_resources.converter import Converter
from moorage.api.custom_resources.publication import Publication
from moorage.api.list_options import parse_revision
from moorage.api.pipeline import Admission, Tools, found
from moorage.api.request import Draft, Request
from moorage.api.resources import Resources
from moorage.api.scaling import patch_scale, put_scale, read_scale
from moorage.api.storage import CacheLookup, Storage, by_webhook
from moorage.api.subresources import CREATIONS, Creation
from moorage.api.watch_cache import Caches
from moorage.objects.errors import MethodNotAllowed
from moorage.store.store import Store


class Api:
    """A Kubernetes API over a store. Call `load` before anything else."""

    def __init__(self, store: Store, clock: Clock, entropy: Entropy, admission: Admission) -> None:
        self.clock = clock
        self.resources = Resources()
        self.caches = Caches(store)
        #: At what pace clients are told of changes.
        self.pace = Pace(clock)
        self.lookup = CacheLookup(self.caches)
        self.storage = Storage(store, self.caches, Converter(entropy))
        self.publication = Publication(self.caches, self.resources)
        self._tools = Tools(self.storage, admission, self.lookup, entropy, self.resources)
        #: (resource id, subresource) -> what a POST does, beside creating an object. Reviews and tokens are added here.
        self.creations: dict[tuple[str, str], Creation] = dict(CREATIONS)

    async def load(self) -> None:
        """Read the store's newest state."""
        await self.caches.load()
        self.publication.start()

    async def get(self, request: Request) -> Answer:
        """Return one object, or its scale. Raises NotFound."""
        await self._prepare(request)
        if request.subresource == "scale":
            return read_scale(self._tools, request)
        parse_revision(request.query.get("resourceVersion", ""), where="get")
        return Answer(200, found(self._tools, request))

    async def list(self, request: Request) -> Page:
        """Return a page of objects."""
        page = read.read_list(self.caches, self.storage.cache_of(request.resource), request)
        if not self.storage.is_presented(request.resource):
            return page
        items = await self.storage.presented_all(request.resource, page.items)
        return Page(items, page.revision, page.token, page.remaining)

    async def watch(self, request: Request, *, outlives: bool = False) -> AsyncIterator[Sequence[WatchChange]]:
        """Return the stream of changes; errors in the request are raised here.

        outlives: it goes on when a custom resource is not served any more, in case that it comes back.
        """
        stream = read.read_watch(
            self.caches, self.storage.cache_of(request.resource), request, self.pace, outlives=outlives
        )
        return stream if not self.storage.is_presented(request.resource) else self._presented(request, stream)

    async def create(self, request: Request, draft: Draft) -> Answer:
        """Create an object, or what a POST to a subresource makes."""
        special = self.creations.get((request.resource.id, request.subresource))
        if special is not None:
            return await special(self._tools, request, draft)
        if request.subresource:
            raise not_allowed()
        return await write.create(self._tools, request, draft)

    async def update(self, request: Request, draft: Draft) -> Answer:
        """Replace an object or its subresource."""
        if request.subresource == "scale":
            await self._prepare(request)
            return await put_scale(self._tools, request, draft)
        return await write.update(self._tools, request, draft)

    async def patch(self, request: Request, patch: Any, content_type: str) -> Answer:
        """Patch an object or its subresource."""
        if request.subresource == "scale":
            await self._prepare(request)
            return await patch_scale(self._tools, request, patch, content_type)
        return await patching.patch(self._tools, request, patch, content_type)

    async def delete(self, request: Request, options: Mapping[str, Any] | None) -> Answer:
        """Delete an object."""
        return await deletion.delete(self._tools, request, options)

    async def delete_collection(self, request: Request, options: Mapping[str, Any] | None) -> Page:
        """Delete every selected object."""
        return await deletion.delete_collection(self._tools, request, options)

    async def connect(self, request: Request, options: Draft) -> None:
        """Ask admission about a connection into an object (exec, attach, portforward). Raises StatusError."""
        await self._tools.admission.ask(options, None, request, self.lookup)

    async def _prepare(self, request: Request) -> None:
        """Have the object of a request converted, if a webhook does that."""
        if by_webhook(request.resource):
            item = self.storage.find(request.resource, request.namespace, request.name)
            await self.storage.prepare(request.resource, item)

    async def _presented(
        self, request: Request, stream: AsyncIterator[Sequence[WatchChange]]
    ) -> AsyncIterator[Sequence[WatchChange]]:
        async for batch in stream:
            items = [change.item for change in batch if change.item is not None]
            shown = iter(await self.storage.presented_all(request.resource, items))
            yield [change if change.item is None else change._replace(item=next(shown)) for change in batch]


def not_allowed() -> MethodNotAllowed:
    """Return the error for a verb that the resource does not know."""
    return MethodNotAllowed("the server does not allow this method on the requested resource")
