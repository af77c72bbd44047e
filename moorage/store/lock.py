"""One process per store: a lock file beside the database, which also tells whether the last owner closed it.

Not the database itself: the system drops SQLite's own locks when any descriptor of that file is closed.
"""

import fcntl
import os
from typing import Final

from moorage.store.errors import StoreError, StoreUnavailable

#: What the file holds when nobody has the store open and the last owner closed it. While it is open: the owner's pid.
CLOSED: Final = b"closed\n"


class StoreLock:
    """The exclusive right to a store, from construction to `release`; the system ends it when the process dies.

    Raises StoreError if another owner lives, StoreUnavailable if the file cannot be made. The file stays where it is:
    removing it would let two processes lock two files of one name.
    """

    def __init__(self, path: str) -> None:
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreUnavailable(f"cannot open store: {error}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = self._read().strip().decode("ascii", "replace")
            os.close(self._file)
            raise StoreError(f"the store of {path} is open in process {owner or 'unknown'}: stop it first") from error
        #: Whether the last owner closed the store; also False for a store that came here without its lock file.
        self.was_closed = self._read() == CLOSED

    def mark_open(self) -> None:
        """Write down who owns the store: from now on it counts as not closed."""
        self._write(b"%d\n" % os.getpid())

    def release(self, *, closed: bool) -> None:
        """End the right. `closed` says that the store was finished in order, so the next opening need not check it."""
        if closed:
            self._write(CLOSED)
        os.close(self._file)

    def _read(self) -> bytes:
        return os.pread(self._file, 64, 0)

    def _write(self, text: bytes) -> None:
        try:
            os.pwrite(self._file, text, 0)
            os.ftruncate(self._file, len(text))
        except OSError:
            # A full disk. The text is advice: what stays is the pid of an owner, so the next opening checks.
            return
