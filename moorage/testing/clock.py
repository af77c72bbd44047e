"""A Clock that shows the virtual time of a simulation."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

#: When every simulation begins.
BEGINNING: Final = datetime(2026, 1, 1, tzinfo=UTC)


class VirtualClock:
    """The Clock Protocol over an event loop's time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, beginning: datetime = BEGINNING) -> None:
        self._loop = loop
        self._beginning = beginning

    def now(self) -> datetime:
        """Return the wall time, aware, in UTC."""
        return self._beginning + timedelta(seconds=self._loop.time())

    def monotonic(self) -> float:
        """Return the seconds since the simulation began."""
        return self._loop.time()
