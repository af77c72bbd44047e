"""The newest state of every object and its recent changes, by resource: what lists, watches and rules read.

A cache is a fold over the store's log: `Caches` pulls each published batch and hands every change to the cache of its
resource. So a cache is never older than an acknowledged write. Watchers pull from `steps` by position; there is no
queue per watcher, so a slow one costs nothing and is told Expired when it fell behind what is kept.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import orjson

from moorage.aio.signal import Signal
from moorage.api.resources import id_of_prefix
from moorage.api.selection import Selection, Step
from moorage.objects.encoded import Encoded, with_revision
from moorage.objects.errors import Expired
from moorage.objects.field_selectors import fields_for
from moorage.objects.metadata import Object
from moorage.store.store import Change, Store

#: How much history a resource keeps for watchers that reconnect. A watcher that was away for longer lists again, as
#: with upstream, whose watch cache keeps 75 seconds.
STEPS_MOST = 4096
STEPS_BYTES_MOST = 4 * 1024 * 1024

#: How many changes are taken from the store at once.
BATCH = 1000


class ResourceCache:
    """Objects of one resource by `namespace/name`, and the steps that led to them."""

    def __init__(self, resource_id: str, revision: int) -> None:
        self.resource_id = resource_id
        #: Fired after each batch that changed something here.
        self.changed = Signal()
        #: Steps at or below this revision are not kept.
        self.floor = revision
        #: The position of steps[0] since the beginning, so that positions stay valid when old steps go.
        self.first = 0
        self.steps: deque[Step] = deque()
        #: How often the resource ceased to be served.
        self.times_withdrawn = 0
        self._steps_bytes = 0
        self._items: dict[str, Encoded] = {}
        self._keys: list[str] = []
        #: Paths of a custom resource's selectable fields.
        self._extra: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self._items)

    def get(self, namespace: str, name: str) -> Encoded | None:
        """Return the newest state of one object."""
        return self._items.get(f"{namespace}/{name}")

    def at_key(self, key: str) -> Encoded | None:
        """Return the newest state of the object with this `namespace/name`."""
        return self._items.get(key)

    def keys(self, namespace: str = "", start: str = "") -> Sequence[str]:
        """Return the keys of a namespace, or all, in order, from `start` on (inclusive)."""
        low, high = 0, len(self._keys)
        if namespace:
            low = bisect_left(self._keys, f"{namespace}/")
            high = bisect_left(self._keys, f"{namespace}0")  # "0" follows "/"
        if start:
            low = max(low, bisect_left(self._keys, start))
        return self._keys[low:high]

    def items(self, selection: Selection = Selection(), start: str = "") -> Iterator[Encoded]:
        """Yield the selected objects by namespace and name, from key `start` on."""
        if selection.name and selection.namespace:
            item = self.get(selection.namespace, selection.name)
            found = [item] if item is not None and f"{item.namespace}/{item.name}" >= start else []
        else:
            found = [self._items[key] for key in self.keys(selection.namespace, start)]
        if selection.test is None and not selection.name:
            return iter(found)
        return (item for item in found if selection.takes(item))

    def items_at(self, revision: int, selection: Selection, start: str = "") -> Iterator[Encoded]:
        """Yield the selected objects as they were at `revision`. Raises Expired when that was forgotten."""
        if revision < self.floor:
            raise expired(revision, self.floor)
        before: dict[str, Encoded | None] = {}
        for step in reversed(self.steps):
            if step.revision <= revision:
                break
            before[f"{step.item.namespace}/{step.item.name}"] = step.previous
        if not before:
            return self.items(selection, start)
        then = {**self._items, **before}
        old = (then[key] for key in sorted(then) if key >= start)
        return (item for item in old if item is not None and selection.takes(item))

    def position_after(self, revision: int) -> int:
        """Return the position of the first step after `revision`. Raises Expired when steps in between were forgotten."""
        if revision < self.floor:
            raise expired(revision, self.floor)
        position = self.first + len(self.steps)
        for step in reversed(self.steps):
            if step.revision <= revision:
                break
            position -= 1
        return position

    def steps_from(self, position: int) -> Sequence[Step]:
        """Return the steps from a position on. Raises Expired when some of them were forgotten."""
        if position < self.first:
            raise Expired("too old resource version: the watcher fell behind the changes that are kept")
        count = self.first + len(self.steps) - position
        if count <= 0:
            return ()
        if count == 1:
            return (self.steps[-1],)
        newest = list(islice(reversed(self.steps), count))  # a deque is quick at its ends
        newest.reverse()
        return newest

    def load(self, item: Encoded) -> None:
        """Put in an object from the store's newest state, before any step."""
        key = f"{item.namespace}/{item.name}"
        self._items[key] = item
        self._keys.append(key)

    def loaded(self) -> None:
        """Get ready after the last `load`."""
        self._keys.sort()

    def apply(self, change: Change, known: Object | None) -> Encoded | None:
        """Take one change of the log; `known` is the decoded value when the writer still has it."""
        _, _, key = change.key.partition("/")[2].partition("/")
        previous = self._items.get(key)
        if change.value is None:
            if previous is None:
                return None
            item = previous.at(
                previous.raw.replace(
                    b'"resourceVersion":"%d"' % previous.revision, b'"resourceVersion":"%d"' % change.revision, 1
                ),
                change.revision,
            )
            del self._items[key]
            del self._keys[bisect_left(self._keys, key)]
        else:
            item = self.encoded(change.value, change.revision, known)
            self._items[key] = item
            if previous is None:
                insort(self._keys, key)
        self._remember(Step(change.revision, item, previous, change.value is None))
        return item

    def encoded(self, value: bytes, revision: int, known: Object | None = None) -> Encoded:
        """Return the object that a stored value is at a revision."""
        obj: Object = known if known is not None else orjson.loads(value)
        return Encoded(with_revision(value, revision), revision, obj, fields_for(self.resource_id, obj, self._extra))

    def withdraw(self) -> None:
        """End the watches of clients: the resource is not served any more."""
        self.times_withdrawn += 1
        self.changed.fire()

    def select_by(self, extra: tuple[str, ...]) -> None:
        """Have objects answer to these selectable fields of a custom resource from now on."""
        if extra != self._extra:
            self._extra = extra
            for item in self._items.values():
                item.fields = fields_for(self.resource_id, item.object, extra)

    def _remember(self, step: Step) -> None:
        self.steps.append(step)
        self._steps_bytes += len(step.item.raw)
        while len(self.steps) > STEPS_MOST or (self._steps_bytes > STEPS_BYTES_MOST and len(self.steps) > 1):
            gone = self.steps.popleft()
            self._steps_bytes -= len(gone.item.raw)
            self.floor = gone.revision
            self.first += 1


class Expected:
    """A value on its way to the log. Inside the context the caches know its decoded form; `item` is what became of it."""

    __slots__ = ("_table", "_value", "item", "obj")

    def __init__(self, table: "dict[int, Expected]", value: bytes, obj: Object) -> None:
        self._table = table
        self._value = value
        self.obj = obj
        self.item: Encoded | None = None

    def __enter__(self) -> "Expected":
        self._table[id(self._value)] = self
        return self

    def __exit__(self, *_: object) -> None:
        del self._table[id(self._value)]


class Caches:
    """The caches of all resources, kept up with one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._caches: dict[str, ResourceCache] = {}
        #: The newest revision that the caches hold.
        self.revision = 0
        self._loaded_at = 0
        self._expected: dict[int, Expected] = {}

    async def load(self) -> None:
        """Read the newest state of everything, then follow the log."""
        records, revision = await self._store.range("")
        self.revision = self._loaded_at = revision
        for record in records:
            prefix = _prefix_of(record.key)
            cache = self.of(prefix)
            cache.load(cache.encoded(record.value, record.revision))
        for cache in self._caches.values():
            cache.loaded()
        self._store.changed.subscribe(self._pull)
        self._pull()

    def of(self, prefix: str) -> ResourceCache:
        """Return the cache of a storage prefix (`core/pods`); an empty one if nothing was ever stored there."""
        cache = self._caches.get(prefix)
        if cache is None:
            cache = self._caches[prefix] = ResourceCache(id_of_prefix(prefix), self._loaded_at)
        return cache

    def all(self) -> Mapping[str, ResourceCache]:
        """Return the caches by storage prefix."""
        return self._caches

    def expect(self, value: bytes, obj: Object) -> "Expected":
        """Announce a value that is about to be written, with its decoded form; use as a context manager."""
        return Expected(self._expected, value, obj)

    def _pull(self) -> None:
        touched: dict[str, ResourceCache] = {}
        while changes := self._store.changes(self.revision, BATCH):
            for change in changes:
                cache = self.of(_prefix_of(change.key))
                expected = self._expected.get(id(change.value))
                if expected is None:
                    cache.apply(change, None)
                else:
                    expected.item = cache.apply(change, expected.obj)
                touched[cache.resource_id] = cache
            self.revision = changes[-1].revision
        for cache in touched.values():
            cache.changed.fire()


def _prefix_of(key: str) -> str:
    return key[: key.index("/", key.index("/") + 1)]


def expired(asked: int, floor: int) -> Expired:
    """Return the error for history that is not kept any more."""
    return Expired(f"too old resource version: {asked} ({floor})")
