"""The scheduler's loop: takes pods from the queue one at a time, decides, and has them bound while it goes on.

What is decided is moorage.scheduler.decide and preemption; what waits, fails and is tried again is here.
Source: pkg/scheduler/schedule_one.go, eventhandlers.go (v1.37).
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from moorage.aio.clock import Clock
from moorage.aio.entropy import Entropy
from moorage.aio.tasks import Tasks
from moorage.client.client import Client, Target
from moorage.objects.actions import Record
from moorage.objects.errors import Conflict, NotFound, StatusError
from moorage.objects.metadata import is_terminating
from moorage.reconciler.events import Recorder
from moorage.reconciler.informer import Informers, field_of
from moorage.scheduler import conditions
from moorage.scheduler.binding import Binder, BindingFailed
from moorage.scheduler.decide import Choice, Refusal, Turn, decide
from moorage.scheduler.demand import demand_of
from moorage.scheduler.observing import RESOURCES, Observer
from moorage.scheduler.preemption import Eviction, Outcome, preempt
from moorage.scheduler.queue import PodQueue, Waiting
from moorage.scheduler.snapshot import Snapshot
from moorage.scheduler.world import Promises, World

log = logging.getLogger(__name__)

#: How Events name this component.
COMPONENT: Final = "default-scheduler"

#: How much of a text goes into an Event. Source: truncateMessage.
NOTE_MOST: Final = 1024

#: How long victims have to go before the pod that they make room for is looked at again, unless one goes earlier.
#: Users can read until then who is evicted; afterwards the pod says that it waits for that.
SETTLE_SECONDS: Final = 0.2

#: What may go wrong with any request.
_REFUSALS: Final = (StatusError, ConnectionError, TimeoutError)


class Scheduler:
    """Places pods that name one of `names` as their scheduler. One for each cluster."""

    def __init__(  # noqa: PLR0913, PLR0917 - the doors to the outside, one each
        self,
        client: Client,
        informers: Informers,
        recorder: Recorder,
        clock: Clock,
        entropy: Entropy,
        tasks: Tasks,
        names: Sequence[str] = (COMPONENT,),
    ) -> None:
        self.snapshot = Snapshot()
        self.queue = PodQueue()
        self._client = client
        self._informers = informers
        self._recorder = recorder
        self._clock = clock
        self._entropy = entropy
        self._tasks = tasks
        self._turn = Turn()
        self._timer: asyncio.TimerHandle | None = None
        #: Pods that are being bound, by uid; empties as pods are bound or fail.
        self._binding: dict[str, asyncio.Task[Any]] = {}
        promises = Promises()
        self._world = World(self.snapshot, informers, promises)
        self._binder = Binder(client, informers, self.snapshot, promises)
        self._observer = Observer(informers, self.snapshot, self.queue, self._binder, frozenset(names))
        self._observer.gone = self._stop_binding

    async def start(self) -> None:
        """Fill the snapshot, then place pods; returns once the caches are filled and the loop runs."""
        await self._informers.synced(RESOURCES)
        self._observer.start()
        self._tasks.keep("scheduler", self._run)

    def stop(self) -> None:
        """Let go of the timer; the tasks end with their owner."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def is_idle(self) -> bool:
        """Tell whether no pod is being bound and none is ready to be placed."""
        return not self._binding and self.queue.is_idle()

    async def _run(self) -> None:
        changed = self._observer.changed
        while True:
            seen = changed.count
            entry = self.queue.pop(_now())
            if entry is None:
                self._set_timer()
                await changed.wait_beyond(seen)
                continue
            try:
                await self._place(entry)
            except Exception:
                log.exception("scheduling_failed pod=%s", entry.demand.key)
                self.queue.retry(entry, _now())

    async def _place(self, entry: Waiting) -> None:
        found = decide(entry.demand, self._world, self._turn, self._pick)
        if isinstance(found, Choice):
            self._assume(entry, found)
            # The API and others have their turn before the next pod.
            await asyncio.sleep(0)
        else:
            await self._refuse(entry, found)

    def _pick(self, count: int) -> int:
        return int(self._entropy.fraction() * count)

    # A pod that has a node.

    def _assume(self, entry: Waiting, choice: Choice) -> None:
        """Give the pod its place at once, so that nobody else gets it, and have it bound."""
        pod, node = entry.demand, choice.place.name
        self.snapshot.set_pod(pod, node)
        self.snapshot.withdraw(pod.uid, pod.nominated)
        self.queue.remove(pod.uid)
        if choice.bindings is not None:
            self._binder.promise(choice.bindings, node)
        self._observer.pod_arrived(pod)
        self._binding[pod.uid] = self._tasks.start(f"bind/{pod.key}", self._bind(entry, choice))

    async def _bind(self, entry: Waiting, choice: Choice) -> None:
        pod, node = entry.demand, choice.place.name
        try:
            if choice.bindings is not None:
                await self._binder.bind_volumes(choice.bindings, node)
            await self._binder.bind_pod(pod, node)
        except BindingFailed as error:
            await self._unbind(entry, f'running PreBind plugin "VolumeBinding": {error}')
        except (NotFound, Conflict):
            # It is gone, is leaving, or has a node: what the caches will tell.
            await self._unbind(entry, "")
        except _REFUSALS as error:
            await self._unbind(entry, f"binding rejected: {error}")
        else:
            message = f"Successfully assigned {pod.key} to {node}"
            self._record(entry, Record(entry.item.object, "Scheduled", message, "Normal", "Binding"))
        finally:
            self._binding.pop(pod.uid, None)
            if choice.bindings is not None:
                self._binder.withdraw(choice.bindings)

    async def _unbind(self, entry: Waiting, why: str) -> None:
        """Give the place back and try again, unless the pod is gone or bound by somebody else."""
        pod = entry.demand
        item = self._informers.cache("pods").get(pod.namespace, pod.name)
        if item is not None and item.uid == pod.uid and field_of(item, "spec.nodeName"):
            return
        self._observer.pod_left(pod.uid)
        if item is None or item.uid != pod.uid:
            return
        log.info("binding_failed pod=%s why=%r", pod.key, why)
        entry.item, entry.demand = item, demand_of(item.object)
        self.queue.readmit(entry, _now())
        self._observer.changed.fire()
        if why:
            await self._tell(entry, "SchedulerError", why, None)

    def _stop_binding(self, uid: str) -> None:
        task = self._binding.pop(uid, None)
        if task is not None:
            task.cancel()

    # A pod that has none.

    async def _refuse(self, entry: Waiting, refusal: Refusal) -> None:
        pod = entry.demand
        outcome: Outcome | None = None
        if refusal.nodes and refusal.whole is None:
            outcome = preempt(pod, self._world, refusal, self._pick)
        nominated = _nomination(outcome)
        if nominated is not None:
            self._nominate(entry, nominated)
        self.queue.refuse(entry, refusal.plugins, _now())
        message = refusal.message("" if outcome is None else outcome.told)
        await self._tell(entry, "Unschedulable", message, nominated)
        if outcome is not None and outcome.eviction is not None:
            self._tasks.start(f"evict/{pod.key}", self._evict(entry, outcome.eviction))

    def _nominate(self, entry: Waiting, node: str) -> None:
        pod = entry.demand
        self.snapshot.withdraw(pod.uid, pod.nominated)
        entry.demand = replace(pod, nominated=node)
        if node:
            self.snapshot.nominate(entry.demand, node)
            for other in self.snapshot.less_important_guests(entry.demand, node):
                self.snapshot.withdraw(other.uid, node)

    async def _evict(self, entry: Waiting, eviction: Eviction) -> None:
        """Tell the victims why they go, delete them, then look at the pod again."""
        pod = entry.demand
        for victim in eviction.victims:
            try:
                await self._evict_one(entry, victim.namespace, victim.name, victim.uid)
            except NotFound:
                continue
            except _REFUSALS as error:
                log.warning("eviction_failed pod=%s for=%s error=%s", victim.key, pod.key, error)
                continue
        await asyncio.sleep(SETTLE_SECONDS)
        self.queue.activate(entry, _now())
        self._observer.changed.fire()

    async def _evict_one(self, entry: Waiting, namespace: str, name: str, uid: str) -> None:
        item = self._informers.cache("pods").get(namespace, name)
        if item is None or item.uid != uid or is_terminating(item.object):
            return
        victim = item.object
        patch = conditions.preempted(victim, entry.demand.scheduler, self._clock.now())
        await self._client.patch(Target("pods", namespace, name, "status"), patch, content_type=conditions.PATCH)
        await self._client.delete(Target("pods", namespace, name), {"preconditions": {"uid": uid}})
        text = f"Preempted by pod {entry.demand.uid} on node {entry.demand.nominated}"
        self._record(entry, Record(victim, "Preempted", text, "Normal", "Preempting"))

    async def _tell(self, entry: Waiting, reason: str, message: str, nominated: str | None) -> None:
        """Say to users why the pod is not placed: an Event, and its condition if that is news."""
        pod = entry.item.object
        self._record(entry, Record(pod, "FailedScheduling", _cut(message), "Warning", "Scheduling"))
        patch = conditions.refused(pod, reason, message, nominated, self._clock.now())
        if patch is None:
            return
        target = Target("pods", entry.demand.namespace, entry.demand.name, "status")
        try:
            await self._client.patch(target, patch, content_type=conditions.PATCH)
        except (NotFound, Conflict):
            return
        except _REFUSALS as error:
            log.info("status_not_written pod=%s error=%s", entry.demand.key, error)

    def _record(self, entry: Waiting, record: Record) -> None:
        self._recorder.record(record, entry.demand.scheduler)

    # Time: only while somebody waits.

    def _set_timer(self) -> None:
        self.stop()
        due = self.queue.next_at()
        if due is not None:
            self._timer = asyncio.get_running_loop().call_at(due, self._time_came)

    def _time_came(self) -> None:
        self._timer = None
        self.queue.flush(_now())
        self._observer.changed.fire()


def _now() -> float:
    return asyncio.get_running_loop().time()


def _nomination(outcome: Outcome | None) -> str | None:
    """Return the node that the pod waits for now, "" for none, None if that stays as it is."""
    if outcome is None or (outcome.eviction is None and outcome.keeps):
        return None
    return "" if outcome.eviction is None else outcome.eviction.node


def _cut(message: str) -> str:
    """Return the text, shortened to what an Event holds."""
    return message if len(message) <= NOTE_MOST else f"{message[: NOTE_MOST - 4]} ..."
