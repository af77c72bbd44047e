"""The Deployment controller: from one pod template to the next, through ReplicaSets.

`observe` selects the ReplicaSets of one Deployment, `decide` says which of them is new or must be made
(`replica_sets`), how large each should be (`rollout`), and what the Deployment reports (`status`).
Each round takes one step: it makes the new ReplicaSet, or sets its annotations right, or changes sizes.
Source: pkg/controller/deployment (v1.37).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from moorage.controllers.deployment import replica_sets, rollout
from moorage.controllers.deployment import status as report
from moorage.controllers.deployment.replica_sets import RESOURCE as SETS
from moorage.controllers.deployment.replica_sets import Sets
from moorage.controllers.rule import Controller, Decision, View
from moorage.objects import pods as pod_facts
from moorage.objects.actions import Action, Patch, SetStatus
from moorage.objects.label_selectors import selects
from moorage.objects.metadata import (
    Object,
    Ref,
    annotations_of,
    controller_of,
    is_controlled_by,
    is_terminating,
    name_of,
    namespace_of,
    uid_of,
)
from moorage.objects.workloads import adopted, adoptions, is_adoptable, owner_refs, ref_of, release

RESOURCE = "deployments.apps"


@dataclass(frozen=True, slots=True)
class Observed:
    """One Deployment, the ReplicaSets that it controls or may adopt, and what stands in the way of a new one.

    taken: names that a new ReplicaSet cannot have. old_pods_run: a pod of an old ReplicaSet has not ended (only known
    for Recreate).
    """

    workload: Object
    replica_sets: Sequence[Object]
    taken: frozenset[str]
    old_pods_run: bool


class Step(NamedTuple):
    """What a round does to ReplicaSets, and the sets as they will be; `is_rollout` is False for a mere change of size."""

    sets: Sets
    actions: tuple[Action, ...] = ()
    collisions: int | None = None
    is_made: bool = False
    is_rollout: bool = True
    because: str = ""


def observe(view: View, ref: Ref) -> Observed | None:
    """Select what matters to the Deployment at `ref`."""
    workload = view.get(RESOURCE, ref.namespace, ref.name)
    if workload is None or not workload["spec"].get("selector"):
        return None
    owned = [each for each in view.owned(SETS, uid_of(workload)) if is_controlled_by(each, workload)]
    owned += [
        each for each in view.orphans(SETS, ref.namespace) if selects(workload, each) and is_adoptable(each, workload)
    ]
    sets = replica_sets.split(workload, owned)
    taken = replica_sets.find_taken(view, workload) if sets.new is None else frozenset()
    run = not replica_sets.is_rolling(workload) and _runs_pods(view, sets.old)
    return Observed(workload, owned, taken, run)


def decide(observed: Observed, now: datetime) -> Decision:
    """Return the next step of the rollout."""
    workload = observed.workload
    membership, sets = _settle_sets(observed)
    step = _next_step(observed, sets)
    conditions = _conditions_for(workload, step, now)
    counters = report.counters_for(workload, step.sets, step.collisions)
    conditions = report.set_condition(conditions, report.availability(workload, step.sets, now))
    if step.is_rollout:
        conditions = report.rollout_conditions(workload, step.sets, counters, conditions, now)
    status = {**counters, "conditions": list(conditions)}
    return Decision(
        (*membership, *step.actions, *_set_status(workload, step, status, now), *_set_revision(workload, step.sets)),
        look_again_in=report.stuck_in(workload, conditions, now),
        because=step.because,
    )


def _next_step(observed: Observed, sets: Sets) -> Step:
    """Return the step that is due: the first that applies."""
    workload = observed.workload
    stored = workload.get("status") or {}
    plain = Step(sets, collisions=stored.get("collisionCount"))
    if is_terminating(workload):
        return plain._replace(is_rollout=False, because="the deployment is being deleted")
    if (fresh := replica_sets.refresh(workload, sets)) is not None:
        renewed = sets._replace(new=fresh.obj)
        return plain._replace(sets=renewed, actions=(fresh,), because="the annotations of the new replica set change")
    if workload["spec"].get("paused") or rollout.is_scaled(workload, sets):
        forgotten = replica_sets.forget(workload, sets.old) if workload["spec"].get("paused") else ()
        step = _resized(observed, plain, rollout.scale(workload, sets), "the size of the deployment changed")
        return step._replace(actions=(*step.actions, *forgotten), is_rollout=False)
    if not replica_sets.is_rolling(workload):
        stopped = _resized(observed, plain, rollout.stop_old(sets), "old pods go before new ones come")
        if stopped.actions:
            return stopped
        if observed.old_pods_run or replica_sets.count(sets.old, "replicas"):
            return plain._replace(because="waiting for old pods to end")
    if sets.new is None:
        return _make(observed, plain)
    step = _resized(observed, plain, rollout.roll(workload, sets), "the new replica set takes over")
    if not step.actions and report.is_complete(workload, stored):
        return step._replace(actions=replica_sets.forget(workload, sets.old), because="the rollout is complete")
    return step


def _make(observed: Observed, plain: Step) -> Step:
    workload, sets = observed.workload, plain.sets
    size = rollout.size_of_new(workload, sets)
    made, collisions, create = replica_sets.make(workload, sets, observed.taken, size)
    because = f"there is no replica set for the template yet: {name_of(made)}"
    return Step(sets._replace(new=made), (create,), collisions, is_made=True, because=because)


def _resized(observed: Observed, plain: Step, sizes: rollout.Sizes, because: str) -> Step:
    """Return the step that gives ReplicaSets these sizes."""
    workload, sets = observed.workload, plain.sets
    changed: dict[str, Any] = {}
    for each in sets.all:
        name = name_of(each)
        if name in sizes and (update := replica_sets.resize(workload, each, sizes[name])) is not None:
            changed[name] = update
    if not changed:
        return plain._replace(because="nothing to do")

    def after(each: Object) -> Object:
        update = changed.get(name_of(each))
        return each if update is None else update.obj

    new = None if sets.new is None else after(sets.new)
    return plain._replace(sets=Sets(new, tuple(map(after, sets.old))), actions=tuple(changed.values()), because=because)


def _conditions_for(workload: Object, step: Step, now: datetime) -> report.Conditions:
    """Return the stored conditions, with what this round adds before anything is counted."""
    conditions: report.Conditions = tuple((workload.get("status") or {}).get("conditions") or ())
    if is_terminating(workload):
        return conditions
    conditions = report.pause_conditions(workload, conditions, now)
    if report.deadline_of(workload) is None or step.sets.new is None:
        return conditions
    name = name_of(step.sets.new)
    if step.is_made:
        text = f'Created new replica set "{name}"'
        return report.set_condition(
            conditions, report.condition("Progressing", "True", "NewReplicaSetCreated", text, now)
        )
    if not any(each.get("type") == "Progressing" for each in conditions):
        text = f'Found new replica set "{name}"'
        return report.set_condition(
            conditions, report.condition("Progressing", "True", "FoundNewReplicaSet", text, now)
        )
    return conditions


def _set_status(workload: Object, step: Step, status: dict[str, Any], now: datetime) -> tuple[SetStatus, ...]:
    """Return the write of the status; a ReplicaSet that cannot be made is told as a condition."""
    when_failed = None
    stored = workload.get("status") or {}
    if step.is_made and step.sets.new is not None and report.deadline_of(workload) is not None:
        text = f'Failed to create new replica set "{name_of(step.sets.new)}": {{error}}'
        failure = report.condition("Progressing", "False", "ReplicaSetCreateError", text, now)
        conditions = report.set_condition(tuple(stored.get("conditions") or ()), failure)
        failed = {**stored, "conditions": list(conditions)}
        when_failed = None if failed == stored else failed
    return (SetStatus(RESOURCE, {**workload, "status": status}, when_failed, unchanged=status == stored),)


def _set_revision(workload: Object, sets: Sets) -> tuple[Patch, ...]:
    """Return the patch by which the Deployment names the revision of its new ReplicaSet."""
    if sets.new is None:
        return ()
    revision = annotations_of(sets.new).get(replica_sets.REVISION)
    if revision is None or annotations_of(workload).get(replica_sets.REVISION) == revision:
        return ()
    return (
        Patch(ref_of(RESOURCE, workload), {"metadata": {"annotations": {replica_sets.REVISION: revision}}}, "status"),
    )


def _settle_sets(observed: Observed) -> tuple[tuple[Action, ...], Sets]:
    """Return the adoptions and releases, and the ReplicaSets that the Deployment then has."""
    workload = observed.workload
    orphans = [each for each in observed.replica_sets if controller_of(each) is None]
    ours = [each for each in observed.replica_sets if controller_of(each) is not None]
    freed = [each for each in ours if not selects(workload, each)]
    actions: tuple[Action, ...] = adoptions(SETS, RESOURCE, workload, orphans)
    actions += tuple(release(SETS, each, workload) for each in freed if not is_terminating(workload))
    kept = [each for each in ours if selects(workload, each)]
    return actions, replica_sets.split(workload, kept + [adopted(each, workload) for each in orphans])


def _runs_pods(view: View, old: Iterable[Object]) -> bool:
    return any(not pod_facts.is_finished(pod) for each in old for pod in view.owned("pods", uid_of(each)))


def _wakes_for_set(view: View, replica_set: Object) -> Iterable[Ref]:
    """Return the Deployments that a ReplicaSet concerns: its controller, or those that might adopt it."""
    if controller_of(replica_set) is not None:
        return owner_refs(RESOURCE, "Deployment", replica_set)
    return [
        Ref(RESOURCE, namespace_of(each), name_of(each))
        for each in view.list(RESOURCE, namespace_of(replica_set))
        if selects(each, replica_set)
    ]


def _wakes_for_pod(view: View, pod: Object) -> Iterable[Ref]:
    """Return the Deployment of a pod if it waits for pods to end."""
    for owner in owner_refs(SETS, "ReplicaSet", pod):
        replica_set = view.get(SETS, owner.namespace, owner.name)
        for ref in owner_refs(RESOURCE, "Deployment", replica_set) if replica_set is not None else ():
            workload = view.get(RESOURCE, ref.namespace, ref.name)
            if workload is not None and not replica_sets.is_rolling(workload):
                yield ref


CONTROLLER = Controller(
    name="deployment-controller",
    kind=RESOURCE,
    wakes={SETS: _wakes_for_set, "pods": _wakes_for_pod},
    observe=observe,
    decide=decide,
)
