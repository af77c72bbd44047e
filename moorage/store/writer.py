"""The one thread that may wait for the disk: it performs jobs in order and reports each to its event loop."""

import asyncio
import contextlib
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import NamedTuple


class Job(NamedTuple):
    """Work for the thread, and what is called in the loop afterwards with the work's failure or None."""

    work: Callable[[], None]
    done: Callable[[Exception | None], None]
    loop: asyncio.AbstractEventLoop


class Writer:
    """A thread that performs jobs one after the other. It does not keep the process alive.

    `prepare` is what it does first, unasked; it must not raise.
    """

    def __init__(self, name: str, prepare: Callable[[], None]) -> None:
        self._prepare = prepare
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], None], done: Callable[[Exception | None], None]) -> None:
        """Perform `work` after all that was submitted before; then call `done` in the running loop."""
        self._jobs.put(Job(work, done, asyncio.get_running_loop()))

    async def perform(self, work: Callable[[], None]) -> None:
        """Perform `work` after all that was submitted before and wait for it. Raises what it raises."""
        finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def done(error: Exception | None) -> None:
            if finished.done():
                return
            if error is None:
                finished.set_result(None)
            else:
                finished.set_exception(error)

        self.submit(work, done)
        await finished

    def end(self) -> None:
        """Perform what was submitted and end the thread; blocks until then."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        self._prepare()
        while (job := self._jobs.get()) is not None:
            failure: Exception | None = None
            try:
                job.work()
            except Exception as error:  # noqa: BLE001 - the thread must live; the failure is handed to who asked
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
                job.loop.call_soon_threadsafe(job.done, failure)
