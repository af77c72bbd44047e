"""The decision about one pod: a node, or why none of them can take it. Pure: chance comes as an argument.

Source: pkg/scheduler/schedule_one.go, framework/types.go FitError (v1.37).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from moorage.objects.metadata import Object
from moorage.scheduler.filters import NOT_LISTED, Filter, Rejection, filters_for, named_nodes
from moorage.scheduler.pods import PodInfo
from moorage.scheduler.scores import total_scores
from moorage.scheduler.snapshot import NodeInfo, Snapshot

#: Up to so many nodes all are looked at; of more, a share that shrinks, but never less than the least share.
LOOK_AT_ALL: Final = 100
SHARE_LEAST: Final = 5

NO_NODES: Final = "no nodes available to schedule pods"


@dataclass(frozen=True, slots=True)
class Placement:
    """The pod goes to `node`; so many nodes could take it."""

    node: str
    feasible: int


@dataclass(slots=True)
class Diagnosis:
    """Why no node can take the pod.

    nodes:      how many there are.
    rejections: by node.
    plugins:    the rules that said no: changes in what they look at may help.
    refusal:    why the pod cannot go anywhere, whatever the node; "" otherwise.
    """

    nodes: int
    rejections: dict[str, Rejection] = field(default_factory=dict)
    plugins: set[str] = field(default_factory=set)
    refusal: str = ""

    def message(self, suffix: str = "") -> str:
        """Return upstream's sentence; `suffix` is what preemption has to say."""
        if not self.nodes:
            return NO_NODES
        text = f"0/{self.nodes} nodes are available:"
        if self.refusal:
            text += f" {self.refusal}."
        elif self.rejections:
            text += f" {reasons_text(self.rejections)}."
        return f"{text} {suffix}" if suffix else text


def reasons_text(rejections: Mapping[str, Rejection]) -> str:
    """Return the reasons with how many nodes gave each, sorted as texts."""
    counts = Counter(reason for rejection in rejections.values() for reason in rejection.reasons)
    return ", ".join(sorted(f"{count} {reason}" for reason, count in counts.items()))


def choose(
    pod: PodInfo,
    snapshot: Snapshot,
    volumes: Sequence[Filter] = (),
    *,
    chance: float = 0.0,
    start: int = 0,
    default_selector: Object | None = None,
) -> Placement | Diagnosis:
    """Return the best node for a pod, or the diagnosis.

    chance: a number in [0, 1) that decides between equals; start: from which node on to look, where not all are looked
    at; volumes: the checks about the pod's claims.
    """
    nodes = snapshot.present
    diagnosis = Diagnosis(len(nodes))
    candidates = _named(pod, nodes, diagnosis)
    feasible = feasible_nodes(pod, snapshot, candidates, filters_for(pod, snapshot, volumes), diagnosis, start=start)
    if not feasible:
        return diagnosis
    if len(feasible) == 1:
        return Placement(feasible[0].name, 1)
    scores = total_scores(pod, feasible, snapshot, default_selector)
    most = max(scores)
    best = [node for node, score in zip(feasible, scores, strict=True) if score == most]
    return Placement(best[int(chance * len(best))].name, len(feasible))


def feasible_nodes(
    pod: PodInfo,
    snapshot: Snapshot,
    candidates: Sequence[NodeInfo],
    filters: Sequence[Filter],
    diagnosis: Diagnosis,
    *,
    start: int = 0,
) -> list[NodeInfo]:
    """Return nodes that can take the pod, as many as are worth scoring; the others' rejections go into the diagnosis."""
    enough = nodes_to_find(len(candidates))
    order = candidates if enough == len(candidates) else [*candidates[start:], *candidates[:start]]
    found: list[NodeInfo] = []
    for node in order:
        rejected = _first_rejection(pod, node, snapshot, filters)
        if rejected is None:
            found.append(node)
            if len(found) >= enough:
                break
        else:
            plugin, diagnosis.rejections[node.name] = rejected
            diagnosis.plugins.add(plugin)
    return found


def nodes_to_find(nodes: int) -> int:
    """Return how many feasible nodes are enough: a sample of a large cluster is as good as the whole."""
    if nodes < LOOK_AT_ALL:
        return nodes
    share = max(SHARE_LEAST, 50 - nodes // 125)
    return max(LOOK_AT_ALL, nodes * share // 100)


def _first_rejection(
    pod: PodInfo, node: NodeInfo, snapshot: Snapshot, filters: Sequence[Filter]
) -> tuple[str, Rejection] | None:
    """Return the first rule that rejects the node, counting in the pods that room is made for there."""
    if snapshot.nominated:
        awaited = [each for each in _awaited(pod, node, snapshot) if each.uid not in snapshot.pods]
        if awaited:
            return _rejection_beside(pod, node, snapshot, filters, awaited)
    for plugin, check in filters:
        rejection = check(node)
        if rejection is not None:
            return plugin, rejection
    return None


def _awaited(pod: PodInfo, node: NodeInfo, snapshot: Snapshot) -> list[PodInfo]:
    others = snapshot.nominated.get(node.name, {})
    return [each for each in others.values() if each.uid != pod.uid and each.priority >= pod.priority]


def _rejection_beside(
    pod: PodInfo, node: NodeInfo, snapshot: Snapshot, filters: Sequence[Filter], awaited: Sequence[PodInfo]
) -> tuple[str, Rejection] | None:
    """Check the node with the awaited pods on it, then as it is, because they may never come."""
    for each in awaited:
        node.add(each)
    try:
        rejected = next(((plugin, found) for plugin, check in filters if (found := check(node))), None)
    finally:
        for each in awaited:
            node.remove(each)
    if rejected is not None:
        return rejected
    return next(((plugin, found) for plugin, check in filters if (found := check(node))), None)


def _named(pod: PodInfo, nodes: Sequence[NodeInfo], diagnosis: Diagnosis) -> Sequence[NodeInfo]:
    """Return the nodes that the pod names, if it names any; the others are rejected as such."""
    names = named_nodes(pod)
    if names is None:
        return nodes
    for node in nodes:
        if node.name not in names:
            diagnosis.rejections[node.name] = NOT_LISTED
    diagnosis.plugins.add("NodeAffinity")
    return [node for node in nodes if node.name in names]
