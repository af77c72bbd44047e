"""A client's connection: plain requests are read and answered here, one after the other; the rest is aiohttp's.

Nearly every request is plain (moorage.server.plain_requests), and reading it here costs a quarter of what a general
server takes for it. At the first one that is not (an upgrade, a chunked body, a broken head), the whole connection goes
to aiohttp's low-level server, which is imported only then, and stays there.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from types import coroutine
from typing import TYPE_CHECKING, Any, Final, cast

from moorage.server.decoding import BODY_BYTES_MOST
from moorage.server.plain_requests import PlainRequest, read_head
from moorage.server.replies import DRAINED_BYTES, Reply

if TYPE_CHECKING:
    from moorage.server.front import Front

#: How long a connection may be idle. Longer than any client keeps one, so that it is not us who closes under a request.
IDLE_SECONDS: Final = 190.0

#: How often idle connections are looked for.
SWEEP_SECONDS: Final = 30.0

#: How much of the next requests is read while one is being answered.
AHEAD_BYTES_MOST: Final = 256 * 1024


class Connections:
    """All connections of a server. Calling it makes the protocol of a new one.

    general: makes aiohttp's server, which takes what is not plain.
    """

    def __init__(self, front: "Front", general: Callable[[], Any]) -> None:
        self.front = front
        self.loop = asyncio.get_running_loop()
        self.open: set[Connection] = set()
        self.is_stopping = False
        self._make_general = general
        self._general: Any = None
        self._sweeper = self.loop.call_later(SWEEP_SECONDS, self._sweep)

    def __call__(self) -> "Connection":
        """Return the protocol of a new connection."""
        return Connection(self)

    def general_protocol(self) -> Any:
        """Return a protocol of aiohttp's for a connection that it takes over."""
        if self._general is None:
            self._general = self._make_general()
        return self._general()

    def _sweep(self) -> None:
        self._sweeper = self.loop.call_later(SWEEP_SECONDS, self._sweep)
        oldest = self.loop.time() - IDLE_SECONDS
        for connection in tuple(self.open):
            if not connection.is_busy and connection.since < oldest:
                connection.close()

    def cancel(self) -> None:
        """Look for idle connections no more."""
        self._sweeper.cancel()

    async def stop(self, seconds: float) -> None:
        """Take no more requests; let those that are being answered finish for up to `seconds`."""
        self.is_stopping = True
        self._sweeper.cancel()
        busy = []
        for connection in tuple(self.open):
            if connection.task is not None:
                busy.append(connection.task)
            else:
                connection.close()
        if self._general is not None:
            self._general.pre_shutdown()
        if busy:
            _, late = await asyncio.wait(busy, timeout=seconds)
            for task in late:
                task.cancel()
        if self._general is not None:
            await self._general.shutdown(seconds)
        for connection in tuple(self.open):
            connection.close()


class Connection(asyncio.Protocol):
    """One connection. `task` is what answers the present request, if that has to wait for something."""

    __slots__ = (
        "_ahead",
        "_drained",
        "_lacking",
        "_owner",
        "_size",
        "is_busy",
        "since",
        "task",
        "transport",
        "writing_paused",
    )

    def __init__(self, owner: Connections) -> None:
        self._owner = owner
        self.transport: asyncio.Transport | None = None
        self.task: asyncio.Task[None] | None = None
        self.is_busy = False
        self.writing_paused = False
        #: When the last request came or was answered, by the loop's clock.
        self.since = 0.0
        #: What was read and is not answered yet, and how much of it there must be before it is worth a look.
        self._ahead: list[bytes] = []
        self._size = 0
        self._lacking = 0
        self._drained: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast("asyncio.Transport", transport)
        self.since = self._owner.loop.time()
        self._owner.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client, and end what only it could want."""
        self.transport = None
        self._owner.open.discard(self)
        self.resume_writing()
        self._owner.front.lost(self)

    def pause_writing(self) -> None:
        """Note that the client is behind."""
        self.writing_paused = True

    def resume_writing(self) -> None:
        """Go on with who waits for the client."""
        self.writing_paused = False
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    async def drain(self) -> None:
        """Wait until the client has taken most of what was written. Raises ConnectionError."""
        if self.writing_paused and self.transport is not None:
            self._drained = self._owner.loop.create_future()
            await self._drained
        if self.transport is None:
            raise ConnectionResetError("the client is gone")

    def close(self) -> None:
        """Let go of the connection when all that was written is sent."""
        if self.transport is not None:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        self._ahead.append(data)
        self._size += len(data)
        if self.is_busy:
            if self._size > AHEAD_BYTES_MOST and self.transport is not None:
                self.transport.pause_reading()
        elif self._size >= self._lacking:
            self._next()

    def _next(self) -> None:
        """Begin to answer the next request if it is here."""
        if self.is_busy or not self._ahead or self.transport is None:
            return
        data = self._ahead[0] if len(self._ahead) == 1 else b"".join(self._ahead)
        head = read_head(data)
        if head is None or head.headers.length > BODY_BYTES_MOST:
            self._hand_over(data)
            return
        end = head.size + head.headers.length
        if len(data) < end:
            self._ahead, self._lacking = [data], end
            return
        self._ahead = [data[end:]] if len(data) > end else []
        self._size = len(data) - end
        self._lacking = 0
        self._answer(PlainRequest(self, head, data[head.size : end] if head.headers.length else b""))

    def _answer(self, http: PlainRequest) -> None:
        """Answer in this very moment if nothing has to be waited for, else in a task."""
        self.is_busy = True
        front = self._owner.front
        work = self._served(http)
        if not front.is_quick(http):
            self.task = self._owner.loop.create_task(work)
            return
        try:
            waited = work.send(None)
        except StopIteration:
            return
        self.task = self._owner.loop.create_task(_go_on(work, waited))

    async def _served(self, http: PlainRequest) -> None:
        keeps: bool | None = False
        try:
            outcome = await self._owner.front.handle(http)
            if type(outcome) is Reply:
                outcome.send(http)
                if len(outcome.body) > DRAINED_BYTES:
                    await self.drain()
            else:
                await outcome.write_eof()
            keeps = outcome.keep_alive
        except ConnectionError:
            pass
        finally:
            self._finish(keeps=bool(keeps))

    def _finish(self, *, keeps: bool) -> None:
        self.task = None
        self.is_busy = False
        self.since = self._owner.loop.time()
        if self.transport is None:
            return
        if not keeps or self._owner.is_stopping:
            self.transport.close()
        elif self._ahead:
            self.transport.resume_reading()
            self._owner.loop.call_soon(self._next)

    def _hand_over(self, data: bytes) -> None:
        """Let aiohttp read what is here, and all that follows."""
        transport = self.transport
        assert transport is not None  # noqa: S101 - asked by _next
        self._owner.open.discard(self)
        self._owner.front.lost(self)
        self._ahead = []
        protocol = self._owner.general_protocol()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(data)


async def _go_on(work: Coroutine[Any, Any, None], waited: Any) -> None:
    """Go on, as a task, with a coroutine that has begun outside of one and waits for the future `waited`."""
    await _steps(work, waited)


@coroutine
def _steps(work: Coroutine[Any, Any, None], waited: Any) -> Generator[Any, Any, None]:
    while True:
        try:
            yield waited
        except BaseException as error:  # noqa: BLE001 - a cancellation, too, is the coroutine's
            failure: BaseException | None = error
        else:
            failure = None
        try:
            waited = work.send(None) if failure is None else work.throw(failure)
        except StopIteration:
            return
