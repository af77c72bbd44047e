"""Kubernetes Events as client-go's recorder writes them: repeated ones are counted, similar ones combined, floods cut.

Recording never waits and never fails: what does not fit the queue or cannot be written is dropped with a log line.
Source: client-go tools/record events_cache.go, event.go (v1.37).
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Generic, NamedTuple, TypeVar

from moorage.aio.backoff import Backoff
from moorage.aio.clock import Clock
from moorage.client.client import Client, Target
from moorage.objects.actions import Record
from moorage.objects.errors import NotFound, StatusError
from moorage.objects.metadata import format_time, metadata_of, name_of, namespace_of, uid_of

log = logging.getLogger(__name__)

#: How many Events may wait to be written. Source: record.maxQueuedEvents.
QUEUE_MOST: Final = 1000
#: How many objects and texts are remembered. Source: maxLruCacheEntries.
REMEMBERED_MOST: Final = 4096
#: A source may write so many Events about one object at once, then one in REFILL_SECONDS. Source: defaultSpamBurst, QPS.
BURST: Final = 25
REFILL_SECONDS: Final = 300.0
#: So many Events that differ in their text alone are combined, if they follow within SIMILAR_SECONDS.
SIMILAR_MOST: Final = 10
SIMILAR_SECONDS: Final = 600.0
#: How often a broken connection is tried again before an Event is dropped.
TRIES: Final = 4
RETRY: Final = Backoff(first=0.5, most=10.0)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """A mapping that forgets what was not used for longest."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._items: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        """Return the value, None if there is none, and keep it for longer."""
        if key in self._items:
            self._items.move_to_end(key)
        return self._items.get(key)

    def set(self, key: K, value: V) -> None:
        """Remember a value."""
        self._items[key] = value
        self._items.move_to_end(key)
        if len(self._items) > self._most:
            self._items.popitem(last=False)

    def drop(self, key: K) -> None:
        """Forget a value."""
        self._items.pop(key, None)


class Subject(NamedTuple):
    """Whom an Event is about, and who wrote it."""

    component: str
    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    path: str = ""


class Group(NamedTuple):
    """What similar Events have in common."""

    subject: Subject
    type: str
    reason: str


class Text(NamedTuple):
    """One text of a group; `combined` stands for all of them."""

    group: Group
    message: str
    combined: bool = False


@dataclass(slots=True)
class Bucket:
    """Tokens of a source about an object."""

    tokens: float
    at: datetime


@dataclass(slots=True)
class Similar:
    """The texts of a group within its interval."""

    at: datetime
    messages: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Written:
    """An Event that was written, and how often it was counted."""

    name: str
    namespace: str
    count: int
    first: str


class Correlator:
    """Decides what becomes of an Event. Knows no clock and no client."""

    def __init__(self) -> None:
        self._buckets: Recent[Subject, Bucket] = Recent(REMEMBERED_MOST)
        self._similar: Recent[Group, Similar] = Recent(REMEMBERED_MOST)

    def text_for(self, group: Group, message: str, now: datetime) -> Text | None:
        """Return the text under which the Event is counted, None if its source floods."""
        similar = self._similar.get(group)
        if similar is None or (now - similar.at).total_seconds() > SIMILAR_SECONDS:
            similar = Similar(now)
        similar.at = now
        similar.messages.add(message)
        self._similar.set(group, similar)
        combined = len(similar.messages) >= SIMILAR_MOST
        if combined:
            similar.messages.pop()
        if not self._takes(group.subject, now):
            return None
        return Text(group, f"(combined from similar events): {message}" if combined else message, combined)

    def _takes(self, subject: Subject, now: datetime) -> bool:
        bucket = self._buckets.get(subject) or Bucket(BURST, now)
        bucket.tokens = min(BURST, bucket.tokens + (now - bucket.at).total_seconds() / REFILL_SECONDS)
        bucket.at = now
        self._buckets.set(subject, bucket)
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True


class Recorder:
    """Takes Records and writes Events behind the caller's back, in order."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._correlator = Correlator()
        self._written: Recent[tuple[Group, str], Written] = Recent(REMEMBERED_MOST)
        self._queue: asyncio.Queue[tuple[Record, str, datetime]] = asyncio.Queue(QUEUE_MOST)
        self._last_name = 0

    def record(self, record: Record, component: str) -> None:
        """Have an Event written in the name of a component ("statefulset-controller")."""
        try:
            self._queue.put_nowait((record, component, self._clock.now()))
        except asyncio.QueueFull:
            log.warning("event_dropped reason=%s object=%s why=queue_full", record.reason, name_of(record.regarding))

    async def run(self) -> None:
        """Write what was recorded, until cancelled."""
        while True:
            record, component, at = await self._queue.get()
            try:
                await self._write(record, component, at)
            except (StatusError, ConnectionError, TimeoutError) as error:
                log.info("event_dropped reason=%s object=%s why=%s", record.reason, name_of(record.regarding), error)
            finally:
                self._queue.task_done()

    async def flushed(self) -> None:
        """Return once all that was recorded has been written or dropped."""
        await self._queue.join()

    async def _write(self, record: Record, component: str, at: datetime) -> None:
        group = Group(_subject_of(record, component), record.kind, record.reason)
        text = self._correlator.text_for(group, record.message, at)
        if text is None:
            return
        key = (group, "" if text.combined else text.message)
        known = self._written.get(key)
        if known is not None and await self._count(known, text, at):
            return
        event = _event_for(record, component, text.message, at, self._name_for(record, at))
        answer = await self._patiently(lambda: self._client.create("events", event))
        made = Written(name_of(answer), namespace_of(answer), 1, event["firstTimestamp"])
        self._written.set(key, made)

    async def _count(self, known: Written, text: Text, at: datetime) -> bool:
        """Count a known Event once more; False if it has expired meanwhile."""
        target = Target("events", known.namespace, known.name)
        patch = {"count": known.count + 1, "lastTimestamp": format_time(at), "message": text.message}
        try:
            await self._patiently(lambda: self._client.patch(target, patch))
        except NotFound:
            return False
        known.count += 1
        return True

    async def _patiently(self, ask: Any) -> Any:
        for failures in range(1, TRIES):
            try:
                return await ask()
            except (ConnectionError, TimeoutError):
                await asyncio.sleep(RETRY.delay(failures))
        return await ask()

    def _name_for(self, record: Record, at: datetime) -> str:
        """Return `<object>.<nanoseconds in hex>`, later than any name before."""
        moment = int(at.timestamp() * 1_000_000) * 1000
        self._last_name = max(moment, self._last_name + 1)
        return f"{name_of(record.regarding)}.{self._last_name:x}"


def _subject_of(record: Record, component: str) -> Subject:
    about = record.regarding
    return Subject(
        component,
        about.get("apiVersion", ""),
        about.get("kind", ""),
        namespace_of(about),
        name_of(about),
        uid_of(about),
        record.path,
    )


def _event_for(record: Record, component: str, message: str, at: datetime, name: str) -> dict[str, Any]:
    about, when = record.regarding, format_time(at)
    involved = {
        "kind": about.get("kind"),
        "namespace": namespace_of(about),
        "name": name_of(about),
        "uid": uid_of(about),
        "apiVersion": about.get("apiVersion"),
        "resourceVersion": metadata_of(about).get("resourceVersion"),
        "fieldPath": record.path,
    }
    event: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": namespace_of(about) or "default"},
        "involvedObject": {key: value for key, value in involved.items() if value},
        "reason": record.reason,
        "message": message,
        "source": {"component": component, **({"host": record.host} if record.host else {})},
        "firstTimestamp": when,
        "lastTimestamp": when,
        "count": 1,
        "type": record.kind,
        "reportingComponent": component,
        "reportingInstance": record.host,
    }
    if record.action:
        event["action"] = record.action
    return event
