"""ServiceCIDRs: where addresses of services come from.

Source: pkg/apis/networking/validation, pkg/registry/networking/servicecidr/strategy.go (v1.37).
"""

import ipaddress
from datetime import datetime
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Draft, Request
from moorage.objects.addresses import cidr_problems, is_ipv6
from moorage.objects.errors import Cause
from moorage.objects.internal_form import internal_form
from moorage.objects.metadata import Object, name_of
from moorage.objects.validation import each_invalid, go_quoted, invalid, required

#: One network of each family.
CIDRS_MOST = 2

_PATH = "spec.cidrs"
_FAMILIES = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Start without a status."""
    del request, lookup
    draft["status"] = {}


def _cidrs(obj: Object) -> list[str]:
    return (obj.get("spec") or {}).get("cidrs") or []


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a ServiceCIDR."""
    del request
    cidrs = _cidrs(obj)
    if not cidrs:
        return [required(_PATH, "at least one CIDR required")]
    if len(cidrs) > CIDRS_MOST:
        shown = internal_form("ServiceCIDRSpec", obj.get("spec"))
        return [invalid(_PATH, shown, f"may only hold up to {CIDRS_MOST} values")]
    causes: list[Cause] = []
    for index, text in enumerate(cidrs):
        path = f"{_PATH}[{index}]"
        if problems := cidr_problems(text):
            causes += each_invalid(path, text, problems)
        elif (canonical := str(ipaddress.ip_network(text))) != text:
            causes.append(invalid(path, text, f"must be in canonical form ({go_quoted(canonical)})"))
    if not causes and len({is_ipv6(text) for text in cidrs}) != len(cidrs):
        causes.append(invalid(_PATH, cidrs, _FAMILIES))
    return causes


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a ServiceCIDR may not change: networks stay, the other family may come."""
    del request
    new, before = _cidrs(obj), _cidrs(old)
    if len(new) < len(before):
        return [invalid(_PATH, new, "field is immutable")]
    return [
        invalid(f"{_PATH}[{index}]", new[index], "field is immutable")
        for index, text in enumerate(before)
        if new[index] != text
    ]


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, networks, age."""
    return [name_of(obj), ",".join(_cidrs(obj)) or "<none>", age_of(obj, now)]
