"""The change log in memory: the newest changes in order, dense by revision, and the floor below which they are gone.

Both stores publish into it and both answer `changes` from it. It is bounded: what grows over a limit is forgotten
from the old end, as if it had been compacted. What is asked is checked every time, so a reader that fell behind
learns so (`Compacted`) instead of missing a change.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from moorage.store.errors import Compacted, FutureRevision
from moorage.store.store import Change

#: How many changes are kept: several minutes of a busy cluster, for a client that comes back after a broken connection.
CHANGES_MOST: Final = 50_000

#: How many bytes the kept values may take. A pod's bytes are 3 KB, so this is some 5,000 writes of pods; the values
#: live in memory, and the whole process must stay small.
BYTES_MOST: Final = 16 << 20

#: What is over a limit is forgotten in steps of this many changes, so that neither the list is moved nor a database
#: tidied at each write.
TRIM_STEP: Final = 512


class ChangeLog:
    """Changes of the revisions `floor + 1 … revision`, each exactly once.

    `revision` is the newest one, `floor` the newest that is gone. At most `most` changes and `most_bytes` bytes of
    values are kept, rounded up to a step.
    """

    def __init__(
        self, revision: int = 0, *, most: int = CHANGES_MOST, most_bytes: int = BYTES_MOST, step: int = TRIM_STEP
    ) -> None:
        self.revision = revision
        self.floor = revision
        self._most = most
        self._most_bytes = most_bytes
        self._step = step
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
        if len(self._changes) >= self._most + self._step or self._bytes > self._most_bytes:
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
        changes = self._changes
        count, size = 0, self._bytes
        while (len(changes) - count > self._most or size > self._most_bytes) and count < len(changes) - 1:
            end = min(count + self._step, len(changes) - 1)
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
