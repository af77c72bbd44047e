"""ServiceCIDRs: says that they are ready, and keeps those that somebody's address comes from until nobody's does.

The one that the cluster started with is made again when it is gone.
Source: pkg/controller/servicecidrs, pkg/controlplane/controller/defaultservicecidr (v1.37).
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from moorage.controllers.rule import Controller, Decision, View
from moorage.objects.actions import Action, Create, Patch
from moorage.objects.metadata import (
    Object,
    Ref,
    condition_of,
    finalizers_of,
    format_time,
    is_terminating,
    labels_of,
    metadata_of,
    name_of,
    parse_time,
    uid_of,
)
from moorage.objects.service_networks import (
    DEFAULT_NAME,
    IP_ADDRESSES,
    MANAGED_LABEL,
    MANAGER,
    SERVICE_CIDRS,
    default_service_cidr,
)

FINALIZER: Final = "networking.k8s.io/service-cidr-finalizer"

#: How long a ServiceCIDR outlives its deletion, so that every allocator hears of it first.
GRACE_SECONDS: Final = 10.0

_READY: Final = ("True", "", "Kubernetes Service CIDR is ready")
_HELD: Final = (
    "False",
    "Terminating",
    "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR",
)


@dataclass(frozen=True, slots=True)
class Observed:
    """A ServiceCIDR (None: the cluster's own is gone), all others, and the addresses that the allocator gave away."""

    service_cidr: Object | None
    others: Sequence[Object] = ()
    addresses: Sequence[str] = ()


def observe(view: View, ref: Ref) -> Observed | None:
    """Select a ServiceCIDR; of one that goes also what holds it."""
    service_cidr = view.get(SERVICE_CIDRS, "", ref.name)
    if service_cidr is None:
        return Observed(None) if ref.name == DEFAULT_NAME else None
    if not is_terminating(service_cidr):
        return Observed(service_cidr)
    others = [each for each in view.list(SERVICE_CIDRS) if name_of(each) != ref.name]
    return Observed(service_cidr, others, [name_of(each) for each in view.list(IP_ADDRESSES) if _is_managed(each)])


def decide(observed: Observed, now: datetime) -> Decision:
    """Hold it, say that it is ready, or let it go."""
    service_cidr = observed.service_cidr
    if service_cidr is None:
        return Decision(
            (Create(SERVICE_CIDRS, default_service_cidr()),), because="every cluster has its own ServiceCIDR"
        )
    if is_terminating(service_cidr):
        return _decide_terminating(observed, service_cidr, now)
    actions: list[Action] = []
    if FINALIZER not in finalizers_of(service_cidr):
        finalizers = [*finalizers_of(service_cidr), FINALIZER]
        actions.append(Patch(_ref(service_cidr), {"metadata": {"finalizers": finalizers}}))
    actions += _tell(service_cidr, _READY, now)
    return Decision(tuple(actions), because=_READY[2])


def _decide_terminating(observed: Observed, service_cidr: Object, now: datetime) -> Decision:
    if FINALIZER not in finalizers_of(service_cidr):
        return Decision(because="somebody else's finalizers hold it")
    if _is_needed(observed, service_cidr):
        return Decision(_tell(service_cidr, _HELD, now), because=_HELD[2])
    since = (now - parse_time(metadata_of(service_cidr)["deletionTimestamp"])).total_seconds()
    if since < GRACE_SECONDS:
        return Decision(look_again_in=GRACE_SECONDS - since, because="nobody's address comes from it any more")
    left = [each for each in finalizers_of(service_cidr) if each != FINALIZER]
    patch = {"metadata": {"finalizers": left or None}}
    return Decision((Patch(_ref(service_cidr), patch),), because="nobody's address comes from it any more")


def _is_needed(observed: Observed, service_cidr: Object) -> bool:
    """Tell whether an address would be outside of every network without this ServiceCIDR."""
    own = _networks(service_cidr)
    others = [network for each in observed.others for network in _networks(each)]
    if all(any(_covers(other, network) for other in others) for network in own):
        return False
    for text in observed.addresses:
        address = ipaddress.ip_address(text)
        if any(address in each for each in own) and not any(address in each for each in others):
            return True
    return False


def _covers(outer: Any, inner: Any) -> bool:
    return bool(outer.version == inner.version and inner.subnet_of(outer))


def _networks(service_cidr: Object) -> list[Any]:
    return [ipaddress.ip_network(text) for text in (service_cidr.get("spec") or {}).get("cidrs") or ()]


def _ref(service_cidr: Object) -> Ref:
    return Ref(SERVICE_CIDRS, "", name_of(service_cidr), uid_of(service_cidr))


def _tell(service_cidr: Object, told: tuple[str, str, str], now: datetime) -> tuple[Action, ...]:
    """Return what sets the condition Ready to (status, reason, message), nothing if it says so already."""
    old = condition_of(service_cidr, "Ready") or {}
    if (old.get("status"), old.get("reason") or "", old.get("message")) == told:
        return ()
    status, reason, message = told
    since = old.get("lastTransitionTime") if old.get("status") == status else format_time(now)
    ready = {"type": "Ready", "status": status, "lastTransitionTime": since, "reason": reason, "message": message}
    others = [each for each in (service_cidr.get("status") or {}).get("conditions") or () if each["type"] != "Ready"]
    return (Patch(_ref(service_cidr), {"status": {"conditions": [*others, ready]}}, subresource="status"),)


def _is_managed(ip_address: Object) -> bool:
    return labels_of(ip_address).get(MANAGED_LABEL) == MANAGER


def _terminating(view: View, changed: Object) -> Iterable[Ref]:
    """What comes or goes may hold, or set free, those that are to go."""
    del changed
    return [Ref(SERVICE_CIDRS, "", name_of(each)) for each in view.list(SERVICE_CIDRS) if is_terminating(each)]


CONTROLLER: Final = Controller(
    name="service-cidr-controller",
    kind=SERVICE_CIDRS,
    wakes={SERVICE_CIDRS: _terminating, IP_ADDRESSES: _terminating},
    observe=observe,
    decide=decide,
)
