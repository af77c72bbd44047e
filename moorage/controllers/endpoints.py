"""Endpoints of Services: the addresses of the pods that a Service selects, grouped by the ports that they offer.

What a Service's pods are, which port a name means in a pod, and what changed when, is here for EndpointSlices too.
Source: pkg/controller/endpoint/endpoints_controller.go, pkg/api/v1/endpoints/util.go (v1.37).
"""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from moorage.controllers.rule import Controller, Decision, Index, View
from moorage.objects import pods as pod_facts
from moorage.objects.actions import Create, Delete, Record, Update
from moorage.objects.metadata import (
    Object,
    Ref,
    annotations_of,
    condition_of,
    is_terminating,
    labels_of,
    metadata_of,
    name_of,
    namespace_of,
    uid_of,
)
from moorage.objects.workloads import ref_of

MANAGED_BY: Final = "endpoints.kubernetes.io/managed-by"
COMPONENT: Final = "endpoint-controller"
HEADLESS: Final = "service.kubernetes.io/headless"
TRIGGER_TIME: Final = "endpoints.kubernetes.io/last-change-trigger-time"
OVER_CAPACITY: Final = "endpoints.kubernetes.io/over-capacity"

#: How many addresses one Endpoints object holds. Source: maxCapacity.
ADDRESSES_MOST: Final = 1000

_NOTHING: Mapping[str, Any] = {}


#: Pods by namespace and each of their labels.
PODS_BY_LABEL: Final = Index(
    "by-label", lambda pod: [f"{namespace_of(pod)}/{key}={value}" for key, value in labels_of(pod).items()]
)


@dataclass(frozen=True, slots=True)
class Observed:
    """A Service (None: gone, as `ref` says), the Endpoints of its name, and the pods that it selects."""

    ref: Ref
    service: Object | None
    endpoints: Object | None
    pods: Sequence[Object]


def observe(view: View, ref: Ref) -> Observed | None:
    """Select a Service and its pods. None where Endpoints are made by somebody else."""
    service = view.get("services", ref.namespace, ref.name)
    endpoints = view.get("endpoints", ref.namespace, ref.name)
    if service is None:
        return Observed(ref, None, endpoints, ()) if endpoints is not None else None
    if not has_pods(service):
        return None
    return Observed(ref, service, endpoints, selected_pods(view, service))


def decide(observed: Observed, now: datetime) -> Decision:
    """Say what the Endpoints should be."""
    service, known = observed.service, observed.endpoints
    if service is None:
        ref = Ref("endpoints", observed.ref.namespace, observed.ref.name, uid_of(known or {}))
        return Decision((Delete(ref),), because="its Service is gone")
    subsets, is_cut = _cut(_subsets(service, observed.pods))
    labels = {**labels_of(service), MANAGED_BY: COMPONENT}
    labels.pop(HEADLESS, None)
    if is_headless(service):
        labels[HEADLESS] = ""
    if known is not None and _is_same(known, subsets, labels, is_cut=is_cut):
        return Decision(because="they are up to date")
    annotations = {key: value for key, value in annotations_of(known or {}).items() if key not in _OURS}
    if trigger := trigger_time(service, observed.pods, _addresses(known), is_new=known is None):
        annotations[TRIGGER_TIME] = trigger
    if is_cut:
        annotations[OVER_CAPACITY] = "truncated"
    metadata = {**(metadata_of(known) if known else {}), "name": name_of(service), "namespace": namespace_of(service)}
    metadata |= {"labels": labels, "annotations": annotations}
    whole = {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets}
    name = name_of(service)
    if known is None:
        told = f"Failed to create endpoint for service {namespace_of(service)}/{name}: {{error}}"
        failed = (Record(service, "FailedToCreateEndpoint", told, kind="Warning"),)
        return Decision((Create("endpoints", whole, failed=failed),), because="its Service is new")
    told = f"Failed to update endpoint {namespace_of(service)}/{name}: {{error}}"
    failed = (Record(whole, "FailedToUpdateEndpoint", told, kind="Warning"),)
    return Decision((Update("endpoints", whole, failed=failed),), because="its pods have changed")


_OURS: Final = frozenset({TRIGGER_TIME, OVER_CAPACITY})


def has_pods(service: Object) -> bool:
    """Tell whether the Service gets its addresses from pods that it selects."""
    spec = service.get("spec") or _NOTHING
    return bool(spec.get("selector")) and spec.get("type") != "ExternalName"


def is_headless(service: Object) -> bool:
    """Tell whether the Service has no address of its own."""
    return (service.get("spec") or _NOTHING).get("clusterIP") in (None, "", "None")


def publishes_unready(service: Object) -> bool:
    """Tell whether pods that are not ready count as ready for this Service."""
    return bool((service.get("spec") or _NOTHING).get("publishNotReadyAddresses"))


def selected_pods(view: View, service: Object) -> list[Object]:
    """Return the pods of the Service's namespace that it selects, by name."""
    selector: Mapping[str, str] = (service.get("spec") or _NOTHING).get("selector") or _NOTHING
    key, value = next(iter(sorted(selector.items())))
    found = view.matching("pods", PODS_BY_LABEL, f"{namespace_of(service)}/{key}={value}")
    return [pod for pod in found if selector.items() <= labels_of(pod).items()]


def has_address(pod: Object, *, terminating: bool) -> bool:
    """Tell whether the pod can be an endpoint. `terminating`: even while it is being deleted."""
    if not addresses_of(pod) or (is_terminating(pod) and not terminating):
        return False
    return pod_facts.is_ready(pod) or not pod_facts.is_finished(pod)


def addresses_of(pod: Object) -> list[str]:
    """Return the IP addresses of a pod, the first one first."""
    status = pod_facts.status_of(pod)
    found = [str(each.get("ip")) for each in status.get("podIPs") or () if each.get("ip")]
    return found or ([str(status["podIP"])] if status.get("podIP") else [])


def address_of(pod: Object, family: str) -> str:
    """Return the pod's address of a family (IPv4, IPv6), "" if it has none."""
    return next((each for each in addresses_of(pod) if (":" in each) == (family == "IPv6")), "")


def families_of(service: Object) -> Sequence[str]:
    """Return the address families of a Service, the main one first."""
    spec = service.get("spec") or _NOTHING
    if families := spec.get("ipFamilies"):
        return tuple(families)
    address = spec.get("clusterIP")
    if address and address != "None" and ipaddress.ip_address(address).version == 6:
        return ("IPv6",)
    return ("IPv4",)


def target_port(pod: Object, port: Object) -> int | None:
    """Return the number that a Service's port means in this pod, None if the pod has no port of that name."""
    target = port.get("targetPort")
    if target is None or target == "":
        return int(port.get("port") or 0)
    if isinstance(target, int):
        return target or int(port.get("port") or 0)
    spec = pod_facts.spec_of(pod)
    sidecars = [each for each in spec.get("initContainers") or () if each.get("restartPolicy") == "Always"]
    for container in (*(spec.get("containers") or ()), *sidecars):
        for offered in container.get("ports") or ():
            same = (offered.get("protocol") or "TCP") == (port.get("protocol") or "TCP")
            if offered.get("name") == target and same:
                return int(offered["containerPort"])
    return None


def target_of(pod: Object) -> dict[str, str]:
    """Return the reference by which an endpoint names its pod."""
    return {"kind": "Pod", "namespace": namespace_of(pod), "name": name_of(pod), "uid": uid_of(pod)}


def hostname_of(pod: Object, service: Object) -> str:
    """Return the name that the pod has below the Service's, "" if it has none."""
    spec = pod_facts.spec_of(pod)
    return str(spec.get("hostname") or "") if spec.get("subdomain") == name_of(service) else ""


def trigger_time(service: Object, pods: Iterable[Object], known: Mapping[str, bool], *, is_new: bool) -> str:
    """Return when the change came about that is now written down: when the earliest of the changed pods turned.

    known: readiness of the pods (by uid) that were written down before; a new object is also due to its Service.
    """
    times = [str(metadata_of(service).get("creationTimestamp") or "")] if is_new else []
    times += [
        str((condition_of(pod, "Ready") or _NOTHING).get("lastTransitionTime") or "")
        for pod in pods
        if known.get(uid_of(pod)) != pod_facts.is_ready(pod)
    ]
    return min((each for each in times if each), default="")


def services_of_pod(view: View, pod: Object) -> Iterable[Ref]:
    """Return the Services that select the pod."""
    labels = labels_of(pod)
    return [
        ref_of("services", service)
        for service in view.list("services", namespace_of(pod))
        if has_pods(service) and service["spec"]["selector"].items() <= labels.items()
    ]


def _subsets(service: Object, pods: Sequence[Object]) -> list[dict[str, Any]]:
    """Return the subsets: one for each set of ports, with its addresses by IP."""
    groups: dict[tuple[tuple[tuple[str, Any], ...], ...], list[tuple[bool, dict[str, Any]]]] = {}
    family = families_of(service)[0]
    for pod in pods:
        address = address_of(pod, family)
        if not address or not has_address(pod, terminating=publishes_unready(service)):
            continue
        entry = (publishes_unready(service) or pod_facts.is_ready(pod), _address(pod, service, address))
        wanted: Sequence[Object] = (service.get("spec") or _NOTHING).get("ports") or ()
        ports = tuple(tuple(port.items()) for port in _ports(wanted, pod))
        if ports or not wanted:
            groups.setdefault(ports, []).append(entry)
    return [_subset(ports, entries) for ports, entries in sorted(groups.items(), key=lambda group: str(group[0]))]


def _subset(
    ports: Sequence[Sequence[tuple[str, Any]]], entries: Sequence[tuple[bool, dict[str, Any]]]
) -> dict[str, Any]:
    ready = [address for is_ready, address in entries if is_ready]
    unready = [address for is_ready, address in entries if not is_ready]
    subset: dict[str, Any] = {}
    if ready:
        subset["addresses"] = sorted(ready, key=_address_order)
    if unready:
        subset["notReadyAddresses"] = sorted(unready, key=_address_order)
    if ports:
        subset["ports"] = [dict(port) for port in ports]
    return subset


def _address_order(address: Object) -> tuple[str, str]:
    return str(address["ip"]), str(address["targetRef"]["uid"])


def _address(pod: Object, service: Object, address: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"ip": address}
    if hostname := hostname_of(pod, service):
        entry["hostname"] = hostname
    if node := pod_facts.node_of(pod):
        entry["nodeName"] = node
    return {**entry, "targetRef": target_of(pod)}


def _ports(wanted: Sequence[Object], pod: Object) -> Iterable[dict[str, Any]]:
    for port in wanted:
        number = target_port(pod, port)
        if number is None:
            continue
        entry: dict[str, Any] = {"name": port["name"]} if port.get("name") else {}
        entry |= {"port": number, "protocol": port.get("protocol") or "TCP"}
        if port.get("appProtocol"):
            entry["appProtocol"] = port["appProtocol"]
        yield entry


def _cut(subsets: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], bool]:
    """Return the subsets with no more addresses than the object may have, ready ones first, and whether some were cut."""
    total = sum(len(each.get(kind) or ()) for each in subsets for kind in ("addresses", "notReadyAddresses"))
    if total <= ADDRESSES_MOST:
        return subsets, False
    left = ADDRESSES_MOST
    cut = [dict(each) for each in subsets]
    for kind in ("addresses", "notReadyAddresses"):
        for subset in cut:
            if kind in subset:
                subset[kind] = subset[kind][:left]
                left -= len(subset[kind])
    return [each for each in cut if each.get("addresses") or each.get("notReadyAddresses")], True


def _addresses(endpoints: Object | None) -> dict[str, bool]:
    """Return the readiness of the pods (by uid) in Endpoints."""
    found = {}
    for subset in (endpoints or _NOTHING).get("subsets") or ():
        for kind, is_ready in (("notReadyAddresses", False), ("addresses", True)):
            for address in subset.get(kind) or ():
                found[str((address.get("targetRef") or _NOTHING).get("uid"))] = is_ready
    return found


def _is_same(known: Object, subsets: Sequence[Any], labels: Mapping[str, str], *, is_cut: bool) -> bool:
    return (
        list(known.get("subsets") or ()) == subsets
        and labels_of(known) == labels
        and (annotations_of(known).get(OVER_CAPACITY) == "truncated") == is_cut
    )


def _wakes(view: View, endpoints: Object) -> Iterable[Ref]:
    """Return the Service of Endpoints that are gone, or that somebody else has changed."""
    return (Ref("services", namespace_of(endpoints), name_of(endpoints)),) if MANAGED_BY in labels_of(endpoints) else ()


CONTROLLER = Controller(
    name=COMPONENT,
    kind="services",
    wakes={"pods": services_of_pod, "endpoints": _wakes},
    observe=observe,
    decide=decide,
)
