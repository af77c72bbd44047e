"""Whose turn it is."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from moorage.objects.encoded import Encoded
from moorage.scheduler.demand import demand_of
from moorage.scheduler.queue import FLUSH_SECONDS, PodQueue, Waiting
from tests.scheduler.cluster import make_pod


def add(queue: PodQueue, name: str, now: float = 0.0, **more: Any) -> Waiting:
    pod = make_pod(name, **more)
    return queue.add(Encoded(b"{}", 1, pod, {}), demand_of(pod), now)


def pop(queue: PodQueue, now: float = 0.0) -> Waiting:
    entry = queue.pop(now)
    assert entry is not None
    return entry


@given(st.lists(st.integers(0, 3), max_size=12))
def test_the_more_important_go_first_then_those_who_came_first(priorities: list[int]) -> None:
    queue = PodQueue()
    for index, priority in enumerate(priorities):
        add(queue, f"p{index:02}", float(index), priority=priority)
    order = [(-pop(queue).demand.priority) for _ in priorities]
    assert order == sorted(order)
    assert queue.pop(0.0) is None


def test_a_refused_pod_waits_until_something_helps_it() -> None:
    queue = PodQueue()
    add(queue, "p")
    queue.refuse(pop(queue), ["NodePorts"], 0.0)
    assert queue.pop(100.0) is None
    assert not queue.wake(["NodeAffinity"], lambda entry: True, 100.0)
    assert not queue.wake(["NodePorts"], lambda entry: False, 100.0)
    assert queue.wake(["NodePorts"], lambda entry: True, 100.0)
    assert pop(queue, 100.0).attempts == 2


def test_a_woken_pod_rests_while_others_are_ready() -> None:
    queue = PodQueue()
    add(queue, "p", priority=5)
    queue.refuse(pop(queue), ["NodePorts"], 0.0)
    add(queue, "q")
    queue.wake(["NodePorts"], lambda entry: True, 0.5)
    assert queue.next_at() == 1.0
    assert [pop(queue, 0.5).demand.name, pop(queue, 0.5).demand.name] == ["q", "p"]


def test_a_pod_whose_try_failed_rests_to_the_end() -> None:
    queue = PodQueue()
    add(queue, "p")
    entry = pop(queue)
    queue.retry(entry, 0.0)
    assert queue.pop(0.9) is None
    assert queue.next_at() == 1.0
    assert pop(queue, 1.0) is entry


def test_nobody_waits_for_ever() -> None:
    queue = PodQueue()
    add(queue, "p")
    queue.refuse(pop(queue), ["NodePorts"], 0.0)
    assert queue.next_at() == FLUSH_SECONDS
    queue.flush(FLUSH_SECONDS - 1)
    assert queue.pop(FLUSH_SECONDS - 1) is None
    queue.flush(FLUSH_SECONDS)
    assert pop(queue, FLUSH_SECONDS).demand.name == "p"
    assert queue.next_at() is None


def test_a_pod_that_is_gone_never_comes_back() -> None:
    queue = PodQueue()
    entry = add(queue, "p")
    queue.remove(entry.demand.uid)
    queue.retry(entry, 0.0)
    assert queue.pop(100.0) is None
    assert len(queue) == 0


def test_a_gated_pod_waits_until_it_changes() -> None:
    queue = PodQueue()
    pod = make_pod("p")
    entry = queue.hold(Encoded(b"{}", 1, pod, {}), demand_of(pod), 0.0)
    assert queue.pop(0.0) is None
    queue.activate(entry, 0.0)
    assert pop(queue) is entry
