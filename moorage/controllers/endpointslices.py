"""EndpointSlices: of Services that select pods, and mirrored from Endpoints that somebody wrote by hand.

A pod's endpoint stays in the slice that it is in; new ones fill slices with room, first those that change anyway.
Source: staging/src/k8s.io/endpointslice/{reconciler,utils}.go, pkg/controller/endpointslicemirroring (v1.37).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from moorage.controllers.endpoints import (
    HEADLESS,
    MANAGED_BY,
    TRIGGER_TIME,
    address_of,
    families_of,
    has_address,
    has_pods,
    hostname_of,
    is_headless,
    publishes_unready,
    selected_pods,
    services_of_pod,
    target_of,
    target_port,
    trigger_time,
)
from moorage.controllers.rule import Controller, Decision, Index, View
from moorage.objects import pods as pod_facts
from moorage.objects.actions import Action, Create, Delete, Update
from moorage.objects.endpoint_slices import SERVICE_NAME, SLICES
from moorage.objects.metadata import (
    Object,
    Ref,
    annotations_of,
    controller_reference,
    is_terminating,
    labels_of,
    metadata_of,
    name_of,
    namespace_of,
)
from moorage.objects.workloads import ref_of

SLICE_MANAGED_BY: Final = "endpointslice.kubernetes.io/managed-by"
SKIP_MIRROR: Final = "endpointslice.kubernetes.io/skip-mirror"
LEADER: Final = "control-plane.alpha.kubernetes.io/leader"
COMPONENT: Final = "endpointslice-controller.k8s.io"
MIRROR_COMPONENT: Final = "endpointslicemirroring-controller.k8s.io"
ZONE: Final = "topology.kubernetes.io/zone"
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"

#: How many endpoints one slice holds. Source: MaxEndpointsPerSlice.
ENDPOINTS_MOST: Final = 100
#: How many addresses of one subset are mirrored. Source: MirroringMaxEndpointsPerSubset.
MIRRORED_MOST: Final = 1000

_RESERVED: Final = frozenset({SERVICE_NAME, SLICE_MANAGED_BY, HEADLESS})
_NOTHING: Mapping[str, Any] = {}


def _service_of(slice_: Object) -> Iterable[str]:
    name = labels_of(slice_).get(SERVICE_NAME)
    return (f"{namespace_of(slice_)}/{name}",) if name else ()


#: Slices by the Service (`namespace/name`) that they belong to.
BY_SERVICE: Final = Index("of-service", _service_of)


@dataclass(frozen=True, slots=True)
class Observed:
    """A Service, its pods, the zones of nodes, and the slices that we made for it."""

    service: Object
    pods: Sequence[Object]
    zones: Mapping[str, str]
    slices: Sequence[Object]


@dataclass(frozen=True, slots=True)
class ObservedEndpoints:
    """Endpoints, the Service of their name, and the slices that mirror them."""

    endpoints: Object
    service: Object | None
    slices: Sequence[Object]


@dataclass(slots=True)
class Wanted:
    """The endpoints that slices of one address family and one set of ports should hold, by identity."""

    family: str
    ports: list[dict[str, Any]] | None
    endpoints: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Frame:
    """What all slices of one owner have in common."""

    owner: Object
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


def observe(view: View, ref: Ref) -> Observed | None:
    """Select a Service that selects pods, with all that its slices depend on."""
    service = view.get("services", ref.namespace, ref.name)
    if service is None or is_terminating(service) or not has_pods(service):
        return None
    pods = selected_pods(view, service)
    nodes = {pod_facts.node_of(pod) for pod in pods} - {""}
    zones = {name: labels_of(view.get("nodes", "", name) or {}).get(ZONE, "") for name in sorted(nodes)}
    return Observed(service, pods, zones, _slices(view, ref, COMPONENT))


def decide(observed: Observed, now: datetime) -> Decision:
    """Say how the slices must change."""
    service = observed.service
    labels = {key: value for key, value in labels_of(service).items() if key not in _RESERVED}
    labels |= {SERVICE_NAME: name_of(service), SLICE_MANAGED_BY: COMPONENT}
    if is_headless(service):
        labels[HEADLESS] = ""
    known = {
        str((each.get("targetRef") or _NOTHING).get("uid")): bool(each.get("conditions", {}).get("serving"))
        for slice_ in observed.slices
        for each in slice_.get("endpoints") or ()
    }
    trigger = trigger_time(service, observed.pods, known, is_new=not observed.slices)
    frame = Frame(service, labels, {TRIGGER_TIME: trigger} if trigger else {})
    wanted = [each for family in families_of(service) for each in _wanted(observed, family)]
    return Decision(_changes(frame, wanted, observed.slices), because="slices follow the pods")


def observe_endpoints(view: View, ref: Ref) -> ObservedEndpoints | None:
    """Select Endpoints and what mirrors them; None when they are gone (their slices go with them)."""
    endpoints = view.get("endpoints", ref.namespace, ref.name)
    if endpoints is None or is_terminating(endpoints):
        return None
    service = view.get("services", ref.namespace, ref.name)
    return ObservedEndpoints(endpoints, service, _slices(view, ref, MIRROR_COMPONENT))


def decide_endpoints(observed: ObservedEndpoints, now: datetime) -> Decision:
    """Say how the mirroring slices must change."""
    endpoints, service = observed.endpoints, observed.service
    if not _is_mirrored(endpoints, service):
        gone = tuple(Delete(ref_of(SLICES, each)) for each in observed.slices)
        return Decision(gone, because="they are not mirrored")
    labels = {key: value for key, value in labels_of(endpoints).items() if key not in _RESERVED}
    labels |= {SERVICE_NAME: name_of(endpoints), SLICE_MANAGED_BY: MIRROR_COMPONENT}
    left_out = {TRIGGER_TIME, LAST_APPLIED}
    annotations = {key: value for key, value in annotations_of(endpoints).items() if key not in left_out}
    wanted = [each for subset in endpoints.get("subsets") or () for each in _mirrored(subset)]
    return Decision(
        _changes(Frame(endpoints, labels, annotations), wanted, observed.slices, placeholder=False),
        because="slices mirror the Endpoints",
    )


def _wanted(observed: Observed, family: str) -> list[Wanted]:
    """Return what the slices of an address family should hold: one entry for each set of ports."""
    service = observed.service
    groups: dict[str, Wanted] = {}
    for pod in observed.pods:
        address = address_of(pod, family)
        if address and has_address(pod, terminating=True):
            ports = _ports(service, pod)
            group = groups.setdefault(str(ports), Wanted(family, ports))
            group.endpoints[f"{address} {name_of(pod)}"] = _endpoint(observed, pod, address)
    return list(groups.values()) or [Wanted(family, None)]


def _ports(service: Object, pod: Object) -> list[dict[str, Any]] | None:
    found = []
    for port in (service.get("spec") or _NOTHING).get("ports") or ():
        number = target_port(pod, port)
        if number is not None:
            entry = {"name": port.get("name") or "", "protocol": port.get("protocol") or "TCP", "port": number}
            if port.get("appProtocol"):
                entry["appProtocol"] = port["appProtocol"]
            found.append(entry)
    return found or None


def _endpoint(observed: Observed, pod: Object, address: str) -> dict[str, Any]:
    serving, terminating = pod_facts.is_ready(pod), is_terminating(pod)
    ready = publishes_unready(observed.service) or (serving and not terminating)
    entry: dict[str, Any] = {
        "addresses": [address],
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        "targetRef": target_of(pod),
    }
    if hostname := hostname_of(pod, observed.service):
        entry["hostname"] = hostname
    if node := pod_facts.node_of(pod):
        entry["nodeName"] = node
        if zone := observed.zones.get(node):
            entry["zone"] = zone
    return entry


def _mirrored(subset: Object) -> list[Wanted]:
    """Return what mirrors one subset: one entry for each address family in it."""
    ports = [
        {
            "name": each.get("name") or "",
            "protocol": each.get("protocol") or "TCP",
            "port": each["port"],
            **({"appProtocol": each["appProtocol"]} if each.get("appProtocol") else {}),
        }
        for each in subset.get("ports") or ()
    ]
    addresses = [(True, each) for each in subset.get("addresses") or ()]
    addresses += [(False, each) for each in subset.get("notReadyAddresses") or ()]
    groups: dict[str, Wanted] = {}
    for is_ready, address in addresses[:MIRRORED_MOST]:
        family = "IPv6" if ":" in address["ip"] else "IPv4"
        entry: dict[str, Any] = {"addresses": [address["ip"]], "conditions": {"ready": is_ready}}
        entry |= {key: address[key] for key in ("hostname", "nodeName", "targetRef") if address.get(key)}
        groups.setdefault(family, Wanted(family, ports or None)).endpoints[address["ip"]] = entry
    return list(groups.values())


def _changes(
    frame: Frame, wanted: Sequence[Wanted], slices: Sequence[Object], *, placeholder: bool = True
) -> tuple[Action, ...]:
    """Return the actions that bring the slices to hold what is wanted.

    placeholder: a family without endpoints keeps one empty slice.
    """
    actions: list[Action] = []
    left = list(slices)
    for each in wanted:
        matching = [slice_ for slice_ in left if _is_of(slice_, each)]
        if not each.endpoints:
            matching = [slice_ for slice_ in left if slice_.get("addressType") == each.family][:1]
        left = [slice_ for slice_ in left if slice_ not in matching]
        actions += _fill(frame, each, matching, placeholder=placeholder)
    for slice_ in left:
        actions.append(Delete(ref_of(SLICES, slice_)))
    return tuple(actions)


def _is_of(slice_: Object, wanted: Wanted) -> bool:
    """Tell whether a slice may hold these endpoints: same family and ports; an empty slice may hold any of its family."""
    if slice_.get("addressType") != wanted.family:
        return False
    return (slice_.get("ports") or None) == wanted.ports or not slice_.get("endpoints")


def _fill(frame: Frame, wanted: Wanted, slices: Sequence[Object], *, placeholder: bool) -> list[Action]:
    missing = dict(sorted(wanted.endpoints.items()))
    contents: list[tuple[Object | None, list[dict[str, Any]]]] = []
    for slice_ in slices:
        kept = []
        for old in slice_.get("endpoints") or ():
            new = missing.pop(_identity(old), None)
            if new is not None:
                kept.append(new)
        contents.append((slice_, kept))
    changed = [entry for entry in contents if entry[1] != list((entry[0] or _NOTHING).get("endpoints") or ())]
    for _, kept in (*changed, *(entry for entry in contents if entry not in changed)):
        while missing and len(kept) < ENDPOINTS_MOST:
            kept.append(missing.pop(next(iter(missing))))
    rest = list(missing.values())
    contents += [(None, rest[at : at + ENDPOINTS_MOST]) for at in range(0, len(rest), ENDPOINTS_MOST)]
    if placeholder and not any(kept for _, kept in contents):
        keeper = contents[0][0] if contents else None
        gone = [Delete(ref_of(SLICES, slice_)) for slice_, _ in contents[1:] if slice_ is not None]
        return [*_write(frame, wanted, keeper, []), *gone]
    return [action for slice_, kept in contents for action in _write(frame, wanted, slice_, kept, drop=not kept)]


def _write(
    frame: Frame, wanted: Wanted, slice_: Object | None, endpoints: list[dict[str, Any]], *, drop: bool = False
) -> list[Action]:
    """Return the write of one slice, nothing if it is right already."""
    if drop:
        return [Delete(ref_of(SLICES, slice_))] if slice_ is not None else []
    ports = wanted.ports if endpoints else None
    if slice_ is None:
        metadata: dict[str, Any] = {
            "generateName": f"{name_of(frame.owner)}-",
            "namespace": namespace_of(frame.owner),
            "labels": dict(frame.labels),
            "ownerReferences": [controller_reference(frame.owner)],
        }
        if frame.annotations:
            metadata["annotations"] = dict(frame.annotations)
        made = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata}
        return [Create(SLICES, {**made, "addressType": wanted.family, "endpoints": endpoints or None, "ports": ports})]
    same = (slice_.get("endpoints") or []) == endpoints and (slice_.get("ports") or None) == ports
    if same and labels_of(slice_) == frame.labels:
        return []
    annotations = {key: value for key, value in annotations_of(slice_).items() if key != TRIGGER_TIME}
    metadata = {
        **metadata_of(slice_),
        "labels": dict(frame.labels),
        "annotations": {**annotations, **frame.annotations},
    }
    return [Update(SLICES, {**slice_, "metadata": metadata, "endpoints": endpoints or None, "ports": ports})]


def _identity(endpoint: Object) -> str:
    """Return what makes an endpoint the same: its address, and its pod where it has one."""
    address = endpoint["addresses"][0]
    target = endpoint.get("targetRef")
    return f"{address} {target['name']}" if target and "serving" in endpoint.get("conditions", {}) else str(address)


def _is_mirrored(endpoints: Object, service: Object | None) -> bool:
    labels = labels_of(endpoints)
    if labels.get(SKIP_MIRROR) == "true" or LEADER in annotations_of(endpoints) or MANAGED_BY in labels:
        return False
    return service is not None and not (service.get("spec") or _NOTHING).get("selector")


def _slices(view: View, ref: Ref, manager: str) -> list[Object]:
    found = view.matching(SLICES, BY_SERVICE, f"{ref.namespace}/{ref.name}")
    return [each for each in found if labels_of(each).get(SLICE_MANAGED_BY) == manager and not is_terminating(each)]


def _owner_of(manager: str, resource: str, slice_: Object) -> Iterable[Ref]:
    if labels_of(slice_).get(SLICE_MANAGED_BY) != manager:
        return ()
    return (Ref(resource, namespace_of(slice_), labels_of(slice_).get(SERVICE_NAME, "")),)


CONTROLLER = Controller(
    name="endpoint-slice-controller",
    kind="services",
    wakes={"pods": services_of_pod, SLICES: lambda view, obj: _owner_of(COMPONENT, "services", obj)},
    observe=observe,
    decide=decide,
    reads=("nodes",),
)

MIRROR_CONTROLLER = Controller(
    name="endpoint-slice-mirroring-controller",
    kind="endpoints",
    wakes={
        "services": lambda view, obj: (Ref("endpoints", namespace_of(obj), name_of(obj)),),
        SLICES: lambda view, obj: _owner_of(MIRROR_COMPONENT, "endpoints", obj),
    },
    observe=observe_endpoints,
    decide=decide_endpoints,
)
