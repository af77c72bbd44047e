"""What a store's file must look like: its schema, how it is made, and what opening refuses. Blocking.

One table is the log and holds the values: row `revision` is what was written then. A key's newest value is the row of
its last write, found through an index in memory, so a value is written once and reading it needs no second tree.
A row stays until the change that replaced it is forgotten, so that every kept change also finds the value before it.
The counter of revisions is the newest row or the floor, whichever is higher: it never goes back.

Schema 1 (`user_version`). A newer schema is refused; an older one would be migrated at `check_schema`.
"""

import os
import sqlite3
from contextlib import closing
from typing import Final

from moorage.store.errors import StoreDamaged, StoreError, StoreUnavailable

#: "Moor": says that a SQLite file is ours.
APPLICATION_ID: Final = 0x4D6F6F72
SCHEMA_VERSION: Final = 1
HEADER_BYTES: Final = 100
MAGIC: Final = b"SQLite format 3\0"

#: created: the revision of the key's creation. previous: the revision of the row that this one replaces, 0 for a new
#: key. value: NULL for a deletion; last, so that scanning keys reads no overflow pages.
SCHEMA: Final = f"""
PRAGMA synchronous = OFF;
CREATE TABLE changes (
    revision INTEGER PRIMARY KEY, previous INTEGER NOT NULL, created INTEGER NOT NULL, key TEXT NOT NULL, value BLOB
);
CREATE TABLE floor (revision INTEGER NOT NULL);
INSERT INTO floor VALUES (0);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
PRAGMA journal_mode = WAL;
"""  # noqa: S608 - constants

#: SQLite's primary codes for "the disk or the system refuses"; all others at opening mean that the content is wrong.
REFUSALS: Final = frozenset({sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM,
                             sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL,
                             sqlite3.SQLITE_CANTOPEN})  # fmt: skip


def create_missing(path: str) -> bool:
    """Create the store if there is none and tell so. It gets its name when it is complete."""
    if os.path.exists(path):
        return False
    if has_log(f"{path}-wal"):
        raise damaged(path, "is missing, but its write-ahead log is there")
    part = f"{path}.new"
    remove(part)
    make_private(part)
    with closing(connect(part, "rw")) as connection:
        connection.executescript(SCHEMA)
    publish_file(part, path)
    return True


def check_header(path: str) -> None:
    """Refuse what is not a store of ours, before SQLite may touch it. Raises StoreDamaged."""
    with open(path, "rb") as file:
        header = file.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES or not header.startswith(MAGIC):
        raise damaged(path, "is not a database" if header else "is empty: it was never a store, or lost its content")
    if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise damaged(path, "is a database of another program")
    page_bytes = int.from_bytes(header[16:18], "big")
    size_bytes = int.from_bytes(header[28:32], "big") * (65536 if page_bytes == 1 else page_bytes)
    if os.path.getsize(path) < size_bytes and not has_log(f"{path}-wal"):
        raise damaged(path, f"is cut off: it has {os.path.getsize(path)} of {size_bytes} bytes")


def check_schema(path: str, connection: sqlite3.Connection) -> None:
    """Refuse a file of another schema. Raises StoreDamaged."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise StoreDamaged(
            f"store {path} has schema {version}, this program knows {SCHEMA_VERSION}: use the newer program that wrote"
            " it, or restore a backup from before; nothing was changed"
        )
    if version != SCHEMA_VERSION:
        raise damaged(path, f"has the unknown schema {version}")


def check_pages(path: str, connection: sqlite3.Connection) -> None:
    """Read every page and refuse a file whose structure is broken. Raises StoreDamaged."""
    findings = [text for (text,) in connection.execute("PRAGMA quick_check(3)")]
    if findings != ["ok"]:
        raise damaged(path, f"is damaged ({'; '.join(findings)})")


def damaged(path: str, what: str) -> StoreDamaged:
    """Return the error for a file that is no store: `what` says why, the rest what to do."""
    return StoreDamaged(
        f"store {path} {what}. Nothing was changed. Restore a backup, or move {path}, {path}-wal and {path}-shm away"
        " to start empty"
    )


def refusal(path: str, error: Exception) -> StoreError:
    """Return the error for what went wrong at opening."""
    if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 1) & 0xFF not in REFUSALS:
        return damaged(path, f"is damaged ({error})")
    return StoreUnavailable(f"cannot open store {path}: {error}")


def has_log(path: str) -> bool:
    """Tell whether a write-ahead log may hold writes: one that was only made long begins with zeros."""
    try:
        with open(path, "rb") as file:
            return any(file.read(32))
    except FileNotFoundError:
        return False


def connect(path: str, mode: str) -> sqlite3.Connection:
    """Open a connection in autocommit mode; `mode` is ro or rw. Any thread may use it, one at a time."""
    quoted = os.path.abspath(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    return sqlite3.connect(f"file:{quoted}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False)


def make_private(path: str) -> None:
    """Create an empty file that only its owner may read; SQLite gives its companions the same mode."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def publish_file(part: str, path: str) -> None:
    """Give a complete file its name, durably."""
    _sync(part)
    os.replace(part, path)
    _sync(os.path.dirname(os.path.abspath(path)))


def _sync(path: str) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def remove(path: str) -> None:
    """Remove a file if it is there."""
    if os.path.exists(path):
        os.remove(path)
