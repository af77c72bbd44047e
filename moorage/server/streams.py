"""Which requests are open-ended right now: watches, followed logs, upgraded connections.

They end when their client goes away, and all at once when the server stops; ordinary requests do neither.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Stopping(Exception):
    """The server stops: end what you do in order."""


class Streams:
    """The tasks of open-ended requests, by the connection that they serve."""

    def __init__(self) -> None:
        self._tasks: dict[object, asyncio.Task[object]] = {}
        self._ended_by_us: set[object] = set()
        self.is_stopping = False

    def __len__(self) -> int:
        return len(self._tasks)

    @contextmanager
    def open(self, connection: object) -> Iterator[None]:
        """Serve an open-ended request in this task. Inside, Stopping or ConnectionError may come at any await.

        Stopping: the server stops. ConnectionError: the client is gone.
        """
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("open-ended requests are served by tasks")
        if self.is_stopping:
            raise Stopping
        self._tasks[connection] = task
        try:
            yield
        except asyncio.CancelledError:
            if connection not in self._ended_by_us:
                raise
            task.uncancel()
            if self.is_stopping:
                raise Stopping from None
            raise ConnectionResetError("the client is gone") from None
        finally:
            self._ended_by_us.discard(connection)
            self._tasks.pop(connection, None)

    def lost(self, connection: object) -> None:
        """End what serves a connection that is gone."""
        self._end(connection)

    def stop(self) -> None:
        """End all, in order; no new ones begin."""
        self.is_stopping = True
        for connection in tuple(self._tasks):
            self._end(connection)

    def _end(self, connection: object) -> None:
        task = self._tasks.get(connection)
        if task is not None and connection not in self._ended_by_us:
            self._ended_by_us.add(connection)
            task.cancel()
