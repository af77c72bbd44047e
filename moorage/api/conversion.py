"""Objects of resources that are served in more than one version: to the stored version and back. Pure.

Stored: Events as v1, HorizontalPodAutoscalers as autoscaling/v2. Custom resources convert by their definition.
Source: kubernetes/pkg/apis/core/v1/conversion.go (v1.37).
"""

from collections.abc import Mapping
from typing import Any

from moorage.api.autoscaler_versions import as_v1, as_v2
from moorage.objects.kinds import Resource
from moorage.objects.metadata import Object

#: Field of v1 Event -> field of events.k8s.io/v1 Event, where they differ.
_EVENT_FIELDS: Mapping[str, str] = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
_EVENT_FIELDS_BACK = {new: old for old, new in _EVENT_FIELDS.items()}

#: Fields that v1 always has, and the new version only when they say something.
_REPORTING = frozenset({"reportingController", "reportingInstance"})


def is_converted(resource: Resource) -> bool:
    """Tell whether objects of this resource are stored in another version than it speaks."""
    if resource.custom:
        return resource.version != resource.storage_version
    return (resource.group, resource.version) in (("events.k8s.io", "v1"), ("autoscaling", "v1"))


def converted(obj: Object, resource: Resource) -> dict[str, Any]:
    """Return a stored object in the version of `resource`."""
    if resource.custom:
        shown: dict[str, Any] = resource.rules.presented(obj)
        return shown
    if resource.group == "events.k8s.io":
        new = _renamed(obj, _EVENT_FIELDS, "events.k8s.io/v1")
        return {key: value for key, value in new.items() if value != "" or key not in _REPORTING}
    return as_v1(obj)


def stored(obj: Object, resource: Resource) -> dict[str, Any]:
    """Return an object in the version of `resource` as it is stored."""
    if not is_converted(resource):
        return dict(obj)
    if resource.custom:
        kept: dict[str, Any] = resource.rules.as_stored(obj)
        return kept
    if resource.group == "events.k8s.io":
        return {"reportingComponent": "", "reportingInstance": "", **_renamed(obj, _EVENT_FIELDS_BACK, "v1")}
    return as_v2(obj)


def _renamed(obj: Object, names: Mapping[str, str], api_version: str) -> dict[str, Any]:
    return {names.get(key, key): value for key, value in obj.items()} | {"apiVersion": api_version}
