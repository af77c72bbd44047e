"""The Store Protocol: a revision log of bytes. tests/contracts/store.py is the suite that every implementation passes.

Promises: a write is durable before it is visible, and visible before it is acknowledged. Revisions are dense per
write (each write takes the next integer). Readers pull: `changes` gives every change after a revision exactly once,
in order, or raises Compacted.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from moorage.aio.signal import Signal


class Record(NamedTuple):
    """The newest value of a key. `created` and `revision` are those of its creation and of its last write."""

    key: str
    value: bytes
    created: int
    revision: int


class Change(NamedTuple):
    """One entry of the log: the key has `value` since `revision`; None means deleted.

    `previous` is the value before (None when created), so that a reader need not remember it.
    """

    revision: int
    key: str
    value: bytes | None
    previous: bytes | None


class Store(Protocol):
    """Six verbs over one ordered log. Keys are text with '/' between parts; values are opaque."""

    #: Fired once per published batch, after the batch is durable and visible.
    changed: Signal

    def revision(self) -> int:
        """Return the newest visible revision (0 for an empty store)."""

    def compacted(self) -> int:
        """Return the floor: changes at or below it are no longer available."""

    async def get(self, key: str) -> Record | None:
        """Return the newest visible record of `key`, None if there is none."""

    async def range(self, prefix: str) -> tuple[Sequence[Record], int]:
        """Return all visible records whose key starts with `prefix`, by key, and the revision they are true at."""

    async def create(self, key: str, value: bytes) -> int:
        """Write a new key; returns its revision once durable and visible. Raises KeyExists."""

    async def update(self, key: str, value: bytes, *, expected: int) -> int:
        """Replace the value whose last write was `expected`. Raises RevisionMismatch (with the actual revision or 0)."""

    async def delete(self, key: str, *, expected: int) -> int:
        """Remove the key whose last write was `expected`; returns the revision of the deletion. Raises RevisionMismatch."""

    def changes(self, after: int, limit: int = 1000) -> Sequence[Change]:
        """Return up to `limit` visible changes after revision `after`, in order. Raises Compacted, FutureRevision."""

    async def compact(self, revision: int) -> None:
        """Forget changes at or below `revision`; newest values stay. Never raises for an older floor."""

    async def backup(self, path: str) -> None:
        """Write a consistent copy of everything durable to the new file `path`, while writes go on."""

    async def close(self) -> None:
        """Finish the writes that were accepted, then let go of the disk."""
