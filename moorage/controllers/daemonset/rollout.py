"""Which daemon pods come and go: one on each node that the set runs on, and new ones in place of old ones.

Source: pkg/controller/daemon/{daemon_controller,update}.go (v1.37).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from moorage.controllers.daemonset.placement import POD_GENERATION, fit_of, generation_of_template
from moorage.objects import pods as pod_facts
from moorage.objects.actions import Record
from moorage.objects.metadata import Object, is_terminating, labels_of, name_of, namespace_of
from moorage.objects.workloads import POD_REVISION, created_order, min_ready_seconds_of, percent_of

#: So many pods are made or deleted in one round at most. Source: BurstReplicas.
BURST: Final = 250


class Step(NamedTuple):
    """Nodes that get a pod, pods that go, what is told before, and when to look again."""

    nodes: tuple[str, ...] = ()
    condemned: tuple[Object, ...] = ()
    told: tuple[Record, ...] = ()
    look_again_in: float | None = None


class Pair(NamedTuple):
    """The pods of a node by whether they are up to date; `is_clear` is False if there are several of one sort."""

    new: Object | None
    old: Object | None
    is_clear: bool


@dataclass(frozen=True, slots=True)
class Situation:
    """A set, the hash of its template, all nodes, and its pods by node."""

    workload: Object
    hashed: str
    nodes: Sequence[Object]
    pods: Mapping[str, Sequence[Object]]
    now: datetime

    def is_updated(self, pod: Object) -> bool:
        """Tell whether the pod was made from the present template."""
        labels = labels_of(pod)
        number = generation_of_template(self.workload)
        return labels.get(POD_REVISION) == self.hashed or (bool(number) and labels.get(POD_GENERATION) == number)

    def is_available(self, pod: Object) -> bool:
        """Tell whether the pod has been ready for long enough."""
        return pod_facts.is_available(pod, min_ready_seconds_of(self.workload), self.now)

    def running_nodes(self) -> list[str]:
        """Return the names of the nodes that the set runs on."""
        return [name_of(node) for node in self.nodes if fit_of(self.workload, node).runs]


def manage(situation: Situation, wait_for: Callable[[str], float]) -> Step:
    """Return the pods that nodes miss or have too many of. `wait_for` is the back-off of a node with a failed pod."""
    missing: list[str] = []
    condemned: list[Object] = []
    told: list[Record] = []
    waits: list[float] = []
    known = set()
    for node in situation.nodes:
        name = name_of(node)
        known.add(name)
        pods = situation.pods.get(name)
        fit = fit_of(situation.workload, node)
        if fit.runs and pods is None:
            missing.append(name)
        elif pods is not None and fit.stays:
            step = _tidy(situation, name, pods, wait_for)
            condemned += step.condemned
            told += step.told
            waits += [step.look_again_in] if step.look_again_in else []
        elif pods is not None:
            condemned += [pod for pod in pods if not is_terminating(pod)]
    for name, pods in situation.pods.items():
        if name not in known:
            condemned += [pod for pod in pods if not pod_facts.node_of(pod) and not is_terminating(pod)]
    return Step(tuple(missing[:BURST]), tuple(condemned[:BURST]), tuple(told), min(waits, default=None))


def roll(situation: Situation) -> Step:
    """Return the next step of a rolling update; to be asked once `manage` has nothing to do."""
    strategy = situation.workload["spec"].get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return Step()
    desired = situation.running_nodes()
    surge, unavailable = limits_of(situation.workload, len(desired))
    places = dict.fromkeys(desired, ()) | dict(situation.pods)
    pairs = {name: _pair(situation, pods) for name, pods in sorted(places.items())}
    return _surge(situation, pairs, surge) if surge else _replace(situation, pairs, unavailable)


def limits_of(workload: Object, desired: int) -> tuple[int, int]:
    """Return how many nodes may have a second pod, and how many none, while pods are updated; never both zero."""
    rolling = (workload["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
    surge = percent_of(rolling.get("maxSurge", 0), desired, up=True)
    unavailable = percent_of(rolling.get("maxUnavailable", 1), desired, up=True)
    return surge, unavailable if surge or unavailable or not desired else 1


def status_for(situation: Situation) -> dict[str, Any]:
    """Return the counters of the status; the oldest pod stands for its node."""
    counts = dict.fromkeys(_COUNTERS, 0)
    for node in situation.nodes:
        pods = sorted(situation.pods.get(name_of(node)) or (), key=_oldest_first)
        if not fit_of(situation.workload, node).runs:
            counts["numberMisscheduled"] += bool(pods)
            continue
        counts["desiredNumberScheduled"] += 1
        if pods:
            counts["currentNumberScheduled"] += 1
            counts["numberReady"] += pod_facts.is_ready(pods[0])
            counts["numberAvailable"] += situation.is_available(pods[0])
            counts["updatedNumberScheduled"] += situation.is_updated(pods[0])
    counts["numberUnavailable"] = counts["desiredNumberScheduled"] - counts["numberAvailable"]
    return {name: number for name, number in counts.items() if number or name not in _SPARSE}


_SPARSE: Final = ("updatedNumberScheduled", "numberAvailable", "numberUnavailable")
_COUNTERS: Final = (
    "currentNumberScheduled",
    "numberMisscheduled",
    "desiredNumberScheduled",
    "numberReady",
    *_SPARSE,
)


def _tidy(situation: Situation, node: str, pods: Sequence[Object], wait_for: Callable[[str], float]) -> Step:
    """Return which pods of a node that keeps them must go: ended ones, and those that are too many."""
    condemned: list[Object] = []
    told: list[Record] = []
    running: list[Object] = []
    wait = None
    for pod in pods:
        if is_terminating(pod):
            continue
        where = f"daemon pod {namespace_of(pod)}/{name_of(pod)} on node {node}"
        if pod_facts.is_failed(pod):
            wait = wait_for(node) or wait
            if not wait:
                text = f"Found failed {where}, will try to kill it"
                told.append(Record(situation.workload, "FailedDaemonPod", text, kind="Warning"))
                condemned.append(pod)
        elif pod_facts.is_succeeded(pod):
            text = f"Found succeeded {where}, will try to delete it"
            told.append(Record(situation.workload, "SucceededDaemonPod", text))
            condemned.append(pod)
        else:
            running.append(pod)
    condemned += _surplus(situation, sorted(running, key=_oldest_first))
    return Step((), tuple(condemned), tuple(told), wait)


def _surplus(situation: Situation, running: Sequence[Object]) -> list[Object]:
    """Return the pods of a node that are too many, of those that run there, oldest first."""
    if len(running) <= 1:
        return []
    surge, _ = limits_of(situation.workload, 1)
    if not surge or (situation.workload["spec"].get("updateStrategy") or {}).get("type") == "OnDelete":
        return list(running[1:])
    new = [pod for pod in running if labels_of(pod).get(POD_REVISION) == situation.hashed]
    old = [pod for pod in running if labels_of(pod).get(POD_REVISION) != situation.hashed]
    surplus = [*new[1:], *old[1:]]
    if new and old and (not pod_facts.is_ready(old[0]) or situation.is_available(new[0])):
        surplus.append(old[0])
    return surplus


def _replace(situation: Situation, pairs: Mapping[str, Pair], most: int) -> Step:
    """Return the old pods that may go now: all that are not available, others while few nodes are without one."""
    unavailable = 0
    due: list[Object] = []
    candidates: list[Object] = []
    for pair in pairs.values():
        if not pair.is_clear or (pair.new is None) == (pair.old is None):
            unavailable += 1
        elif pair.new is not None:
            unavailable += not situation.is_available(pair.new)
        elif pair.old is not None:
            (candidates if situation.is_available(pair.old) else due).append(pair.old)
    return Step(condemned=tuple([*due, *candidates[: max(0, most - unavailable)]][:BURST]))


def _surge(situation: Situation, pairs: Mapping[str, Pair], most: int) -> Step:
    """Return the nodes that get a new pod beside the old one, and old pods whose new ones are available."""
    surging = 0
    due: list[str] = []
    candidates: list[str] = []
    condemned: list[Object] = []
    for name, pair in pairs.items():
        if not pair.is_clear:
            surging += 1
        elif pair.old is None:
            continue
        elif pair.new is None:
            (candidates if situation.is_available(pair.old) else due).append(name)
        elif situation.is_available(pair.new):
            condemned.append(pair.old)
        else:
            surging += 1
    nodes = [*due, *candidates[: max(0, most - surging)]]
    return Step(tuple(nodes[:BURST]), tuple(condemned[:BURST]))


def _pair(situation: Situation, pods: Iterable[Object]) -> Pair:
    staying = [pod for pod in pods if not is_terminating(pod)]
    new = [pod for pod in staying if situation.is_updated(pod)]
    old = [pod for pod in staying if not situation.is_updated(pod)]
    return Pair(new[0] if new else None, old[0] if old else None, len(new) <= 1 and len(old) <= 1)


def _oldest_first(pod: Object) -> tuple[bool, tuple[str, str]]:
    return not pod_facts.node_of(pod), created_order(pod)
