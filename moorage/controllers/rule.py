"""The shape of every controller: observe what matters, decide as a pure function.

A controller module has two public functions, `observe(view, ref)` and `decide(observed, now)`, and one constant
`CONTROLLER` that ties them to the kind and to what wakes it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from moorage.objects.actions import Action
from moorage.objects.metadata import Object, Ref


@dataclass(frozen=True)
class Index:
    """A way to look objects up: `name` tells indexes of a resource apart, `values_of` says where an object belongs."""

    name: str
    values_of: Callable[[Object], Iterable[str]]


class View(Protocol):
    """A read-only view of the caches. Objects are decoded, shared and read-only. Costs are those of the result."""

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        """Return one object, None if it is not in the cache."""

    def list(self, resource: str, namespace: str = "") -> Sequence[Object]:
        """Return all objects, or those of one namespace, by name."""

    def owned(self, resource: str, uid: str) -> Sequence[Object]:
        """Return the objects that have an owner reference to `uid`, by name."""

    def orphans(self, resource: str, namespace: str) -> Sequence[Object]:
        """Return the objects of the namespace that no controller owns, by name: candidates for adoption."""

    def indexed(self, resource: str, label: str, value: str) -> Sequence[Object]:
        """Return the objects whose field selector label (`spec.nodeName`, …) has this value, by name."""

    def matching(self, resource: str, index: Index, value: str) -> Sequence[Object]:
        """Return the objects that an index of ours has under this value, by name."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What should change now, and when to look again.

    actions:       performed in order; the first failure ends the round (the next one sees the truth).
    look_again_in: seconds after which time alone may change the answer; None if only changes can.
    because:       one sentence for the story and the log: "waiting for web-1 to become available".
    """

    actions: tuple[Action, ...] = ()
    look_again_in: float | None = None
    because: str = ""


@dataclass(frozen=True, slots=True)
class Controller:
    """A rule, tied to what it decides about.

    name:    as Kubernetes names the source of its Events: "statefulset-controller".
    kind:    the resource whose objects it decides about.
    wakes:   resource -> which refs of `kind` a change of that object concerns. Called with the new object, and with the
             old one where there is one. `kind` itself need not be listed.
    reads:   further resources that `observe` looks at, whose changes wake nobody.
    observe: selects from the view; None means that there is nothing to decide (the object is gone).
    decide:  chooses, as a pure function of what was observed and of the time.
    sweeps:  whether, at the start, every object of `wakes` wakes as if it had just changed (for rules that decide about
             objects of other resources than `kind`).
    """

    name: str
    kind: str
    wakes: Mapping[str, Callable[[View, Object], Iterable[Ref]]]
    observe: Callable[[View, Ref], Any]
    decide: Callable[[Any, datetime], Decision]
    reads: tuple[str, ...] = ()
    sweeps: bool = False
