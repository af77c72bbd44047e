"""Caches of what the API holds: one for each resource, shared by all who run in this process.

A cache lists once and then follows a watch from the list's revision. It holds `Encoded` items and decodes on demand;
indexes are built when first asked for and kept up to date from then on, so that a change costs the same however large
the cache is. Nothing here polls: without changes a cache sleeps.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from moorage.aio.backoff import Backoff
from moorage.aio.clock import Clock
from moorage.aio.signal import Signal
from moorage.aio.tasks import Tasks
from moorage.client.client import Change, Client
from moorage.controllers.rule import Index as RuleIndex
from moorage.objects.encoded import Encoded
from moorage.objects.errors import Expired, StatusError
from moorage.objects.metadata import Object

log = logging.getLogger(__name__)

#: How fast a cache that lost its server asks again.
RETRY: Final = Backoff(first=0.1, most=30.0)

#: How long a revision may take to come by watch before the cache lists, which is never behind.
REACH_SECONDS: Final = 1.0

#: Namespace and name.
Key = tuple[str, str]

#: Called with the new item (None: deleted) and the old one (None: created).
Listener = Callable[[Encoded | None, Encoded | None], None]


class Index:
    """Keys of a cache by some values of its items."""

    def __init__(self, values_of: Callable[[Encoded], Iterable[str]]) -> None:
        self._values_of = values_of
        self._keys: dict[str, dict[Key, None]] = {}

    def add(self, key: Key, item: Encoded) -> None:
        """Take an item in."""
        for value in self._values_of(item):
            self._keys.setdefault(value, {})[key] = None

    def remove(self, key: Key, item: Encoded) -> None:
        """Let an item go; it must be the one that was added."""
        for value in self._values_of(item):
            keys = self._keys.get(value)
            if keys is not None:
                keys.pop(key, None)
                if not keys:
                    del self._keys[value]

    def keys(self, value: str) -> list[Key]:
        """Return the keys with this value, in order."""
        return sorted(self._keys.get(value, ()))


class Cache:
    """All objects of one resource, as of `revision`."""

    def __init__(self, resource: str, client: Client) -> None:
        self.resource = resource
        #: The newest revision whose changes are all in here; 0 before the first list.
        self.revision = 0
        #: Fired when `revision` has moved.
        self.moved = Signal()
        self._client = client
        self._items: dict[Key, Encoded] = {}
        self._indexes: dict[str, Index] = {}
        self._listeners: list[Listener] = []
        self._synced = asyncio.Event()
        self._listing = asyncio.Lock()

    def subscribe(self, listener: Listener) -> None:
        """Call `listener` for every change from now on."""
        self._listeners.append(listener)

    async def synced(self) -> None:
        """Return once the cache has been filled."""
        await self._synced.wait()

    async def reach(self, revision: int) -> None:
        """Return once the cache is not older than `revision`, which was written to this resource or seen anywhere."""
        if self.revision >= revision:
            return
        try:
            async with asyncio.timeout(REACH_SECONDS):
                await self._moves_to(revision)
        except TimeoutError:
            await self._list(at_least=revision)

    async def moves_within(self, count: int) -> bool:
        """Wait until `moved` was fired after `count` was read; False if that took too long."""
        try:
            async with asyncio.timeout(REACH_SECONDS):
                await self.moved.wait_beyond(count)
        except TimeoutError:
            return False
        return True

    def get(self, namespace: str, name: str) -> Encoded | None:
        """Return one item, None if there is none."""
        return self._items.get((namespace, name))

    def all(self) -> list[Encoded]:
        """Return all items in order."""
        return [self._items[key] for key in sorted(self._items)]

    def by(self, index: str, value: str, values_of: Callable[[Encoded], Iterable[str]]) -> list[Encoded]:
        """Return the items with this value in an index, which `values_of` defines the first time."""
        found = self._indexes.get(index)
        if found is None:
            found = self._indexes[index] = Index(values_of)
            for key, item in self._items.items():
                found.add(key, item)
        return [self._items[key] for key in found.keys(value)]

    async def follow(self) -> None:
        """List, then watch, until cancelled. A broken connection is tried again with growing delay."""
        failures = 0
        while True:
            try:
                if not self._synced.is_set():
                    await self._list()
                async for changes in self._client.watch(self.resource, self.revision):
                    failures = 0
                    self._take(changes)
            except Expired:
                await self._relist()
            except (ConnectionError, TimeoutError, StatusError) as error:
                failures += 1
                log.warning("cache_retries resource=%s failures=%d error=%s", self.resource, failures, error)
                await asyncio.sleep(RETRY.delay(failures))
            else:
                await asyncio.sleep(0)

    async def _moves_to(self, revision: int) -> None:
        while self.revision < revision:
            await self.moved.wait_beyond(self.moved.count)

    async def _relist(self) -> None:
        self._synced.clear()
        try:
            await self._list()
        except (ConnectionError, TimeoutError, StatusError) as error:
            log.warning("cache_cannot_list resource=%s error=%s", self.resource, error)
            await asyncio.sleep(RETRY.delay(1))

    async def _list(self, at_least: int = 0) -> None:
        """Take the state of a fresh list, telling listeners what differs from what was here."""
        async with self._listing:
            if at_least and self.revision >= at_least:
                return
            listing = await self._client.list(self.resource)
            if self._synced.is_set() and listing.revision < self.revision:
                return
            gone = dict(self._items)
            for item in listing.items:
                old = gone.pop((item.namespace, item.name), None)
                if old is None or old.revision < item.revision:
                    self._put(item)
            for item in gone.values():
                if item.revision <= listing.revision:
                    self._drop(item)
            self._move_to(listing.revision)
            self._synced.set()

    def _take(self, changes: Sequence[Change]) -> None:
        """Apply changes in order. What a list brought already is not applied again."""
        for change in changes:
            item = change.item
            if change.revision <= self.revision:
                continue
            if item is not None:
                if change.kind == "DELETED":
                    self._drop(item)
                else:
                    self._put(item)
            self.revision = change.revision
        self.moved.fire()

    def _move_to(self, revision: int) -> None:
        if revision > self.revision:
            self.revision = revision
            self.moved.fire()

    def _put(self, item: Encoded) -> None:
        key = (item.namespace, item.name)
        old = self._items.get(key)
        self._items[key] = item
        for index in self._indexes.values():
            if old is not None:
                index.remove(key, old)
            index.add(key, item)
        self._tell(item, old)

    def _drop(self, item: Encoded) -> None:
        key = (item.namespace, item.name)
        old = self._items.pop(key, None)
        if old is None:
            return
        for index in self._indexes.values():
            index.remove(key, old)
        self._tell(None, item)

    def _tell(self, new: Encoded | None, old: Encoded | None) -> None:
        for listener in self._listeners:
            listener(new, old)


class Informers:
    """The caches of this process, each started when first asked for, and the View of rules over them."""

    def __init__(self, client: Client, clock: Clock, tasks: Tasks) -> None:
        self.clock = clock
        self._client = client
        self._tasks = tasks
        self._caches: dict[str, Cache] = {}

    def cache(self, resource: str) -> Cache:
        """Return the cache of a resource; the first call starts it."""
        found = self._caches.get(resource)
        if found is None:
            found = self._caches[resource] = Cache(resource, self._client)
            self._tasks.keep(f"cache/{resource}", found.follow)
        return found

    def running(self, resource: str) -> Cache | None:
        """Return the cache of a resource if somebody has asked for it, None if nobody reads that resource."""
        return self._caches.get(resource)

    async def synced(self, resources: Iterable[str]) -> None:
        """Return once the caches of these resources are filled."""
        for cache in [self.cache(resource) for resource in resources]:
            await cache.synced()

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        """Return one object, None if it is not in the cache."""
        item = self.cache(resource).get(namespace, name)
        return None if item is None else item.object

    def list(self, resource: str, namespace: str = "") -> Sequence[Object]:
        """Return all objects, or those of one namespace, by name."""
        cache = self.cache(resource)
        items = cache.by("namespace", namespace, _namespace_of) if namespace else cache.all()
        return [item.object for item in items]

    def owned(self, resource: str, uid: str) -> Sequence[Object]:
        """Return the objects that have an owner reference to `uid`, by name."""
        return [item.object for item in self.cache(resource).by("owner", uid, _owners_of)]

    def orphans(self, resource: str, namespace: str) -> Sequence[Object]:
        """Return the objects of the namespace that no controller owns, by name."""
        return [item.object for item in self.cache(resource).by("orphan", namespace, _orphan_of)]

    def indexed(self, resource: str, label: str, value: str) -> Sequence[Object]:
        """Return the objects whose field selector label has this value, by name."""
        items = self.cache(resource).by(f"field:{label}", value, lambda item: (field_of(item, label),))
        return [item.object for item in items]

    def matching(self, resource: str, index: RuleIndex, value: str) -> Sequence[Object]:
        """Return the objects that a rule's own index has under this value, by name."""
        items = self.cache(resource).by(f"rule:{index.name}", value, lambda item: index.values_of(item.object))
        return [item.object for item in items]


def field_of(item: Encoded, label: str) -> str:
    """Return the value of a field selector label: as the API computed it, or else from the path in the object."""
    value = item.uid if label == "metadata.uid" else item.fields.get(label)
    if value is not None:
        return value
    found: object = item.object
    for step in label.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return "" if found is None else str(found).lower() if isinstance(found, bool) else str(found)


def _namespace_of(item: Encoded) -> Iterable[str]:
    return (item.namespace,)


def _owners_of(item: Encoded) -> Iterable[str]:
    return item.owners


def _orphan_of(item: Encoded) -> Iterable[str]:
    """Return the namespace of an item without a controller; quotes inside texts are escaped, so the bytes can tell."""
    is_controlled = bool(item.owners) and b'"controller":true' in item.raw
    return () if is_controlled else (item.namespace,)
