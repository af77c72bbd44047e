"""The one loop that runs rules: wake, see own writes, observe, decide, apply, remember, look again.

Rules are pure (moorage.controllers); all that waits, fails and is tried again is here.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from moorage.aio.clock import Clock
from moorage.aio.tasks import Tasks
from moorage.client.client import Client
from moorage.controllers.rule import Controller, Decision, View
from moorage.objects.actions import SetStatus
from moorage.objects.encoded import Encoded
from moorage.objects.metadata import Object, Ref
from moorage.reconciler.apply import Applier, Outcome, Verdict
from moorage.reconciler.barrier import Barrier
from moorage.reconciler.events import Recorder
from moorage.reconciler.informer import Informers
from moorage.reconciler.provision import Provisioner
from moorage.reconciler.story import Entry, Story, describe
from moorage.reconciler.workqueue import WorkQueue
from moorage.volumes.driver import Driver

log = logging.getLogger(__name__)

#: How many objects of a kind are worked on at once. Source: ConcurrentStatefulSetSyncs and its like (v1.37).
WORKERS: Final = 5

#: How long observing and deciding may take for nothing: what goes beyond it counts this many times as rest before the
#: object is looked at again, but for no longer than that.
THOUGHT_SECONDS_FREE: Final = 0.02
REST_FACTOR: Final = 4.0
REST_SECONDS_MOST: Final = 1.0

#: Which objects a change concerns; the first argument is the view, the second the object that changed.
Wake = Callable[[View, Object], Iterable[Ref]]


class Reconciler:
    """Runs controllers over shared caches. One for each process that has controllers."""

    def __init__(
        self,
        client: Client,
        informers: Informers,
        clock: Clock,
        tasks: Tasks,
        recorder: Recorder | None = None,
        drivers: Mapping[str, Driver] | None = None,
    ) -> None:
        self.story = Story()
        self.recorder = recorder or Recorder(client, clock)
        self._owns_recorder = recorder is None
        self._client = client
        self._provisioner = Provisioner(client, drivers or {})
        self._informers = informers
        self._clock = clock
        self._tasks = tasks
        self._runners: list[Runner] = []

    async def start(self, controllers: Sequence[Controller]) -> None:
        """Start the controllers; returns once their caches are filled and they work."""
        if self._owns_recorder and not self._runners:
            self._tasks.keep("events", self.recorder.run)
        runners = [self._runner(controller) for controller in controllers]
        await self._informers.synced({resource for each in controllers for resource in _resources_of(each)})
        for runner in runners:
            runner.start(self._tasks)
        self._runners += runners

    def stop(self) -> None:
        """Let go of timers; the tasks end with their owner."""
        for runner in self._runners:
            runner.queue.close()

    def is_idle(self) -> bool:
        """Tell whether no reference is worked on or ready to be."""
        return all(runner.queue.is_idle() for runner in self._runners)

    def _runner(self, controller: Controller) -> "Runner":
        applier = Applier(self._client, self.recorder, controller.name, self._provisioner)
        barrier = Barrier(self._client, self._informers)
        return Runner(controller, self._informers, self._clock, applier, barrier, self.story)


class Runner:
    """One controller: its queue, its barrier and its workers."""

    def __init__(
        self,
        controller: Controller,
        informers: Informers,
        clock: Clock,
        applier: Applier,
        barrier: Barrier,
        story: Story,
    ) -> None:
        self.queue = WorkQueue()
        self._controller = controller
        self._informers = informers
        self._clock = clock
        self._applier = applier
        self._barrier = barrier
        self._story = story
        #: How long the present rounds took to observe and decide, in seconds.
        self._thought: dict[Ref, float] = {}

    def start(self, tasks: Tasks) -> None:
        """Look at everything that is there, then at everything that changes."""
        kind = self._controller.kind
        cache = self._informers.cache(kind)
        cache.subscribe(self._own_change)
        for resource, wake in self._controller.wakes.items():
            watched = self._informers.cache(resource)
            watched.subscribe(self._listener(wake))
            if self._controller.sweeps:
                for item in watched.all():
                    self._wake(wake, item)
        for item in cache.all():
            self._own_change(item, None)
        for number in range(WORKERS):
            tasks.keep(f"{self._controller.name}/{number}", self._work)

    def _own_change(self, new: Encoded | None, old: Encoded | None) -> None:
        item = new or old
        if item is not None:
            self.queue.add(Ref(self._controller.kind, item.namespace, item.name))

    def _listener(self, wake: Wake) -> Callable[[Encoded | None, Encoded | None], None]:
        def listen(new: Encoded | None, old: Encoded | None) -> None:
            for item in (new, old):
                if item is not None:
                    self._wake(wake, item)

        return listen

    def _wake(self, wake: Wake, item: Encoded) -> None:
        try:
            for ref in wake(self._informers, item.object):
                self.queue.add(ref)
        except Exception:
            log.exception("wake_failed controller=%s object=%s/%s", self._controller.name, item.namespace, item.name)

    async def _work(self) -> None:
        while True:
            ref = await self.queue.get()
            try:
                await self._round(ref)
            except (ConnectionError, TimeoutError) as error:
                log.warning("round_lost controller=%s ref=%s error=%s", self._controller.name, ref, error)
                self.queue.add_failed(ref)
            except Exception:
                log.exception("round_failed controller=%s ref=%s", self._controller.name, ref)
                self.queue.add_failed(ref)
            finally:
                self._let_go(ref)

    def _let_go(self, ref: Ref) -> None:
        """End the work on a reference: at once, or if thinking about it took long, after it has rested.

        Whoever owns thousands of objects is woken by each of them, and looks at all of them each time: without a rest that
        would be all that the process does. What happens meanwhile is seen together, afterwards.
        """
        seconds = self._thought.pop(ref, 0.0)
        if seconds < THOUGHT_SECONDS_FREE:
            self.queue.done(ref)
            return
        rest = min((seconds - THOUGHT_SECONDS_FREE) * REST_FACTOR, REST_SECONDS_MOST)
        asyncio.get_running_loop().call_later(rest, self.queue.done, ref)

    async def _round(self, ref: Ref) -> None:
        await self._barrier.wait(ref)
        began = self._clock.monotonic()
        observed = self._controller.observe(self._informers, ref)
        if observed is None:
            self.queue.forget(ref)
            return
        decision = self._controller.decide(observed, self._clock.now())
        self._thought[ref] = self._clock.monotonic() - began
        outcome = await self._applier.apply(decision.actions)
        self._barrier.raise_to(ref, outcome.written)
        if outcome.changes or outcome.error is not None:
            self._remember(ref, decision, outcome)
        self._schedule(ref, decision, outcome)

    def _schedule(self, ref: Ref, decision: Decision, outcome: Outcome) -> None:
        if outcome.error is not None:
            self.queue.add_failed(ref)
            return
        self.queue.forget(ref)
        if decision.look_again_in is not None:
            self.queue.add_after(ref, decision.look_again_in)

    def _remember(self, ref: Ref, decision: Decision, outcome: Outcome) -> None:
        name = self._controller.name
        error = "" if outcome.error is None else str(outcome.error)
        actions = tuple(describe(action) for action in decision.actions if not _is_idle(action))
        self._story.add(Entry(self._clock.now(), name, ref, decision.because, actions, outcome.verdict.value, error))
        level = logging.WARNING if outcome.verdict in (Verdict.REFUSED, Verdict.LOST) else logging.INFO
        log.log(
            level,
            "decided controller=%s ref=%s because=%r changes=%d outcome=%s error=%r",
            name,
            ref,
            decision.because,
            outcome.changes,
            outcome.verdict.value,
            error,
        )


def _resources_of(controller: Controller) -> tuple[str, ...]:
    """Return the resources whose caches a controller needs."""
    return (controller.kind, *controller.wakes, *controller.reads)


def _is_idle(action: object) -> bool:
    return isinstance(action, SetStatus) and action.unchanged
