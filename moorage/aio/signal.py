"""'Something changed': a broadcast that wakes everyone who waits, and keeps no queue."""

import asyncio
from collections.abc import Callable


class Signal:
    """A counter that can be waited on. Take `count` before you look, then wait for it to move: no wake-up is lost."""

    def __init__(self) -> None:
        #: How many times the signal was fired.
        self.count = 0
        #: In the order in which they began to wait: a set would wake them by their addresses in memory.
        self._waiters: dict[asyncio.Future[None], None] = {}
        self._listeners: list[Callable[[], None]] = []

    def fire(self) -> None:
        """Wake all who wait and call all listeners, in the order in which they subscribed."""
        self.count += 1
        waiters, self._waiters = self._waiters, {}
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        for listener in self._listeners:
            listener()

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` at each firing; returns what ends the subscription."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def wait_beyond(self, count: int) -> None:
        """Return as soon as the signal was fired after `count` was read."""
        if self.count != count:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = None
        try:
            await waiter
        finally:
            self._waiters.pop(waiter, None)
