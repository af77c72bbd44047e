"""An event loop without a machine: time is virtual, and a seed decides which of the ready tasks goes first.

Nothing waits: when all tasks do, time jumps to the next timer. A run that can never go on raises Deadlock. Real
descriptors (the pipes of simulated commands) are served as soon as they are ready; threads are not used at all, what is
sent to one runs at once.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from moorage.aio.entropy import Entropy

T = TypeVar("T")


class Deadlock(RuntimeError):
    """All tasks wait, and there is no timer that could wake one of them."""


class _JumpingSelector(selectors.SelectSelector):
    """Never waits for a descriptor: it lets the loop's time pass instead."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; if nothing is, jump over the time that was to be waited."""
        if ready := super().select(0):
            return sorted(ready, key=lambda each: each[0].fd)
        if timeout is None:
            raise Deadlock(f"all tasks wait for each other at {self.seconds:.3f} s")
        self.seconds += max(0.0, timeout)
        return []


class SimulationLoop(asyncio.SelectorEventLoop):
    """An asyncio loop whose clock and order of tasks belong to a simulation."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the virtual seconds since the loop began."""
        return self._jumping.seconds

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":  # type: ignore[override]
        """Run the function now, in this thread."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it belongs to whoever awaits the future
            future.set_exception(error)
        return future

    def _run_once(self) -> None:
        """Run what is ready, in an order that the seed chooses: asyncio promises none between tasks."""
        ready = self._ready  # type: ignore[attr-defined]
        if len(ready) > 1:
            handles = list(ready)
            for last in range(len(handles) - 1, 0, -1):
                other = int(self._entropy.fraction() * (last + 1))
                handles[last], handles[other] = handles[other], handles[last]
            ready.clear()
            ready.extend(handles)
        super()._run_once()  # type: ignore[misc]


def run_simulated(entropy: Entropy, work: Callable[[SimulationLoop], Coroutine[Any, Any, T]]) -> T:
    """Run `work(loop)` to its end in virtual time; tasks that are left then are cancelled. Raises Deadlock."""
    loop = SimulationLoop(entropy)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(work(loop))
