"""What is where: each node with what its pods reserve of it, kept up to date one change at a time.

Never recounted: a pod that comes or goes changes the sums of its node and the counters that it concerns. A pod that was
given a node but whose binding is not seen yet is in here already (assumed), so that its place is not given twice.
Source: pkg/scheduler/backend/cache (v1.37).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from moorage.objects.metadata import Object, labels_of, name_of
from moorage.objects.nodes import is_unschedulable, taints_of
from moorage.scheduler.demand import Amounts, Demand, HostPort, amount
from moorage.scheduler.tallies import Query, Tallies, Tally

_NOTHING: Mapping[str, Any] = {}

#: Labels by which nodes are spread when they are looked at one after the other.
REGION: Final = "topology.kubernetes.io/region"
ZONE: Final = "topology.kubernetes.io/zone"


class Place:
    """A node, or the name of one that is not there, with its pods. Changed by its Snapshot alone."""

    __slots__ = (
        "allocatable",
        "images",
        "labels",
        "name",
        "node",
        "nominated",
        "pods",
        "ports",
        "requested",
        "room",
        "soft_taints",
        "taints",
        "unschedulable",
        "weights",
        "zone",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.pods: dict[str, Demand] = {}
        self.requested: Amounts = {}
        self.weights: Amounts = {"cpu": 0, "memory": 0}
        self.ports: dict[HostPort, int] = {}
        #: Pods that wait for room here, which preemption makes.
        self.nominated: dict[str, Demand] = {}
        self.set_node(None)

    def set_node(self, node: Object | None) -> None:
        """Take what the node says about itself; None: it is not there."""
        self.node = node
        shown: Object = node or _NOTHING
        status: Mapping[str, Any] = shown.get("status") or _NOTHING
        offered: Mapping[str, str] = status.get("allocatable") or _NOTHING
        self.labels: Mapping[str, str] = labels_of(shown)
        self.taints: Sequence[Object] = [each for each in taints_of(shown) if each.get("effect") != "PreferNoSchedule"]
        self.soft_taints: Sequence[Object] = [
            each for each in taints_of(shown) if each.get("effect") == "PreferNoSchedule"
        ]
        self.unschedulable = is_unschedulable(shown)
        self.allocatable: Amounts = {name: amount(name, text) for name, text in offered.items()}
        self.room = self.allocatable.get("pods", 0)
        self.images: dict[str, int] = {
            name: int(image.get("sizeBytes") or 0)
            for image in status.get("images") or ()
            for name in image.get("names") or ()
        }
        self.zone = f"{self.labels.get(REGION, '')}:{self.labels.get(ZONE, '')}"

    def change(self, pod: Demand, by: int) -> None:
        """Add (1) or take away (-1) what a pod reserves."""
        requested, weights, ports = self.requested, self.weights, self.ports
        for name, value in pod.requests.items():
            requested[name] = requested.get(name, 0) + by * value
        weights["cpu"] += by * pod.weights.get("cpu", 0)
        weights["memory"] += by * pod.weights.get("memory", 0)
        for port in pod.ports:
            ports[port] = ports.get(port, 0) + by
            if not ports[port]:
                del ports[port]


class Snapshot:
    """All nodes with their pods."""

    def __init__(self) -> None:
        self.places: dict[str, Place] = {}
        #: Grows with every change: equal versions mean an equal snapshot.
        self.version = 0
        #: How many nodes have an image.
        self.image_nodes: dict[str, int] = {}
        self._pods: dict[str, tuple[Demand, Place]] = {}
        self._by_namespace: dict[str, dict[str, tuple[Demand, Place]]] = {}
        self._claims: dict[tuple[str, str], dict[str, Demand]] = {}
        self._spaces: dict[str, Mapping[str, str]] = {}
        self._priorities: dict[int, int] = {}
        self._order: list[Place] | None = []
        self.tallies = Tallies(self._spaces)

    @property
    def nodes(self) -> list[Place]:
        """The nodes that are there, in turns between their zones, each zone in the order in which they came."""
        if self._order is None:
            self._order = _in_turns(place for place in self.places.values() if place.node is not None)
        return self._order

    def set_node(self, node: Object) -> None:
        """Add or replace a node."""
        self.version += 1
        name = name_of(node)
        place = self.places.get(name)
        if place is None:
            place = self.places[name] = Place(name)
        zone, was_there = place.zone, place.node is not None
        self._count_images(place, -1)
        place.set_node(node)
        self._count_images(place, 1)
        if not was_there or zone != place.zone:
            self._order = None

    def remove_node(self, name: str) -> None:
        """Remove a node; its pods stay known until they are gone."""
        place = self.places.get(name)
        if place is None:
            return
        self.version += 1
        self._count_images(place, -1)
        place.set_node(None)
        self._order = None
        self._drop_if_empty(place)

    def set_namespace(self, name: str, labels: Mapping[str, str] | None) -> None:
        """Take the labels of a namespace; None: it is gone."""
        if self._spaces.get(name) == labels:
            return
        self.version += 1
        if labels is None:
            self._spaces.pop(name, None)
        else:
            self._spaces[name] = labels
        self.tallies.forget_spaces()

    @property
    def spaces(self) -> Mapping[str, Mapping[str, str]]:
        """The labels of the namespaces."""
        return self._spaces

    @property
    def least_priority(self) -> int:
        """The lowest priority among the placed pods; the highest possible number if there are none."""
        return min(self._priorities, default=2**31 - 1)

    def pod(self, uid: str) -> Demand | None:
        """Return a placed pod, None if it is not placed."""
        found = self._pods.get(uid)
        return None if found is None else found[0]

    def node_of(self, uid: str) -> str:
        """Return the name of the node where a pod is placed, "" if it is not."""
        found = self._pods.get(uid)
        return "" if found is None else found[1].name

    def set_pod(self, pod: Demand, node: str) -> None:
        """Place a pod on a node, or replace what is known of it."""
        self.remove_pod(pod.uid)
        self.version += 1
        place = self.places.get(node)
        if place is None:
            place = self.places[node] = Place(node)
        entry = self._pods[pod.uid] = (pod, place)
        self._by_namespace.setdefault(pod.namespace, {})[pod.uid] = entry
        place.pods[pod.uid] = pod
        place.change(pod, 1)
        self._priorities[pod.priority] = self._priorities.get(pod.priority, 0) + 1
        for claim, _ in pod.claims:
            self._claims.setdefault((pod.namespace, claim), {})[pod.uid] = pod
        self.tallies.add(pod, node)

    def remove_pod(self, uid: str) -> Demand | None:
        """Take a pod away and return it; None if it was not placed."""
        found = self._pods.pop(uid, None)
        if found is None:
            return None
        self.version += 1
        pod, place = found
        space = self._by_namespace[pod.namespace]
        del space[uid]
        if not space:
            del self._by_namespace[pod.namespace]
        del place.pods[uid]
        place.change(pod, -1)
        self._priorities[pod.priority] -= 1
        if not self._priorities[pod.priority]:
            del self._priorities[pod.priority]
        for claim, _ in pod.claims:
            users = self._claims.get((pod.namespace, claim))
            if users is not None:
                users.pop(uid, None)
                if not users:
                    del self._claims[pod.namespace, claim]
        self.tallies.remove(pod, place.name)
        self._drop_if_empty(place)
        return pod

    def users_of(self, namespace: str, claim: str) -> Mapping[str, Demand]:
        """Return the placed pods that mount a claim."""
        return self._claims.get((namespace, claim), _NOTHING)

    def tally(self, query: Query) -> Tally:
        """Return how many placed pods a query takes on each node."""
        return self.tallies.tally(query, self._placed(query))

    def nominate(self, pod: Demand, node: str) -> None:
        """Remember that a pod waits for room on a node."""
        place = self.places.get(node)
        if place is not None:
            self.version += 1
            place.nominated[pod.uid] = pod

    def withdraw(self, uid: str, node: str) -> None:
        """Forget that a pod waits for room on a node."""
        place = self.places.get(node)
        if place is not None and place.nominated.pop(uid, None) is not None:
            self.version += 1

    def less_important_guests(self, pod: Demand, node: str) -> list[Demand]:
        """Return the pods of lower priority that wait for room on a node."""
        place = self.places.get(node)
        return [] if place is None else [each for each in place.nominated.values() if each.priority < pod.priority]

    def _placed(self, query: Query) -> Iterator[tuple[Demand, str]]:
        """Yield the pods that a query may take, with their nodes."""
        first = query.whoms[0]
        if first.spaces is not None:
            entries: Iterable[tuple[Demand, Place]] = self._pods.values()
        else:
            entries = (
                entry for name in sorted(first.namespaces) for entry in self._by_namespace.get(name, _NOTHING).values()
            )
        for pod, place in entries:
            yield pod, place.name

    def _count_images(self, place: Place, by: int) -> None:
        for name in place.images:
            count = self.image_nodes.get(name, 0) + by
            if count:
                self.image_nodes[name] = count
            else:
                self.image_nodes.pop(name, None)

    def _drop_if_empty(self, place: Place) -> None:
        if place.node is None and not place.pods:
            self.places.pop(place.name, None)


def _in_turns(places: Iterable[Place]) -> list[Place]:
    zones: dict[str, list[Place]] = {}
    for place in places:
        zones.setdefault(place.zone, []).append(place)
    rows = list(zones.values())
    if len(rows) == 1:
        return rows[0]
    longest = max((len(row) for row in rows), default=0)
    return [row[index] for index in range(longest) for row in rows if index < len(row)]
