"""The SQLite file of an open store: its statements (schema.py explains the table). Blocking; knows no event loop."""

import os
import sqlite3
import sys
from collections.abc import Collection, Sequence
from contextlib import closing
from functools import cache
from itertools import chain
from typing import Final, NamedTuple

from moorage.store.errors import StoreError, StoreUnavailable
from moorage.store.lock import StoreLock
from moorage.store.schema import (
    check_header,
    check_pages,
    check_schema,
    connect,
    create_missing,
    damaged,
    has_log,
    make_private,
    publish_file,
    refusal,
    remove,
)
from moorage.store.store import Change

#: Pages in the write-ahead log before they are moved into the database: 4 MB, some hundred writes. A longer log means
#: fewer moves, and a longer recovery.
CHECKPOINT_PAGES: Final = 1000

#: The write-ahead log is made this long beforehand and cut to it after a burst: syncing a file that does not grow takes
#: half the time (65 instead of 170 µs of CPU for a lone write).
LOG_FILE_BYTES: Final = CHECKPOINT_PAGES * 4120 + 32

#: How many times that must be free on the disk to do so.
LOG_FILE_ROOM: Final = 16

#: Rows of one INSERT. One statement is one transaction and one release of the interpreter lock, which a busy event
#: loop would otherwise take away after each row. SQLite keeps a copy of what was bound last, so not thousands.
ROWS_MOST: Final = 128

#: Closing shrinks a file that is mostly free pages, if there is something to win and it does not take long.
SHRINK_FREE_BYTES: Final = 16 << 20
SHRINK_USED_BYTES: Final = 64 << 20

#: Revision, previous, created, key, value.
Row = tuple[int, int, int, str, bytes | None]


class Content(NamedTuple):
    """What a store holds at opening: (created, revision) by key, the floor, and the changes after it in order."""

    keys: dict[str, tuple[int, int]]
    floor: int
    changes: list[Change]


class Database:
    """An open store file. `prepare`, `append`, `trim` and `close` belong to one thread, `read` to another.

    Opening creates a missing file. Raises StoreDamaged, StoreUnavailable, and StoreError if another process has it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = StoreLock(f"{path}.lock")
        try:
            self._content: Content | None = self._open(fresh=create_missing(path))
        except (sqlite3.Error, OSError) as error:
            self._lock.release(closed=False)
            raise refusal(path, error) from error
        except BaseException:
            self._lock.release(closed=False)
            raise
        self._lock.mark_open()

    def take_content(self) -> Content:
        """Return what the store held at opening; once, so that it is not kept in memory here."""
        content, self._content = self._content, None
        if content is None:
            raise AssertionError("the content was taken before")
        return content

    def prepare(self) -> None:
        """Make the write-ahead log long, if there is room and nothing in it; a matter of speed alone, so never raises."""
        path = f"{self.path}-wal"
        try:
            disk = os.statvfs(path)
            if has_log(path) or disk.f_bavail * disk.f_frsize < LOG_FILE_ROOM * LOG_FILE_BYTES:
                return
            with open(path, "r+b", buffering=0) as file:
                while file.tell() < LOG_FILE_BYTES:
                    file.write(bytes(min(1 << 20, LOG_FILE_BYTES - file.tell())))
                os.fsync(file.fileno())
        except OSError:
            return  # it grows while it is used

    def append(self, rows: Sequence[Row]) -> None:
        """Write rows in one transaction; durable when this returns. Raises StoreUnavailable, then nothing is written."""
        writer = self._writer
        try:
            if len(rows) <= ROWS_MOST:
                writer.execute(*_insertion(rows))
                return
            writer.execute("BEGIN")
            for start in range(0, len(rows), ROWS_MOST):
                writer.execute(*_insertion(rows[start : start + ROWS_MOST]))
            writer.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise StoreUnavailable(f"cannot write to store {self.path}: {error}") from error

    def trim(self, floor: int) -> None:
        """Forget changes at or below `floor` and the rows that only they needed. Raises StoreUnavailable."""
        writer = self._writer
        try:
            writer.execute("BEGIN")
            (old,) = writer.execute("SELECT revision FROM floor").fetchone()
            forgotten = (old + 1, floor)
            writer.execute(
                "DELETE FROM changes WHERE revision IN"
                " (SELECT previous FROM changes WHERE revision BETWEEN ? AND ? AND previous > 0)",
                forgotten,
            )
            writer.execute("DELETE FROM changes WHERE revision BETWEEN ? AND ? AND value IS NULL", forgotten)
            writer.execute("UPDATE floor SET revision = max(revision, ?)", (floor,))
            writer.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise StoreUnavailable(f"cannot compact store {self.path}: {error}") from error

    def read(self, revision: int) -> bytes:
        """Return the value that was written at `revision`, which must be the newest of its key or a kept change's."""
        try:
            value = _value(self._reader, revision)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"cannot read from store {self.path}: {error}") from error
        if value is None:
            raise damaged(self.path, f"has lost the value of revision {revision}")
        return value

    def read_many(self, revisions: Collection[int]) -> dict[int, bytes]:
        """Return values by revision, as `read` does; in the order of the file, not of the question."""
        wanted, values = sorted(revisions), dict[int, bytes]()
        try:
            for start in range(0, len(wanted), ROWS_MOST):
                asked = wanted[start : start + ROWS_MOST]
                marks = ", ".join("?" * len(asked))
                values.update(
                    self._reader.execute(f"SELECT revision, value FROM changes WHERE revision IN ({marks})", asked)  # noqa: S608 - marks
                )
        except sqlite3.Error as error:
            raise StoreUnavailable(f"cannot read from store {self.path}: {error}") from error
        if len(values) != len(wanted):
            raise damaged(self.path, f"has lost {len(wanted) - len(values)} values")
        return values

    def close(self) -> None:
        """Move everything into the database file and let go of it. What fails here fails again at opening, loudly."""
        self._reader.close()
        closed = True
        try:
            self._shrink()
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.Error:
            closed = False
        self._writer.close()
        self._lock.release(closed=closed)

    def _open(self, *, fresh: bool) -> Content:
        if not fresh:
            check_header(self.path)
        unclean = not fresh and not (self._lock.was_closed and not has_log(f"{self.path}-wal"))
        if unclean:
            # Reading only: closing a writing connection would move the log into a database that may be damaged.
            with closing(connect(self.path, "ro")) as connection:
                check_schema(self.path, connection)
                check_pages(self.path, connection)
        self._writer = connect(self.path, "rw")
        try:
            self._writer.execute("PRAGMA synchronous = FULL")
            self._writer.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
            self._writer.execute(f"PRAGMA journal_size_limit = {LOG_FILE_BYTES}")
            if sys.platform == "darwin":
                self._writer.execute("PRAGMA fullfsync = ON")  # there fsync does not reach the medium
            check_schema(self.path, self._writer)
            content = _load(self.path, self._writer)
            self._reader = connect(self.path, "ro")
        except BaseException:
            self._writer.close()
            raise
        return content

    def _roll_back(self) -> None:
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")

    def _shrink(self) -> None:
        page = self._pragma("page_size")
        free = self._pragma("freelist_count") * page
        used = self._pragma("page_count") * page - free
        if free > max(SHRINK_FREE_BYTES, used) and used < SHRINK_USED_BYTES:
            self._writer.execute("VACUUM")

    def _pragma(self, name: str) -> int:
        value: int = self._writer.execute(f"PRAGMA {name}").fetchone()[0]
        return value


def copy_database(path: str, target: str) -> None:
    """Write a consistent copy of the open store `path` to the new file `target`; blocks, while others may write.

    The copy has its name only when it is complete and on disk. Raises StoreError if `target` exists or cannot be
    written.
    """
    part = f"{target}.part"
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError as error:
        raise StoreError(f"cannot back up to {target}: the file exists; choose a new name") from error
    except OSError as error:
        raise StoreUnavailable(f"cannot back up to {target}: {error}") from error
    try:
        remove(part)
        make_private(part)
        with closing(connect(path, "ro")) as source, closing(connect(part, "rw")) as copy:
            copy.execute("PRAGMA synchronous = OFF")  # publish_file makes it durable
            source.backup(copy)
        publish_file(part, target)
    except (sqlite3.Error, OSError) as error:
        for leftover in (part, target):
            remove(leftover)
        raise StoreUnavailable(f"cannot back up to {target}: {error}") from error


@cache
def _insert(count: int) -> str:
    """Return the statement for up to `count` rows: a power of two, the rest is bound to NULL and filtered out."""
    if count == 1:
        return "INSERT INTO changes VALUES (?, ?, ?, ?, ?)"
    rows = ", ".join(["(?, ?, ?, ?, ?)"] * count)
    return f"INSERT INTO changes SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL"  # noqa: S608 - no input


def _insertion(rows: Sequence[Row]) -> tuple[str, Sequence[object]]:
    if len(rows) == 1:
        return _insert(1), rows[0]
    count = 1 << (len(rows) - 1).bit_length()
    parameters: list[object] = list(chain.from_iterable(rows))
    parameters.extend([None] * (5 * (count - len(rows))))
    return _insert(count), parameters


def _load(path: str, connection: sqlite3.Connection) -> Content:
    """Read keys and the kept changes in one pass over the rows; values only of the changes, and each only once."""
    ((floor,),) = connection.execute("SELECT revision FROM floor").fetchall()
    old = connection.execute("SELECT key, created, revision FROM changes WHERE revision <= ?", (floor,))
    keys: dict[str, tuple[int, int]] = {key: (created, revision) for key, created, revision in old}
    changes: list[Change] = []
    rows = connection.execute("SELECT * FROM changes WHERE revision > ? ORDER BY revision", (floor,))
    for revision, previous, created, key, value in rows:
        if revision != floor + len(changes) + 1:
            raise damaged(path, f"lacks change {floor + len(changes) + 1}")
        before = None
        if previous:
            is_kept = previous > floor
            before = changes[previous - floor - 1].value if is_kept else _value(connection, previous)
        changes.append(Change(revision, key, value, before))
        if value is None:
            del keys[key]
        else:
            keys[key] = (created, revision)
    return Content(keys, floor, changes)


def _value(connection: sqlite3.Connection, revision: int) -> bytes | None:
    row = connection.execute("SELECT value FROM changes WHERE revision = ?", (revision,)).fetchone()
    return row[0] if row else None
