"""The change log in memory: the newest changes in order, dense by revision, and the floor below which they are gone.

Both stores publish into it and both answer `changes` from it. It is bounded: what grows over a limit is forgotten
from the old end, as if it had been compacted. What is asked is checked every time, so a reader that fell behind
learns so (`Compacted`) instead of missing a change.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from moorage.store.errors import Compacted, FutureRevision
from moorage.store.store import Change

#: How many changes are kept: minutes of a busy process, for a reader that comes back after a broken connection.
CHANGES_MOST: Final = 50_000

#: How many bytes of values are kept: some 2,500 writes of 3 KB. The values live in memory, the whole process has to do
#: with some 100 MB, and readers that are near the end of the log (nearly all) need far less.
BYTES_MOST: Final = 8 << 20

#: What is over a limit is forgotten in steps of this many changes, so that neither the list is moved nor a database
#: tidied at each write.
TRIM_STEP: Final = 256


class Limits(NamedTuple):
    """How much a log keeps: `changes` and `size_bytes` at most, rounded up to `step` changes."""

    changes: int = CHANGES_MOST
    size_bytes: int = BYTES_MOST
    step: int = TRIM_STEP


class ChangeLog:
    """Changes of the revisions `floor + 1 … revision`, each exactly once.

    `revision` is the newest one, `floor` the newest that is gone.
    """

    def __init__(self, revision: int = 0, limits: Limits = Limits()) -> None:
        self.revision = revision
        self.floor = revision
        self._limits = limits
        self._changes: list[Change] = []
        self._bytes = 0

    def extend(self, changes: Iterable[Change]) -> None:
        """Append changes, whose revisions must continue the log without a gap, and forget what is over the limits."""
        for change in changes:
            if change.revision != self.revision + 1:
                raise AssertionError(f"the log is at {self.revision}, the next change at {change.revision}")
            self._changes.append(change)
            self._bytes += _size(change)
            self.revision = change.revision
        limits = self._limits
        if len(self._changes) >= limits.changes + limits.step or self._bytes > limits.size_bytes:
            self._trim()

    def changes(self, after: int, limit: int) -> Sequence[Change]:
        """Return up to `limit` changes after revision `after`. Raises Compacted and FutureRevision."""
        if after >= self.revision:
            if after > self.revision:
                raise FutureRevision(after, newest=self.revision)
            return ()
        if after < self.floor:
            raise Compacted(after, floor=self.floor)
        changes = self._changes
        start = after + 1 - changes[0].revision
        return changes[start : start + limit]

    def value_at(self, revision: int) -> bytes | None:
        """Return the value written at `revision`, None if the log no longer has it."""
        changes = self._changes
        if not changes or not changes[0].revision <= revision <= self.revision:
            return None
        return changes[revision - changes[0].revision].value

    def compact(self, revision: int) -> None:
        """Forget the changes at or below `revision`; an older floor changes nothing. Raises FutureRevision."""
        if revision > self.revision:
            raise FutureRevision(revision, newest=self.revision)
        if revision > self.floor:
            self._forget(revision - self.floor)

    def _trim(self) -> None:
        """Forget whole steps from the old end until both limits hold; the newest change always stays."""
        changes, limits = self._changes, self._limits
        last = len(changes) - 1
        count, size = 0, self._bytes
        while (len(changes) - count > limits.changes or size > limits.size_bytes) and count < last:
            end = min(count + limits.step, last)
            size -= sum(map(_size, changes[count:end]))
            count = end
        self._forget(count)

    def _forget(self, count: int) -> None:
        gone = self._changes[:count]
        del self._changes[:count]
        self._bytes -= sum(map(_size, gone))
        self.floor += count


def _size(change: Change) -> int:
    """Return the bytes that the log alone may be holding for a change: its value; the one before is mostly shared."""
    return len(change.value or b"")
