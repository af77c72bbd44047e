"""What really happened in a simulated cluster, read from the store's log alone, beside all caches and watches.

A `Step` is one change of one object; `History` folds them into the newest state and asks every invariant about each.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from moorage.objects.metadata import Object, name_of, namespace_of
from moorage.store.store import Change, Store

#: How many steps are kept for the report of a failure.
STEPS_KEPT: Final = 60

_NOTHING: Mapping[tuple[str, str], Object] = {}


class Violation(Exception):
    """Something happened that must never happen."""


class Step(NamedTuple):
    """An object before and after a change: None where it does not exist. `at` is in virtual seconds."""

    at: float
    revision: int
    resource: str
    before: Object | None
    after: Object | None

    @property
    def object(self) -> Object:
        """The object, as far as there is one: after the change, else before."""
        found = self.after if self.after is not None else self.before
        return found if found is not None else {}

    def text(self) -> str:
        """Return the step in a line."""
        verb = "created" if self.before is None else "deleted" if self.after is None else "changed"
        return f"{self.at:9.3f} s  {self.revision:5}  {self.resource} {namespace_of(self.object)}/{name_of(self.object)} {verb}"


#: Called with the state before the step and the step; a text says what is wrong with it.
Check = Callable[["History", Step], str | None]


class History:
    """Every object's newest state, by resource (`pods`, `statefulsets`), and the steps that led there."""

    def __init__(self, store: Store, now: Callable[[], float], checks: Mapping[str, Check]) -> None:
        self.steps: deque[Step] = deque(maxlen=STEPS_KEPT)
        self.violations: list[str] = []
        self.count = 0
        #: The uids of objects whose user let go of them: see invariants.HOLD.
        self.released: set[str] = set()
        #: Called after each step with it.
        self.listeners: list[Callable[[Step], None]] = []
        self._store = store
        self._now = now
        self._checks = checks
        self._objects: dict[str, dict[tuple[str, str], Object]] = {}
        self._revision = store.revision()
        self._digest = hashlib.sha256()
        self.follow()

    def follow(self) -> None:
        """Follow the store from here on: again when all its listeners were lost in a crash."""
        self._store.changed.subscribe(self._pull)

    @property
    def revision(self) -> int:
        """The revision of the newest step."""
        return self._revision

    @property
    def digest(self) -> str:
        """A fingerprint of everything that happened: equal runs have equal ones."""
        return self._digest.hexdigest()[:16]

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        """Return the newest state of an object."""
        return self._objects.get(resource, _NOTHING).get((namespace, name))

    def all(self, resource: str) -> Sequence[Object]:
        """Return all objects of a resource, by namespace and name."""
        objects = self._objects.get(resource, _NOTHING)
        return [objects[key] for key in sorted(objects)]

    def everything(self) -> Iterable[tuple[str, Object]]:
        """Yield every object with its resource."""
        for resource in sorted(self._objects):
            for obj in self.all(resource):
                yield resource, obj

    def raise_violation(self) -> None:
        """Raise Violation if anything happened that must not."""
        if self.violations:
            raise Violation(self.violations[0])

    def _pull(self) -> None:
        while changes := self._store.changes(self._revision):
            for change in changes:
                self._take(change)

    def _take(self, change: Change) -> None:
        if change.revision != self._revision + 1:
            self.violations.append(f"The log has no revision {self._revision + 1}: {change.revision} follows.")
        self._revision = change.revision
        resource = change.key.split("/", 2)[1]
        step = Step(self._now(), change.revision, resource, _decoded(change.previous), _decoded(change.value))
        told = orjson.dumps([step.at, change.key, step.after], option=orjson.OPT_SORT_KEYS)
        self._digest.update(told)
        for sentence, check in self._checks.items():
            if problem := check(self, step):
                self.violations.append(f"{sentence} But: {problem}.\n{step.text()}")
        self._apply(step)
        for listener in self.listeners:
            listener(step)

    def _apply(self, step: Step) -> None:
        objects = self._objects.setdefault(step.resource, {})
        key = (namespace_of(step.object), name_of(step.object))
        if step.after is None:
            objects.pop(key, None)
        else:
            objects[key] = step.after
        self.steps.append(step)
        self.count += 1


def _decoded(value: bytes | None) -> Any:
    return None if value is None else orjson.loads(value)
