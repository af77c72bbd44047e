"""What goes wrong in a simulation: faults at the seam between a component and the API, and nowhere else.

A component must survive every one of them, since networks and servers do all of this: requests and answers get lost,
others write first, watches stall, break and expire, a node cannot reach anybody.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from moorage.aio.entropy import Entropy
from moorage.client.client import Change, Client, Listing, Selection, Target
from moorage.objects.errors import Expired, NotFound
from moorage.objects.metadata import Object, name_of, namespace_of

T = TypeVar("T")

#: The annotation by which somebody else's writes show.
TOUCHED: Final = "simulation.moorage.dev/touched"


@dataclass(frozen=True, slots=True)
class Faults:
    """How likely each fault is, a request or a batch of changes; delays last up to `delay_seconds`."""

    lost_request: float = 0.01
    lost_reply: float = 0.02
    conflict: float = 0.03
    slow_request: float = 0.1
    slow_watch: float = 0.1
    broken_watch: float = 0.01
    expired_watch: float = 0.005
    delay_seconds: float = 2.0


#: Nothing goes wrong.
CALM = Faults(0, 0, 0, 0, 0, 0, 0)


class Weather:
    """The faults of a run: they can end, and they are counted. `silent` are components that reach nobody."""

    def __init__(self, entropy: Entropy, faults: Faults) -> None:
        self.faults = faults
        self.counts: Counter[str] = Counter()
        self.silent: set[str] = set()
        self._entropy = entropy

    def clear(self) -> None:
        """From now on nothing goes wrong."""
        self.faults = CALM
        self.silent.clear()

    def strikes(self, fault: str) -> bool:
        """Tell whether this fault happens now; counts it."""
        chance: float = getattr(self.faults, fault)
        is_struck = chance > 0 and self._entropy.fraction() < chance
        self.counts[fault] += is_struck
        return is_struck

    async def delay(self, fault: str) -> None:
        """Wait, if this fault happens now."""
        if self.strikes(fault):
            await asyncio.sleep(self._entropy.fraction() * self.faults.delay_seconds)

    def check_reach(self, component: str) -> None:
        """Raise ConnectionError if the component is silent."""
        if component in self.silent:
            self.counts["silence"] += 1
            raise ConnectionError(f"{component} reaches nobody")


class FaultyClient:
    """The Client Protocol over another client, in the weather of a run."""

    def __init__(self, client: Client, weather: Weather, component: str) -> None:
        self._client = client
        self._weather = weather
        self._component = component

    async def get(self, target: Target) -> Object:
        """Return the object. Raises NotFound."""
        return await self._asked(lambda: self._client.get(target))

    async def list(self, resource: str, selection: Selection = Selection()) -> Listing:
        """Return all objects of the selection."""
        return await self._asked(lambda: self._client.list(resource, selection))

    async def watch(
        self, resource: str, after: int, selection: Selection = Selection()
    ) -> AsyncIterator[Sequence[Change]]:
        """Yield changes after `after` in order. Raises Expired, ConnectionError."""
        weather = self._weather
        weather.check_reach(self._component)
        async for batch in self._client.watch(resource, after, selection):
            await weather.delay("slow_watch")
            weather.check_reach(self._component)
            if weather.strikes("expired_watch"):
                raise Expired(f"too old resource version: {after} (simulated)")
            if weather.strikes("broken_watch"):
                raise ConnectionError(f"the watch of {resource} broke")
            yield batch

    async def create(self, resource: str, obj: Object, *, subresource: str = "") -> Object:
        """Create; for a subresource the object of `obj`'s name gets it."""
        return await self._asked(lambda: self._client.create(resource, obj, subresource=subresource))

    async def update(self, resource: str, obj: Object, *, subresource: str = "") -> Object:
        """Replace the object, or its status. Raises Conflict, now and then because somebody else writes first."""
        if self._weather.strikes("conflict"):
            await self._touch(Target(resource, namespace_of(obj), name_of(obj)))
        return await self._asked(lambda: self._client.update(resource, obj, subresource=subresource))

    async def patch(
        self,
        target: Target,
        patch: Any,
        *,
        content_type: str = "application/merge-patch+json",
        manager: str = "",
    ) -> Object:
        """Patch the object."""
        return await self._asked(lambda: self._client.patch(target, patch, content_type=content_type, manager=manager))

    async def delete(self, target: Target, options: Object | None = None) -> Object:
        """Delete the object."""
        return await self._asked(lambda: self._client.delete(target, options))

    async def delete_collection(self, resource: str, selection: Selection) -> None:
        """Delete every object of the selection."""
        await self._asked(lambda: self._client.delete_collection(resource, selection))

    async def revision(self) -> int:
        """Return a revision not older than any write that this client may have caused."""
        return await self._asked(self._client.revision)

    async def _touch(self, target: Target) -> None:
        """Write to an object what concerns nobody."""
        count = str(self._weather.counts["conflict"])
        try:
            await self._client.patch(target, {"metadata": {"annotations": {TOUCHED: count}}})
        except NotFound:
            return

    async def _asked(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask, unless the request is lost; the answer may get lost after everything was done."""
        weather = self._weather
        await weather.delay("slow_request")
        weather.check_reach(self._component)
        if weather.strikes("lost_request"):
            raise ConnectionError("the request was lost")
        answer = await ask()
        if weather.strikes("lost_reply"):
            raise ConnectionError("the answer was lost")
        return answer
