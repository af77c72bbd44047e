"""CSINodes: which volume drivers a node has.

Source: pkg/apis/storage/validation, pkg/registry/storage/csinode/strategy.go (v1.37).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.pod_spec.volumes import validate_csi_driver_name
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Draft, Request
from moorage.objects.errors import Cause
from moorage.objects.internal_form import internal_form
from moorage.objects.metadata import Object, name_of
from moorage.objects.validation import (
    duplicate,
    each_invalid,
    invalid,
    not_negative,
    qualified_name_problems,
    required,
)

Part = Mapping[str, Any]

#: The longest name that a driver may have for a node.
NODE_ID_MOST = 256


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Start without a status."""
    del request, lookup
    draft["status"] = {}


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a CSINode."""
    del request
    causes: list[Cause] = []
    names: set[str] = set()
    for index, driver in enumerate(_drivers(obj)):
        causes += _validate_driver(f"spec.drivers[{index}]", driver, names)
    return causes


def _drivers(obj: Object) -> list[Part]:
    return (obj.get("spec") or {}).get("drivers") or []


def _validate_driver(path: str, driver: Part, names: set[str]) -> list[Cause]:
    name, node = driver.get("name") or "", driver.get("nodeID") or ""
    causes = validate_csi_driver_name(f"{path}.name", name)
    if not node:
        causes.append(required(f"{path}.nodeID"))
    if len(node) > NODE_ID_MOST:
        causes.append(invalid(f"{path}.nodeID", node, f"must be {NODE_ID_MOST} characters or less"))
    causes += not_negative(f"{path}.allocatable.count", (driver.get("allocatable") or {}).get("count"))
    if name in names:
        causes.append(duplicate(f"{path}.name", name))
    names.add(name)
    keys: set[str] = set()
    for key in driver.get("topologyKeys") or ():
        if not key:
            causes.append(required(path))
        if key in keys:
            causes.append(duplicate(path, key))
        keys.add(key)
        causes += each_invalid(path, key, qualified_name_problems(key))
    return causes


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a CSINode may not change: drivers that stay, but for what they can hold."""
    del request
    causes: list[Cause] = []
    after = {each.get("name"): _without_amount(each) for each in _drivers(obj)}
    for driver in _drivers(old):
        changed = after.get(driver.get("name"))
        if changed is not None and changed != _without_amount(driver):
            causes.append(invalid("spec.drivers", changed, "field is immutable"))
    return causes


def _without_amount(driver: Part) -> dict[str, Any] | None:
    kept = {key: value for key, value in driver.items() if key != "allocatable"}
    return internal_form("CSINodeDriver", kept)


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, number of drivers, age."""
    return [name_of(obj), len(_drivers(obj)), age_of(obj, now)]
