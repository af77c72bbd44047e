"""The scheduler's loop: takes pods from the queue one at a time, decides, and has them bound while it goes on.

All that waits, fails and is tried again is here; what is decided is moorage.scheduler.decide.
Source: pkg/scheduler/schedule_one.go, eventhandlers.go (v1.37).
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final

from moorage.aio.clock import Clock
from moorage.aio.entropy import Entropy
from moorage.aio.signal import Signal
from moorage.aio.tasks import Tasks
from moorage.client.client import Client, Target
from moorage.objects.actions import Record
from moorage.objects.encoded import Encoded
from moorage.objects.errors import Conflict, NotFound, StatusError
from moorage.objects.metadata import condition_of, format_time
from moorage.objects.pods import FINAL_PHASES
from moorage.reconciler.events import Recorder
from moorage.reconciler.informer import Informers, field_of
from moorage.scheduler.decide import Choice, Refusal, Turn, decide
from moorage.scheduler.demand import Demand, demand_of
from moorage.scheduler.queue import PodQueue, Waiting
from moorage.scheduler.snapshot import Snapshot

log = logging.getLogger(__name__)

#: How Events name this component.
COMPONENT: Final = "default-scheduler"

#: How much of a text goes into an Event. Source: truncateMessage.
NOTE_MOST: Final = 1024

#: What is read besides pods.
RESOURCES: Final = ("pods", "nodes", "namespaces")


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
        self._names = frozenset(names)
        self._turn = Turn()
        self._changed = Signal()
        self._timer: asyncio.TimerHandle | None = None
        self._binding: set[str] = set()

    async def start(self) -> None:
        """Fill the snapshot, then place pods; returns once the caches are filled and the loop runs."""
        await self._informers.synced(RESOURCES)
        for resource, listener in (
            ("namespaces", self._namespace_changed),
            ("nodes", self._node_changed),
            ("pods", self._pod_changed),
        ):
            cache = self._informers.cache(resource)
            cache.subscribe(listener)
            for item in cache.all():
                listener(item, None)
        self._tasks.keep("scheduler", self._run)

    def stop(self) -> None:
        """Let go of the timer; the tasks end with their owner."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # What changes outside.

    def _namespace_changed(self, new: Encoded | None, old: Encoded | None) -> None:
        item = new or old
        if item is not None:
            self.snapshot.set_namespace(item.name, None if new is None else new.labels)
            self._wake("namespaces", new, old)

    def _node_changed(self, new: Encoded | None, old: Encoded | None) -> None:
        if new is not None:
            self.snapshot.set_node(new.object)
        elif old is not None:
            self.snapshot.remove_node(old.name)
        self._wake("nodes", new, old)

    def _pod_changed(self, new: Encoded | None, old: Encoded | None) -> None:
        item = new or old
        if item is None:
            return
        if new is None or field_of(new, "status.phase") in FINAL_PHASES:
            self._pod_gone(item)
        elif node := field_of(new, "spec.nodeName"):
            self._pod_placed(new, node)
        elif field_of(new, "spec.schedulerName") in self._names:
            self._pod_waits(new)

    def _pod_gone(self, item: Encoded) -> None:
        self.queue.remove(item.uid)
        if self.snapshot.remove_pod(item.uid) is not None:
            self._wake("pods", None, item)

    def _pod_placed(self, item: Encoded, node: str) -> None:
        self.queue.remove(item.uid)
        known = self.snapshot.pod(item.uid)
        demand = demand_of(item.object)
        if known is not None and known.node == node and _is_same(known, demand):
            return
        self.snapshot.set_pod(demand, node)
        self._wake("pods", item, None)

    def _pod_waits(self, item: Encoded) -> None:
        if self.snapshot.pod(item.uid) is not None:
            return
        demand = demand_of(item.object)
        now = self._now()
        entry = self.queue.get(item.uid)
        if demand.terminating:
            self.queue.remove(item.uid)
        elif entry is None:
            if demand.gates:
                self.queue.hold(item, demand, now)
            else:
                self.queue.add(item, demand, now)
        else:
            changed = entry.demand.generation != demand.generation or entry.demand.labels != demand.labels
            entry.item, entry.demand = item, demand
            if changed and not demand.gates:
                self.queue.activate(entry, now)
        self._changed.fire()

    def _wake(self, resource: str, new: Encoded | None, old: Encoded | None) -> None:
        if self.queue.pending() and self.queue.wake(lambda entry: True, self._now()):
            self._changed.fire()

    # The loop.

    async def _run(self) -> None:
        while True:
            seen = self._changed.count
            entry = self.queue.pop(self._now())
            if entry is None:
                self._set_timer()
                await self._changed.wait_beyond(seen)
            else:
                try:
                    await self._place(entry)
                except Exception:
                    log.exception("scheduling_failed pod=%s", entry.demand.key)
                    self.queue.retry(entry, self._now())

    async def _place(self, entry: Waiting) -> None:
        found = decide(entry.demand, self.snapshot, self._turn, self._pick)
        if isinstance(found, Choice):
            self.snapshot.set_pod(entry.demand, found.place.name)
            self.queue.remove(entry.demand.uid)
            self._tasks.start(f"bind/{entry.demand.key}", self._bind(entry, found.place.name))
            await asyncio.sleep(0)
        else:
            self.queue.refuse(entry, found.plugins, self._now())
            await self._tell_refusal(entry, found)

    def _pick(self, count: int) -> int:
        return int(self._entropy.fraction() * count)

    async def _bind(self, entry: Waiting, node: str) -> None:
        pod = entry.demand
        try:
            await self._client.create(
                "pods",
                {
                    "apiVersion": "v1",
                    "kind": "Binding",
                    "metadata": {"namespace": pod.namespace, "name": pod.name, "uid": pod.uid},
                    "target": {"kind": "Node", "name": node},
                },
                subresource="binding",
            )
        except (StatusError, ConnectionError, TimeoutError) as error:
            self._unbound(entry, error)
            return
        message = f"Successfully assigned {pod.key} to {node}"
        self._record(entry, Record(entry.item.object, "Scheduled", message, "Normal", "Binding"))

    def _unbound(self, entry: Waiting, error: Exception) -> None:
        """Give the place back and try again, unless the pod is gone or bound by somebody else."""
        uid = entry.demand.uid
        item = self._informers.cache("pods").get(entry.demand.namespace, entry.demand.name)
        if item is not None and item.uid == uid and field_of(item, "spec.nodeName"):
            return
        self.snapshot.remove_pod(uid)
        log.info("binding_failed pod=%s error=%s", entry.demand.key, error)
        if item is not None and item.uid == uid and not isinstance(error, NotFound):
            entry.item = item
            self.queue.retry(entry, self._now())
            self._changed.fire()

    # What users see.

    async def _tell_refusal(self, entry: Waiting, refusal: Refusal) -> None:
        message = refusal.message()
        self._record(entry, Record(entry.item.object, "FailedScheduling", _cut(message), "Warning", "Scheduling"))
        await self._set_condition(entry, "Unschedulable", message)

    async def _set_condition(self, entry: Waiting, reason: str, message: str) -> None:
        pod = entry.demand
        known = condition_of(entry.item.object, "PodScheduled") or {}
        if (known.get("status"), known.get("reason"), known.get("message")) == ("False", reason, message):
            return
        since = known.get("lastTransitionTime") if known.get("status") == "False" else None
        condition: dict[str, Any] = {
            "type": "PodScheduled",
            "status": "False",
            "lastProbeTime": None,
            "lastTransitionTime": since or format_time(self._clock.now()),
            "reason": reason,
            "message": message,
        }
        if pod.generation:
            condition["observedGeneration"] = pod.generation
        patch = {"metadata": {"uid": pod.uid}, "status": {"conditions": [condition]}}
        target = Target("pods", pod.namespace, pod.name, "status")
        try:
            await self._client.patch(target, patch, content_type="application/strategic-merge-patch+json")
        except (NotFound, Conflict):
            return
        except (StatusError, ConnectionError, TimeoutError) as error:
            log.info("status_not_written pod=%s error=%s", pod.key, error)

    def _record(self, entry: Waiting, record: Record) -> None:
        self._recorder.record(record, entry.demand.scheduler)

    # Time.

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _set_timer(self) -> None:
        self.stop()
        due = self.queue.next_at()
        if due is not None:
            self._timer = asyncio.get_running_loop().call_at(due, self._time_came)

    def _time_came(self) -> None:
        self._timer = None
        self.queue.flush(self._now())
        self._changed.fire()


def _is_same(known: Demand, demand: Demand) -> bool:
    """Tell whether nothing has changed that the snapshot knows of a placed pod."""
    return (
        known.generation == demand.generation
        and known.terminating == demand.terminating
        and known.labels == demand.labels
    )


def _cut(message: str) -> str:
    """Return the text, shortened to what an Event holds."""
    return message if len(message) <= NOTE_MOST else f"{message[: NOTE_MOST - 4]} ..."
