"""The durable store: one SQLite file, one writer thread, group commit.

Requests are collected in the event loop. A batch is checked there, in order, against the visible state and the writes
of the same batch; the thread writes it in one transaction and syncs; then the loop makes it visible and acknowledges.
While a batch is on its way the next one collects, so a lone writer waits for nobody and many writers share a sync.
A refusal waits for its batch too: it may be due to a write that is not durable yet.

Values live in the file (and, for recent writes, in the log); memory holds (created, revision) by key. The log's window
is kept in the file as well: a write needs its row there anyway, so a reader that comes back after a restart with an old
revision is served, at the price of the replaced values until they are forgotten.
"""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Final

from moorage.aio.signal import Signal
from moorage.store.database import Database, Row, copy_database
from moorage.store.errors import KeyExists, RevisionMismatch, StoreError, StoreUnavailable
from moorage.store.keys import OrderedKeys
from moorage.store.log import ChangeLog, Limits
from moorage.store.store import Change, Record
from moorage.store.writer import Writer

logger = logging.getLogger(__name__)

#: Requests of one transaction: enough to make the sync cheap, few enough that the first does not wait for the last.
BATCH_MOST: Final = 512

#: Key, value (None to delete), expected revision (None to create), who waits.
Request = tuple[str, bytes | None, int | None, "asyncio.Future[int]"]

#: The revisions of a key's creation and of its last write, and its value.
Newest = tuple[int, int, bytes]


class SqliteStore:
    """The Store Protocol over the file `path`, created if missing. Opening blocks; everything else belongs to one loop.

    Raises StoreDamaged, StoreUnavailable, or StoreError if another process has the store.
    """

    def __init__(self, path: str, limits: Limits = Limits()) -> None:
        self.changed = Signal()
        self._database = Database(path)
        index, floor, changes = self._database.take_content()
        self._log = ChangeLog(floor, limits)
        self._log.extend(changes)
        self._index = index
        self._keys = OrderedKeys(index)
        #: The floor that the file was last asked to have.
        self._trimmed = floor
        self._queue: list[Request] = []
        self._is_busy = False
        self._is_closed = False
        self._settled = Signal()
        self._writer = Writer("store-writer", self._database.prepare)

    def revision(self) -> int:
        """Return the newest visible revision (0 for an empty store)."""
        return self._log.revision

    def compacted(self) -> int:
        """Return the floor: changes at or below it are no longer available."""
        return self._log.floor

    async def get(self, key: str) -> Record | None:
        """Return the newest visible record of `key`, None if there is none. Raises StoreUnavailable."""
        entry = self._index.get(key)
        return Record(key, self._value_at(entry[1]), *entry) if entry else None

    async def range(self, prefix: str) -> tuple[Sequence[Record], int]:
        """Return all visible records whose key starts with `prefix`, by key, and the revision they are true at."""
        index, log = self._index, self._log
        found = [(key, *index[key]) for key in self._keys.starting_with(prefix)]
        recent = {revision: log.value_at(revision) for _, _, revision in found}
        old = self._database.read_many([revision for revision, value in recent.items() if value is None])
        records = []
        for key, created, revision in found:
            value = recent[revision]
            records.append(Record(key, old[revision] if value is None else value, created, revision))
        return records, log.revision

    async def create(self, key: str, value: bytes) -> int:
        """Write a new key; returns its revision once durable and visible. Raises KeyExists, StoreUnavailable."""
        return await self._submit(key, value, None)

    async def update(self, key: str, value: bytes, *, expected: int) -> int:
        """Replace the value whose last write was `expected`. Raises RevisionMismatch, StoreUnavailable."""
        return await self._submit(key, value, expected)

    async def delete(self, key: str, *, expected: int) -> int:
        """Remove the key whose last write was `expected`; returns the revision of the deletion. Raises as `update`."""
        return await self._submit(key, None, expected)

    def changes(self, after: int, limit: int = 1000) -> Sequence[Change]:
        """Return up to `limit` visible changes after revision `after`, in order. Raises Compacted, FutureRevision."""
        return self._log.changes(after, limit)

    async def compact(self, revision: int) -> None:
        """Forget changes at or below `revision`; newest values stay. Raises FutureRevision, StoreUnavailable."""
        self._check_open()
        self._log.compact(revision)
        self._trimmed = self._log.floor
        await self._writer.perform(partial(self._database.trim, self._trimmed))

    async def backup(self, path: str) -> None:
        """Write a consistent copy of everything durable to the new file `path`, while writes go on.

        To restore it, move the store's file and its `-wal` and `-shm` away together and put the copy in their place.
        Raises StoreError if `path` exists, StoreUnavailable if it cannot be written.
        """
        self._check_open()
        await asyncio.to_thread(copy_database, self._database.path, path)

    async def close(self) -> None:
        """Finish the writes that were accepted, then let go of the file."""
        if self._is_closed:
            return
        self._is_closed = True
        while self._is_busy:
            await self._settled.wait_beyond(self._settled.count)
        await self._writer.perform(self._database.close)
        self._writer.end()

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreUnavailable("the store is closed")

    def _value_at(self, revision: int) -> bytes:
        value = self._log.value_at(revision)
        return self._database.read(revision) if value is None else value

    def _submit(self, key: str, value: bytes | None, expected: int | None) -> "asyncio.Future[int]":
        self._check_open()
        if not key.isascii():
            key.encode()  # a key that is no text must fail alone, not its batch
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        self._queue.append((key, value, expected, future))
        if not self._is_busy:
            self._is_busy = True
            loop.call_soon(self._start)  # after all that run in this round of the loop
        return future

    def _start(self) -> None:
        """Hand the next batch to the thread, or rest."""
        while self._queue:
            taken, self._queue = self._queue[:BATCH_MOST], self._queue[BATCH_MOST:]
            batch = _Batch(self._log.revision)
            for request in taken:
                if not request[3].done():  # cancelled meanwhile
                    self._check(batch, request)
            if batch.rows:
                self._writer.submit(partial(self._database.append, batch.rows), partial(self._finish, batch))
                return
            batch.answer()
        self._is_busy = False
        self._settled.fire()

    def _check(self, batch: "_Batch", request: Request) -> None:
        """Admit a request to the batch or refuse it, by what is visible and what the batch writes before it."""
        key, value, expected, future = request
        try:
            newest = batch.newest[key] if key in batch.newest else self._newest(key, needs_value=expected is not None)
        except StoreError as error:
            batch.answers.append((future, error))
            return
        if expected is None:
            if newest is not None:
                batch.answers.append((future, KeyExists(key)))
                return
        elif newest is None or newest[1] != expected:
            actual = newest[1] if newest else 0
            batch.answers.append((future, RevisionMismatch(key, expected=expected, actual=actual)))
            return
        batch.admit(key, value, newest, future)

    def _newest(self, key: str, *, needs_value: bool) -> Newest | None:
        entry = self._index.get(key)
        if entry is None:
            return None
        return (*entry, self._value_at(entry[1]) if needs_value else b"")

    def _finish(self, batch: "_Batch", error: Exception | None) -> None:
        """Publish what the thread wrote, or refuse it all; then go on with what was collected meanwhile."""
        try:
            if error is None:
                self._publish(batch)
            else:
                logger.error("store_write_failed requests=%d error=%s", len(batch.answers), error)
                batch.fail(error)
        finally:
            batch.answer()
            # Those who were answered run first, so that what they write next is in the next batch.
            asyncio.get_running_loop().call_soon(self._start)

    def _publish(self, batch: "_Batch") -> None:
        index = self._index
        for revision, _, created, key, value in batch.rows:
            if value is None:
                del index[key]
                self._keys.discard(key)
            else:
                index[key] = (created, revision)
                if created == revision:
                    self._keys.add(key)
        self._log.extend(batch.changes)
        if self._log.floor > self._trimmed:
            self._trimmed = self._log.floor
            self._writer.submit(partial(self._database.trim, self._trimmed), _report_trim)
        self.changed.fire()


class _Batch:
    """Requests that become durable together: rows for the file, changes for the log, answers for who waits."""

    def __init__(self, revision: int) -> None:
        self.revision = revision
        self.rows: list[Row] = []
        self.changes: list[Change] = []
        self.answers: list[tuple[asyncio.Future[int], int | Exception]] = []
        #: The state of the keys that this batch writes; None for a deleted one.
        self.newest: dict[str, Newest | None] = {}

    def admit(self, key: str, value: bytes | None, newest: Newest | None, future: "asyncio.Future[int]") -> None:
        """Take in a request that was found right; `newest` is what it replaces."""
        revision = self.revision = self.revision + 1
        created, previous, old = newest or (revision, 0, None)
        self.rows.append((revision, previous, created, key, value))
        self.changes.append(Change(revision, key, value, old))
        self.newest[key] = None if value is None else (created, revision, value)
        self.answers.append((future, revision))

    def fail(self, error: Exception) -> None:
        """Refuse everything, also what was refused already: that may be due to a write that did not happen."""
        self.answers = [(future, StoreUnavailable(str(error))) for future, _ in self.answers]

    def answer(self) -> None:
        """Tell everyone who still waits."""
        for future, answer in self.answers:
            if future.done():
                continue
            if isinstance(answer, int):
                future.set_result(answer)
            else:
                future.set_exception(answer)


def _report_trim(error: Exception | None) -> None:
    if error is not None:
        logger.warning("store_trim_failed error=%s", error)  # the next one starts from the floor in the file
