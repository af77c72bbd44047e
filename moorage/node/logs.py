"""Reads the logs of containers: files of CRI lines `TIME STREAM F|P TEXT`, the newest attempt in the highest number.

Source: k8s.io/cri-client logs; the page "Logging Architecture".
"""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

#: How often a followed log is looked at, in seconds: only while somebody follows it.
FOLLOW_SECONDS = 0.05

#: How much of a log is read at once, in bytes.
CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Which lines of a log, and how they are shown; None means no limit."""

    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    since: datetime | None = None


def attempts_in(directory: Path) -> list[Path]:
    """Return the log files of a container, the oldest attempt first."""
    files = [each for each in directory.glob("*.log") if each.stem.isdigit()]
    return sorted(files, key=lambda each: int(each.stem))


def shown(line: bytes, excerpt: Excerpt) -> bytes:
    """Return what a reader sees of one CRI line; b"" if it is too old."""
    time, _, rest = line.partition(b" ")
    _, _, rest = rest.partition(b" ")
    flag, _, text = rest.partition(b" ")
    if excerpt.since is not None and _moment(time) < excerpt.since:
        return b""
    ending = b"" if flag == b"P" else b"\n"
    return (time + b" " if excerpt.timestamps else b"") + text + ending


def _moment(time: bytes) -> datetime:
    text = time.decode(errors="replace")
    head, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{head}.{(fraction + '000000')[:6]}+00:00")


def _lines(path: Path, excerpt: Excerpt, end: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        whole = (line.rstrip(b"\n") for line in _until(file, end))
        if excerpt.tail_lines is not None:
            yield from deque(whole, maxlen=excerpt.tail_lines) if excerpt.tail_lines else ()
        else:
            yield from whole


def _until(file: BinaryIO, end: int) -> Iterator[bytes]:
    """Yield the lines that begin before `end`; what is written meanwhile is for those who follow."""
    position = 0
    for line in file:
        if position >= end:
            return
        position += len(line)
        yield line


async def read_log(path: Path, excerpt: Excerpt, follows: Callable[[], bool] | None = None) -> AsyncIterator[bytes]:
    """Yield the log in chunks. `follows` says whether more may come; without it the log ends where it ends now."""
    left = excerpt.limit_bytes if excerpt.limit_bytes is not None else float("inf")
    position = path.stat().st_size if path.exists() else 0
    position = _whole_lines_end(path, position)
    batch = b""
    for line in _lines(path, excerpt, position) if position else ():
        batch += shown(line, excerpt)
        if len(batch) >= min(CHUNK_BYTES, left):
            yield batch[: int(min(len(batch), left))]
            left -= len(batch)
            batch = b""
            if left <= 0:
                return
    if batch:
        yield batch
        left -= len(batch)
    if follows is None:
        return
    async for chunk in _followed(path, position, excerpt, follows):
        yield chunk[: int(min(len(chunk), left))]
        left -= len(chunk)
        if left <= 0:
            return


def _whole_lines_end(path: Path, size: int) -> int:
    """Return where the last whole line ends."""
    if not size:
        return 0
    with path.open("rb") as file:
        file.seek(max(0, size - CHUNK_BYTES))
        tail = file.read()
    return size - (len(tail) - (tail.rfind(b"\n") + 1))


async def _followed(path: Path, position: int, excerpt: Excerpt, follows: Callable[[], bool]) -> AsyncIterator[bytes]:
    """Yield what is written from `position` on, also into the files that follow this one."""
    rest, file = b"", None
    try:
        while True:
            more = follows()
            if file is None and path.exists():
                file = path.open("rb")
                file.seek(position)
            moved = file is not None and _was_put_aside(file, path)
            fresh = file.read(CHUNK_BYTES) if file is not None else b""
            *lines, rest = (rest + fresh).split(b"\n")
            if lines:
                yield b"".join(shown(line, excerpt) for line in lines)
            elif moved and not fresh and file is not None:
                file.close()
                file, position = None, 0
            elif not fresh:
                if not more:
                    return
                await asyncio.sleep(FOLLOW_SECONDS)
    finally:
        if file is not None:
            file.close()


def _was_put_aside(file: BinaryIO, path: Path) -> bool:
    try:
        return path.stat().st_ino != os.fstat(file.fileno()).st_ino
    except FileNotFoundError:
        return False
