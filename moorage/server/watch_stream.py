"""Watches: a stream of notifications over a chunked answer or a WebSocket.

One write a batch. A watcher holds no queue: the next batch is pulled when its client took the last one, and a client
that takes nothing for `STALL_SECONDS` is dropped. So the most that a slow watcher costs is a write buffer and a batch.
Source: apiserver/pkg/endpoints/handlers/watch.go, get.go (minRequestTimeout), storage/cacher (v1.37).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, Protocol

import orjson

from moorage.aio.clock import Clock
from moorage.api.answers import WatchChange
from moorage.objects.errors import BadRequest, Expired, NotAcceptable, StatusError, Timeout
from moorage.server.bodies import Frames, Look, bookmark_bytes, framed
from moorage.server.errors import status_of

#: How long a watch lasts unless the client says otherwise: between this and twice this. Source: minRequestTimeout.
LEAST_SECONDS: Final = 1800.0

#: How often a watcher that asked for bookmarks gets one.
BOOKMARK_SECONDS: Final = 60.0

#: How long a client may take nothing before it is dropped.
STALL_SECONDS: Final = 60.0

#: How much of a long batch is written before looking whether the client takes it.
SLICE_BYTES: Final = 256 * 1024


class Sink(Protocol):
    """Where notifications go."""

    #: Whether lines are chunks of a chunked HTTP answer already.
    is_chunked: bool

    @property
    def is_behind(self) -> bool:
        """Whether there is something to wait for: see `drain`."""

    def put(self, data: bytes) -> None:
        """Write now. Raises ConnectionError when the client is gone."""

    async def drain(self) -> None:
        """Wait until the client has taken most of what was written. Raises ConnectionError."""


Changes = AsyncIterator[Sequence[WatchChange]]


def seconds_of(text: str | None, fraction: float) -> float:
    """Return how long a watch lasts: as the client asked, or 30 to 60 minutes by `fraction` in [0, 1). Raises BadRequest."""
    if text:
        try:
            asked = int(text)
        except ValueError:
            raise BadRequest(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
        if asked > 0:
            return float(asked)
    return LEAST_SECONDS * (1.0 + fraction)


def is_told_in_stream(error: StatusError) -> bool:
    """Tell whether a refusal of a watch comes as a notification: the history is gone, or has yet to be written."""
    return isinstance(error, Expired | Timeout)


class Refused:
    """The stream of a watch that was refused before it began: it only tells why."""

    def __init__(self, error: StatusError) -> None:
        self._error = error

    def __aiter__(self) -> Changes:
        return self

    async def __anext__(self) -> Sequence[WatchChange]:
        raise self._error


class Watch:
    """One watch of one client, which knows everything up to revision `after`.

    If `changes` has a method `progress`, it returns the revision up to which every change of the watch was yielded, and
    bookmarks tell that one; else they repeat the revision of the last notification.
    """

    def __init__(self, changes: Changes, look: Look, frames: Frames, clock: Clock, *, after: int = 0) -> None:
        self._changes = changes
        self._look = look
        self._frames = frames
        self._clock = clock
        self._is_first = True
        self._is_in_batch = False
        self._timer: asyncio.TimerHandle | None = None
        #: The revision of the last notification.
        self._reached = after

    async def run(self, sink: Sink, seconds: float, *, bookmarks: bool) -> None:
        """Write notifications until the time is over or there are no more. Raises ConnectionError when the client is gone."""
        loop = asyncio.get_running_loop()
        if bookmarks:
            self._timer = loop.call_later(BOOKMARK_SECONDS, self._tick, sink, loop)
        try:
            async with asyncio.timeout(seconds) as limit:
                await self._pump(sink)
        except TimeoutError:
            if not limit.expired():
                raise
        except NotAcceptable:
            pass  # upstream ends such a stream without a word, too
        except StatusError as error:
            sink.put(framed("ERROR", orjson.dumps(status_of(error)), chunked=sink.is_chunked))
        finally:
            if self._timer is not None:
                self._timer.cancel()
            await _closed(self._changes)

    async def _pump(self, sink: Sink) -> None:
        async for batch in self._changes:
            if len(batch) == 1:
                sink.put(self._line(batch[0], sink.is_chunked))
            else:
                await self._put_batch(batch, sink)
            if sink.is_behind:
                await _drained(sink)

    async def _put_batch(self, batch: Sequence[WatchChange], sink: Sink) -> None:
        """Write a batch in one piece, or in slices of SLICE_BYTES if it is long."""
        pieces: list[bytes] = []
        size = 0
        self._is_in_batch = True
        for change in batch:
            piece = self._line(change, sink.is_chunked)
            pieces.append(piece)
            size += len(piece)
            if size >= SLICE_BYTES:
                sink.put(b"".join(pieces))
                if sink.is_behind:
                    await _drained(sink)
                pieces, size = [], 0
        sink.put(b"".join(pieces))
        self._is_in_batch = False

    def _line(self, change: WatchChange, is_chunked: bool) -> bytes:  # noqa: FBT001
        self._reached = change.revision
        item = change.item
        if item is None:
            return self._bookmark(change.revision, is_chunked, initial_end=change.initial_end)
        make = self._frames.line
        if self._is_first:
            self._is_first = False
            make = self._frames.first_line
        return make(change.kind, item, self._look, self._clock.now(), chunked=is_chunked)

    def _bookmark(self, revision: int, is_chunked: bool, *, initial_end: bool = False) -> bytes:  # noqa: FBT001
        raw = bookmark_bytes(self._look, revision, initial_end=initial_end)
        return framed("BOOKMARK", raw, chunked=is_chunked)

    def _tick(self, sink: Sink, loop: asyncio.AbstractEventLoop) -> None:
        """Tell the watcher how far it has come, once a minute."""
        self._timer = loop.call_later(BOOKMARK_SECONDS, self._tick, sink, loop)
        progress: Callable[[], int] | None = getattr(self._changes, "progress", None)
        revision = progress() if progress is not None else self._reached
        if not revision or self._is_in_batch:
            return
        try:
            sink.put(self._bookmark(revision, sink.is_chunked))
        except ConnectionError:
            self._timer.cancel()


async def _drained(sink: Sink) -> None:
    """Wait for the client to take what was written; drop it if it does not."""
    try:
        async with asyncio.timeout(STALL_SECONDS) as limit:
            await sink.drain()
    except TimeoutError:
        if not limit.expired():
            raise
        raise ConnectionResetError(f"the watcher took nothing for {STALL_SECONDS:.0f} seconds") from None


async def _closed(changes: Changes) -> None:
    close = getattr(changes, "aclose", None)
    if close is not None:
        await close()
