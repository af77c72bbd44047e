"""The disruption controller: how many pods under a PodDisruptionBudget may be evicted now.

It only counts; the eviction subresource of pods reads the count, takes from it and notes whom it let go
(`status.disruptedPods`) until this rule sees the pod going.
Source: pkg/controller/disruption/disruption.go (v1.37).
Differs from Kubernetes: the scale of custom resources is not asked for; pods that one of them controls are told as pods
without a controller that is known.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from moorage.controllers.rule import Controller, Decision, View
from moorage.objects import pods as pod_facts
from moorage.objects.actions import Action, Patch, Record, SetStatus
from moorage.objects.label_selectors import is_selected
from moorage.objects.metadata import (
    Object,
    Ref,
    condition_of,
    controller_of,
    format_time,
    generation_of,
    is_condition_true,
    is_terminating,
    labels_of,
    metadata_of,
    name_of,
    namespace_of,
    parse_time,
    uid_of,
)
from moorage.objects.workloads import percent_of, ref_of, replicas_of, with_condition

RESOURCE: Final = "poddisruptionbudgets.policy"

#: An evicted pod that does not go within this time counts as healthy again. Source: DeletionTimeout.
DELETION_SECONDS: Final = 120
#: A pod that was about to be disrupted and still is there after this time no longer says so.
STALE_SECONDS: Final = 120

#: (group, kind) -> resource of the controllers whose scale is known.
_SCALED: Final = {
    ("", "ReplicationController"): "replicationcontrollers",
    ("apps", "ReplicaSet"): "replicasets.apps",
    ("apps", "Deployment"): "deployments.apps",
    ("apps", "StatefulSet"): "statefulsets.apps",
}
#: Controllers of pods that have no scale.
_UNSCALED: Final = {("apps", "DaemonSet"): "daemonsets.apps", ("batch", "Job"): "jobs.batch"}


class Family(NamedTuple):
    """A controller of pods and how many it wants; `problem` says why that is not known."""

    uid: str
    scale: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Observed:
    """A budget, the pods under it, and by pod name the family of each that has a controller."""

    budget: Object
    pods: Sequence[Object]
    families: Mapping[str, Family]


class Count(NamedTuple):
    """How many pods are expected, how many must stay healthy, which pods nobody controls, and what is not known."""

    expected: int
    desired: int
    unmanaged: tuple[str, ...] = ()
    problem: str = ""


class Disrupted(NamedTuple):
    """Pods that were let go and are still there, by name with the time; those that never went; when to look again."""

    pending: Mapping[str, str]
    stuck: tuple[Object, ...]
    look_again_in: float | None


def observe(view: View, ref: Ref) -> Observed | None:
    """Select what matters to the budget at `ref`."""
    budget = view.get(RESOURCE, ref.namespace, ref.name)
    if budget is None:
        return None
    pods = [pod for pod in view.list("pods", ref.namespace) if _covers(budget, pod)]
    families = {name_of(pod): _family_of(view, pod) for pod in pods if controller_of(pod) is not None}
    return Observed(budget, pods, families)


def decide(observed: Observed, now: datetime) -> Decision:
    """Count what may be disrupted."""
    budget, pods = observed.budget, observed.pods
    count = count_pods(observed)
    told: tuple[Action, ...] = ()
    if not pods:
        told = (Record(budget, "NoPods", "No matching pods found"),)
    if count.problem:
        text = f"Failed to calculate the number of expected pods: {count.problem}"
        told += (Record(budget, "CalculateExpectedPodCountFailed", text, kind="Warning"),)
        return Decision((*told, *_fail_safe(budget, count.problem, now)), because=count.problem)
    if count.unmanaged:
        told += (_unmanaged(budget, count.unmanaged),)
    disrupted = find_disrupted(budget, pods, now)
    where = f"{namespace_of(budget)}/{name_of(budget)}"
    text = f"Pod was expected by PDB {where} to be deleted but it wasn't"
    told += tuple(Record(pod, "NotDeleted", text, kind="Warning") for pod in disrupted.stuck)
    status = status_for(observed, count, disrupted.pending, now)
    return Decision(
        (*told, *_set_status(budget, status)),
        look_again_in=disrupted.look_again_in,
        because=f"{status['currentHealthy']} of {status['expectedPods']} pods are healthy",
    )


def count_pods(observed: Observed) -> Count:
    """Return how many pods the budget expects, and how many of them it wants healthy."""
    spec, pods = observed.budget["spec"], observed.pods
    most, least = spec.get("maxUnavailable"), spec.get("minAvailable")
    if most is None and (least is None or isinstance(least, int)):
        return Count(len(pods), int(least or 0)) if least is not None else Count(0, 0)
    unmanaged = tuple(name_of(pod) for pod in pods if name_of(pod) not in observed.families)
    problem = next((each.problem for each in observed.families.values() if each.problem), "")
    if problem:
        return Count(0, 0, unmanaged, problem)
    expected = sum({each.uid: each.scale for each in observed.families.values()}.values())
    if most is not None:
        return Count(expected, max(0, expected - percent_of(most, expected, up=True)), unmanaged)
    return Count(expected, percent_of(least, expected, up=True), unmanaged)


def find_disrupted(budget: Object, pods: Iterable[Object], now: datetime) -> Disrupted:
    """Tell which pods are on their way out although they do not show it yet."""
    noted: Mapping[str, str] = (budget.get("status") or {}).get("disruptedPods") or {}
    pending: dict[str, str] = {}
    stuck = []
    waits = []
    for pod in pods:
        since = noted.get(name_of(pod))
        if since is None or is_terminating(pod):
            continue
        left = (parse_time(since) + timedelta(seconds=DELETION_SECONDS) - now).total_seconds()
        if left < 0:
            stuck.append(pod)
        else:
            pending[name_of(pod)] = since
            waits.append(left)
    return Disrupted(pending, tuple(stuck), min(waits, default=None))


def status_for(observed: Observed, count: Count, pending: Mapping[str, str], now: datetime) -> dict[str, Any]:
    """Return the complete status."""
    budget = observed.budget
    healthy = sum(
        pod_facts.is_ready(pod) and not is_terminating(pod) and name_of(pod) not in pending for pod in observed.pods
    )
    allowed = max(0, healthy - count.desired) if count.expected > 0 else 0
    status: dict[str, Any] = {
        "disruptionsAllowed": allowed,
        "currentHealthy": healthy,
        "desiredHealthy": count.desired,
        "expectedPods": count.expected,
        "observedGeneration": generation_of(budget),
    }
    if pending:
        status["disruptedPods"] = dict(pending)
    reason = "SufficientPods" if allowed > 0 else "InsufficientPods"
    return status | {"conditions": _conditions(budget, reason, "", now)}


def _fail_safe(budget: Object, problem: str, now: datetime) -> tuple[SetStatus, ...]:
    """Return the write after which nothing may be disrupted."""
    stored = budget.get("status") or {}
    zeros = dict.fromkeys(("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"), 0)
    conditions = _conditions(budget, "SyncFailed", problem, now)
    status = {**zeros, **stored, "disruptionsAllowed": 0, "conditions": conditions}
    return _set_status(budget, status)


def _conditions(budget: Object, reason: str, message: str, now: datetime) -> list[Object]:
    stored = (budget.get("status") or {}).get("conditions") or ()
    condition = {
        "type": "DisruptionAllowed",
        "status": "True" if reason == "SufficientPods" else "False",
        "observedGeneration": generation_of(budget),
        "lastTransitionTime": format_time(now),
        "reason": reason,
        "message": message,
    }
    if reason == "SyncFailed":
        condition["observedGeneration"] = int((budget.get("status") or {}).get("observedGeneration") or 0)
    return with_condition(stored, {key: value for key, value in condition.items() if value != 0})


def _set_status(budget: Object, status: dict[str, Any]) -> tuple[SetStatus, ...]:
    if status == budget.get("status"):
        return ()
    return (SetStatus(RESOURCE, {**budget, "status": status}),)


def _unmanaged(budget: Object, names: Sequence[str]) -> Record:
    spec = budget["spec"].get("selector") or {}
    text = (
        f"Pods selected by this PodDisruptionBudget (selector: {_shown(spec)}) were found to be unmanaged. As a result, "
        "the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for "
        'these pods please set ".spec.minAvailable" field of the PDB to an integer value.'
    )
    return Record(budget, "UnmanagedPods", text, kind="Warning")


def _shown(selector: Object) -> str:
    """Return a LabelSelector as Go prints it."""
    labels = "".join(f"{key}: {value}," for key, value in sorted((selector.get("matchLabels") or {}).items()))
    requirements = "".join(
        f"LabelSelectorRequirement{{Key:{each['key']},Operator:{each['operator']},"
        f"Values:[{' '.join(each.get('values') or ())}],}},"
        for each in selector.get("matchExpressions") or ()
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{requirements}}},}}"
    )


def _family_of(view: View, pod: Object) -> Family:
    """Return the controller of a pod with its scale; a Deployment stands for its ReplicaSets."""
    owner = controller_of(pod) or {}
    lost = Family("", problem=f'found no controllers for pod "{name_of(pod)}"')
    family = _scale_of(view, namespace_of(pod), owner, lost)
    if isinstance(family, Family):
        return family
    above = controller_of(family)
    if above is not None and above.get("kind") == "Deployment":
        deployment = _scale_of(view, namespace_of(pod), above, lost)
        return deployment if isinstance(deployment, Family) else Family(uid_of(deployment), replicas_of(deployment))
    return Family(uid_of(family), replicas_of(family))


def _scale_of(view: View, namespace: str, owner: Object, lost: Family) -> Object | Family:
    """Return the object that an owner reference names, or the family that says why it has no scale."""
    group = str(owner.get("apiVersion") or "").rpartition("/")[0]
    key = (group, str(owner.get("kind")))
    if key in _UNSCALED:
        return lost._replace(problem=f"{_UNSCALED[key]} does not implement the scale subresource")
    if key not in _SCALED:
        return lost
    found = view.get(_SCALED[key], namespace, str(owner.get("name")))
    return found if found is not None and uid_of(found) == owner.get("uid") else lost


def _covers(budget: Object, pod: Object) -> bool:
    return is_selected(budget["spec"].get("selector"), labels_of(pod))


def _wakes(view: View, pod: Object) -> Iterable[Ref]:
    return [
        Ref(RESOURCE, namespace_of(each), name_of(each))
        for each in view.list(RESOURCE, namespace_of(pod))
        if _covers(each, pod)
    ]


def observe_stale(view: View, ref: Ref) -> Object | None:
    """Select a pod that says it is about to be disrupted, and is not being deleted."""
    pod = view.get("pods", ref.namespace, ref.name) if ref.resource == "pods" else None
    if pod is None or is_terminating(pod) or pod_facts.is_finished(pod):
        return None
    return pod if is_condition_true(pod, "DisruptionTarget") else None


def decide_stale(pod: Object, now: datetime) -> Decision:
    """Take the announcement back when it did not come true."""
    condition = condition_of(pod, "DisruptionTarget") or {}
    since = condition.get("lastTransitionTime")
    left = STALE_SECONDS if since is None else STALE_SECONDS - (now - parse_time(since)).total_seconds()
    if left > 0:
        return Decision(look_again_in=left, because="the pod should be going")
    changed = {"type": "DisruptionTarget", "status": "False", "lastTransitionTime": format_time(now)}
    conditions = [
        changed if each.get("type") == "DisruptionTarget" else each for each in pod["status"].get("conditions") or ()
    ]
    guard = {"resourceVersion": metadata_of(pod).get("resourceVersion")}
    patch = Patch(ref_of("pods", pod), {"metadata": guard, "status": {"conditions": conditions}}, "status")
    return Decision((patch,), because="the disruption of the pod did not happen")


def _announced(view: View, pod: Object) -> Iterable[Ref]:
    """Return the pod itself if it says that it is about to be disrupted: most pods wake nobody."""
    return (Ref("pods", namespace_of(pod), name_of(pod)),) if is_condition_true(pod, "DisruptionTarget") else ()


CONTROLLER = Controller(
    name="controllermanager",
    kind=RESOURCE,
    wakes={"pods": _wakes},
    reads=tuple(_SCALED.values()),
    observe=observe,
    decide=decide,
)
STALE_CONTROLLER = Controller(
    name="controllermanager",
    kind=RESOURCE,
    wakes={"pods": _announced},
    observe=observe_stale,
    decide=decide_stale,
    sweeps=True,
)
