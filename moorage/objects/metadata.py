"""Reading the metadata that every object has. Objects are read-only plain dicts decoded from JSON.

To change an object build a new one. Field names of metadata live here and nowhere else above `objects`.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

#: A Kubernetes object, or a part of one, as decoded JSON. Read-only by rule.
Object = Mapping[str, Any]

_NOTHING: Mapping[str, Any] = {}


class Ref(NamedTuple):
    """Which object: resource is `plural` or `plural.group` ("pods", "statefulsets.apps"); namespace is "" if cluster-scoped."""

    resource: str
    namespace: str
    name: str
    uid: str = ""

    def __str__(self) -> str:
        where = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.resource} {where}"


def metadata_of(obj: Object) -> Mapping[str, Any]:
    """Return the metadata, empty if there is none."""
    metadata: Mapping[str, Any] = obj.get("metadata") or _NOTHING
    return metadata


def name_of(obj: Object) -> str:
    """Return the name, "" if there is none yet."""
    metadata = obj.get("metadata")
    return str(metadata.get("name") or "") if metadata else ""


def namespace_of(obj: Object) -> str:
    """Return the namespace, "" for a cluster-scoped object."""
    metadata = obj.get("metadata")
    return str(metadata.get("namespace") or "") if metadata else ""


def uid_of(obj: Object) -> str:
    """Return the uid, "" before creation."""
    metadata = obj.get("metadata")
    return str(metadata.get("uid") or "") if metadata else ""


def revision_of(obj: Object) -> int:
    """Return the resource version as the store's integer, 0 if there is none."""
    return int(metadata_of(obj).get("resourceVersion") or 0)


def generation_of(obj: Object) -> int:
    """Return the generation of the desired state, 0 for kinds that have none."""
    return int(metadata_of(obj).get("generation") or 0)


def labels_of(obj: Object) -> Mapping[str, str]:
    """Return the labels, empty if there are none."""
    metadata = obj.get("metadata")
    return (metadata.get("labels") or _NOTHING) if metadata else _NOTHING


def annotations_of(obj: Object) -> Mapping[str, str]:
    """Return the annotations, empty if there are none."""
    return metadata_of(obj).get("annotations") or _NOTHING


def finalizers_of(obj: Object) -> tuple[str, ...]:
    """Return the finalizers in order."""
    return tuple(metadata_of(obj).get("finalizers") or ())


def owners_of(obj: Object) -> tuple[Object, ...]:
    """Return the owner references in order."""
    return tuple(metadata_of(obj).get("ownerReferences") or ())


def controller_of(obj: Object) -> Object | None:
    """Return the owner reference that says `controller: true`, None if there is none."""
    for owner in metadata_of(obj).get("ownerReferences") or ():
        if owner.get("controller"):
            return owner  # type: ignore[no-any-return]
    return None


def is_controlled_by(obj: Object, owner: Object) -> bool:
    """Tell whether the controlling owner of `obj` is exactly `owner` (same uid)."""
    reference = controller_of(obj)
    return reference is not None and reference.get("uid") == uid_of(owner)


def is_terminating(obj: Object) -> bool:
    """Tell whether deletion was asked for (a deletionTimestamp is set)."""
    return metadata_of(obj).get("deletionTimestamp") is not None


def controller_reference(owner: Object) -> dict[str, Any]:
    """Return the owner reference by which a controller marks what it makes for `owner`."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name_of(owner),
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def condition_of(obj: Object, kind: str) -> Object | None:
    """Return the condition of this type in `status.conditions`, None if there is none."""
    conditions: Iterable[Object] = (obj.get("status") or _NOTHING).get("conditions") or ()
    for each in conditions:
        if each.get("type") == kind:
            return each
    return None


def is_condition_true(obj: Object, kind: str) -> bool:
    """Tell whether the condition of this type has status "True"."""
    condition = condition_of(obj, kind)
    return condition is not None and condition.get("status") == "True"


#: The last moment that was formatted and its text: one request writes the same moment several times.
_formatted: tuple[datetime | None, str] = (None, "")


def format_time(moment: datetime) -> str:
    """Return the moment as metav1.Time writes it: RFC 3339, UTC, whole seconds."""
    global _formatted  # noqa: PLW0603 - a memory of one, faster than a dictionary
    known, text = _formatted
    if known is not moment:
        text = moment.astimezone(UTC).isoformat(timespec="seconds")[:19] + "Z"  # several times faster than strftime
        _formatted = (moment, text)
    return text


def format_micro_time(moment: datetime) -> str:
    """Return the moment as metav1.MicroTime writes it: RFC 3339, UTC, six digits of a second."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


def parse_time(text: str) -> datetime:
    """Return the moment that RFC 3339 text names, aware. Raises ValueError."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
