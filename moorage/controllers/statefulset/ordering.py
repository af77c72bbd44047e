"""Which pod of a StatefulSet may be created, repaired or deleted next. The rule that makes a StatefulSet what it is.

Pure, and about nothing but order: it knows pods as `Replica`, a handful of facts, and answers with steps.
Three stages, each only if the one before does not stop: keep the wanted pods, remove the condemned ones (scaling goes
before updating), replace the outdated ones. An ordered set stops at the first pod that is not there, not available or
on its way out, and does one thing at a time; a parallel one does all that is due.
Source: pkg/controller/statefulset/stateful_set_control.go (v1.37) updateStatefulSet, processReplica, processCondemned.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from moorage.objects.metadata import Object


class Verb(Enum):
    """What a step does to the pod at an ordinal."""

    CREATE = "create"  # the pod, and its claims before it
    HEAL = "heal"  # create the claims that a pending pod misses
    REPAIR = "repair"  # the pod's identity and volumes, and the owners of its claims
    RETAIN = "retain"  # the owners of a condemned pod's claims
    DELETE = "delete"  # the pod
    REPLACE = "replace"  # delete the pod, so that it comes back at the update revision


class Replica(NamedTuple):
    """A pod and its ordinal. `pod` is None where it has yet to be created; `revision` then is the one to create it at.

    misses_claims: a claim that it mounts does not exist.
    has_stale_claim: a claim still belongs to a predecessor of that name and goes with it.
    is_sound: its labels, volumes and the owners of its claims are as they should be.
    """

    ordinal: int
    revision: str
    pod: Object | None = None
    is_ready: bool = False
    is_available: bool = False
    is_terminating: bool = False
    is_finished: bool = False
    is_pending: bool = False
    misses_claims: bool = False
    has_stale_claim: bool = False
    is_sound: bool = True

    @property
    def is_unavailable(self) -> bool:
        """Whether it does not serve, or soon will not."""
        return not self.is_available or self.is_terminating


@dataclass(frozen=True, slots=True)
class Plan:
    """What the set asks for.

    partition: ordinals below `start + partition` keep the current revision. `updates` is False for OnDelete.
    max_unavailable: how many pods may be unavailable because of an update.
    """

    replicas: int
    update_revision: str
    start: int = 0
    ordered: bool = True
    updates: bool = True
    partition: int = 0
    max_unavailable: int = 1

    @property
    def ordinals(self) -> range:
        """The ordinals that should exist."""
        return range(self.start, self.start + self.replicas)


class Step(NamedTuple):
    """One thing to do now. `why` completes the sentence "delete web-2, …"."""

    verb: Verb
    replica: Replica
    why: str = ""


class Steps(NamedTuple):
    """What is due now, in order; `waits` says what the rest waits for, "" if for nothing."""

    due: tuple[Step, ...] = ()
    waits: str = ""


class _Stage(NamedTuple):
    """What a stage found; `stops` ends the round for an ordered set."""

    due: tuple[Step, ...] = ()
    stops: bool = False
    waits: str = ""


def next_steps(plan: Plan, wanted: Sequence[Replica], condemned: Sequence[Replica]) -> Steps:
    """Return the steps that are allowed now.

    `wanted` has one replica for each of `plan.ordinals`, ascending; `condemned` are all other pods, descending.
    """
    due: tuple[Step, ...] = ()
    waits = ""
    stages: tuple[Callable[[], _Stage], ...] = (
        lambda: keep_wanted(plan, wanted),
        lambda: remove_condemned(plan, condemned, _first_unavailable(wanted, condemned)),
        lambda: replace_outdated(plan, wanted),
    )
    for find in stages:
        stage = find()
        due += stage.due
        waits = waits or stage.waits
        if stage.stops:
            break
    return Steps(due, waits)


def keep_wanted(plan: Plan, wanted: Iterable[Replica]) -> _Stage:
    """Create what is missing and keep what is there in order, lowest ordinal first."""
    return _walk(plan, wanted, _keep)


def remove_condemned(plan: Plan, condemned: Sequence[Replica], first_unavailable: Replica | None) -> _Stage:
    """Delete the pods outside the wanted range, highest ordinal first; their claims get their last owners before."""
    retained = tuple(Step(Verb.RETAIN, each) for each in condemned if not each.is_sound)
    stage = _walk(plan, condemned, lambda plan, each: _remove(plan, each, first_unavailable))
    return stage._replace(due=retained + stage.due)


def replace_outdated(plan: Plan, wanted: Sequence[Replica]) -> _Stage:
    """Delete pods of another revision, highest ordinal first, as far as availability allows; they come back updated.

    A parallel set first deletes the outdated pods that do not serve anyway, so that a broken revision can be left.
    """
    if not plan.updates:
        return _Stage()
    candidates = [each for each in reversed(wanted) if _is_outdated(plan, each)]
    unavailable = sum(each.is_unavailable for each in wanted)
    budget = max(0, plan.max_unavailable - unavailable)
    if plan.ordered:
        chosen = candidates[:budget]
    else:
        broken = [each for each in candidates if not each.is_available]
        chosen = broken + [each for each in candidates if each.is_available][:budget]
    due = tuple(Step(Verb.REPLACE, each, "its revision is not the update revision") for each in chosen)
    waits = f"{unavailable} unavailable before it updates more" if len(candidates) > len(chosen) and not due else ""
    return _Stage(due, waits=waits)


def _walk(plan: Plan, replicas: Iterable[Replica], visit: Callable[[Plan, Replica], _Stage]) -> _Stage:
    """Visit the replicas in turn; an ordered set ends at the first one that stops it."""
    due: tuple[Step, ...] = ()
    waits = ""
    for replica in replicas:
        stage = visit(plan, replica)
        due += stage.due
        waits = waits or stage.waits
        if stage.stops and plan.ordered:
            return _Stage(due, stops=True, waits=waits)
    return _Stage(due, waits=waits)


def _keep(plan: Plan, replica: Replica) -> _Stage:
    if replica.pod is None:
        if replica.has_stale_claim:
            return _Stage(stops=True, waits=f"a claim of the former pod {replica.ordinal} to be deleted")
        return _Stage((Step(Verb.CREATE, replica, "it is missing"),), stops=True)
    if replica.is_finished:
        due = () if replica.is_terminating else (Step(Verb.DELETE, replica, "it has ended"),)
        return _Stage(due, stops=True, waits=f"the ended pod {replica.ordinal} to be gone")
    heal = (Step(Verb.HEAL, replica, "a claim is missing"),) if replica.is_pending and replica.misses_claims else ()
    if plan.ordered and (replica.is_terminating or not replica.is_available):
        return _Stage(heal, stops=True, waits=_waits_for(replica))
    repair = () if replica.is_sound else (Step(Verb.REPAIR, replica, "it does not match the set"),)
    return _Stage(heal + repair)


def _remove(plan: Plan, replica: Replica, first_unavailable: Replica | None) -> _Stage:
    if replica.is_terminating:
        return _Stage(stops=True, waits=f"pod {replica.ordinal} to be gone")
    if plan.ordered and not replica.is_available and replica is not first_unavailable:
        blocker = first_unavailable or replica
        return _Stage(stops=True, waits=_waits_for(blocker))
    return _Stage((Step(Verb.DELETE, replica, "the set was scaled down"),), stops=True)


def _is_outdated(plan: Plan, replica: Replica) -> bool:
    return (
        replica.pod is not None
        and replica.ordinal >= plan.start + plan.partition
        and replica.revision != plan.update_revision
        and not replica.is_terminating
    )


def _first_unavailable(wanted: Sequence[Replica], condemned: Sequence[Replica]) -> Replica | None:
    """Return the unavailable pod of the lowest ordinal, a wanted one before any condemned one."""
    candidates = (*wanted, *reversed(condemned))
    return next((each for each in candidates if each.is_unavailable), None)


def _waits_for(replica: Replica) -> str:
    if replica.pod is None:
        return f"pod {replica.ordinal} to be created"
    if replica.is_terminating:
        return f"pod {replica.ordinal} to be gone"
    return f"pod {replica.ordinal} to become {'available' if replica.is_ready else 'ready'}"
