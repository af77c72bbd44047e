"""See your own writes before you decide again.

Caches lag behind writes. A rule that decided twice on the same stale view would create a pod too many; so after a
round the reference waits until the caches of the kinds that it wrote have reached what it wrote. After an ambiguous
failure (the answer was lost) the newest revision of the server takes the place of the one that nobody told. Kinds
that nobody in this process reads are not waited for.
Source of the idea: design study, "Own writes and stale caches"; it replaces upstream's expectations.
"""

from dataclasses import dataclass, field

from moorage.client.client import Client
from moorage.objects.metadata import Ref
from moorage.reconciler.informer import Cache, Informers


@dataclass(slots=True)
class Written:
    """What a round wrote: the highest revision by resource, the objects that it deleted, and whether answers were lost."""

    revisions: dict[str, int] = field(default_factory=dict)
    deleted: list[Ref] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)

    def note(self, resource: str, revision: int) -> None:
        """Remember a write of this revision."""
        if revision > self.revisions.get(resource, 0):
            self.revisions[resource] = revision

    def __bool__(self) -> bool:
        return bool(self.revisions or self.deleted or self.lost)


class Barrier:
    """What each reference of one controller waits for."""

    def __init__(self, client: Client, informers: Informers) -> None:
        self._client = client
        self._informers = informers
        self._written: dict[Ref, Written] = {}

    def raise_to(self, ref: Ref, written: Written) -> None:
        """Have the next round of `ref` wait until what was written is visible."""
        if written:
            self._written[ref] = written

    async def wait(self, ref: Ref) -> None:
        """Return once the caches show the last round of `ref`. Raises ConnectionError while the server is away."""
        written = self._written.get(ref)
        if written is None:
            return
        if written.lost:
            newest = await self._client.revision()
            for resource in sorted(written.lost):
                written.note(resource, newest)
            written.lost.clear()
        for resource, revision in sorted(written.revisions.items()):
            if (cache := self._informers.running(resource)) is not None:
                await cache.reach(revision)
        for gone in written.deleted:
            if (cache := self._informers.running(gone.resource)) is not None:
                await self._leaves(cache, gone)
        del self._written[ref]

    async def _leaves(self, cache: Cache, gone: Ref) -> None:
        """Wait until a deleted object is gone from its cache, or shown as being deleted."""
        if not _is_there(cache, gone):
            return
        newest = await self._client.revision()
        while _is_there(cache, gone) and cache.revision < newest:
            if not await cache.moves_within(cache.moved.count):
                await cache.reach(newest)


def _is_there(cache: Cache, gone: Ref) -> bool:
    item = cache.get(gone.namespace, gone.name)
    if item is None or (gone.uid and item.uid != gone.uid):
        return False
    return not item.object["metadata"].get("deletionTimestamp")
