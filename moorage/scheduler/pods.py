"""A pod as the scheduler sees it: read once when it comes, so that filters and scores only compare numbers.

Source: component-helpers/resource/helpers.go and pkg/scheduler/framework/types.go (v1.37).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import orjson

from moorage.objects.label_selectors import is_selected
from moorage.objects.metadata import Object, annotations_of, generation_of, is_terminating, labels_of, metadata_of
from moorage.objects.pods import claims_of
from moorage.objects.quantity import parse_quantity

#: What a container that asks for nothing counts as in scores. Source: DefaultMilliCPURequest, DefaultMemoryRequest.
LIKELY_CPU: Final = 100
LIKELY_MEMORY: Final = 200 * 1024 * 1024

_ANY_ADDRESS: Final = "0.0.0.0"  # noqa: S104 - compared, never listened on
_NOTHING: Mapping[str, Any] = {}


class Term(NamedTuple):
    """One pod (anti-)affinity term. Hashable, so that pods of a kind share counts.

    namespaces: those named, or the pod's own if nothing else is said; namespace_selector: JSON of a LabelSelector, "" for
    none; selector: JSON of a LabelSelector.
    """

    topology_key: str
    selector: str
    namespaces: frozenset[str]
    namespace_selector: str

    def takes(self, namespace: str, labels: Mapping[str, str], namespaces: Mapping[str, Mapping[str, str]]) -> bool:
        """Tell whether a pod of this namespace and these labels is meant; `namespaces` has the labels of namespaces."""
        if not selects(self.selector, labels):
            return False
        if namespace in self.namespaces:
            return True
        return bool(self.namespace_selector) and selects(self.namespace_selector, namespaces.get(namespace, {}))


class Spread(NamedTuple):
    """One topology spread constraint. hard: it must hold, otherwise it is a wish."""

    topology_key: str
    max_skew: int
    hard: bool
    selector: str
    min_domains: int
    honors_affinity: bool
    honors_taints: bool


class PodInfo:
    """One pod. cpu in millicores, memory and storage in bytes; ports are (host IP, protocol, port)."""

    __slots__ = (
        "affinity",
        "anti_affinity",
        "claims",
        "cpu",
        "generation",
        "key",
        "labels",
        "likely_cpu",
        "likely_memory",
        "memory",
        "name",
        "namespace",
        "obj",
        "ports",
        "preferences",
        "priority",
        "scalars",
        "spec",
        "spreads",
        "started",
        "storage",
        "terminating",
        "uid",
    )

    def __init__(self, pod: Object) -> None:
        metadata = metadata_of(pod)
        spec: Mapping[str, Any] = pod.get("spec") or _NOTHING
        self.obj = pod
        self.spec = spec
        self.name: str = metadata.get("name") or ""
        self.namespace: str = metadata.get("namespace") or ""
        self.key = f"{self.namespace}/{self.name}"
        self.uid: str = metadata.get("uid") or self.key
        self.labels = labels_of(pod)
        self.generation = generation_of(pod)
        self.priority = int(spec.get("priority") or 0)
        self.terminating = is_terminating(pod)
        self.started = str((pod.get("status") or _NOTHING).get("startTime") or metadata.get("creationTimestamp") or "")
        self.claims = tuple(f"{self.namespace}/{name}" for name in claims_of(pod)) if spec.get("volumes") else ()
        self.ports = _ports(spec)
        self._count(spec)
        affinity: Mapping[str, Any] = spec.get("affinity") or _NOTHING
        near, far = affinity.get("podAffinity") or _NOTHING, affinity.get("podAntiAffinity") or _NOTHING
        self.affinity = tuple(self._term(each) for each in near.get(_REQUIRED) or ())
        self.anti_affinity = tuple(self._term(each) for each in far.get(_REQUIRED) or ())
        self.preferences = tuple(
            (self._term(each["podAffinityTerm"]), sign * int(each.get("weight") or 0))
            for sign, terms in ((1, near.get(_PREFERRED)), (-1, far.get(_PREFERRED)))
            for each in terms or ()
        )
        self.spreads = tuple(self._spread(each) for each in spec.get("topologySpreadConstraints") or ())

    def _count(self, spec: Mapping[str, Any]) -> None:
        cpu, memory, storage, scalars = requests_of(spec, 0, 0)
        self.cpu, self.memory, self.storage, self.scalars = cpu, memory, storage, scalars
        self.likely_cpu, self.likely_memory, _, _ = requests_of(spec, LIKELY_CPU, LIKELY_MEMORY)

    def _term(self, term: Object) -> Term:
        namespaces = frozenset(term.get("namespaces") or ())
        selector = term.get("namespaceSelector")
        if not namespaces and selector is None:
            namespaces = frozenset((self.namespace,))
        return Term(
            str(term.get("topologyKey")),
            _packed(_with_keys(term, self.labels)),
            namespaces,
            "" if selector is None else _packed(selector),
        )

    def _spread(self, constraint: Object) -> Spread:
        return Spread(
            str(constraint.get("topologyKey")),
            int(constraint.get("maxSkew") or 1),
            constraint.get("whenUnsatisfiable") != "ScheduleAnyway",
            _packed(_with_keys(constraint, self.labels)),
            int(constraint.get("minDomains") or 1),
            (constraint.get("nodeAffinityPolicy") or "Honor") == "Honor",
            constraint.get("nodeTaintsPolicy") == "Honor",
        )


_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"

#: cpu, memory, ephemeral storage, all else.
Requests = tuple[int, int, int, dict[str, int]]


def requests_of(spec: Mapping[str, Any], least_cpu: int, least_memory: int) -> Requests:
    """Return what a pod asks for: its containers and sidecars together, or one init container if that needs more.

    least_cpu, least_memory: what a container that says nothing counts as.
    """
    total = _sum(_container(each, least_cpu, least_memory) for each in spec.get("containers") or ())
    sidecars: Requests = (0, 0, 0, {})
    most: Requests = (0, 0, 0, {})
    for container in spec.get("initContainers") or ():
        own = _container(container, least_cpu, least_memory)
        if container.get("restartPolicy") == "Always":
            sidecars = _sum((sidecars, own))
            most = _most(most, sidecars)
        else:
            most = _most(most, _sum((sidecars, own)))
    result = _most(_sum((total, sidecars)), most)
    if whole := (spec.get("resources") or _NOTHING).get("requests"):
        cpu, memory, _, _ = _read(whole, result[0], result[1])
        result = (cpu, memory, result[2], result[3])
    if overhead := spec.get("overhead"):
        result = _sum((result, _read(overhead, 0, 0)))
    return result


def likely_requests(spec: Mapping[str, Any]) -> tuple[int, int]:
    """Return cpu and memory as scores count them."""
    cpu, memory, _, _ = requests_of(spec, LIKELY_CPU, LIKELY_MEMORY)
    return cpu, memory


def _container(container: Object, least_cpu: int, least_memory: int) -> Requests:
    return _read((container.get("resources") or _NOTHING).get("requests") or _NOTHING, least_cpu, least_memory)


def _read(amounts: Mapping[str, Any], least_cpu: int, least_memory: int) -> Requests:
    if not amounts:
        return least_cpu, least_memory, 0, _NO_SCALARS
    cpu, memory, storage, scalars = least_cpu, least_memory, 0, {}
    for name, text in amounts.items():
        quantity = parse_quantity(str(text))
        if name == "cpu":
            cpu = quantity.milli_value
        elif name == "memory":
            memory = quantity.value
        elif name == "ephemeral-storage":
            storage = quantity.value
        else:
            scalars[name] = quantity.value
    return cpu, memory, storage, scalars


_NO_SCALARS: Final[dict[str, int]] = {}


def _sum(many: Iterable[Requests]) -> Requests:
    cpu = memory = storage = 0
    scalars: dict[str, int] = {}
    for each in many:
        cpu, memory, storage = cpu + each[0], memory + each[1], storage + each[2]
        for name, amount in each[3].items():
            scalars[name] = scalars.get(name, 0) + amount
    return cpu, memory, storage, scalars


def _most(left: Requests, right: Requests) -> Requests:
    scalars = {name: max(left[3].get(name, 0), right[3].get(name, 0)) for name in {**left[3], **right[3]}}
    return max(left[0], right[0]), max(left[1], right[1]), max(left[2], right[2]), scalars


def _ports(spec: Mapping[str, Any]) -> tuple[tuple[str, str, int], ...]:
    """Return the host ports of containers and sidecars."""
    sidecars = [each for each in spec.get("initContainers") or () if each.get("restartPolicy") == "Always"]
    ports = [port for each in (*(spec.get("containers") or ()), *sidecars) for port in each.get("ports") or ()]
    return tuple(
        (port.get("hostIP") or _ANY_ADDRESS, port.get("protocol") or "TCP", int(port["hostPort"]))
        for port in ports
        if port.get("hostPort")
    )


def _with_keys(constraint: Object, labels: Mapping[str, str]) -> Object | None:
    """Return the selector of a term or constraint, narrowed to the pod's own values of matchLabelKeys."""
    selector: Object | None = constraint.get("labelSelector")
    keys = [key for key in constraint.get("matchLabelKeys") or () if key in labels]
    if not keys or selector is None:
        return selector
    return {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), **{key: labels[key] for key in keys}}}


def _packed(selector: Object | None) -> str:
    return "null" if selector is None else orjson.dumps(selector, option=orjson.OPT_SORT_KEYS).decode()


@lru_cache(maxsize=1024)
def _unpacked(selector: str) -> Object | None:
    found: Object | None = orjson.loads(selector)
    return found


def selects(selector: str, labels: Mapping[str, str]) -> bool:
    """Tell whether a packed LabelSelector takes the labels."""
    return is_selected(_unpacked(selector), labels)


def packed(selector: Object | None) -> str:
    """Return a LabelSelector as text that can be compared, hashed and given to `selects`."""
    return _packed(selector)


def is_mirror(pod: Object) -> bool:
    """Tell whether the pod only shows what a node runs by itself."""
    return "kubernetes.io/config.mirror" in annotations_of(pod)


#: Tells whether a pod is meant by something that counts pods.
Matches = Callable[[PodInfo], bool]
Pods = Sequence[PodInfo]
