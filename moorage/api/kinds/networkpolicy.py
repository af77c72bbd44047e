"""NetworkPolicies: who may talk to pods, and to whom pods may talk.

Source: pkg/apis/networking/validation, pkg/printers (v1.37).
"""

import ipaddress
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Request
from moorage.objects.addresses import cidr_problems, cidr_warnings, validate_cidr
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, name_of
from moorage.objects.selector_rules import selector_text, validate_label_selector
from moorage.objects.validation import (
    each_invalid,
    forbidden,
    in_list,
    invalid,
    port_name_problems,
    port_number_problems,
    required,
)

Part = Mapping[str, Any]

_PROTOCOLS = ("TCP", "UDP", "SCTP")
_TYPES = ("Ingress", "Egress")


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a NetworkPolicy."""
    del request
    spec = obj.get("spec") or {}
    causes = validate_label_selector("spec.podSelector", spec.get("podSelector"))
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(direction) or ()):
            path = f"spec.{direction}[{index}]"
            for position, port in enumerate(rule.get("ports") or ()):
                causes += _validate_port(f"{path}.ports[{position}]", port)
            for position, peer in enumerate(rule.get(peers) or ()):
                causes += _validate_peer(f"{path}.{peers}[{position}]", peer)
    types = spec.get("policyTypes") or []
    if len(types) > len(_TYPES):
        return [*causes, invalid("spec.policyTypes", types, "may not specify more than two policyTypes")]
    for index, name in enumerate(types):
        causes += in_list(f"spec.policyTypes[{index}]", name, _TYPES)
    # What a declarative rule requires is said after everything else.
    return sorted(causes, key=lambda cause: cause.reason == "FieldValueRequired" and cause.field.endswith(".cidr"))


def _validate_port(path: str, rule: Part) -> list[Cause]:
    port, end, protocol = rule.get("port"), rule.get("endPort"), rule.get("protocol")
    causes = in_list(f"{path}.protocol", protocol, _PROTOCOLS) if protocol is not None else []
    place = f"{path}.endPort"
    if port is None:
        text = "may not be specified when `port` is not specified"
        return causes if end is None else [*causes, invalid(place, end, text)]
    if not isinstance(port, int):
        if end is not None:
            causes.append(invalid(place, end, "may not be specified when `port` is non-numeric"))
        return causes + each_invalid(f"{path}.port", port, port_name_problems(port))
    causes += each_invalid(f"{path}.port", port, port_number_problems(port))
    if end is not None:
        if end < port:
            causes.append(invalid(place, end, "must be greater than or equal to `port`"))
        causes += each_invalid(place, end, port_number_problems(end))
    return causes


def _validate_peer(path: str, peer: Part) -> list[Cause]:
    causes: list[Cause] = []
    others = 0
    for field in ("podSelector", "namespaceSelector"):
        if (selector := peer.get(field)) is not None:
            others += 1
            causes += validate_label_selector(f"{path}.{field}", selector)
    block = peer.get("ipBlock")
    if block is not None:
        causes += _validate_block(f"{path}.ipBlock", block)
    if not others and block is None:
        causes.append(required(path, "must specify a peer"))
    elif others and block is not None:
        causes.append(forbidden(path, "may not specify both ipBlock and another peer"))
    return causes


def _validate_block(path: str, block: Part) -> list[Cause]:
    network = block.get("cidr") or ""
    if not network:
        return [required(f"{path}.cidr")]
    if causes := validate_cidr(f"{path}.cidr", network):
        return causes
    causes = []
    whole = ipaddress.ip_network(network)
    for index, text in enumerate(block.get("except") or ()):
        place = f"{path}.except[{index}]"
        if problems := cidr_problems(text):
            causes += each_invalid(place, text, problems)
        elif not _is_inside(ipaddress.ip_network(text), whole):
            causes.append(invalid(place, text, "must be a strict subset of `cidr`"))
    return causes


def _is_inside(part: Any, whole: Any) -> bool:
    return bool(part.version == whole.version and part != whole and part.subnet_of(whole))


def warnings(obj: Object, old: Object | None) -> list[str]:
    """Return what to warn about: blocks that are written unusually."""
    del old
    spec, texts = obj.get("spec") or {}, []
    for field, side in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(field) or ()):
            for position, peer in enumerate(rule.get(side) or ()):
                if block := peer.get("ipBlock"):
                    path = f"spec.{field}[{index}].{side}[{position}].ipBlock"
                    texts += cidr_warnings(f"{path}.cidr", block.get("cidr") or "")
                    for number, text in enumerate(block.get("except") or ()):
                        texts += cidr_warnings(f"{path}.except[{number}]", text)
    return texts


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, pod selector, age."""
    selector = (obj.get("spec") or {}).get("podSelector")
    return [name_of(obj), selector_text(selector) or "<none>", age_of(obj, now)]
