"""The Client contract over a World of objects, with the faults of a network: late watches, lost answers, forgotten history."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from moorage.aio.entropy import seeded
from moorage.aio.signal import Signal
from moorage.client.client import Change, Listing, Selection, Target
from moorage.objects.encoded import Encoded
from moorage.objects.errors import Expired
from moorage.objects.metadata import Object
from tests.controllers.world import World


class StandingClock:
    """A clock that is set by hand; what passes of it is not what passes for the event loop."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class MemoryClient:
    """Answers from a World. `lag` turns of the event loop pass before a watch tells; `loses` is the chance of no answer."""

    def __init__(self, world: World, *, lag: int = 0, loses: float = 0.0, seed: int = 0) -> None:
        self.world = world
        self.changed = Signal()
        self.floor = 0
        self.lag = lag
        self.loses = loses
        self.lists = 0
        self._entropy = seeded(seed)

    async def get(self, target: Target) -> Object:
        return self.world._find(target.resource, target.namespace, target.name)[1]

    async def list(self, resource: str, selection: Selection = Selection()) -> Listing:
        self.lists += 1
        return Listing([_encoded(obj) for obj in self.world.list(resource)], self.world.revision)

    async def watch(
        self, resource: str, after: int, selection: Selection = Selection()
    ) -> AsyncIterator[Sequence[Change]]:
        while True:
            if after < self.floor:
                raise Expired("too old")
            seen = self.changed.count
            entries = [entry for entry in self.world.log if entry[0] > after]
            if entries:
                for _ in range(self.lag):
                    await asyncio.sleep(0)
                after = entries[-1][0]
                yield [Change(kind, _encoded(obj), revision) for revision, kind, of, obj in entries if of == resource]
            else:
                await self.changed.wait_beyond(seen)

    async def create(self, resource: str, obj: Object, *, subresource: str = "") -> Object:
        return await self._answer(self.world.create(resource, obj))

    async def update(self, resource: str, obj: Object, *, subresource: str = "") -> Object:
        return await self._answer(self.world.update(resource, obj, subresource))

    async def patch(self, target: Target, patch: Any, *, content_type: str = "", manager: str = "") -> Object:
        return await self._answer(self.world.patch(target.resource, target.namespace, target.name, patch))

    async def delete(self, target: Target, options: Object | None = None) -> Object:
        uid = ((options or {}).get("preconditions") or {}).get("uid", "")
        return await self._answer(self.world.delete(target.resource, target.namespace, target.name, uid))

    async def delete_collection(self, resource: str, selection: Selection) -> None:
        raise NotImplementedError

    async def revision(self) -> int:
        return self.world.revision

    def tell(self) -> None:
        """Wake the watches after the world was changed behind the client's back."""
        self.changed.fire()

    async def _answer(self, obj: Object) -> Object:
        self.changed.fire()
        await asyncio.sleep(0)
        if self.loses and self._entropy.fraction() < self.loses:
            raise ConnectionError("the answer was lost")
        return obj


async def until(holds: Any, seconds: float = 5.0) -> None:
    """Wait for a condition, with a deadline."""
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.001)


def _encoded(obj: Object) -> Encoded:
    return Encoded(orjson.dumps(obj), int(obj["metadata"]["resourceVersion"]), obj, {})
