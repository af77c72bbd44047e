"""DeviceTaintRules: taints on devices that their drivers did not give.

Source: pkg/apis/resource/validation, pkg/registry/resource/devicetaintrule, pkg/printers (v1.37).
"""

from datetime import datetime
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.devices.parts import validate_driver, validate_pool, validate_taint
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Draft, Request
from moorage.objects.ages import age_since
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, format_time, name_of
from moorage.objects.validation import dns1123_label_problems, each_invalid


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Start without a status; note when the taint came."""
    del lookup
    draft["status"] = {}
    taint = (draft.get("spec") or {}).get("taint")
    if taint is not None and not taint.get("timeAdded"):
        draft["spec"] = {**draft["spec"], "taint": {**taint, "timeAdded": format_time(request.now)}}


def prepare_update(draft: Draft, old: Object, request: Request, lookup: Lookup) -> None:
    """Note when another effect came."""
    del lookup
    taint, before = ((each.get("spec") or {}).get("taint") or {} for each in (draft, old))
    if taint and taint.get("effect") != before.get("effect") and taint.get("timeAdded") == before.get("timeAdded"):
        draft["spec"] = {**draft["spec"], "taint": {**taint, "timeAdded": format_time(request.now)}}


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a DeviceTaintRule."""
    del request
    spec = obj.get("spec") or {}
    causes: list[Cause] = []
    selector = spec.get("deviceSelector") or {}
    path = "spec.deviceSelector"
    if (driver := selector.get("driver")) is not None:
        causes += validate_driver(f"{path}.driver", driver)
    if (pool := selector.get("pool")) is not None:
        causes += validate_pool(f"{path}.pool", pool)
    if (device := selector.get("device")) is not None:
        causes += each_invalid(f"{path}.device", device, dns1123_label_problems(device))
    return causes + validate_taint("spec.taint", spec.get("taint") or {})


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, key, value, effect, age of the taint, age."""
    taint = (obj.get("spec") or {}).get("taint") or {}
    shown = [taint.get(field) or "" for field in ("key", "value", "effect")]
    return [name_of(obj), *shown, age_since(taint.get("timeAdded"), now), age_of(obj, now)]
