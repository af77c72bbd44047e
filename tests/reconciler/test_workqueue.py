"""Which references are to be looked at."""

import asyncio

from moorage.objects.metadata import Ref
from moorage.reconciler.workqueue import WorkQueue

A, B, C = (Ref("pods", "default", name) for name in "abc")


async def test_references_come_in_the_order_in_which_they_were_added_each_once() -> None:
    queue = WorkQueue()
    for ref in (B, A, B, A._replace(uid="u"), C):
        queue.add(ref)
    assert [await queue.get() for _ in range(3)] == [B, A, C]
    assert len(queue) == 0


async def test_a_reference_that_is_added_while_it_is_worked_on_comes_again_afterwards() -> None:
    queue = WorkQueue()
    queue.add(A)
    ref = await queue.get()
    queue.add(A)
    queue.add(A)
    assert len(queue) == 0
    queue.done(ref)
    assert await queue.get() == A
    queue.done(A)
    assert queue.is_idle()


async def test_a_waiting_worker_is_woken_one_for_each_reference() -> None:
    queue = WorkQueue()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        waiting = [group.create_task(queue.get()) for _ in range(2)]
        await asyncio.sleep(0)
        queue.add(A)
        queue.add(B)
    assert {task.result() for task in waiting} == {A, B}


async def test_a_worker_that_is_cancelled_loses_no_reference() -> None:
    queue = WorkQueue()
    lost = asyncio.ensure_future(queue.get())
    other = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    queue.add(A)
    lost.cancel()
    assert await asyncio.wait_for(other, 5) == A


async def test_delayed_references_come_when_due_the_earliest_time_counts() -> None:
    queue = WorkQueue()
    queue.add_after(A, 0.03)
    queue.add_after(B, 0.01)
    queue.add_after(A, 60)
    queue.add_after(C, 60)
    queue.add_after(C, 0.02)
    async with asyncio.timeout(5):
        assert [await queue.get() for _ in range(3)] == [B, C, A]
    queue.close()


async def test_failures_double_the_delay_until_they_are_forgotten() -> None:
    queue = WorkQueue()
    assert [queue.add_failed(A) for _ in range(4)] == [0.005, 0.01, 0.02, 0.04]
    queue.forget(A)
    assert queue.add_failed(A) == 0.005
    queue.close()
