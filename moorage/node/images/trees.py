"""Removing and measuring directory trees that may hold anything."""

import os
import stat
from pathlib import Path


def remove(path: Path) -> None:
    """Remove a tree, also where a directory's mode keeps even its owner out. What is gone already is fine."""
    try:
        kind = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(kind):
        os.unlink(path)
        return
    if kind & 0o700 != 0o700 and os.geteuid() != 0:
        os.chmod(path, 0o700)
    for entry in list(os.scandir(path)):
        if entry.is_dir(follow_symlinks=False):
            remove(Path(entry.path))
        else:
            os.unlink(entry.path)
    os.rmdir(path)


def size_of(path: Path) -> int:
    """Return the bytes of all regular files below `path`, hard links counted once."""
    total, seen = 0, set()
    for directory, _, files in os.walk(path):
        for name in files:
            status = os.lstat(f"{directory}/{name}")
            if stat.S_ISREG(status.st_mode) and status.st_ino not in seen:
                seen.add(status.st_ino)
                total += status.st_size
    return total
