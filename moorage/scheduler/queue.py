"""Pods that wait to be placed: those whose turn it is, those that back off, and those that wait for the world to change.

Pure: time comes as an argument, in seconds of any monotonic clock. Higher priority first, then who has waited longest.
Source: pkg/scheduler/backend/queue (v1.37).
"""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from moorage.aio.backoff import Backoff
from moorage.objects.encoded import Encoded
from moorage.scheduler.demand import Demand

#: How long a pod that was refused waits at least before it is looked at again, while others wait.
BACKOFF: Final = Backoff(first=1.0, most=10.0)

#: After so long a pod is looked at again without anything having changed. Source: DefaultPodMaxInUnschedulablePodsDuration.
FLUSH_SECONDS: Final = 300.0


@dataclass(slots=True, eq=False)
class Waiting:
    """A pod in the queue.

    plugins: who refused it last (empty: nobody, something failed); since: when it came, until: its back-off's end.
    """

    item: Encoded
    demand: Demand
    since: float
    number: int
    attempts: int = 0
    plugins: frozenset[str] = frozenset()
    refused_at: float = 0.0
    until: float = 0.0
    state: str = ""
    failed: bool = False

    def rank(self) -> tuple[int, float, int]:
        """Return the order among pods whose turn it is."""
        return -self.demand.priority, self.since, self.number


class PodQueue:
    """Every pod at most once, by uid."""

    def __init__(self) -> None:
        self._pods: dict[str, Waiting] = {}
        self._active: list[tuple[tuple[int, float, int], int, Waiting]] = []
        self._resting: list[tuple[float, int, Waiting]] = []
        self._pending: dict[str, Waiting] = {}
        self._by_plugin: dict[str, dict[str, Waiting]] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._pods)

    def is_idle(self) -> bool:
        """Tell whether no pod is ready to be placed; pods may rest or wait for a change."""
        return not any(entry.state == "active" for _, _, entry in self._active)

    def get(self, uid: str) -> Waiting | None:
        """Return the entry of a pod, None if it does not wait."""
        return self._pods.get(uid)

    def add(self, item: Encoded, demand: Demand, now: float) -> Waiting:
        """Take a pod in whose turn it is."""
        self._count += 1
        entry = self._pods[demand.uid] = Waiting(item, demand, now, self._count)
        self._activate(entry)
        return entry

    def hold(self, item: Encoded, demand: Demand, now: float) -> Waiting:
        """Take a pod in that must not be placed yet (it has scheduling gates)."""
        self._count += 1
        entry = self._pods[demand.uid] = Waiting(item, demand, now, self._count, state="gated")
        return entry

    def remove(self, uid: str) -> Waiting | None:
        """Let a pod go; None if it does not wait."""
        entry = self._pods.pop(uid, None)
        if entry is not None:
            entry.state = "gone"
            self._forget_pending(entry)
        return entry

    def pop(self, now: float) -> Waiting | None:
        """Return the pod whose turn it is, None if none is ready. It stays known until `remove`, `refuse` or `retry`.

        When nobody else is ready, a refused pod need not rest to the end.
        """
        self._wake_rested(now)
        while self._active:
            _, _, entry = heapq.heappop(self._active)
            if entry.state == "active":
                entry.state = "flight"
                entry.attempts += 1
                return entry
        return self._pop_resting()

    def refuse(self, entry: Waiting, plugins: Iterable[str], now: float) -> None:
        """Have a pod wait until something changes that may help it."""
        if entry.state == "gone":
            return
        entry.plugins = frozenset(plugins)
        entry.refused_at, entry.failed = now, False
        entry.until = now + BACKOFF.delay(entry.attempts)
        entry.state = "pending"
        self._pending[entry.demand.uid] = entry
        for plugin in entry.plugins:
            self._by_plugin.setdefault(plugin, {})[entry.demand.uid] = entry

    def retry(self, entry: Waiting, now: float) -> None:
        """Have a pod tried again after its back-off, because something failed that says nothing about it."""
        if entry.state == "gone":
            return
        self._forget_pending(entry)
        entry.failed, entry.refused_at = True, now
        entry.until = now + BACKOFF.delay(max(1, entry.attempts))
        self._rest(entry)

    def readmit(self, entry: Waiting, now: float) -> None:
        """Take a pod back that had a node already and lost it again."""
        if entry.demand.uid not in self._pods:
            entry.state = "flight"
            self._pods[entry.demand.uid] = entry
            self.retry(entry, now)

    def wake(self, plugins: Iterable[str], helps: Callable[[Waiting], bool], now: float) -> bool:
        """Have those tried again that one of `plugins` refused and that `helps` names; tell whether there were any."""
        chosen: dict[str, Waiting] = {}
        for plugin in plugins:
            for uid, entry in self._by_plugin.get(plugin, {}).items():
                if uid not in chosen and helps(entry):
                    chosen[uid] = entry
        for entry in chosen.values():
            self._release(entry, now)
        return bool(chosen)

    def activate(self, entry: Waiting, now: float) -> None:
        """Have a pod tried again, because it has changed itself."""
        if entry.state == "gated":
            self._activate(entry)
        elif entry.state == "pending":
            self._release(entry, now)

    def flush(self, now: float) -> None:
        """Release those who have waited for too long, whatever happened."""
        while self._pending:
            oldest = next(iter(self._pending.values()))
            if oldest.refused_at + FLUSH_SECONDS > now:
                return
            self._release(oldest, now)

    def next_at(self) -> float | None:
        """Return when time alone brings the next pod its turn, None if it never does."""
        while self._resting and self._resting[0][2].state != "resting":
            heapq.heappop(self._resting)
        rests = self._resting[0][0] if self._resting else None
        # In the order of their refusal: the first is the oldest.
        oldest = next(iter(self._pending.values()), None)
        if oldest is None:
            return rests
        flush = oldest.refused_at + FLUSH_SECONDS
        return flush if rests is None else min(rests, flush)

    def _release(self, entry: Waiting, now: float) -> None:
        self._forget_pending(entry)
        if entry.until > now:
            self._rest(entry)
        else:
            self._activate(entry)

    def _forget_pending(self, entry: Waiting) -> None:
        uid = entry.demand.uid
        if self._pending.pop(uid, None) is None:
            return
        for plugin in entry.plugins:
            waiting = self._by_plugin[plugin]
            del waiting[uid]
            if not waiting:
                del self._by_plugin[plugin]

    def _activate(self, entry: Waiting) -> None:
        entry.state = "active"
        self._count += 1
        heapq.heappush(self._active, (entry.rank(), self._count, entry))

    def _rest(self, entry: Waiting) -> None:
        entry.state = "resting"
        self._count += 1
        heapq.heappush(self._resting, (entry.until, self._count, entry))

    def _wake_rested(self, now: float) -> None:
        while self._resting and self._resting[0][0] <= now:
            entry = heapq.heappop(self._resting)[2]
            if entry.state == "resting":
                self._activate(entry)

    def _pop_resting(self) -> Waiting | None:
        """Return the pod that has rested longest; not one whose last try failed, which must rest."""
        kept = []
        found = None
        while self._resting and found is None:
            row = heapq.heappop(self._resting)
            entry = row[2]
            if entry.state != "resting":
                continue
            if entry.failed:
                kept.append(row)
            else:
                found = entry
        for row in kept:
            heapq.heappush(self._resting, row)
        if found is not None:
            found.state = "flight"
            found.attempts += 1
        return found
