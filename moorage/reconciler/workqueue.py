"""Which references are to be looked at, each at most once at a time.

A reference that is added while it is worked on comes again when that is done. Delays share one timer. The order is
that of adding, and of due times, never of hashes. Source of the semantics and of the delays: client-go workqueue.
"""

import asyncio
import heapq
from collections import deque
from typing import Final

from moorage.aio.backoff import Backoff
from moorage.objects.metadata import Ref

#: How long a reference whose round failed waits. Source: DefaultTypedControllerRateLimiter (v1.37).
RETRY: Final = Backoff(first=0.005, most=1000.0)

#: No timer runs longer than this; what is due later is looked at again then.
TIMER_SECONDS_MOST: Final = 86_400.0


class WorkQueue:
    """One entry for each reference, whatever its uid."""

    def __init__(self) -> None:
        self._ready: deque[Ref] = deque()
        self._dirty: set[Ref] = set()
        self._working: set[Ref] = set()
        self._failures: dict[Ref, int] = {}
        self._delayed: list[tuple[float, int, Ref]] = []
        self._due: dict[Ref, float] = {}
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, ref: Ref) -> None:
        """Have the reference looked at as soon as a worker is free."""
        ref = _plain(ref)
        if ref in self._dirty:
            return
        self._dirty.add(ref)
        if ref not in self._working:
            self._ready.append(ref)
            self._wake()

    def add_after(self, ref: Ref, seconds: float) -> None:
        """Have the reference looked at after a delay, or earlier if it is added otherwise."""
        if seconds <= 0:
            self.add(ref)
            return
        ref = _plain(ref)
        due = asyncio.get_running_loop().time() + seconds
        if due >= self._due.get(ref, float("inf")):
            return
        self._due[ref] = due
        self._count += 1
        heapq.heappush(self._delayed, (due, self._count, ref))
        self._set_timer()

    def add_failed(self, ref: Ref) -> float:
        """Have the reference looked at again after a delay that doubles with each failure; returns it in seconds."""
        ref = _plain(ref)
        failures = self._failures[ref] = self._failures.get(ref, 0) + 1
        delay = RETRY.delay(failures)
        self.add_after(ref, delay)
        return delay

    def forget(self, ref: Ref) -> None:
        """Forget the failures of a reference."""
        self._failures.pop(_plain(ref), None)

    async def get(self) -> Ref:
        """Return the next reference; `done` must follow."""
        while not self._ready:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._wake()
                raise
        ref = self._ready.popleft()
        self._dirty.discard(ref)
        self._working.add(ref)
        return ref

    def done(self, ref: Ref) -> None:
        """Say that the work on a reference has ended."""
        self._working.discard(ref)
        if ref in self._dirty:
            self._ready.append(ref)
            self._wake()

    def is_idle(self) -> bool:
        """Tell whether nothing is worked on or ready to be; delayed references may be left."""
        return not self._ready and not self._working

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._delayed:
            loop = asyncio.get_running_loop()
            at = min(self._delayed[0][0], loop.time() + TIMER_SECONDS_MOST)
            self._timer = loop.call_at(at, self._release)

    def _release(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._delayed and self._delayed[0][0] <= now:
            due, _, ref = heapq.heappop(self._delayed)
            if self._due.get(ref) == due:
                del self._due[ref]
                self.add(ref)
        self._set_timer()


def _plain(ref: Ref) -> Ref:
    return ref._replace(uid="") if ref.uid else ref
