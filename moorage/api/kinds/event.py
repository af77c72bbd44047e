"""Events: what happened, in both groups that serve them.

Source: pkg/apis/core/validation/events.go, pkg/registry/core/event (v1.37).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moorage.api.request import Request
from moorage.objects.ages import age_since
from moorage.objects.errors import Cause
from moorage.objects.internal_form import internal_form
from moorage.objects.metadata import Object, name_of, namespace_of
from moorage.objects.validation import each_invalid, invalid, qualified_name_problems, required

_LENGTHS = (("reportingInstance", 128), ("action", 128), ("reason", 128), ("message", 1024))
_IMMUTABLE = "field is immutable"


def _field(obj: Object, core: str, new: str) -> Any:
    """Return a field by its name in the core group or in events.k8s.io, whichever the object has."""
    return obj.get(core) if core in obj else obj.get(new)


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of an Event."""
    is_new = request.resource.group == "events.k8s.io"
    causes: list[Cause] = []
    if is_new and request.verb == "create":
        causes += _validate_new(obj)
    if is_new:
        causes += _validate_series(obj.get("series"))
    regarding = _field(obj, "involvedObject", "regarding") or {}
    namespace = regarding.get("namespace") or ""
    # What an event of the new form is about may be elsewhere: its author is known.
    is_bound = not (is_new and obj.get("eventTime"))
    if is_bound and namespace != namespace_of(obj) and not (not namespace and namespace_of(obj) == "default"):
        causes.append(invalid("involvedObject.namespace", namespace, "does not match event.namespace"))
    if obj.get("eventTime") and not causes:
        causes += _validate_reporting(obj, "reportingController" if is_new else "reportingComponent")
    return causes


def _validate_new(obj: Object) -> list[Cause]:
    causes: list[Cause] = []
    if not obj.get("eventTime"):
        causes.append(required("eventTime"))
    if obj.get("type") not in {"Normal", "Warning"}:
        causes.append(invalid("type", "", f"has invalid value: {obj.get('type') or ''}"))
    for core, new, shown in (
        ("firstTimestamp", "deprecatedFirstTimestamp", "firstTimestamp"),
        ("lastTimestamp", "deprecatedLastTimestamp", "lastTimestamp"),
        ("count", "deprecatedCount", "count"),
        ("source", "deprecatedSource", "source"),
    ):
        if _field(obj, core, new):
            causes.append(invalid(shown, "", "needs to be unset"))
    return causes


def _validate_series(series: Mapping[str, Any] | None) -> list[Cause]:
    if series is None:
        return []
    causes: list[Cause] = []
    if (series.get("count") or 0) < 2:
        causes.append(invalid("series.count", "", "should be at least 2"))
    if not series.get("lastObservedTime"):
        causes.append(required("series.lastObservedTime"))
    return causes


def _validate_reporting(obj: Object, shown: str) -> list[Cause]:
    component = _field(obj, "reportingComponent", "reportingController") or ""
    causes = [] if component else [required(shown)]
    causes += each_invalid(shown, component, qualified_name_problems(component))
    if not obj.get("reportingInstance"):
        causes.append(required("reportingInstance"))
    if not obj.get("action"):
        causes.append(required("action"))
    if not obj.get("reason"):
        causes.append(required("reason"))
    for field, most in _LENGTHS:
        text = _field(obj, field, "note" if field == "message" else field) or ""
        if len(text) > most:
            causes.append(invalid(field, "", f"can have at most {most} characters"))
    return causes


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of an Event of events.k8s.io may not change: all but its series."""
    if request.resource.group != "events.k8s.io":
        return []
    causes: list[Cause] = []
    regarding, before = (_field(each, "involvedObject", "regarding") for each in (obj, old))
    if regarding != before:
        causes.append(invalid("involvedObject", internal_form("ObjectReference", regarding), _IMMUTABLE))
    for core, new in (
        ("reason", "reason"),
        ("message", "note"),
        ("type", "type"),
        ("eventTime", "eventTime"),
        ("action", "action"),
        ("reportingComponent", "reportingController"),
        ("reportingInstance", "reportingInstance"),
    ):
        if _field(obj, core, new) != _field(old, core, new):
            causes.append(invalid(core, _field(obj, core, new) or "", _IMMUTABLE))
    return causes


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return last seen, type, reason, object, subobject, source, message, first seen, count, name."""
    series = obj.get("series") or {}
    event_time = obj.get("eventTime")
    first = _field(obj, "firstTimestamp", "deprecatedFirstTimestamp") or event_time
    last = _field(obj, "lastTimestamp", "deprecatedLastTimestamp") or first
    count = _field(obj, "count", "deprecatedCount") or 1
    if series:
        last, count = series.get("lastObservedTime"), series.get("count") or 0
    regarding = _field(obj, "involvedObject", "regarding") or {}
    target = (regarding.get("kind") or "").lower()
    if regarding.get("name"):
        target = f"{target}/{regarding['name']}"
    return [
        age_since(last, now),
        obj.get("type") or "",
        obj.get("reason") or "",
        target,
        regarding.get("fieldPath") or "",
        _source(obj),
        (_field(obj, "message", "note") or "").strip(),
        age_since(first, now),
        count,
        name_of(obj),
    ]


def _source(obj: Object) -> str:
    source = _field(obj, "source", "deprecatedSource") or {}
    component = source.get("component") or _field(obj, "reportingComponent", "reportingController") or ""
    host = source.get("host") or obj.get("reportingInstance") or ""
    return f"{component}, {host}" if host else component
