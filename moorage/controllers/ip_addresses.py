"""IPAddresses and services agree: addresses without a service go, services without an address get theirs again.

The API itself makes an IPAddress before its service and removes it after it (moorage.api.service_storage); only a crash
or a user brings them apart.
Source: pkg/registry/core/service/ipallocator/controller/repairip.go (v1.37).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from moorage.controllers.rule import Controller, Decision, View
from moorage.objects.actions import Action, Confirm, Create, Delete, Record
from moorage.objects.metadata import Object, Ref, labels_of, metadata_of, name_of, namespace_of, parse_time, uid_of
from moorage.objects.service_networks import (
    FAMILY_LABEL,
    IP_ADDRESSES,
    MANAGED_LABEL,
    MANAGER,
    SERVICE_CIDRS,
    cluster_addresses_of,
    ip_address_for,
    is_address_of,
    is_inside,
)

#: How long a service may take to follow its address, and to lose one that it does not name.
LEAK_SECONDS: Final = 60.0
CHANGE_SECONDS: Final = 5.0

_ACTION: Final = "IPAddressAllocation"


@dataclass(frozen=True, slots=True)
class Address:
    """An IPAddress of the allocator's, and the service that it names (None if there is none)."""

    ip_address: Object
    service: Object | None


@dataclass(frozen=True, slots=True)
class Service:
    """A service with cluster addresses, what there is under their names, and which services those name."""

    service: Object
    ip_addresses: Mapping[str, Object | None]
    holders: Mapping[str, Object | None]
    is_inside: Mapping[str, bool]


def observe_address(view: View, ref: Ref) -> Address | None:
    """Select an IPAddress if the allocator made it."""
    found = view.get(IP_ADDRESSES, "", ref.name)
    if found is None or labels_of(found).get(MANAGED_LABEL) != MANAGER:
        return None
    parent = found["spec"]["parentRef"]
    return Address(found, view.get("services", parent.get("namespace") or "", parent["name"]))


def decide_address(observed: Address, now: datetime) -> Decision:
    """Remove an address that no service has, once it is old enough for a service to have followed."""
    found, service = observed.ip_address, observed.service
    parent = found["spec"]["parentRef"]
    named = f"{parent.get('namespace') or ''}/{parent['name']}"
    if parent.get("group") or parent["resource"] != "services":
        shown = f"&ParentReference{{Group:{parent.get('group') or ''},Resource:{parent['resource']},"
        shown += f"Namespace:{parent.get('namespace') or ''},Name:{parent['name']},}}"
        text = (
            f"IPAddress {name_of(found)} appears to have been modified, not referencing a Service {shown}: cleaning up"
        )
        return _remove(found, "IPAddressNotAllocated", text)
    age = (now - parse_time(metadata_of(found)["creationTimestamp"])).total_seconds()
    if service is None:
        if age <= LEAK_SECONDS:
            return Decision(look_again_in=LEAK_SECONDS - age + 1, because="its service may still come")
        text = f"IPAddress: {name_of(found)} for Service {named} appears to have leaked: cleaning up"
        return _remove(found, "IPAddressNotAllocated", text)
    if name_of(found) in cluster_addresses_of(service):
        return Decision(because="its service has it")
    wait = LEAK_SECONDS if service["spec"].get("type") == "ExternalName" else CHANGE_SECONDS
    if age < wait:
        return Decision(look_again_in=wait - age + 1, because="its service may be changing")
    text = f"IPAddress: {name_of(found)} for Service {named} has a wrong reference; cleaning up"
    return _remove(found, "IPAddressWrongReference", text)


def _remove(ip_address: Object, reason: str, text: str) -> Decision:
    told = Record(ip_address, reason, text, kind="Warning", action=_ACTION)
    ref = Ref(IP_ADDRESSES, "", name_of(ip_address), uid_of(ip_address))
    return Decision((Delete(ref, done=(told,)),), because=text)


def observe_service(view: View, ref: Ref) -> Service | None:
    """Select a service that has cluster addresses, and who is said to have them."""
    service = view.get("services", ref.namespace, ref.name)
    addresses = cluster_addresses_of(service)
    if service is None or not addresses:
        return None
    found = {each: view.get(IP_ADDRESSES, "", each) for each in addresses}
    holders = {each: _holder(view, item) for each, item in found.items()}
    networks = view.list(SERVICE_CIDRS)
    return Service(service, found, holders, {each: is_inside(each, networks) for each in addresses})


def _holder(view: View, ip_address: Object | None) -> Object | None:
    parent = ((ip_address or {}).get("spec") or {}).get("parentRef") or {}
    if parent.get("resource") != "services" or parent.get("group"):
        return None
    return view.get("services", parent.get("namespace") or "", parent.get("name") or "")


def decide_service(observed: Service, now: datetime) -> Decision:
    """Make the addresses that are missing, and again those that name somebody who is not there."""
    del now
    actions: list[Action] = []
    for address in cluster_addresses_of(observed.service):
        actions += _repair(observed, address)
    if any(isinstance(each, Create) for each in actions):
        # A service that is being deleted loses its addresses right after itself: the cache may still have it.
        actions.insert(0, Confirm(Ref("services", *_place(observed.service))))
    return Decision(tuple(actions), because="its addresses are repaired" if actions else "its addresses are its own")


def _place(service: Object) -> tuple[str, str, str]:
    return namespace_of(service), name_of(service), uid_of(service)


def _repair(observed: Service, address: str) -> list[Action]:
    service, found = observed.service, observed.ip_addresses[address]
    family = f"[{'IPv6' if ':' in address else 'IPv4'}]"
    where = f"{namespace_of(service)}/{name_of(service)}"
    if not observed.is_inside[address]:
        text = f"Cluster IP {family}: {address} is not within any configured Service CIDR; please recreate service"
        return [_tell(service, "ClusterIPOutOfRange", text)]
    wanted = ip_address_for(service, address)
    if found is None:
        text = f"Cluster IP {family}: {address} is not allocated; repairing"
        return [Create(IP_ADDRESSES, wanted, done=(_tell(service, "ClusterIPNotAllocated", text),))]
    remove = Delete(Ref(IP_ADDRESSES, "", address, uid_of(found)))
    if is_address_of(found, service):
        labels = labels_of(found)
        is_labelled = labels.get(MANAGED_LABEL) == MANAGER and FAMILY_LABEL in labels
        return [] if is_labelled else [remove, Create(IP_ADDRESSES, wanted)]
    holder = observed.holders[address]
    if holder is not None:
        if address not in cluster_addresses_of(holder):
            return []
        text = f"Cluster IP {family}:{address} was assigned to multiple services; please recreate service"
        return [_tell(service, "ClusterIPAlreadyAllocated", text)]
    text = f"the ClusterIP {family}: {address} for Service {where} has a wrong reference; repairing"
    return [_tell(service, "ClusterIPNotAllocated", text), remove, Create(IP_ADDRESSES, wanted)]


def _tell(service: Object, reason: str, text: str) -> Record:
    return Record(service, reason, text, kind="Warning", action="ClusterIPAllocation")


ADDRESS_CONTROLLER: Final = Controller(
    name="ipallocator-repair-controller",
    kind=IP_ADDRESSES,
    wakes={},
    observe=observe_address,
    decide=decide_address,
    reads=("services",),
)

SERVICE_CONTROLLER: Final = Controller(
    name="ipallocator-repair-controller",
    kind="services",
    wakes={IP_ADDRESSES: lambda view, changed: _named_service(changed)},
    observe=observe_service,
    decide=decide_service,
    reads=(SERVICE_CIDRS,),
)


def _named_service(ip_address: Object) -> list[Ref]:
    """A service whose address goes, or changes hands, looks again."""
    parent = (ip_address.get("spec") or {}).get("parentRef") or {}
    if parent.get("resource") != "services" or parent.get("group"):
        return []
    return [Ref("services", parent.get("namespace") or "", parent.get("name") or "")]
