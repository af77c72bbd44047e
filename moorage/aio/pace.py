"""How often a crowd may be served: many watchers of one thing are told several changes at a time, when those come fast.

One write to a watcher costs the same for one change as for ten, so a thousand watchers of something busy would take the
whole process one change at a time. A Pace counts what serving them costs. While that is little, nobody waits; beyond it
all wait together, a moment that is proportional to the cost, and the changes of that moment then go out in one piece.
"""

import asyncio
from typing import Final

from moorage.aio.clock import Clock

#: The part of the process's time that the crowd may take before it waits.
SHARE: Final = 0.25

#: What is served without waiting after a quiet time, in seconds of work: some fifty watchers.
FREE_SECONDS: Final = 0.002

#: The longest wait.
WAIT_SECONDS_MOST: Final = 0.05

#: A single delivery never counts for more: it may have waited for its client, which costs nobody anything.
DELIVERY_SECONDS_MOST: Final = 0.001


class Pace:
    """Lets a crowd through: `turn` before looking what is new, `took` after serving it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._debt = 0.0
        self._seen = clock.monotonic()
        self._gate: asyncio.Future[None] | None = None

    def now(self) -> float:
        """Return the time by which `took` is measured."""
        return self._clock.monotonic()

    def took(self, seconds: float) -> None:
        """Count the cost of serving one."""
        self._debt += min(seconds, DELIVERY_SECONDS_MOST)

    async def turn(self) -> None:
        """Return when it is time to look: at once, unless serving takes more than its share."""
        if self._gate is None:
            wait = self._wait()
            if wait <= 0.0:
                return
            loop = asyncio.get_running_loop()
            self._gate = loop.create_future()
            loop.call_later(wait, self._open, self._gate)
        await asyncio.shield(self._gate)

    def _wait(self) -> float:
        """Return how long all have to wait now: the debt goes down as time goes by."""
        now = self._clock.monotonic()
        self._debt = max(0.0, self._debt - (now - self._seen) * SHARE)
        self._seen = now
        if self._debt <= FREE_SECONDS:
            return 0.0
        return min(self._debt / SHARE, WAIT_SECONDS_MOST)

    def _open(self, gate: "asyncio.Future[None]") -> None:
        self._gate = None
        self._debt = 0.0
        self._seen = self._clock.monotonic()
        gate.set_result(None)
