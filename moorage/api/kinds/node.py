"""Nodes.

Source: pkg/registry/core/node/strategy.go, pkg/apis/core/validation (v1.37).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.pod_spec.affinity import EFFECTS
from moorage.api.kinds.pod_spec.resources import validate_quantity
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Draft, Request
from moorage.objects.addresses import is_ipv6, validate_cidr
from moorage.objects.errors import Cause
from moorage.objects.go_values import decode_go
from moorage.objects.metadata import Object, annotations_of, labels_of, name_of
from moorage.objects.validation import (
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    label_value_problems,
    not_supported,
    qualified_name_problems,
    required,
)

#: Annotations of alpha that are still judged.
_TAINTS = "scheduler.alpha.kubernetes.io/taints"
_AVOIDED = "scheduler.alpha.kubernetes.io/preferAvoidPods"
_ROLE = "node-role.kubernetes.io/"


def default(draft: Draft) -> None:
    """Let both forms of the pod network say the same; where they differ, the single one is meant."""
    spec = draft.setdefault("spec", {})
    one, several = spec.get("podCIDR"), spec.get("podCIDRs")
    if one and (not several or several[0] != one):
        spec["podCIDRs"] = [one]
    elif several and not one:
        spec["podCIDR"] = several[0]


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Write the parts of the status that are always there."""
    del request, lookup
    status = draft.setdefault("status", {})
    status.setdefault("daemonEndpoints", {}).setdefault("kubeletEndpoint", {}).setdefault("Port", 0)
    status.setdefault("nodeInfo", {})


def prepare_update(draft: Draft, old: Object, request: Request, lookup: Lookup) -> None:
    """Keep the status."""
    del request, lookup
    draft["status"] = old.get("status") or {}


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a node."""
    spec = obj.get("spec") or {}
    causes = _validate_annotations(annotations_of(obj)) if obj["metadata"].get("annotations") else []
    causes += _validate_taints("metadata.taints", spec.get("taints") or [])
    causes += _validate_networks("spec.podCIDRs", spec.get("podCIDRs") or [])
    return causes + (_validate_amounts(obj.get("status") or {}) if request.verb == "create" else [])


def _validate_annotations(annotations: Mapping[str, str]) -> list[Cause]:
    """Return what is wrong with the annotations of alpha that say what the spec says today, or nothing does."""
    path = "metadata.annotations"
    causes: list[Cause] = []
    if text := annotations.get(_TAINTS):
        taints, problem = decode_go(text)
        if problem:
            causes.append(invalid(path, _TAINTS, problem))
        elif isinstance(taints, list) and taints:
            causes += _validate_taints(f"{path}.{_TAINTS}", taints)
    if text := annotations.get(_AVOIDED):
        avoided, problem = decode_go(text)
        if problem:
            return [*causes, invalid(f"{path}.AvoidPods", _AVOIDED, problem)]
        entries = avoided.get("preferAvoidPods") if isinstance(avoided, dict) else None
        for index, entry in enumerate(entries or ()):
            place = f"{path}.{_AVOIDED}[{index}].PodSignature"
            controller = (entry.get("podSignature") or {}).get("podController")
            if controller is None:
                causes.append(required(place))
            elif controller.get("controller") is False:
                where = f"{place}.PodController.Controller"
                causes.append(invalid(where, controller["controller"], "must point to a controller"))
    return causes


def _validate_amounts(status: Mapping[str, Any]) -> list[Cause]:
    causes: list[Cause] = []
    for field in ("capacity", "allocatable"):
        for name, text in (status.get(field) or {}).items():
            causes += validate_quantity(f"status.{field}.{name}", name, text)
    return causes


def _validate_taints(path: str, taints: list[Mapping[str, Any]]) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(taints):
        place = f"{path}[{index}]"
        key, value, effect = taint.get("key") or "", taint.get("value") or "", taint.get("effect") or ""
        causes += each_invalid(f"{place}.key", key, qualified_name_problems(key))
        causes += each_invalid(f"{place}.value", value, label_value_problems(value))
        if effect not in EFFECTS:
            where = f"{place}.effect"
            causes.append(not_supported(where, effect, EFFECTS) if effect else required(where))
        if (key, effect) in seen:
            shown = {"Key": key, "Value": value, "Effect": effect, "TimeAdded": taint.get("timeAdded")}
            cause = duplicate(place, shown)
            causes.append(cause._replace(message=f"{cause.message}: taints must be unique by key and effect pair"))
        seen.add((key, effect))
    return causes


def _validate_networks(path: str, networks: list[str]) -> list[Cause]:
    causes: list[Cause] = []
    for index, network in enumerate(networks):
        causes += validate_cidr(f"{path}[{index}]", network)
    families = [is_ipv6(network) for network in networks]
    if not causes and (len(networks) > 2 or len(set(families)) != len(families)):
        causes.append(invalid(path, networks, "may specify no more than one CIDR for each IP family"))
    return causes


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a node may not change once it is set."""
    del request
    new_spec, old_spec = obj.get("spec") or {}, old.get("spec") or {}
    causes = []
    before, after = old_spec.get("podCIDRs") or [], new_spec.get("podCIDRs") or []
    if before and before != after:
        causes.append(forbidden("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid'))
    if old_spec.get("providerID") and new_spec.get("providerID") != old_spec["providerID"]:
        done = "modified" if new_spec.get("providerID") else "cleared"
        causes.append(invalid("spec.providerID", None, f"field cannot be {done} once set"))
    if (new_spec.get("externalID") or "") != (old_spec.get("externalID") or ""):
        causes.append(forbidden("spec.externalID", "may not be updated"))
    return causes


def validate_status(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what a status may not say."""
    del old, request
    status = obj.get("status") or {}
    causes = _validate_amounts(status)
    seen: list[Any] = []
    for index, address in enumerate(status.get("addresses") or ()):
        if address in seen:
            shown = {"Type": address.get("type") or "", "Address": address.get("address") or ""}
            causes.append(duplicate(f"status.addresses[{index}]", shown))
        seen.append(address)
    return causes


def warnings(obj: Object, old: Object | None) -> list[str]:
    """Return what to warn about."""
    if old is None and (obj.get("spec") or {}).get("externalID"):
        return ["spec.externalID: this field is deprecated, and is unused by Kubernetes"]
    return []


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, status, roles, age, version, addresses, system, kernel, runtime."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    info = status.get("nodeInfo") or {}
    return [
        name_of(obj),
        _status(spec, status),
        ",".join(_roles(labels_of(obj))) or "<none>",
        age_of(obj, now),
        info.get("kubeletVersion") or "",
        _address(status, "InternalIP"),
        _address(status, "ExternalIP"),
        *(info.get(field) or "<unknown>" for field in ("osImage", "kernelVersion", "containerRuntimeVersion")),
    ]


def _status(spec: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    ready = next((each for each in status.get("conditions") or () if each.get("type") == "Ready"), None)
    words = ["Unknown"] if ready is None else ["Ready" if ready.get("status") == "True" else "NotReady"]
    return ",".join([*words, "SchedulingDisabled"] if spec.get("unschedulable") else words)


def _roles(labels: Mapping[str, str]) -> list[str]:
    roles = {key.removeprefix(_ROLE) for key in labels if key.startswith(_ROLE)}
    if labels.get("kubernetes.io/role"):
        roles.add(labels["kubernetes.io/role"])
    return sorted(role for role in roles if role)


def _address(status: Mapping[str, Any], kind: str) -> str:
    addresses = [each.get("address") for each in status.get("addresses") or () if each.get("type") == kind]
    return (addresses[0] if addresses else None) or "<none>"
