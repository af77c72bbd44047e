"""A store in memory, for tests and for clusters that need not outlive their process.

Every verb happens at once and in one piece: it never waits, so it runs under any loop, virtual time included.
`backup` writes nothing: a copy of a store that is not durable would promise what it cannot keep.
"""

from collections.abc import Sequence

from moorage.aio.signal import Signal
from moorage.store.errors import KeyExists, RevisionMismatch, StoreError, StoreUnavailable
from moorage.store.keys import OrderedKeys
from moorage.store.log import ChangeLog, Limits
from moorage.store.store import Change, Record


class MemoryStore:
    """The Store Protocol over a dictionary."""

    def __init__(self, limits: Limits = Limits()) -> None:
        self.changed = Signal()
        self._log = ChangeLog(limits=limits)
        self._records: dict[str, Record] = {}
        self._keys = OrderedKeys()
        self._closed = False

    def revision(self) -> int:
        """Return the newest visible revision (0 for an empty store)."""
        return self._log.revision

    def compacted(self) -> int:
        """Return the floor: changes at or below it are no longer available."""
        return self._log.floor

    async def get(self, key: str) -> Record | None:
        """Return the newest record of `key`, None if there is none."""
        return self._records.get(key)

    async def range(self, prefix: str) -> tuple[Sequence[Record], int]:
        """Return all records whose key starts with `prefix`, by key, and the revision they are true at."""
        records = self._records
        return [records[key] for key in self._keys.starting_with(prefix)], self._log.revision

    async def create(self, key: str, value: bytes) -> int:
        """Write a new key; returns its revision. Raises KeyExists."""
        self._check_open()
        if key in self._records:
            raise KeyExists(key)
        revision = self._log.revision + 1
        self._records[key] = Record(key, value, revision, revision)
        self._keys.add(key)
        return self._publish(Change(revision, key, value, None))

    async def update(self, key: str, value: bytes, *, expected: int) -> int:
        """Replace the value whose last write was `expected`. Raises RevisionMismatch."""
        record = self._expect(key, expected)
        revision = self._log.revision + 1
        self._records[key] = Record(key, value, record.created, revision)
        return self._publish(Change(revision, key, value, record.value))

    async def delete(self, key: str, *, expected: int) -> int:
        """Remove the key whose last write was `expected`; returns the revision of the deletion. Raises RevisionMismatch."""
        record = self._expect(key, expected)
        del self._records[key]
        self._keys.discard(key)
        return self._publish(Change(self._log.revision + 1, key, None, record.value))

    def changes(self, after: int, limit: int = 1000) -> Sequence[Change]:
        """Return up to `limit` changes after revision `after`, in order. Raises Compacted, FutureRevision."""
        return self._log.changes(after, limit)

    async def compact(self, revision: int) -> None:
        """Forget changes at or below `revision`; newest values stay. Raises FutureRevision."""
        self._log.compact(revision)

    async def backup(self, path: str) -> None:
        """Refuse: nothing here is durable."""
        raise StoreError(f"a store in memory has nothing durable to copy to {path!r}: start with a database file")

    async def close(self) -> None:
        """Take no more writes."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed")

    def _expect(self, key: str, expected: int) -> Record:
        self._check_open()
        record = self._records.get(key)
        if record is None or record.revision != expected:
            raise RevisionMismatch(key, expected=expected, actual=record.revision if record else 0)
        return record

    def _publish(self, change: Change) -> int:
        self._log.extend((change,))
        self.changed.fire()
        return change.revision
