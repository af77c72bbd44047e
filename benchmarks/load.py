"""Puts load on a server and tells what it cost: requests over open connections, readers of watches, waiting for a state."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from benchmarks.machine import Processes, cpu_seconds
from moorage.testing.connection import Connection, Endpoint, Headers

JSON = ("Content-Type", "application/json")

#: How long a state may take to be reached, in seconds.
PATIENCE_SECONDS = 120.0


class Ask(NamedTuple):
    """A request."""

    method: str
    target: str
    body: Any = None
    headers: Headers = (JSON,)


class Cost(NamedTuple):
    """What something took: seconds by the clock, and seconds of the server's CPU."""

    wall: float
    cpu: float


@dataclass(slots=True)
class Server:
    """A server under load."""

    endpoint: Endpoint
    processes: Processes
    quick: bool = False

    def some(self, count: int, quick: int) -> int:
        """Return how often something is done: less often when it has to be quick."""
        return quick if self.quick else count

    @asynccontextmanager
    async def measured(self) -> AsyncIterator[list[Cost]]:
        """Measure what happens inside; the cost is in the list afterwards."""
        found: list[Cost] = []
        began, cpu = time.perf_counter(), cpu_seconds(self.processes())
        yield found
        found.append(Cost(time.perf_counter() - began, cpu_seconds(self.processes()) - cpu))

    async def ask(self, ask: Ask) -> Any:
        """Send one request over a connection of its own; returns the decoded answer. Raises RuntimeError when refused."""
        connection = await Connection.open(self.endpoint)
        try:
            return json.loads(await _sent(connection, ask))
        finally:
            connection.close()

    async def load(self, count: int, at_once: int, ask: Callable[[int], Ask]) -> Cost:
        """Send `count` requests, `at_once` at a time, over as many connections, which are opened before the measure."""
        asks = [ask(index) for index in range(count)]
        connections = [await Connection.open(self.endpoint) for _ in range(at_once)]
        waiting = iter(asks)

        async def work(connection: Connection) -> None:
            for each in waiting:
                await _sent(connection, each)

        async with self.measured() as cost:
            await asyncio.gather(*(work(connection) for connection in connections))
        for connection in connections:
            connection.close()
        return cost[0]

    async def until(self, target: str, is_reached: Callable[[Any], bool], every_seconds: float = 0.05) -> None:
        """Return once an object is as wanted. Raises TimeoutError."""
        connection = await Connection.open(self.endpoint)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not is_reached(json.loads((await connection.request("GET", target)).body)):
                    await asyncio.sleep(every_seconds)
        finally:
            connection.close()


class Readers:
    """Many watches of one path; `seen` counts the lines that they have read together."""

    def __init__(self, endpoint: Endpoint, target: str) -> None:
        self.seen = 0
        self._endpoint = endpoint
        self._target = target
        self._connections: list[Connection] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, count: int) -> None:
        """Open watches, some at a time."""
        for start in range(0, count, 50):
            await asyncio.gather(*(self._begin() for _ in range(min(50, count - start))))

    async def reach(self, seen: int) -> None:
        """Return once so many lines were read. Raises TimeoutError."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.seen < seen:
                await asyncio.sleep(0.01)

    async def close(self) -> None:
        """End all watches."""
        for connection in self._connections:
            connection.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _begin(self) -> None:
        connection = await Connection.open(self._endpoint)
        head = await connection.begin("GET", self._target)
        self._connections.append(connection)
        self._tasks.append(asyncio.create_task(self._read(connection, head)))

    async def _read(self, connection: Connection, head: Any) -> None:
        async for chunk in connection.chunks(head):
            self.seen += chunk.count(b"\n")


async def _sent(connection: Connection, ask: Ask) -> bytes:
    body = None if ask.body is None else ask.body if isinstance(ask.body, bytes) else json.dumps(ask.body).encode()
    reply = await connection.request(ask.method, ask.target, ask.headers, body)
    if reply.status >= 300:
        raise RuntimeError(f"{ask.method} {ask.target}: {reply.status} {reply.body[:300].decode(errors='replace')}")
    return reply.body
