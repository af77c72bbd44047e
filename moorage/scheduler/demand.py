"""What a pod asks of a node, digested once from its object so that deciding needs no further parsing.

Amounts are whole numbers: thousandths of a core for cpu, units (bytes, pieces) for everything else.
Source: component-helpers/resource/helpers.go, pkg/scheduler/framework/types.go (v1.37).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from moorage.objects.metadata import (
    Object,
    condition_of,
    generation_of,
    is_terminating,
    labels_of,
    metadata_of,
    name_of,
    namespace_of,
    uid_of,
)
from moorage.objects.pods import node_of, spec_of, status_of
from moorage.objects.quantity import parse_quantity
from moorage.scheduler.terms import Terms, terms_of

#: What a container without a request counts as when nodes are compared. Source: util.DefaultMilliCPURequest and -Memory.
ASSUMED: Final[Mapping[str, int]] = {"cpu": 100, "memory": 200 * 1024 * 1024}

#: Where a host port is taken on all addresses.
ANY_ADDRESS: Final = "0.0.0.0"  # noqa: S104 - compared, never listened on

Amounts = dict[str, int]

#: Protocol, address and number of a host port.
HostPort = tuple[str, str, int]

_NOTHING: Mapping[str, Any] = {}
_NO_AMOUNTS: Final[Amounts] = {}


@dataclass(slots=True, eq=False)
class Demand:
    """One pod as the scheduler sees it. Read-only.

    requests: what it reserves; weights: cpu and memory with the assumed amounts where nothing is asked for.
    claims:   names of claims with whether the pod itself brings them (ephemeral volumes).
    """

    namespace: str
    name: str
    uid: str
    generation: int
    created: str
    labels: Mapping[str, str]
    node: str
    priority: int
    terminating: bool
    preempted: bool
    requests: Amounts
    weights: Amounts
    ports: tuple[HostPort, ...]
    node_selector: Mapping[str, str]
    node_affinity: Mapping[str, Any]
    tolerations: Sequence[Object]
    terms: Terms | None
    spread: Sequence[Object]
    claims: tuple[tuple[str, bool], ...]
    images: tuple[str, ...]
    gates: tuple[str, ...]
    scheduler: str
    nominated: str
    never_preempts: bool
    owners: tuple[tuple[str, str, str], ...]
    containers: int

    @property
    def key(self) -> str:
        """`namespace/name`, as Events and texts name the pod."""
        return f"{self.namespace}/{self.name}"


def demand_of(pod: Object) -> Demand:
    """Return what the pod asks for."""
    metadata, spec, status = metadata_of(pod), spec_of(pod), status_of(pod)
    containers: Sequence[Object] = spec.get("containers") or ()
    inits: Sequence[Object] = spec.get("initContainers") or ()
    affinity: Mapping[str, Any] = spec.get("affinity") or _NOTHING
    return Demand(
        namespace=namespace_of(pod),
        name=name_of(pod),
        uid=uid_of(pod),
        generation=generation_of(pod),
        created=str(metadata.get("creationTimestamp") or ""),
        labels=labels_of(pod),
        node=node_of(pod),
        priority=int(spec.get("priority") or 0),
        terminating=is_terminating(pod),
        preempted=_is_preempted(pod),
        requests=requests_of(spec, _NO_AMOUNTS),
        weights=requests_of(spec, ASSUMED),
        ports=_ports(containers, inits),
        node_selector=spec.get("nodeSelector") or _NOTHING,
        node_affinity=affinity.get("nodeAffinity") or _NOTHING,
        tolerations=spec.get("tolerations") or (),
        terms=terms_of(pod, affinity) if "podAffinity" in affinity or "podAntiAffinity" in affinity else None,
        spread=spec.get("topologySpreadConstraints") or (),
        claims=_claims(pod, spec),
        images=tuple(each.get("image") or "" for each in (*inits, *containers)),
        gates=tuple(each["name"] for each in spec.get("schedulingGates") or ()),
        scheduler=str(spec.get("schedulerName") or "default-scheduler"),
        nominated=str(status.get("nominatedNodeName") or ""),
        never_preempts=spec.get("preemptionPolicy") == "Never",
        owners=_owners(metadata),
        containers=len(containers) + len(inits),
    )


def _is_preempted(pod: Object) -> bool:
    """Tell whether the pod is being deleted to make room."""
    if not is_terminating(pod):
        return False
    condition = condition_of(pod, "DisruptionTarget")
    return (
        condition is not None
        and condition.get("status") == "True"
        and condition.get("reason") == "PreemptionByScheduler"
    )


def requests_of(spec: Mapping[str, Any], assumed: Mapping[str, int]) -> Amounts:
    """Return what a pod reserves: its containers and sidecars together, or its hungriest init container, plus overhead.

    `assumed` stands for what a container does not ask for.
    """
    total: Amounts = {}
    for container in spec.get("containers") or ():
        _add(total, _requests(container, assumed))
    inits = spec.get("initContainers")
    if inits:
        _add_inits(total, inits, assumed)
    whole = (spec.get("resources") or _NOTHING).get("requests")
    if whole:
        total.update({name: amount(name, text) for name, text in whole.items()})
    overhead = spec.get("overhead")
    if overhead:
        _add(total, {name: amount(name, text) for name, text in overhead.items()})
    return total


def amount(resource: str, text: object) -> int:
    """Return the amount that a quantity stands for, in the units of this module."""
    return _milli(str(text)) if resource == "cpu" else _whole(str(text))


@lru_cache(maxsize=1024)
def _milli(text: str) -> int:
    return parse_quantity(text).milli_value


@lru_cache(maxsize=1024)
def _whole(text: str) -> int:
    return parse_quantity(text).value


def _requests(container: Object, assumed: Mapping[str, int]) -> Amounts:
    asked = (container.get("resources") or _NOTHING).get("requests")
    if not asked:
        return dict(assumed)
    found = {name: amount(name, text) for name, text in asked.items()}
    return {**assumed, **found} if assumed else found


def _add(total: Amounts, more: Mapping[str, int]) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0) + value


def _add_inits(total: Amounts, inits: Iterable[Object], assumed: Mapping[str, int]) -> None:
    """Add the sidecars, then raise each amount to what the hungriest moment of the start needs."""
    sidecars: Amounts = {}
    most: Amounts = {}
    for container in inits:
        needs = _requests(container, assumed)
        if container.get("restartPolicy") == "Always":
            _add(total, needs)
            _add(sidecars, needs)
            needs = sidecars
        else:
            _add(needs, sidecars)
        for name, value in needs.items():
            most[name] = max(most.get(name, 0), value)
    for name, value in most.items():
        total[name] = max(total.get(name, 0), value)


def _ports(containers: Sequence[Object], inits: Sequence[Object]) -> tuple[HostPort, ...]:
    found: list[HostPort] = []
    for container in (*(each for each in inits if each.get("restartPolicy") == "Always"), *containers):
        for port in container.get("ports") or ():
            number = port.get("hostPort")
            if number:
                found.append((port.get("protocol") or "TCP", port.get("hostIP") or ANY_ADDRESS, number))
    return tuple(found)


def _claims(pod: Object, spec: Mapping[str, Any]) -> tuple[tuple[str, bool], ...]:
    found: list[tuple[str, bool]] = []
    for volume in spec.get("volumes") or ():
        claim = volume.get("persistentVolumeClaim")
        if claim:
            found.append((claim["claimName"], False))
        elif volume.get("ephemeral") is not None:
            found.append((f"{name_of(pod)}-{volume['name']}", True))
    return tuple(found)


def _owners(metadata: Mapping[str, Any]) -> tuple[tuple[str, str, str], ...]:
    """Return kind, name and uid of the controlling owner, if there is one."""
    return tuple(
        (owner["kind"], owner["name"], owner["uid"])
        for owner in metadata.get("ownerReferences") or ()
        if owner.get("controller")
    )
