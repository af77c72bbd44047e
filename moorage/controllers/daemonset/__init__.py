"""The DaemonSet controller: a pod on every node that the template takes.

`observe` selects the nodes, pods and revisions of one set, `decide` says which nodes it runs on (`placement`), which
pods come and go (`rollout`), and which revisions of the template there are (`revisions`).
How often pods of a node failed is remembered, as upstream does: it waits longer each time before the next one.
Source: pkg/controller/daemon (v1.37).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from moorage.controllers.daemonset import revisions, rollout
from moorage.controllers.daemonset.placement import fit_of, pod_for, pods_by_node
from moorage.controllers.daemonset.rollout import Situation, Step
from moorage.controllers.rule import Controller, Decision, View
from moorage.objects import pods as pod_facts
from moorage.objects.actions import Action, Create, Delete, Record, SetStatus
from moorage.objects.label_selectors import selects
from moorage.objects.metadata import (
    Object,
    Ref,
    controller_of,
    generation_of,
    is_controlled_by,
    is_terminating,
    name_of,
    namespace_of,
    revision_of,
    uid_of,
)
from moorage.objects.workloads import (
    adopted,
    adoptions,
    is_adoptable,
    min_ready_seconds_of,
    owner_refs,
    ref_of,
    release,
    sort_revisions,
)

RESOURCE: Final = "daemonsets.apps"

#: How long a node with a failed pod waits for the next one, in seconds: first, and at most.
BACKOFF_FIRST: Final = 1.0
BACKOFF_MOST: Final = 900.0


@dataclass(frozen=True, slots=True)
class Observed:
    """A set (None: it is gone, as `ref` says), all nodes, and its pods and revisions with those that it may adopt.

    taken: revisions by name that stand in the way of a new one.
    """

    ref: Ref
    workload: Object | None
    nodes: Sequence[Object] = ()
    pods: Sequence[Object] = ()
    revisions: Sequence[Object] = ()
    taken: Mapping[str, Object] | None = None


class Failures:
    """When pods of a node failed last, and how long to wait after that."""

    def __init__(self) -> None:
        self._nodes: dict[str, tuple[datetime, float]] = {}

    def wait(self, node: str, now: datetime) -> float:
        """Return the seconds that the node still has to wait; 0 notes one more failure."""
        at, delay = self._nodes.get(node, (now, 0.0))
        passed = (now - at).total_seconds()
        if passed < delay:
            return delay - passed
        if passed > 2 * BACKOFF_MOST:
            delay = 0.0
        self._nodes[node] = (now, min(BACKOFF_MOST, 2 * delay or BACKOFF_FIRST))
        return 0.0


class DaemonSets:
    """Decides about DaemonSets, and remembers failures by set."""

    def __init__(self) -> None:
        #: (namespace, name) -> uid of the set, and the failures on its nodes.
        self._failures: dict[tuple[str, str], tuple[str, Failures]] = {}

    def observe(self, view: View, ref: Ref) -> Observed | None:
        """Select what matters to the set at `ref`."""
        workload = view.get(RESOURCE, ref.namespace, ref.name)
        if workload is None:
            return Observed(ref, None) if (ref.namespace, ref.name) in self._failures else None
        if is_terminating(workload):
            return None
        history = sort_revisions(_members(view, workload, revisions.RESOURCE))
        taken = revisions.find_taken(view, workload, history)
        return Observed(ref, workload, view.list("nodes"), list(_members(view, workload, "pods")), history, taken)

    def decide(self, observed: Observed, now: datetime) -> Decision:
        """Return what the set needs next."""
        key = (observed.ref.namespace, observed.ref.name)
        if observed.workload is None:
            self._failures.pop(key, None)
            return Decision(because="the set is gone")
        uid, failures = self._failures.get(key, ("", Failures()))
        if uid != uid_of(observed.workload):
            failures = Failures()
        self._failures[key] = (uid_of(observed.workload), failures)
        return decide(observed, observed.workload, failures, now)

    def controller(self) -> Controller:
        """Return the controller that this is the rule of."""
        return Controller(
            name="daemonset-controller",
            kind=RESOURCE,
            wakes={"pods": _wakes_for_pod, "nodes": _wakes_for_node},
            reads=(revisions.RESOURCE,),
            observe=self.observe,
            decide=self.decide,
        )


def decide(observed: Observed, workload: Object, failures: Failures, now: datetime) -> Decision:
    """Return what a set needs next."""
    selector = workload["spec"].get("selector") or {}
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        text = "This daemon set is selecting all pods. A non-empty selector is required."
        return Decision((Record(workload, "SelectingAll", text, kind="Warning"),), because=text)
    membership, pods = _settle_pods(workload, observed.pods)
    adoption, history = _settle_revisions(workload, observed.revisions)
    chosen = revisions.choose_revisions(workload, history, observed.taken or {})
    situation = Situation(workload, chosen.hashed, observed.nodes, pods_by_node(pods), now)
    step = rollout.manage(situation, lambda node: failures.wait(node, now))
    if not step.nodes and not step.condemned:
        step = rollout.roll(situation)._replace(told=step.told, look_again_in=step.look_again_in)
    available_in = pod_facts.first_available_in(pods, min_ready_seconds_of(workload), now)
    waits = [wait for wait in (step.look_again_in, available_in) if wait is not None]
    return Decision(
        (
            *membership,
            *adoption,
            *chosen.actions,
            *step.told,
            *_perform(workload, chosen.hashed, step),
            *_set_status(workload, situation, chosen.collisions),
            *revisions.forget_history(workload, chosen.old, pods),
        ),
        look_again_in=min(waits, default=None),
        because=f"{len(step.nodes)} nodes get a pod, {len(step.condemned)} pods go",
    )


def _perform(workload: Object, hashed: str, step: Step) -> Iterator[Action]:
    made = (Record(workload, "SuccessfulCreate", "Created pod: {name}"),)
    refused = (Record(workload, "FailedCreate", "Error creating: {error}", kind="Warning"),)
    for node in step.nodes:
        yield Create("pods", pod_for(workload, node, hashed), done=made, failed=refused, together=True)
    kept = (Record(workload, "FailedDelete", "Error deleting: {error}", kind="Warning"),)
    for pod in step.condemned:
        done = (Record(workload, "SuccessfulDelete", f"Deleted pod: {name_of(pod)}"),)
        yield Delete(ref_of("pods", pod), done=done, failed=kept, together=True)


def _set_status(workload: Object, situation: Situation, collisions: int | None) -> tuple[SetStatus, ...]:
    """Return the write of the status; conditions that others put there stay."""
    stored = workload.get("status") or {}
    status: dict[str, Any] = {**rollout.status_for(situation), "observedGeneration": generation_of(workload)}
    if collisions is not None:
        status["collisionCount"] = collisions
    if "conditions" in stored:
        status["conditions"] = stored["conditions"]
    if status == stored:
        return ()
    return (SetStatus(RESOURCE, {**workload, "status": status}, when_failed=status),)


def _members(view: View, workload: Object, resource: str) -> Iterator[Object]:
    """Yield what the set controls, and the orphans that it would adopt."""
    yield from (each for each in view.owned(resource, uid_of(workload)) if is_controlled_by(each, workload))
    for each in view.orphans(resource, namespace_of(workload)):
        if selects(workload, each) and is_adoptable(each, workload):
            yield each


def _settle_pods(workload: Object, found: Iterable[Object]) -> tuple[tuple[Action, ...], list[Object]]:
    """Return the adoptions and releases, and the pods that the set then has."""
    found = list(found)
    orphans = [pod for pod in found if controller_of(pod) is None]
    ours = [pod for pod in found if controller_of(pod) is not None]
    actions: tuple[Action, ...] = adoptions("pods", RESOURCE, workload, orphans)
    actions += tuple(release("pods", pod, workload) for pod in ours if not selects(workload, pod))
    return actions, [pod for pod in ours if selects(workload, pod)] + [adopted(pod, workload) for pod in orphans]


def _settle_revisions(workload: Object, found: Sequence[Object]) -> tuple[tuple[Action, ...], list[Object]]:
    orphans = [each for each in found if controller_of(each) is None]
    history = [each if controller_of(each) else adopted(each, workload) for each in found]
    return adoptions(revisions.RESOURCE, RESOURCE, workload, orphans), history


def _wakes_for_pod(view: View, pod: Object) -> Iterable[Ref]:
    """Return the sets that a pod concerns: its controller, or those that might adopt it."""
    if controller_of(pod) is not None:
        return owner_refs(RESOURCE, "DaemonSet", pod)
    return [
        Ref(RESOURCE, namespace_of(each), name_of(each))
        for each in view.list(RESOURCE, namespace_of(pod))
        if selects(each, pod)
    ]


def _wakes_for_node(view: View, node: Object) -> Iterable[Ref]:
    """Return the sets for which a node is another than it was, or that have not seen to it.

    Nodes change all the time; most of that concerns no set.
    """
    sets = view.list(RESOURCE)
    if not sets:
        return []
    present = view.get("nodes", "", name_of(node))
    owners = set()
    if present is not None and revision_of(present) == revision_of(node):
        pods = view.indexed("pods", "spec.nodeName", name_of(node))
        owners = {str((controller_of(pod) or {}).get("uid")) for pod in pods}
    return [
        Ref(RESOURCE, namespace_of(each), name_of(each)) for each in sets if _is_concerned(each, node, present, owners)
    ]


def _is_concerned(workload: Object, node: Object, present: Object | None, owners: set[str]) -> bool:
    fit = fit_of(workload, node)
    if present is None:
        return fit.runs or fit.stays
    if revision_of(present) != revision_of(node):
        return fit != fit_of(workload, present)
    return fit.runs != (uid_of(workload) in owners)
