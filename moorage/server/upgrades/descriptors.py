"""Reading and writing a process's descriptors without blocking the loop."""

import asyncio
import contextlib
import os
from typing import Final

#: How much is read at a time.
PIECE_BYTES: Final = 32 * 1024


async def read_some(descriptor: int) -> bytes:
    """Return what is there to read, b"" at the end. A terminal whose process is gone has ended."""
    while True:
        try:
            return os.read(descriptor, PIECE_BYTES)
        except BlockingIOError:
            await _ready(descriptor, writing=False)
        except OSError:
            return b""


async def write_all(descriptor: int, data: bytes) -> None:
    """Write everything. Raises OSError (a broken pipe when nobody reads)."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            await _ready(descriptor, writing=True)


async def _ready(descriptor: int, *, writing: bool) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    add, remove = (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)
    add(descriptor, _resolve, ready)
    try:
        await ready
    finally:
        remove(descriptor)


def _resolve(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def close_all(*descriptors: int) -> None:
    """Close descriptors, each once, without those that are -1."""
    for descriptor in {each for each in descriptors if each >= 0}:
        with contextlib.suppress(OSError):
            os.close(descriptor)
