"""Which nodes can take a pod, and why the others cannot: the default filters, in upstream's order and words.

`filters_for` looks once at the pod and at what all nodes have in common, and returns a check for every rule that
matters to this pod; the checks then look at one node each. A check answers None or a Rejection.
Source: pkg/scheduler/framework/plugins (v1.37), the order of apis/config/v1/default_plugins.go.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from moorage.objects.metadata import Object
from moorage.objects.nodes import (
    UNSCHEDULABLE,
    is_place_selected,
    is_tolerated_by,
    required_affinity_of,
    tolerations_of,
    untolerated_taint,
)
from moorage.scheduler.pods import PodInfo, Spread, Term, selects
from moorage.scheduler.snapshot import NodeInfo, Snapshot, by_domain


class Rejection(NamedTuple):
    """Why a node cannot take the pod. helpless: nothing that could be evicted would change that."""

    reasons: tuple[str, ...]
    helpless: bool = False


#: Says whether a node can take the pod: None if it can.
Check = Callable[[NodeInfo], Rejection | None]


class Filter(NamedTuple):
    """One rule. plugin: its name upstream, by which events wake the pods that it rejected."""

    plugin: str
    check: Check


WERE_UNSCHEDULABLE: Final = Rejection(("node(s) were unschedulable",), helpless=True)
OTHER_NAME: Final = Rejection(("node(s) didn't match the requested node name",), helpless=True)
TAINTED: Final = Rejection(("node(s) had untolerated taint(s)",), helpless=True)
OTHER_NODE: Final = Rejection(("node(s) didn't match Pod's node affinity/selector",), helpless=True)
NOT_LISTED: Final = Rejection(("node(s) didn't satisfy plugin(s) [NodeAffinity]",), helpless=True)
PORT_TAKEN: Final = Rejection(("node(s) didn't have free ports for the requested pod ports",))
SPREAD_LABEL: Final = Rejection(
    ("node(s) didn't match pod topology spread constraints (missing required label)",), helpless=True
)
SPREAD: Final = Rejection(("node(s) didn't match pod topology spread constraints",))
AFFINITY: Final = Rejection(("node(s) didn't match pod affinity rules",), helpless=True)
ANTI_AFFINITY: Final = Rejection(("node(s) didn't match pod anti-affinity rules",))
EXISTING_ANTI_AFFINITY: Final = Rejection(("node(s) didn't satisfy existing pods anti-affinity rules",))

_ANY_ADDRESS: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104
_CORDON: Final = {"key": UNSCHEDULABLE, "effect": "NoSchedule"}


def filters_for(pod: PodInfo, snapshot: Snapshot, volumes: Sequence[Filter] = ()) -> list[Filter]:
    """Return the checks that matter to this pod; those about volumes come from moorage.scheduler.volumes."""
    tolerations = tolerations_of(pod.obj)
    found = [Filter("NodeUnschedulable", _unschedulable(tolerations))]
    if pod.spec.get("nodeName"):
        found.append(Filter("NodeName", _node_name(str(pod.spec["nodeName"]))))
    found.append(Filter("TaintToleration", _taints(tolerations)))
    if affinity := _node_affinity(pod):
        found.append(Filter("NodeAffinity", affinity))
    if pod.ports:
        found.append(Filter("NodePorts", _ports(pod)))
    found.append(Filter("NodeResourcesFit", _fit(pod)))
    found += volumes
    if any(each.hard for each in pod.spreads):
        found.append(Filter("PodTopologySpread", _spread(pod, snapshot)))
    if (pod.affinity or pod.anti_affinity or snapshot.refusals) and (affinities := _pod_affinity(pod, snapshot)):
        found.append(Filter("InterPodAffinity", affinities))
    return found


def named_nodes(pod: PodInfo) -> frozenset[str] | None:
    """Return the only nodes that the pod's required affinity names by name, None if it does not."""
    terms = (required_affinity_of(pod.obj) or {}).get("nodeSelectorTerms") or ()
    names: set[str] = set()
    for term in terms:
        own: frozenset[str] | None = None
        for field in term.get("matchFields") or ():
            if field.get("key") == "metadata.name" and field.get("operator") == "In":
                values = frozenset(field.get("values") or ())
                own = values if own is None else own & values
        if own is None:
            return None
        names |= own
    return frozenset(names) if terms else None


def _unschedulable(tolerations: Sequence[Object]) -> Check:
    tolerated = any(is_tolerated_by(each, _CORDON) for each in tolerations)

    def check(node: NodeInfo) -> Rejection | None:
        return WERE_UNSCHEDULABLE if node.unschedulable and not tolerated else None

    return check


def _node_name(name: str) -> Check:
    return lambda node: None if node.name == name else OTHER_NAME


def _taints(tolerations: Sequence[Object]) -> Check:
    def check(node: NodeInfo) -> Rejection | None:
        if not node.taints or untolerated_taint(node.taints, tolerations) is None:
            return None
        return TAINTED

    return check


def _node_affinity(pod: PodInfo) -> Check | None:
    wanted: Mapping[str, str] = pod.spec.get("nodeSelector") or {}
    required = required_affinity_of(pod.obj)
    if not wanted and required is None:
        return None

    def check(node: NodeInfo) -> Rejection | None:
        labels = node.labels
        for key, value in wanted.items():
            if labels.get(key) != value:
                return OTHER_NODE
        return None if is_place_selected(required, labels, node.name) else OTHER_NODE

    return check


def _ports(pod: PodInfo) -> Check:
    def check(node: NodeInfo) -> Rejection | None:
        taken = any(_collides(port, other) for port in pod.ports for other in node.claimed_ports)
        return PORT_TAKEN if taken else None

    return check


def _collides(port: tuple[str, str, int], other: tuple[str, str, int]) -> bool:
    if port[1:] != other[1:]:
        return False
    return port[0] == other[0] or port[0] in _ANY_ADDRESS or other[0] in _ANY_ADDRESS


def _fit(pod: PodInfo) -> Check:
    cpu, memory, storage, scalars = pod.cpu, pod.memory, pod.storage, pod.scalars
    asks = bool(cpu or memory or storage or scalars)

    def check(node: NodeInfo) -> Rejection | None:
        if len(node.pods) < node.pods_most:
            if not asks:
                return None
            if cpu <= node.free_cpu and memory <= node.free_memory and not storage and not scalars:
                return None
        return _shortage(pod, node)

    return check


def _shortage(pod: PodInfo, node: NodeInfo) -> Rejection | None:
    """Return what of the node's resources does not suffice."""
    reasons: list[str] = []
    helpless = False
    if len(node.pods) >= node.pods_most:
        reasons.append("Too many pods")
    for name, wanted, free, whole in (
        ("cpu", pod.cpu, node.free_cpu, node.cpu),
        ("memory", pod.memory, node.free_memory, node.memory),
        ("ephemeral-storage", pod.storage, node.free_storage, node.storage),
        *(
            (name, amount, node.free_scalars.get(name, 0), node.scalars.get(name, 0))
            for name, amount in pod.scalars.items()
        ),
    ):
        if wanted > 0 and wanted > free:
            reasons.append(f"Insufficient {name}")
            helpless = helpless or wanted > whole
    return Rejection(tuple(reasons), helpless) if reasons else None


def _spread(pod: PodInfo, snapshot: Snapshot) -> Check:
    limits = [_limit(pod, each, snapshot) for each in pod.spreads if each.hard]

    def check(node: NodeInfo) -> Rejection | None:
        for key, most, counts in limits:
            value = node.labels.get(key)
            if value is None:
                return SPREAD_LABEL
            if counts.get(value, 0) > most:
                return SPREAD
        return None

    return check


def _limit(pod: PodInfo, spread: Spread, snapshot: Snapshot) -> tuple[str, int, Mapping[str, int]]:
    """Return a constraint's key, how many pods a domain may have before this one comes, and what each has."""
    keys = [each.topology_key for each in pod.spreads if each.hard]
    nodes = [node for node in eligible(pod, spread, snapshot.present) if all(key in node.labels for key in keys)]
    counts = by_domain(spread_counts(pod, spread, snapshot), nodes, spread.topology_key)
    least = min(counts.values(), default=0) if len(counts) >= spread.min_domains else 0
    own = 1 if selects(spread.selector, pod.labels) else 0
    return spread.topology_key, spread.max_skew + least - own, counts


def eligible(pod: PodInfo, spread: Spread, nodes: Sequence[NodeInfo]) -> Sequence[NodeInfo]:
    """Return the nodes that a constraint counts: as its policies say, those that the pod could go to."""
    checks: list[Check] = []
    if spread.honors_affinity and (affinity := _node_affinity(pod)):
        checks.append(affinity)
    if spread.honors_taints:
        checks.append(_taints(tolerations_of(pod.obj)))
    return [node for node in nodes if not any(check(node) for check in checks)] if checks else nodes


def spread_counts(pod: PodInfo, spread: Spread, snapshot: Snapshot) -> Mapping[str, int]:
    """Return for each node how many of its pods a constraint counts: those of the namespace that are here to stay."""
    namespace, selector = pod.namespace, spread.selector

    def matches(other: PodInfo) -> bool:
        return other.namespace == namespace and not other.terminating and selects(selector, other.labels)

    return snapshot.tally(("spread", namespace, selector), matches)


def _pod_affinity(pod: PodInfo, snapshot: Snapshot) -> Check | None:
    checks: list[Check] = []
    if pod.affinity:
        checks.append(_near(pod, snapshot))
    checks += [_far(term, snapshot) for term in pod.anti_affinity]
    if refused := _refused_domains(pod, snapshot):
        checks.append(lambda node: _is_refused(node, refused))
    if not checks:
        return None

    def check(node: NodeInfo) -> Rejection | None:
        for each in checks:
            rejection = each(node)
            if rejection is not None:
                return rejection
        return None

    return check


def _near(pod: PodInfo, snapshot: Snapshot) -> Check:
    """Return the check that pods which meet all terms are in the node's domains; the first of its kind may go anywhere."""
    terms, namespaces = pod.affinity, snapshot.namespaces

    def matches(other: PodInfo) -> bool:
        return all(term.takes(other.namespace, other.labels, namespaces) for term in terms)

    counts = snapshot.tally(("near", terms), matches)
    domains = [(term.topology_key, by_domain(counts, snapshot.present, term.topology_key)) for term in terms]
    is_first = not counts and all(term.takes(pod.namespace, pod.labels, namespaces) for term in terms)

    def check(node: NodeInfo) -> Rejection | None:
        missing = False
        for key, pods in domains:
            value = node.labels.get(key)
            if value is None:
                return AFFINITY
            missing = missing or not pods.get(value)
        return AFFINITY if missing and not is_first else None

    return check


def _far(term: Term, snapshot: Snapshot) -> Check:
    counts = by_domain(term_counts(term, snapshot), snapshot.present, term.topology_key)
    key = term.topology_key

    def check(node: NodeInfo) -> Rejection | None:
        value = node.labels.get(key)
        return ANTI_AFFINITY if value is not None and counts.get(value) else None

    return check


def term_counts(term: Term, snapshot: Snapshot) -> Mapping[str, int]:
    """Return for each node how many of its pods a term means."""
    namespaces = snapshot.namespaces
    return snapshot.tally(("term", term), lambda other: term.takes(other.namespace, other.labels, namespaces))


def _refused_domains(pod: PodInfo, snapshot: Snapshot) -> set[tuple[str, str]]:
    """Return the domains in which a placed pod wants to be without pods like this one."""
    found: set[tuple[str, str]] = set()
    for term, nodes in snapshot.refusals.items():
        if term.takes(pod.namespace, pod.labels, snapshot.namespaces):
            for name in nodes:
                value = snapshot.nodes[name].labels.get(term.topology_key)
                if value is not None:
                    found.add((term.topology_key, value))
    return found


def _is_refused(node: NodeInfo, refused: set[tuple[str, str]]) -> Rejection | None:
    labels = node.labels
    return EXISTING_ANTI_AFFINITY if any(labels.get(key) == value for key, value in refused) else None
