"""Which of the nodes that can take a pod suits it best: the default scores with their default weights.

Every score is 0 to 100 for each node, or nothing where it does not matter to the pod.
Source: pkg/scheduler/framework/plugins (v1.37), the weights of apis/config/v1/default_plugins.go.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from moorage.objects.label_selectors import is_selected
from moorage.objects.metadata import Object
from moorage.objects.nodes import HOSTNAME, is_term_met, is_tolerated_by, tolerations_of
from moorage.scheduler.filters import eligible, spread_counts, term_counts
from moorage.scheduler.pods import PodInfo, Spread, packed
from moorage.scheduler.snapshot import NodeInfo, Snapshot, by_domain

MOST: Final = 100

_MEBIBYTE: Final = 1024 * 1024
#: Images smaller than this do not matter, larger ones than the second figure no more than that, for each container.
_IMAGE_LEAST: Final = 23 * _MEBIBYTE
_IMAGE_MOST: Final = 1000 * _MEBIBYTE

ZONE: Final = "topology.kubernetes.io/zone"

#: Spread by default, for pods that belong to a Service or a workload. Source: podtopologyspread systemDefaultConstraints.
_DEFAULT_SPREADS: Final = ((HOSTNAME, 3), (ZONE, 5))

Scores = Sequence[float]


def total_scores(
    pod: PodInfo, nodes: Sequence[NodeInfo], snapshot: Snapshot, default_selector: Object | None = None
) -> list[int]:
    """Return the weighted sum of all scores for each node.

    default_selector: what the Services and the workload of the pod select, None if it has none.
    """
    totals = [least + balanced for least, balanced in map(_resources_score(pod), nodes)]
    for weight, scores in _others(pod, nodes, snapshot, default_selector):
        totals = [total + weight * int(score) for total, score in zip(totals, scores, strict=True)]
    return totals


def _others(
    pod: PodInfo, nodes: Sequence[NodeInfo], snapshot: Snapshot, default_selector: Object | None
) -> Iterable[tuple[int, Scores]]:
    if any(node.soft_taints for node in nodes):
        yield 3, _taint_scores(pod, nodes)
    if preferred := _preferred_nodes(pod):
        yield 2, _affinity_scores(preferred, nodes)
    if spreads := _soft_spreads(pod, default_selector):
        yield 2, _spread_scores(pod, spreads, nodes, snapshot, required=bool(pod.spreads))
    if pod.preferences or snapshot.wishes:
        yield 2, _pod_affinity_scores(pod, nodes, snapshot)
    if snapshot.image_nodes:
        yield 1, _image_scores(pod, nodes, snapshot)


def _resources_score(pod: PodInfo) -> Callable[[NodeInfo], tuple[int, int]]:
    """Return what gives the scores of the emptiest node and of the most even one."""
    cpu, memory = pod.likely_cpu, pod.likely_memory
    asks = bool(pod.cpu or pod.memory)

    def score(node: NodeInfo) -> tuple[int, int]:
        whole_cpu, whole_memory = node.cpu, node.memory
        free_cpu = whole_cpu - node.likely_cpu - cpu
        free_memory = whole_memory - node.likely_memory - memory
        kinds = least = 0
        if whole_cpu:
            kinds += 1
            least += free_cpu * MOST // whole_cpu if free_cpu > 0 else 0
        if whole_memory:
            kinds += 1
            least += free_memory * MOST // whole_memory if free_memory > 0 else 0
        if kinds < 2:
            return least, MOST if asks else 0
        if not asks:
            return least // 2, 0
        used_cpu = min(1.0, (whole_cpu - node.free_cpu + pod.cpu) / whole_cpu)
        used_memory = min(1.0, (whole_memory - node.free_memory + pod.memory) / whole_memory)
        return least // 2, int((1 - abs(used_cpu - used_memory) / 2) * MOST)

    return score


def _taint_scores(pod: PodInfo, nodes: Sequence[NodeInfo]) -> Scores:
    soft = [each for each in tolerations_of(pod.obj) if each.get("effect") in (None, "", "PreferNoSchedule")]
    counts = [
        sum(not any(is_tolerated_by(each, taint) for each in soft) for taint in node.soft_taints) for node in nodes
    ]
    most = max(counts)
    return [MOST - count * MOST // most for count in counts] if most else [MOST] * len(nodes)


def _preferred_nodes(pod: PodInfo) -> Sequence[Object]:
    affinity = (pod.spec.get("affinity") or {}).get("nodeAffinity") or {}
    return affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()


def _affinity_scores(preferred: Sequence[Object], nodes: Sequence[NodeInfo]) -> Scores:
    sums = [
        sum(
            int(each.get("weight") or 0)
            for each in preferred
            if is_term_met(each.get("preference") or {}, node.labels, node.name)
        )
        for node in nodes
    ]
    most = max(sums)
    return [total * MOST // most for total in sums] if most else sums


def _soft_spreads(pod: PodInfo, default_selector: Object | None) -> Sequence[Spread]:
    if pod.spreads:
        return [each for each in pod.spreads if not each.hard]
    if default_selector is None or not is_selected(default_selector, pod.labels):
        return ()
    selector = packed(default_selector)
    return [
        Spread(key, skew, hard=False, selector=selector, min_domains=1, honors_affinity=True, honors_taints=False)
        for key, skew in _DEFAULT_SPREADS
    ]


def _spread_scores(
    pod: PodInfo, spreads: Sequence[Spread], nodes: Sequence[NodeInfo], snapshot: Snapshot, *, required: bool
) -> Scores:
    """Return scores by how few pods are in the node's domains. `required`: a node without the labels gets nothing."""
    sums = [0.0] * len(nodes)
    scored = [not required or all(each.topology_key in node.labels for each in spreads) for node in nodes]
    for spread in spreads:
        key = spread.topology_key
        own = spread_counts(pod, spread, snapshot)
        domains = own if key == HOSTNAME else by_domain(own, eligible(pod, spread, snapshot.present), key)
        size = len(nodes) if key == HOSTNAME else len({node.labels.get(key) for node in nodes} - {None})
        weight = math.log(size + 2)
        for position, node in enumerate(nodes):
            value = node.name if key == HOSTNAME else node.labels.get(key)
            if value is not None and key in node.labels:
                sums[position] += domains.get(value, 0) * weight + (spread.max_skew - 1)
    rounded = [round(total) for total in sums]
    valid = [total for total, is_scored in zip(rounded, scored, strict=True) if is_scored]
    most, least = max(valid, default=0), min(valid, default=0)
    if not most:
        return [MOST if is_scored else 0 for is_scored in scored]
    return [
        MOST * (most + least - total) // most if is_scored else 0
        for total, is_scored in zip(rounded, scored, strict=True)
    ]


def _pod_affinity_scores(pod: PodInfo, nodes: Sequence[NodeInfo], snapshot: Snapshot) -> Scores:
    """Return scores by the pods that this one would like to be near or far from, and by those that feel so about it."""
    domains: list[tuple[str, Mapping[str, int], int]] = []
    for term, weight in pod.preferences:
        counts = by_domain(term_counts(term, snapshot), snapshot.present, term.topology_key)
        domains.append((term.topology_key, counts, weight))
    for (term, weight), holders in snapshot.wishes.items():
        if term.takes(pod.namespace, pod.labels, snapshot.namespaces):
            counts = by_domain(holders, snapshot.present, term.topology_key)
            domains.append((term.topology_key, counts, weight))
    if not domains:
        return [0] * len(nodes)
    sums = [
        sum(weight * counts.get(node.labels.get(key, ""), 0) for key, counts, weight in domains if key in node.labels)
        for node in nodes
    ]
    most, least = max(sums), min(sums)
    return [MOST * (total - least) // (most - least) for total in sums] if most > least else [0] * len(nodes)


def _image_scores(pod: PodInfo, nodes: Sequence[NodeInfo], snapshot: Snapshot) -> Scores:
    containers = (*(pod.spec.get("containers") or ()), *(pod.spec.get("initContainers") or ()))
    names = [_normal_image(str(each.get("image") or "")) for each in containers]
    known = len(snapshot.present) or 1
    shares = {name: snapshot.image_nodes.get(name, 0) / known for name in names}
    most = _IMAGE_MOST * max(1, len(containers))
    scores = []
    for node in nodes:
        size = sum(int(node.images[name] * shares[name]) for name in names if name in node.images)
        scores.append(MOST * (min(max(size, _IMAGE_LEAST), most) - _IMAGE_LEAST) // (most - _IMAGE_LEAST))
    return scores


def _normal_image(name: str) -> str:
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"
