"""Named, supervised tasks. Nothing else in the house may call create_task."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from moorage.aio.backoff import Backoff

log = logging.getLogger(__name__)

#: How fast a task that died is started again.
RESTART = Backoff(first=0.1, most=30.0)


class Tasks:
    """A set of named tasks that end together. Use as an asynchronous context manager.

    A task started with `start` that fails is logged loudly and ends; one started with `keep` is started again with
    back-off. Leaving the context cancels all and waits for them.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        #: In the order of their start, in which they are cancelled.
        self._tasks: dict[asyncio.Task[Any], None] = {}

    async def __aenter__(self) -> "Tasks":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run `work` until it ends; a failure is logged with its traceback."""
        task = asyncio.create_task(work, name=f"{self.name}/{name}")
        self._tasks[task] = None
        task.add_done_callback(self._ended)
        return task

    def keep(self, name: str, make: Callable[[], Awaitable[None]]) -> asyncio.Task[Any]:
        """Run `make()` again and again until cancelled: after a failure with back-off, after a return at once."""
        return self.start(name, self._kept(name, make))

    async def close(self) -> None:
        """Cancel all tasks and wait until they have ended."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _kept(self, name: str, make: Callable[[], Awaitable[None]]) -> None:
        failures = 0
        while True:
            try:
                await make()
                failures = 0
            except Exception:
                failures += 1
                log.exception("task_restarts name=%s/%s failures=%d", self.name, name, failures)
            await asyncio.sleep(RESTART.delay(failures))

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and task.exception() is not None:
            log.error("task_failed name=%s", task.get_name(), exc_info=task.exception())
