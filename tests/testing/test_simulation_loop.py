"""Virtual time, seeded order, and runs that can never go on."""

import asyncio

import pytest

from moorage.aio.entropy import seeded
from moorage.testing.clock import BEGINNING, VirtualClock
from moorage.testing.simulation_loop import Deadlock, SimulationLoop, run_simulated


def test_waiting_takes_no_time_but_virtual_one():
    async def work(loop: SimulationLoop) -> float:
        await asyncio.sleep(3600)
        return loop.time()

    assert run_simulated(seeded(1), work) == 3600


def test_the_clock_shows_virtual_time():
    async def work(loop: SimulationLoop) -> tuple[float, float]:
        clock = VirtualClock(loop)
        await asyncio.sleep(90)
        return (clock.now() - BEGINNING).total_seconds(), clock.monotonic()

    assert run_simulated(seeded(1), work) == (90, 90)


def _order(seed: int) -> str:
    async def work(_: SimulationLoop) -> str:
        said: list[str] = []

        async def say(word: str) -> None:
            for _ in range(3):
                said.append(word)
                await asyncio.sleep(0)

        await asyncio.gather(*(say(word) for word in "abc"))
        return "".join(said)

    return run_simulated(seeded(seed), work)


def test_a_seed_decides_the_order_of_tasks():
    assert [_order(seed) for seed in range(20)] == [_order(seed) for seed in range(20)]
    assert len({_order(seed) for seed in range(20)}) > 5


def test_tasks_that_wait_for_each_other_are_a_deadlock():
    async def work(loop: SimulationLoop) -> None:
        await loop.create_future()

    with pytest.raises(Deadlock):
        run_simulated(seeded(1), work)


def test_what_is_sent_to_a_thread_runs_at_once():
    async def work(_: SimulationLoop) -> int:
        return await asyncio.to_thread(lambda: 7)

    assert run_simulated(seeded(1), work) == 7
