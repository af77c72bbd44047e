"""The pace at which a crowd is served."""

import asyncio
from datetime import UTC, datetime

from moorage.aio.pace import FREE_SECONDS, SHARE, WAIT_SECONDS_MOST, Pace


class Hand:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        return self.seconds


def in_debt(clock: Hand, milliseconds: int) -> Pace:
    pace = Pace(clock)
    for _ in range(milliseconds):
        pace.took(1.0)  # each counts for a millisecond
    return pace


async def test_nobody_waits_while_serving_is_cheap():
    pace = Pace(Hand())
    for _ in range(10):
        pace.took(FREE_SECONDS / 11)
        await asyncio.wait_for(pace.turn(), 1)


async def test_beyond_that_all_wait_together_and_then_start_anew():
    pace = in_debt(Hand(), 100)
    waiting = [asyncio.ensure_future(pace.turn()) for _ in range(3)]
    done, _ = await asyncio.wait(waiting, timeout=WAIT_SECONDS_MOST / 5)
    assert not done
    done, _ = await asyncio.wait(waiting, timeout=5)
    assert len(done) == 3
    assert pace._gate is None
    await asyncio.wait_for(pace.turn(), 1)


async def test_time_that_goes_by_pays():
    clock = Hand()
    pace = in_debt(clock, 10)
    clock.seconds += 0.01 / SHARE
    await pace.turn()
    assert pace._gate is None


async def test_who_gives_up_leaves_the_others_waiting():
    pace = in_debt(Hand(), 20)
    one, other = asyncio.ensure_future(pace.turn()), asyncio.ensure_future(pace.turn())
    await asyncio.sleep(0)
    one.cancel()
    await asyncio.wait([one, other], timeout=5)
    assert one.cancelled()
    assert other.done()
    assert not other.cancelled()
