"""What the caches tell: brings the snapshot and the queue up to date and wakes the pods that a change may help."""

import asyncio
from typing import Final

from moorage.aio.signal import Signal
from moorage.controllers.volumes import CLAIMS, CLASSES, VOLUMES
from moorage.objects.encoded import Encoded
from moorage.objects.pods import FINAL_PHASES
from moorage.reconciler.informer import Informers, field_of
from moorage.scheduler import hints, spread
from moorage.scheduler.binding import Binder
from moorage.scheduler.demand import Demand, demand_of
from moorage.scheduler.preemption import BUDGETS
from moorage.scheduler.queue import PodQueue, Waiting
from moorage.scheduler.snapshot import Snapshot

#: The caches that scheduling reads.
RESOURCES: Final = ("pods", "nodes", "namespaces", CLAIMS, VOLUMES, CLASSES, BUDGETS, *spread.READS)


class Observer:
    """Listens to the caches. `changed` fires when a pod may have become ready to be placed."""

    def __init__(
        self, informers: Informers, snapshot: Snapshot, queue: PodQueue, binder: Binder, names: frozenset[str]
    ) -> None:
        self.changed = Signal()
        #: Called with the uid of a pod that is gone.
        self.gone = _ignore
        self._informers = informers
        self._snapshot = snapshot
        self._queue = queue
        self._binder = binder
        self._names = names

    def start(self) -> None:
        """Take in what the caches hold, then every change."""
        for resource, listener in (
            ("namespaces", self._namespace_changed),
            ("nodes", self._node_changed),
            ("pods", self._pod_changed),
            (CLAIMS, self._claim_changed),
            (VOLUMES, self._volume_changed),
            (CLASSES, self._class_changed),
        ):
            cache = self._informers.cache(resource)
            cache.subscribe(listener)
            for item in cache.all():
                listener(item, None)

    def pod_arrived(self, pod: Demand) -> None:
        """Wake those who want to be near a pod that got a node."""
        self._wake(hints.BY_PODS_PLACED, hints.arrival_helps(pod))

    def pod_left(self, uid: str) -> None:
        """Take a pod from its node and wake those who may have its place."""
        node = self._snapshot.node_of(uid)
        pod = self._snapshot.remove_pod(uid)
        if pod is not None:
            self._wake(hints.BY_PODS_GONE, hints.departure_helps(pod, self._snapshot.places.get(node)))

    def _namespace_changed(self, new: Encoded | None, old: Encoded | None) -> None:
        item = new or old
        if item is not None:
            self._snapshot.set_namespace(item.name, None if new is None else new.labels)
            if new is not None:
                self._wake(hints.BY_NAMESPACES, hints.anything_helps)

    def _node_changed(self, new: Encoded | None, old: Encoded | None) -> None:
        if new is None:
            if old is not None:
                self._snapshot.remove_node(old.name)
                self._wake((spread.PLUGIN,), hints.anything_helps)
            return
        self._snapshot.set_node(new.object)
        if old is None or hints.is_node_changed(new, old):
            self._wake(hints.BY_NODES, hints.node_helps(self._snapshot.places[new.name]))

    def _claim_changed(self, new: Encoded | None, old: Encoded | None) -> None:
        item = new or old
        if item is not None:
            self._binder.claim_changed(item)
            if new is not None:
                self._wake(hints.BY_VOLUMES, hints.claim_helps(new.namespace, new.name))

    def _volume_changed(self, new: Encoded | None, old: Encoded | None) -> None:
        if new is not None:
            self._binder.volume_changed(new)
            self._wake(hints.BY_VOLUMES, hints.anything_helps)

    def _class_changed(self, new: Encoded | None, old: Encoded | None) -> None:
        if new is not None:
            self._wake(hints.BY_VOLUMES, hints.anything_helps)

    def _pod_changed(self, new: Encoded | None, old: Encoded | None) -> None:
        item = new or old
        if item is None:
            return
        if new is not None and old is not None and old.uid != new.uid:
            # A name was given to another pod between two looks.
            self._pod_gone(old)
        if new is None or field_of(new, "status.phase") in FINAL_PHASES:
            self._pod_gone(item)
        elif node := field_of(new, "spec.nodeName"):
            self._pod_placed(new, node)
        elif field_of(new, "spec.schedulerName") in self._names:
            self._pod_waits(new)

    def _pod_gone(self, item: Encoded) -> None:
        entry = self._queue.remove(item.uid)
        if entry is not None:
            self._leave_nomination(entry)
        if self._snapshot.pod(item.uid) is not None:
            self.gone(item.uid)
            self.pod_left(item.uid)

    def _pod_placed(self, item: Encoded, node: str) -> None:
        entry = self._queue.remove(item.uid)
        if entry is not None:
            self._leave_nomination(entry)
        known = self._snapshot.pod(item.uid)
        demand = demand_of(item.object)
        if known is not None and self._snapshot.node_of(item.uid) == node and _is_same(known, demand):
            return
        self._snapshot.set_pod(demand, node)
        self.pod_arrived(demand)
        if known is not None:
            # It may have shrunk, lost a label, or begun to leave.
            place = self._snapshot.places.get(node)
            self._wake(hints.BY_PODS_GONE, hints.departure_helps(known, place))

    def _pod_waits(self, item: Encoded) -> None:
        if self._snapshot.pod(item.uid) is not None:
            return
        demand = demand_of(item.object)
        entry = self._queue.get(item.uid)
        if demand.terminating:
            if entry is not None:
                self._queue.remove(item.uid)
                self._leave_nomination(entry)
        elif entry is None:
            self._enter(item, demand)
        else:
            self._refresh(entry, item, demand)

    def _enter(self, item: Encoded, demand: Demand) -> None:
        if demand.gates:
            self._queue.hold(item, demand, _now())
            return
        self._queue.add(item, demand, _now())
        if demand.nominated:
            self._snapshot.nominate(demand, demand.nominated)
        self.changed.fire()

    def _refresh(self, entry: Waiting, item: Encoded, demand: Demand) -> None:
        """Take a new state of a waiting pod; whom it is nominated for, only we decide."""
        before = entry.demand
        demand.nominated = before.nominated
        entry.item, entry.demand = item, demand
        if (before.generation != demand.generation or before.labels != demand.labels) and not demand.gates:
            self._queue.activate(entry, _now())
            self.changed.fire()

    def _leave_nomination(self, entry: Waiting) -> None:
        pod = entry.demand
        if pod.nominated:
            self._snapshot.withdraw(pod.uid, pod.nominated)
            place = self._snapshot.places.get(pod.nominated)
            self._wake(hints.BY_PODS_GONE, hints.departure_helps(pod, place))

    def _wake(self, plugins: tuple[str, ...], helps: hints.Helps) -> None:
        if self._queue.wake(plugins, helps, _now()):
            self.changed.fire()


def _is_same(known: Demand, demand: Demand) -> bool:
    """Tell whether nothing has changed that the snapshot knows of a placed pod."""
    return (
        known.generation == demand.generation
        and known.terminating == demand.terminating
        and known.labels == demand.labels
    )


def _now() -> float:
    return asyncio.get_running_loop().time()


def _ignore(uid: str) -> None:
    """Do nothing about a pod that is gone."""
