"""Readers of the API in a simulation: each follows one resource at a pace of its own and must miss nothing.

Exactly once and in order: a change is news (a higher revision than the last), an ADDED object was not there, a MODIFIED
or DELETED one was. And list + watch = list: what a reader has pieced together is what the API lists.
"""

import asyncio
from collections.abc import Sequence

from moorage.aio.entropy import Entropy
from moorage.aio.tasks import Tasks
from moorage.client.client import Change, Client
from moorage.objects.errors import Expired

#: What readers follow.
RESOURCES = ("pods", "statefulsets.apps", "persistentvolumeclaims", "persistentvolumes", "nodes")

Key = tuple[str, str]


class Watcher:
    """Follows one resource, now and then so slowly that history expires under it."""

    def __init__(self, resource: str, client: Client, entropy: Entropy) -> None:
        self.resource = resource
        self.problems: list[str] = []
        self.seen = 0
        self.revision = 0
        self.pace_seconds = 1.0
        self._client = client
        self._entropy = entropy
        self._items: dict[Key, int] = {}

    async def follow(self) -> None:
        """List, then watch, for ever."""
        while True:
            listing = await self._client.list(self.resource)
            self._items = {(item.namespace, item.name): item.revision for item in listing.items}
            self.revision = listing.revision
            try:
                async for batch in self._client.watch(self.resource, self.revision):
                    self._take(batch)
                    await asyncio.sleep(self._entropy.fraction() * self.pace_seconds)
            except Expired:
                continue

    async def differences(self) -> list[str]:
        """Return in what the pieced-together state differs from a list, once the watcher has caught up."""
        listing = await self._client.list(self.resource)
        listed = {(item.namespace, item.name): item.revision for item in listing.items}
        return [
            f"the watch of {self.resource} says {self._items.get(key)} for {key[1]}, the list {listed.get(key)}"
            for key in sorted(self._items.keys() | listed.keys())
            if self._items.get(key) != listed.get(key)
        ]

    def _take(self, batch: Sequence[Change]) -> None:
        for change in batch:
            if change.revision <= self.revision:
                self.problems.append(f"{self.resource}: revision {change.revision} came after {self.revision}")
            self.revision = max(self.revision, change.revision)
            if change.item is None:
                continue
            self.seen += 1
            key = (change.item.namespace, change.item.name)
            if (key in self._items) == (change.kind == "ADDED"):
                self.problems.append(f"{self.resource}: {change.kind} {key[1]} at {change.revision} makes no sense")
            if change.kind == "DELETED":
                self._items.pop(key, None)
            else:
                self._items[key] = change.item.revision


class Watchers:
    """All readers of a run. They begin anew with each process of the API."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._tasks = Tasks("watchers")
        self._watchers: list[Watcher] = []
        self._problems: list[str] = []

    def start(self, client: Client) -> None:
        """Begin to read."""
        self._watchers = [Watcher(resource, client, self._entropy) for resource in RESOURCES]
        for watcher in self._watchers:
            self._tasks.keep(f"watcher/{watcher.resource}", watcher.follow)

    async def stop(self) -> None:
        """End all readers; what they found stays known."""
        self._problems = self.problems
        self._watchers = []
        await self._tasks.close()

    @property
    def problems(self) -> list[str]:
        """What went wrong so far."""
        return self._problems + [problem for watcher in self._watchers for problem in watcher.problems]

    async def differences(self) -> list[str]:
        """Return in what any reader differs from the lists."""
        return [line for watcher in self._watchers for line in await watcher.differences()]
