"""The ReplicaSet controller, and the ReplicationController's, which is the same rule for another kind.

Pods are interchangeable: only their number matters, and when there are too many, which of them is missed least.
Source: pkg/controller/replicaset (v1.37).
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cmp_to_key, partial
from typing import Any, NamedTuple

from moorage.controllers.rule import Controller, Decision, View
from moorage.objects import pods as pod_facts
from moorage.objects.actions import Action, Create, Delete, Record, SetStatus
from moorage.objects.label_selectors import is_selected
from moorage.objects.metadata import (
    Object,
    Ref,
    annotations_of,
    controller_of,
    format_time,
    generation_of,
    is_controlled_by,
    is_terminating,
    labels_of,
    metadata_of,
    name_of,
    namespace_of,
    parse_time,
    uid_of,
)
from moorage.objects.workloads import (
    adopted,
    adoptions,
    is_adoptable,
    min_ready_seconds_of,
    owner_refs,
    pod_from,
    ref_of,
    release,
    replicas_of,
    template_of,
)

#: At most so many pods are created or deleted in one round. Source: BurstReplicas.
BURST = 500

#: The annotation that says how much a pod is missed, a 32-bit number. Source: core/v1 PodDeletionCost.
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"

_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}
_SPARSE = ("fullyLabeledReplicas", "readyReplicas", "availableReplicas")


class Flavour(NamedTuple):
    """Which of the two kinds. `selector_of` returns the LabelSelector of an object of the kind."""

    resource: str
    kind: str
    component: str
    selector_of: Callable[[Object], Object | None]
    counts_terminating: bool


REPLICA_SET = Flavour(
    resource="replicasets.apps",
    kind="ReplicaSet",
    component="replicaset-controller",
    selector_of=lambda workload: workload["spec"].get("selector"),
    counts_terminating=True,
)
REPLICATION_CONTROLLER = Flavour(
    resource="replicationcontrollers",
    kind="ReplicationController",
    component="replication-controller",
    selector_of=lambda workload: {"matchLabels": workload["spec"].get("selector") or {}},
    counts_terminating=False,
)


@dataclass(frozen=True, slots=True)
class Observed:
    """One set, the pods that it controls or may adopt, and how many related pods run on each node.

    crowds: by node; only known when there are pods to choose from for deletion.
    """

    workload: Object
    pods: Sequence[Object]
    crowds: Mapping[str, int]


def observe(flavour: Flavour, view: View, ref: Ref) -> Observed | None:
    """Select what matters to the set at `ref`."""
    workload = view.get(flavour.resource, ref.namespace, ref.name)
    if workload is None or not _selector_of(flavour, workload):
        return None
    pods = [pod for pod in view.owned("pods", uid_of(workload)) if is_controlled_by(pod, workload)]
    pods += [
        pod
        for pod in view.orphans("pods", ref.namespace)
        if _selects(flavour, workload, pod) and is_adoptable(pod, workload)
    ]
    active = sum(map(pod_facts.is_active, pods))
    crowds = _crowds(flavour, view, workload) if 0 < replicas_of(workload) < active else {}
    return Observed(workload, pods, crowds)


def decide(flavour: Flavour, observed: Observed, now: datetime) -> Decision:
    """Return what the set needs next."""
    workload = observed.workload
    membership, pods = _settle_pods(flavour, observed)
    active = [pod for pod in pods if pod_facts.is_active(pod)]
    surplus = len(active) - replicas_of(workload)
    changes: tuple[Action, ...] = ()
    if surplus and not is_terminating(workload):
        changes = _create(workload, -surplus) if surplus < 0 else _delete(observed, active, surplus, now)
    status = status_for(flavour, workload, pods, now)
    reason = "FailedCreate" if surplus < 0 else "FailedDelete"
    return Decision(
        (*membership, *changes, *_set_status(flavour, workload, status, reason, now)),
        look_again_in=pod_facts.first_available_in(active, min_ready_seconds_of(workload), now),
        because=f"{len(active)} of {replicas_of(workload)} pods are there",
    )


def status_for(flavour: Flavour, workload: Object, pods: Sequence[Object], now: datetime) -> dict[str, Any]:
    """Return the status, without the condition of a failure."""
    active = [pod for pod in pods if pod_facts.is_active(pod)]
    wanted = {"matchLabels": metadata_of(template_of(workload)).get("labels") or {}}
    seconds = min_ready_seconds_of(workload)
    counts = {
        "replicas": len(active),
        "fullyLabeledReplicas": sum(is_selected(wanted, labels_of(pod)) for pod in active),
        "readyReplicas": sum(map(pod_facts.is_ready, active)),
        "availableReplicas": sum(pod_facts.is_available(pod, seconds, now) for pod in active),
    }
    status: dict[str, Any] = {key: value for key, value in counts.items() if value or key not in _SPARSE}
    if flavour.counts_terminating:
        status["terminatingReplicas"] = sum(is_terminating(pod) and not pod_facts.is_finished(pod) for pod in pods)
    status["observedGeneration"] = generation_of(workload)
    if kept := [each for each in _conditions_of(workload) if each.get("type") != "ReplicaFailure"]:
        status["conditions"] = kept
    return status


def rank_for_deletion(pods: Iterable[Object], crowds: Mapping[str, int], now: datetime) -> list[Object]:
    """Return the pods, the one that is missed least first; the first difference decides.

    Not bound to a node, earlier phase, not ready, lower deletion cost, on a node with more of its kind, ready for a
    shorter time, more restarts, younger. Times count by their magnitude (a power of two), within it the uid decides,
    so that it is not always the youngest that goes. Source: controller_utils.go ActivePodsWithRanks.
    """
    return sorted(pods, key=cmp_to_key(partial(_compare, crowds, now)))


def _compare(crowds: Mapping[str, int], now: datetime, one: Object, other: Object) -> int:
    mine, theirs = _rank_before_times(crowds, one), _rank_before_times(crowds, other)
    if mine != theirs:
        return -1 if mine < theirs else 1
    if pod_facts.is_ready(one) and pod_facts.is_ready(other):
        ages = _compare_times(pod_facts.ready_since(one), pod_facts.ready_since(other), one, other, now)
        if ages:
            return ages
    restarts, others = pod_facts.restarts_of(one), pod_facts.restarts_of(other)
    if restarts != others:
        return -1 if restarts > others else 1
    return _compare_times(_created_at(one), _created_at(other), one, other, now)


def _rank_before_times(crowds: Mapping[str, int], pod: Object) -> tuple[bool, int, bool, int, int]:
    node = pod_facts.node_of(pod)
    phase = _PHASES.get(pod_facts.phase_of(pod), 0)
    return bool(node), phase, pod_facts.is_ready(pod), deletion_cost_of(pod), -crowds.get(node, 0)


def _compare_times(mine: datetime | None, theirs: datetime | None, one: Object, other: Object, now: datetime) -> int:
    """Compare the later time before the earlier one, by magnitude of age; no time at all comes first."""
    if mine == theirs:
        return 0
    if mine is None or theirs is None:
        return -1 if mine is None else 1
    ages = _magnitude(mine, now), _magnitude(theirs, now)
    if ages[0] != ages[1]:
        return -1 if ages[0] < ages[1] else 1
    return -1 if uid_of(one) < uid_of(other) else 1


def _magnitude(since: datetime, now: datetime) -> int:
    """Return the binary logarithm of an age in nanoseconds, -1 for what is in the future."""
    age = (now - since).total_seconds() * 1e9
    return int(math.log2(age)) if age > 0 else -1


def deletion_cost_of(pod: Object) -> int:
    """Return how much a pod is missed when it is deleted; what cannot be read counts as 0."""
    text = annotations_of(pod).get(DELETION_COST, "0")
    digits = text.removeprefix("-")
    if not digits.isdecimal() or (digits != "0" and digits.startswith("0")):
        return 0
    cost = int(text)
    return cost if -(2**31) <= cost < 2**31 else 0


def _created_at(pod: Object) -> datetime | None:
    text = metadata_of(pod).get("creationTimestamp")
    return parse_time(text) if text else None


def _crowds(flavour: Flavour, view: View, workload: Object) -> dict[str, int]:
    """Return how many active pods of all sets with this one's owner (of this set alone if it has none) each node has."""
    owner = controller_of(workload)
    family = [workload] if owner is None else view.owned(flavour.resource, str(owner["uid"]))
    crowds: dict[str, int] = {}
    for each in family:
        for pod in filter(pod_facts.is_active, view.owned("pods", uid_of(each))):
            node = pod_facts.node_of(pod)
            crowds[node] = crowds.get(node, 0) + 1
    return crowds


def _settle_pods(flavour: Flavour, observed: Observed) -> tuple[tuple[Action, ...], list[Object]]:
    """Return the adoptions and releases, and the pods that the set then has."""
    workload = observed.workload
    orphans = [pod for pod in observed.pods if controller_of(pod) is None]
    ours = [pod for pod in observed.pods if controller_of(pod) is not None]
    freed = [pod for pod in ours if not _selects(flavour, workload, pod)]
    actions: tuple[Action, ...] = adoptions("pods", flavour.resource, workload, orphans)
    actions += tuple(release("pods", pod, workload) for pod in freed if not is_terminating(workload))
    kept = [pod for pod in ours if _selects(flavour, workload, pod)]
    return actions, kept + [adopted(pod, workload) for pod in orphans]


def _create(workload: Object, missing: int) -> tuple[Create, ...]:
    made = pod_from(template_of(workload), workload)
    done = (Record(workload, "SuccessfulCreate", "Created pod: {name}"),)
    failed = (Record(workload, "FailedCreate", "Error creating: {error}", kind="Warning"),)
    return (Create("pods", made, done=done, failed=failed, together=True),) * min(missing, BURST)


def _delete(observed: Observed, active: Sequence[Object], surplus: int, now: datetime) -> tuple[Delete, ...]:
    workload = observed.workload
    victims = active
    if surplus < len(active):
        victims = rank_for_deletion(active, observed.crowds, now)
    failed = (Record(workload, "FailedDelete", "Error deleting: {error}", kind="Warning"),)
    return tuple(
        Delete(
            ref_of("pods", pod),
            done=(Record(workload, "SuccessfulDelete", f"Deleted pod: {name_of(pod)}"),),
            failed=failed,
            together=True,
        )
        for pod in victims[: min(surplus, BURST)]
    )


def _set_status(
    flavour: Flavour, workload: Object, status: dict[str, Any], reason: str, now: datetime
) -> tuple[SetStatus, ...]:
    """Return the write of the status: after a refusal with a condition that says so, which stays while it lasts."""
    stored = workload.get("status") or {}
    standing = [each for each in _conditions_of(workload) if each.get("type") == "ReplicaFailure"]
    failure = standing or [
        {
            "type": "ReplicaFailure",
            "status": "True",
            "lastTransitionTime": format_time(now),
            "reason": reason,
            "message": "{error}",
        }
    ]
    when_failed = {**status, "conditions": [*status.get("conditions", ()), *failure]}
    return (
        SetStatus(
            flavour.resource,
            {**workload, "status": status},
            when_failed=None if when_failed == stored else when_failed,
            unchanged=status == stored,
        ),
    )


def _conditions_of(workload: Object) -> Sequence[Object]:
    return (workload.get("status") or {}).get("conditions") or ()


def _selector_of(flavour: Flavour, workload: Object) -> Object | None:
    """Return the selector, None for one that would take everything."""
    selector = flavour.selector_of(workload) or {}
    return selector if selector.get("matchLabels") or selector.get("matchExpressions") else None


def _selects(flavour: Flavour, workload: Object, pod: Object) -> bool:
    return is_selected(_selector_of(flavour, workload), labels_of(pod))


def _wakes(flavour: Flavour, view: View, pod: Object) -> Iterable[Ref]:
    """Return the sets that a pod concerns: its controller, or those that might adopt it."""
    if controller_of(pod) is not None:
        return owner_refs(flavour.resource, flavour.kind, pod)
    return [
        Ref(flavour.resource, namespace_of(each), name_of(each))
        for each in view.list(flavour.resource, namespace_of(pod))
        if _selects(flavour, each, pod)
    ]


def _controller(flavour: Flavour) -> Controller:
    return Controller(
        name=flavour.component,
        kind=flavour.resource,
        wakes={"pods": partial(_wakes, flavour)},
        observe=partial(observe, flavour),
        decide=partial(decide, flavour),
    )


CONTROLLER = _controller(REPLICA_SET)
REPLICATION = _controller(REPLICATION_CONTROLLER)
