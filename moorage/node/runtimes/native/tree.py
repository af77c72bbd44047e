"""Removing a directory tree, also what only the user namespace's root may remove (overlay's work directory)."""

import contextlib
import os


def remove(path: str) -> None:
    """Remove the tree at `path`; follows no link, crosses no error of something that is gone. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        _empty(path)
        os.rmdir(path)


def _empty(path: str) -> None:
    try:
        entries = list(os.scandir(path))
    except PermissionError:
        os.chmod(path, 0o700)
        entries = list(os.scandir(path))
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            try:
                os.rmdir(entry.path)
            except OSError:
                remove(entry.path)
            continue
        try:
            os.unlink(entry.path)
        except PermissionError:
            os.chmod(path, 0o700)
            os.unlink(entry.path)
