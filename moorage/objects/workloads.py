"""What workload controllers share: pods made from templates, hashes for names, revisions, adoption and release.

Nothing here decides. Source: pkg/controller/controller_utils.go, controller_ref_manager.go and
pkg/controller/history (v1.37).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from moorage.objects.actions import Confirm, Patch
from moorage.objects.metadata import (
    Object,
    Ref,
    controller_of,
    controller_reference,
    is_terminating,
    metadata_of,
    name_of,
    namespace_of,
    owners_of,
    uid_of,
)

#: What hashes are rendered in: no vowels, no look-alikes. Source: apimachinery/pkg/util/rand SafeEncodeString.
SAFE_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"

#: Prefixes of generated names are cut to this length, so that with five letters they fit a DNS label.
PREFIX_MOST: Final = 58

#: The label by which a ControllerRevision carries its hash.
REVISION_HASH: Final = "controller.kubernetes.io/hash"
#: The label by which a pod names the revision that it was made from.
POD_REVISION: Final = "controller-revision-hash"

#: Names of ControllerRevisions begin with that much of their owner's.
REVISION_PREFIX_MOST: Final = 223

_FNV_OFFSET = 0x811C9DC5
_FNV_PRIME = 0x01000193
_GO_ESCAPES = ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026"))


def replicas_of(workload: Object) -> int:
    """Return the wanted number of pods, 1 where the API server set none."""
    replicas = (workload.get("spec") or {}).get("replicas")
    return 1 if replicas is None else int(replicas)


def min_ready_seconds_of(workload: Object) -> int:
    """Return for how many seconds a pod must be ready before it counts as available."""
    return int((workload.get("spec") or {}).get("minReadySeconds") or 0)


def template_of(workload: Object) -> Mapping[str, Any]:
    """Return the pod template."""
    template: Mapping[str, Any] = workload["spec"]["template"]
    return template


def ref_of(resource: str, obj: Object) -> Ref:
    """Return the reference to an object, with its uid."""
    return Ref(resource, namespace_of(obj), name_of(obj), uid_of(obj))


def created_order(obj: Object) -> tuple[str, str]:
    """Return the key that sorts objects by age, oldest first, by name within a second."""
    return str(metadata_of(obj).get("creationTimestamp") or ""), name_of(obj)


def pod_from(
    template: Object,
    owner: Object,
    *,
    name: str = "",
    labels: Mapping[str, str] | None = None,
    spec: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the pod that a controller creates from a template for `owner`.

    Without a name the API server generates one from the owner's; with one the prefix is there all the same, as
    upstream leaves it. `labels` and `spec` add to the template's.
    """
    planned = metadata_of(template)
    metadata: dict[str, Any] = {"name": name} if name else {}
    metadata["generateName"] = prefix_for(name_of(owner))
    metadata["namespace"] = namespace_of(owner)
    if all_labels := {**(planned.get("labels") or {}), **(labels or {})}:
        metadata["labels"] = all_labels
    if planned.get("annotations"):
        metadata["annotations"] = planned["annotations"]
    if planned.get("finalizers"):
        metadata["finalizers"] = planned["finalizers"]
    metadata["ownerReferences"] = [controller_reference(owner)]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**template["spec"], **(spec or {})}}


def prefix_for(name: str) -> str:
    """Return the generateName of what a controller makes for the owner of this name: at most 58 characters."""
    return f"{name}-"[:PREFIX_MOST]


def safe_text(number: int) -> str:
    """Return the decimal digits of a hash in letters that are safe in names."""
    return "".join(SAFE_ALPHABET[ord(digit) % len(SAFE_ALPHABET)] for digit in str(number))


def template_hash(template: Object, collisions: int | None = None) -> str:
    """Return the hash of a pod template for names and the label `pod-template-hash`.

    Differs from Kubernetes: upstream hashes a dump of Go structures, which nothing outside Go can reproduce; this is
    FNV-1a (32 bits) of the canonical JSON. `collisions` is what the owner's status counts.
    """
    value = _FNV_OFFSET
    for byte in _canonical(template) + _probe(collisions):
        value = ((value ^ byte) * _FNV_PRIME) & 0xFFFFFFFF
    return safe_text(value)


def revision_hash(data: Object, collisions: int | None = None) -> str:
    """Return the hash of a ControllerRevision's data as upstream computes it: FNV-1 (32 bits) of Go's JSON."""
    value = _FNV_OFFSET
    for byte in _canonical(data) + _probe(collisions):
        value = ((value * _FNV_PRIME) & 0xFFFFFFFF) ^ byte
    return safe_text(value)


def revision_data(template: Object) -> dict[str, Any]:
    """Return what a ControllerRevision keeps: a strategic merge patch that restores the template as a whole."""
    return {"spec": {"template": {**template, "$patch": "replace"}}}


def revision_name(owner: str, hashed: str) -> str:
    """Return the name of an owner's ControllerRevision with this hash."""
    return f"{owner[:REVISION_PREFIX_MOST]}-{hashed}"


def is_same_revision(revision: Object, data: Object) -> bool:
    """Tell whether a stored ControllerRevision keeps this data."""
    return bool(revision.get("data") == data)


def revision_number(revision: Object) -> int:
    """Return the number by which an owner's revisions are ordered."""
    return int(revision.get("revision") or 0)


def sort_revisions(revisions: Iterable[Object]) -> list[Object]:
    """Return ControllerRevisions oldest first: by number, then by age, then by name."""
    return sorted(revisions, key=lambda each: (revision_number(each), *created_order(each)))


def adopted(obj: Object, owner: Object) -> dict[str, Any]:
    """Return the object as it will be once `owner` has adopted it."""
    owners = [*owners_of(obj), controller_reference(owner)]
    return {**obj, "metadata": {**metadata_of(obj), "ownerReferences": owners}}


def adopt(resource: str, obj: Object, owner: Object) -> Patch:
    """Return the action by which `owner` becomes the controller of the object as it was observed."""
    return _set_owners(resource, obj, [*owners_of(obj), controller_reference(owner)])


def release(resource: str, obj: Object, owner: Object) -> Patch:
    """Return the action by which the object loses its reference to `owner`."""
    left = [each for each in owners_of(obj) if each.get("uid") != uid_of(owner)]
    return _set_owners(resource, obj, left or None)


def adoptions(
    resource: str, owner_resource: str, owner: Object, orphans: Sequence[Object]
) -> tuple[Confirm | Patch, ...]:
    """Return the actions that adopt these orphans, after asking the API whether the owner still is there."""
    if not orphans:
        return ()
    return (Confirm(ref_of(owner_resource, owner)), *(adopt(resource, each, owner) for each in orphans))


def is_adoptable(obj: Object, owner: Object) -> bool:
    """Tell whether `owner` may adopt the object: neither is being deleted and nobody controls the object."""
    return not is_terminating(owner) and not is_terminating(obj) and controller_of(obj) is None


def owner_refs(resource: str, kind: str, obj: Object) -> list[Ref]:
    """Return the reference to the controller of an object if that is of this kind: whom a change of it wakes."""
    owner = controller_of(obj)
    if owner is None or owner.get("kind") != kind:
        return []
    return [Ref(resource, namespace_of(obj), str(owner.get("name") or ""))]


def percent_of(value: int | str | None, total: int, *, up: bool) -> int:
    """Return an IntOrString ("25%" or a number) as a number of `total`, a percentage rounded up or down."""
    if value is None:
        return 0
    if isinstance(value, int):
        return value
    if not value.endswith("%"):
        return int(value)
    exact = int(value[:-1]) * total
    return -(-exact // 100) if up else exact // 100


def with_condition(conditions: Sequence[Object], condition: Object) -> list[Object]:
    """Return the conditions with this one in its type's place; an unchanged status keeps its transition time."""
    kept = [each for each in conditions if each.get("type") != condition["type"]]
    old = next((each for each in conditions if each.get("type") == condition["type"]), None)
    if old is not None and old.get("status") == condition["status"]:
        condition = {**condition, "lastTransitionTime": old.get("lastTransitionTime")}
    return [*kept, condition]


def _set_owners(resource: str, obj: Object, owners: list[Any] | None) -> Patch:
    metadata = {"ownerReferences": owners, "uid": uid_of(obj), "resourceVersion": metadata_of(obj)["resourceVersion"]}
    return Patch(ref_of(resource, obj), {"metadata": metadata})


def _canonical(value: Object) -> bytes:
    """Return JSON with sorted keys, escaped as Go escapes it."""
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    for plain, escaped in _GO_ESCAPES:
        text = text.replace(plain, escaped)
    return text


def _probe(collisions: int | None) -> bytes:
    return b"" if collisions is None else str(collisions).encode()
