"""ResourceSlices: the devices that a driver has, on a node or for several.

Source: pkg/apis/resource/validation, validateResourceSliceSpec; pkg/printers (v1.37).
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from moorage.api.kinds.devices.parts import TAINTS_MOST, validate_driver, validate_name, validate_pool, validate_taint
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, name_of
from moorage.objects.selector_rules import validate_node_selector
from moorage.objects.validation import (
    dns1123_label_problems,
    dns1123_subdomain_problems,
    duplicate,
    each_invalid,
    invalid,
    required,
    too_long,
    too_many,
)

Part = Mapping[str, Any]

DEVICES_MOST, VALUE_MOST = 128, 64
COUNTER_SETS_MOST, CONSUMED_SETS_MOST, BINDING_CONDITIONS_MOST = 8, 2, 4

_PLACES = ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection")
_ONE_PLACE = f"exactly one of {', '.join(f'`{field}`' for field in _PLACES)} is required"
_VALUES = ("int", "bool", "string", "version", "ints", "bools", "strings", "versions")
_LISTED_VALUES = ", ".join(f"`{field}`" for field in _VALUES)
_NUMBER = r"(0|[1-9]\d*)"
_PRERELEASE = r"(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_is_version = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_PRERELEASE}(\.{_PRERELEASE})*)?(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?"
).fullmatch


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a ResourceSlice."""
    del request
    spec = obj.get("spec") or {}
    causes = validate_driver("spec.driver", spec.get("driver") or "")
    causes += _validate_pool("spec.pool", spec.get("pool") or {})
    causes += _validate_place("spec", spec)
    counters = spec.get("sharedCounters") or ()
    if counters and spec.get("devices"):
        text = "only one of `sharedCounters` or `devices` is allowed"
        causes.append(invalid("spec", "{`devices`, `sharedCounters`}", text))
    causes += _validate_counters("spec.sharedCounters", counters, "name", COUNTER_SETS_MOST)
    return causes + _validate_devices("spec.devices", spec.get("devices") or ())


def _validate_counters(path: str, sets: Sequence[Part], field: str, most: int) -> list[Cause]:
    """Return every broken rule of sets of counters; `field` is what names a set."""
    if len(sets) > most:
        return [too_many(path, len(sets), most)]
    causes: list[Cause] = []
    names: set[str] = set()
    for index, each in enumerate(sets):
        place, name = f"{path}[{index}]", each.get(field) or ""
        found = each_invalid(f"{place}.{field}", name, dns1123_label_problems(name))
        causes += found if name else [required(f"{place}.{field}")]
        if not each.get("counters"):
            causes.append(required(f"{place}.counters"))
        for key in each.get("counters") or ():
            causes += each_invalid(f"{place}.counters", key, dns1123_label_problems(key))
        if name in names:
            causes.append(duplicate(place, name))
        names.add(name)
    return causes


def _validate_pool(path: str, pool: Part) -> list[Cause]:
    causes = validate_pool(f"{path}.name", pool.get("name") or "")
    count, generation = pool.get("resourceSliceCount") or 0, pool.get("generation") or 0
    if count <= 0:
        causes.append(invalid(f"{path}.resourceSliceCount", count, "must be greater than zero"))
    if generation < 0:
        causes.append(invalid(f"{path}.generation", generation, "must be greater than or equal to zero"))
    return causes


def _validate_place(path: str, spec: Part) -> list[Cause]:
    causes: list[Cause] = []
    given = [field for field in _PLACES if spec.get(field)]
    name = spec.get("nodeName")
    if name:
        causes += each_invalid(f"{path}.nodeName", name, dns1123_subdomain_problems(name))
    elif name is not None:
        causes.append(invalid(f"{path}.nodeName", name, "must be either unset or set to a non-empty string"))
    if (selector := spec.get("nodeSelector")) is not None:
        causes += validate_node_selector(f"{path}.nodeSelector", selector)
    for field in _PLACES[2:]:
        if (value := spec.get(field)) is False:
            causes.append(invalid(f"{path}.{field}", value, "must be either unset or set to true"))
    if not given:
        causes.append(required(path, _ONE_PLACE))
    elif len(given) > 1:
        shown = f"{{{', '.join(f'`{field}`' for field in given)}}}"
        causes.append(invalid(path, shown, f"{_ONE_PLACE}, but multiple fields are set"))
    return causes


def _validate_devices(path: str, devices: Sequence[Part]) -> list[Cause]:
    if len(devices) > DEVICES_MOST:
        return [too_many(path, len(devices), DEVICES_MOST)]
    causes: list[Cause] = []
    names: set[str] = set()
    for index, device in enumerate(devices):
        place, name = f"{path}[{index}]", device.get("name") or ""
        causes += each_invalid(f"{place}.name", name, dns1123_label_problems(name))
        for key, attribute in (device.get("attributes") or {}).items():
            causes += validate_name(f"{place}.attributes", key)
            causes += _validate_attribute(f"{place}.attributes[{key}]", attribute)
        for key in device.get("capacity") or ():
            causes += validate_name(f"{place}.capacity", key)
        causes += _validate_taints(f"{place}.taints", device.get("taints") or ())
        consumed = device.get("consumesCounters") or ()
        causes += _validate_counters(f"{place}.consumesCounters", consumed, "counterSet", CONSUMED_SETS_MOST)
        causes += _validate_binding(place, device)
        if name in names:
            causes.append(duplicate(place, name))
        names.add(name)
    return causes


def _validate_binding(path: str, device: Part) -> list[Cause]:
    """Return every broken rule of the conditions under which a device is bound, or is not."""
    causes: list[Cause] = []
    lists = {field: device.get(field) or [] for field in ("bindingConditions", "bindingFailureConditions")}
    for field, names in lists.items():
        if len(names) > BINDING_CONDITIONS_MOST:
            causes.append(too_many(f"{path}.{field}", len(names), BINDING_CONDITIONS_MOST))
        for index, name in enumerate(names):
            if name in names[:index]:
                causes.append(duplicate(f"{path}.{field}[{index}]", name))
    binding, failure = lists.values()
    text = "bindingFailureConditions must not overlap with bindingConditions"
    for index, name in enumerate(failure):
        if name in binding:
            causes.append(invalid(f"{path}.bindingFailureConditions[{index}]", name, text))
    if failure and not binding:
        text = "bindingConditions are required to use bindingFailureConditions"
        causes.append(invalid(f"{path}.bindingConditions", binding, text))
    if binding and not failure:
        text = "bindingFailureConditions are required to use bindingConditions"
        causes.append(invalid(f"{path}.bindingFailureConditions", failure, text))
    return causes


def _validate_taints(path: str, taints: Sequence[Part]) -> list[Cause]:
    if len(taints) > TAINTS_MOST:
        return [too_many(path, len(taints), TAINTS_MOST)]
    causes: list[Cause] = []
    for index, taint in enumerate(taints):
        causes += validate_taint(f"{path}[{index}]", taint)
    return causes


def _validate_attribute(path: str, attribute: Part) -> list[Cause]:
    given = [field for field in _VALUES if attribute.get(field) is not None]
    causes: list[Cause] = []
    text = attribute.get("string")
    if text is not None and len(text.encode()) > VALUE_MOST:
        causes.append(too_long(f"{path}.string", VALUE_MOST))
    version = attribute.get("version")
    if version is not None:
        if not _is_version(version):
            text = "must be a string compatible with semver.org spec 2.0.0"
            causes.append(invalid(f"{path}.version", version, text))
        if len(version.encode()) > VALUE_MOST:
            causes.append(too_long(f"{path}.version", VALUE_MOST))
    if not given:
        causes.append(invalid(path, "", f"must specify one of: {_LISTED_VALUES}"))
    elif len(given) > 1:
        causes.append(invalid(path, f"{{{', '.join(given)}}}", f"must specify exactly one of: {_LISTED_VALUES}"))
    return causes


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a ResourceSlice may not change: whose devices they are, and where."""
    del request
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    causes = [
        invalid(f"spec.{field}", spec.get(field), "field is immutable")
        for field in ("driver", "nodeName", "nodeSelector", "allNodes")
        if spec.get(field) != before.get(field)
    ]
    name = (spec.get("pool") or {}).get("name")
    if name != (before.get("pool") or {}).get("name"):
        causes.append(invalid("spec.pool.name", name, "field is immutable"))
    return causes


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, node, driver, pool, age."""
    spec = obj.get("spec") or {}
    node = spec.get("nodeName") or ("<all>" if spec.get("allNodes") else "<unset>")
    pool = (spec.get("pool") or {}).get("name") or ""
    return [name_of(obj), node, spec.get("driver") or "", pool, age_of(obj, now)]
