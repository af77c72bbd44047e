"""Which nodes can take a pod, and why the others cannot: the filters that look at nodes alone, in upstream's order.

A filter is prepared once for a pod and then asked about each node; one that has nothing to say for the pod is not
prepared at all. Texts are upstream's, word by word, because users and tools read them.
Source: pkg/scheduler/framework/plugins (v1.37), order of apis/config/v1/default_plugins.go.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from moorage.objects.nodes import UNSCHEDULABLE, is_place_selected, is_tolerated_by, untolerated_taint
from moorage.scheduler.demand import ANY_ADDRESS, Demand, HostPort
from moorage.scheduler.failure import Failure
from moorage.scheduler.snapshot import Place

#: Says why a pod cannot be on a node, None if it can, as far as this filter knows.
Check = Callable[[Place], Failure | None]

_NOTHING: Mapping[str, Any] = {}
_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"

CORDONED: Final = Failure("NodeUnschedulable", ("node(s) were unschedulable",), final=True)
TAINTED: Final = Failure("TaintToleration", ("node(s) had untolerated taint(s)",), final=True)
UNWANTED: Final = Failure("NodeAffinity", ("node(s) didn't match Pod's node affinity/selector",), final=True)
CONFLICTING: Final = Failure("NodeAffinity", ("pod affinity terms conflict",), final=True)
NOT_NAMED: Final = Failure("NodeAffinity", ("node(s) didn't satisfy plugin(s) [NodeAffinity]",), final=True)
PORTS_TAKEN: Final = Failure("NodePorts", ("node(s) didn't have free ports for the requested pod ports",), final=False)
FIT: Final = "NodeResourcesFit"
TOO_MANY: Final = "Too many pods"


def checks_for(pod: Demand) -> Iterator[Check]:
    """Yield the filters that look at a node and its pods' sums alone."""
    yield check_taints(pod)
    if pod.node_selector or pod.node_affinity.get(_REQUIRED) is not None:
        yield check_affinity(pod)
    if pod.ports:
        yield check_ports(pod.ports)
    yield check_resources(pod)


def check_taints(pod: Demand) -> Check:
    """Return the filters NodeUnschedulable and TaintToleration."""
    tolerations = pod.tolerations
    cordon = {"key": UNSCHEDULABLE, "effect": "NoSchedule"}
    takes_cordoned = any(is_tolerated_by(each, cordon) for each in tolerations)

    def check(place: Place) -> Failure | None:
        if place.unschedulable and not takes_cordoned:
            return CORDONED
        if place.taints and untolerated_taint(place.taints, tolerations) is not None:
            return TAINTED
        return None

    return check


def check_affinity(pod: Demand) -> Check:
    """Return the filter NodeAffinity: `nodeSelector` and the required node affinity."""
    is_wanted = wants(pod)
    return lambda place: None if is_wanted(place) else UNWANTED


def wants(pod: Demand) -> Callable[[Place], bool]:
    """Return whether `nodeSelector` and the required node affinity of the pod take a node."""
    wanted = tuple(pod.node_selector.items())
    selector: Mapping[str, Any] | None = pod.node_affinity.get(_REQUIRED)

    def is_wanted(place: Place) -> bool:
        labels = place.labels
        for key, value in wanted:
            if labels.get(key) != value:
                return False
        return selector is None or is_place_selected(selector, labels, place.name)

    return is_wanted


def named_nodes(pod: Demand) -> frozenset[str] | None:
    """Return the nodes that every term of the required affinity names by `metadata.name`; None if not all do so."""
    selector = pod.node_affinity.get(_REQUIRED) or _NOTHING
    terms = selector.get("nodeSelectorTerms") or ()
    found: set[str] = set()
    for term in terms:
        named: set[str] | None = None
        for each in term.get("matchFields") or ():
            if each["key"] == "metadata.name" and each["operator"] == "In":
                values = set(each.get("values") or ())
                named = values if named is None else named & values
        if named is None:
            return None
        found |= named
    return frozenset(found) if terms else None


def check_ports(ports: tuple[HostPort, ...]) -> Check:
    """Return the filter NodePorts."""

    def check(place: Place) -> Failure | None:
        taken = place.ports
        if taken and any(_conflicts(port, other) for port in ports for other in taken):
            return PORTS_TAKEN
        return None

    return check


def _conflicts(port: HostPort, other: HostPort) -> bool:
    """Tell whether two host ports are the same, an unspecified address being every address."""
    if port[0] != other[0] or port[2] != other[2]:
        return False
    return port[1] == other[1] or ANY_ADDRESS in (port[1], other[1])


def check_resources(pod: Demand) -> Check:
    """Return the filter NodeResourcesFit."""
    asked = tuple((name, value) for name, value in _in_order(pod.requests) if value > 0)

    def check(place: Place) -> Failure | None:
        lacking: list[str] | None = None
        final = False
        if len(place.pods) >= place.room:
            lacking = [TOO_MANY]
        offered, taken = place.allocatable, place.requested
        for name, value in asked:
            has = offered.get(name, 0)
            if value > has - taken.get(name, 0):
                lacking = [] if lacking is None else lacking
                lacking.append(f"Insufficient {name}")
                final = final or value > has
        return None if lacking is None else Failure(FIT, tuple(lacking), final)

    return check


def _in_order(requests: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Yield what is asked for as upstream tells it: cpu, memory, ephemeral-storage, then the rest."""
    first = ("cpu", "memory", "ephemeral-storage")
    for name in first:
        if name in requests:
            yield name, requests[name]
    for name in sorted(requests):
        if name not in first:
            yield name, requests[name]
