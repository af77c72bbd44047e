"""Which of the nodes that can take a pod suits it best: upstream's scores with their default weights.

Every score is a list of whole numbers from 0 to 100, one for each node, in the order of the nodes.
Source: pkg/scheduler/framework/plugins (v1.37), weights of apis/config/v1/default_plugins.go.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from moorage.objects.nodes import is_term_met, is_tolerated_by
from moorage.scheduler.demand import Demand
from moorage.scheduler.snapshot import Place, Snapshot

MOST: Final = 100

RESOURCES_WEIGHT: Final = 1
BALANCE_WEIGHT: Final = 1
AFFINITY_WEIGHT: Final = 2
TAINTS_WEIGHT: Final = 3
IMAGES_WEIGHT: Final = 1

#: Images smaller than this are fetched quickly; larger ones than this count no more. Source: image_locality.go.
IMAGE_LEAST: Final = 23 * 1024 * 1024
IMAGE_MOST: Final = 1000 * 1024 * 1024

_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"
_NOTHING: Mapping[str, Any] = {}

Scores = Sequence[int]
Scorer = Callable[[Sequence[Place]], Scores]


def add(totals: list[int], weight: int, scores: Scores) -> None:
    """Add weighted scores to the totals."""
    for index, score in enumerate(scores):
        totals[index] += weight * score


def score_nodes(pod: Demand, places: Sequence[Place], snapshot: Snapshot) -> list[int]:
    """Return the totals of the scores that look at nodes and their sums alone."""
    totals = score_resources(pod, places)
    if pod.requests.get("cpu") or pod.requests.get("memory"):
        add(totals, BALANCE_WEIGHT, score_balance(pod, places))
    if any(place.soft_taints for place in places):
        add(totals, TAINTS_WEIGHT, score_taints(pod, places))
    else:
        # Nobody is worse than another: all get the same.
        add(totals, TAINTS_WEIGHT, [MOST] * len(places))
    preferred = pod.node_affinity.get(_PREFERRED)
    if preferred:
        add(totals, AFFINITY_WEIGHT, score_affinity(pod, places))
    if snapshot.image_nodes:
        add(totals, IMAGES_WEIGHT, score_images(pod, places, snapshot))
    return totals


def score_resources(pod: Demand, places: Sequence[Place]) -> list[int]:
    """Return NodeResourcesFit, LeastAllocated: the more is left of cpu and memory, the better."""
    cpu, memory = pod.weights.get("cpu", 0), pod.weights.get("memory", 0)
    found = []
    for place in places:
        offered, taken = place.allocatable, place.weights
        total = kinds = 0
        has = offered.get("cpu", 0)
        if has:
            left = has - taken["cpu"] - cpu
            kinds = 1
            if left > 0:
                total = left * MOST // has
        has = offered.get("memory", 0)
        if has:
            left = has - taken["memory"] - memory
            kinds += 1
            if left > 0:
                total += left * MOST // has
        found.append(total // kinds if kinds else 0)
    return found


def score_balance(pod: Demand, places: Sequence[Place]) -> Scores:
    """Return NodeResourcesBalancedAllocation: cpu and memory should be used up alike."""
    cpu, memory = pod.requests.get("cpu", 0), pod.requests.get("memory", 0)
    found = []
    for place in places:
        offered, taken = place.allocatable, place.requested
        has_cpu, has_memory = offered.get("cpu", 0), offered.get("memory", 0)
        if not has_cpu or not has_memory:
            found.append(MOST)
            continue
        used_cpu = min(1.0, (taken.get("cpu", 0) + cpu) / has_cpu)
        used_memory = min(1.0, (taken.get("memory", 0) + memory) / has_memory)
        found.append(int((1 - abs((used_cpu - used_memory) / 2)) * MOST))
    return found


def score_taints(pod: Demand, places: Sequence[Place]) -> Scores:
    """Return TaintToleration: the fewer PreferNoSchedule taints are not tolerated, the better."""
    tolerations = [each for each in pod.tolerations if each.get("effect") in (None, "", "PreferNoSchedule")]
    counts = [
        sum(1 for taint in place.soft_taints if not any(is_tolerated_by(each, taint) for each in tolerations))
        for place in places
    ]
    return normalized(counts, reverse=True)


def score_affinity(pod: Demand, places: Sequence[Place]) -> Scores:
    """Return NodeAffinity: the weights of the preferences that a node meets."""
    preferred = [
        (int(each["weight"]), each["preference"]) for each in pod.node_affinity.get(_PREFERRED) or () if each["weight"]
    ]
    counts = [
        sum(weight for weight, term in preferred if is_term_met(term, place.labels, place.name)) for place in places
    ]
    return normalized(counts)


def score_images(pod: Demand, places: Sequence[Place], snapshot: Snapshot) -> Scores:
    """Return ImageLocality: how much of the pod's images is there already, rare images counting less."""
    nodes = len(snapshot.nodes)
    names = [image if ":" in image.rpartition("/")[2] else f"{image}:latest" for image in pod.images]
    shares = [(name, snapshot.image_nodes[name] / nodes) for name in names if name in snapshot.image_nodes]
    if not shares:
        return [0] * len(places)
    most = IMAGE_MOST * pod.containers
    found = []
    for place in places:
        images = place.images
        total = sum(int(images[name] * share) for name, share in shares if name in images)
        total = max(IMAGE_LEAST, min(total, most))
        found.append(MOST * (total - IMAGE_LEAST) // (most - IMAGE_LEAST))
    return found


def normalized(counts: Sequence[int], *, reverse: bool = False) -> Scores:
    """Return the counts stretched to 0 to 100, the highest being 100 (or 0, if `reverse`)."""
    most = max(counts, default=0)
    if most == 0:
        return [MOST if reverse else 0] * len(counts)
    scores = [MOST * count // most for count in counts]
    return [MOST - score for score in scores] if reverse else scores
