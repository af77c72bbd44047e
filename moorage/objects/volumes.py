"""What can be said about claims, volumes and storage classes, and which volume suits a claim best.

Nothing here decides what to do. Source: pkg/controller/volume/persistentvolume/index.go and
component-helpers/storage/volume (v1.37).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from moorage.objects.label_selectors import is_selected
from moorage.objects.metadata import (
    Object,
    annotations_of,
    is_terminating,
    labels_of,
    metadata_of,
    name_of,
    namespace_of,
    uid_of,
)
from moorage.objects.nodes import is_place_selected
from moorage.objects.quantity import ZERO, Quantity, parse_quantity

BIND_COMPLETED: Final = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER: Final = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY: Final = "pv.kubernetes.io/provisioned-by"
SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"
STORAGE_PROVISIONER: Final = "volume.kubernetes.io/storage-provisioner"
STORAGE_PROVISIONER_BETA: Final = "volume.beta.kubernetes.io/storage-provisioner"
CLASS_BETA: Final = "volume.beta.kubernetes.io/storage-class"
IS_DEFAULT_CLASS: Final = "storageclass.kubernetes.io/is-default-class"
IS_DEFAULT_CLASS_BETA: Final = "storageclass.beta.kubernetes.io/is-default-class"

CLAIM_PROTECTION: Final = "kubernetes.io/pvc-protection"
VOLUME_PROTECTION: Final = "kubernetes.io/pv-protection"
PROVISIONER_FINALIZER: Final = "external-provisioner.volume.kubernetes.io/finalizer"

#: A class with this provisioner has no dynamic provisioning.
NO_PROVISIONER: Final = "kubernetes.io/no-provisioner"

ONE_POD: Final = "ReadWriteOncePod"

_NOTHING: Mapping[str, Any] = {}


def spec_of(obj: Object) -> Mapping[str, Any]:
    """Return the spec, empty if there is none."""
    return obj.get("spec") or _NOTHING


def phase_of(obj: Object) -> str:
    """Return the phase of a claim or volume, "" before one was set."""
    return str((obj.get("status") or _NOTHING).get("phase") or "")


def class_of(obj: Object) -> str:
    """Return the name of the storage class of a claim or volume; the old annotation wins over the field; "" for none."""
    old = annotations_of(obj).get(CLASS_BETA)
    return old if old is not None else str(spec_of(obj).get("storageClassName") or "")


def has_class(claim: Object) -> bool:
    """Tell whether the claim says anything about its class, be it that it wants none."""
    return CLASS_BETA in annotations_of(claim) or spec_of(claim).get("storageClassName") is not None


def attributes_class_of(obj: Object) -> str:
    """Return the name of the VolumeAttributesClass, "" for none."""
    return str(spec_of(obj).get("volumeAttributesClassName") or "")


def mode_of(obj: Object) -> str:
    """Return the volumeMode: Filesystem unless it says Block."""
    return str(spec_of(obj).get("volumeMode") or "Filesystem")


def access_modes_of(obj: Object) -> Sequence[str]:
    """Return the access modes of a claim or volume in order."""
    return spec_of(obj).get("accessModes") or ()


def capacity_of(volume: Object) -> Quantity:
    """Return the size of a volume."""
    text = (spec_of(volume).get("capacity") or _NOTHING).get("storage")
    return parse_quantity(str(text)) if text is not None else ZERO


def request_of(claim: Object) -> Quantity:
    """Return the size that a claim asks for."""
    requests = (spec_of(claim).get("resources") or _NOTHING).get("requests") or _NOTHING
    text = requests.get("storage")
    return parse_quantity(str(text)) if text is not None else ZERO


def volume_name_of(claim: Object) -> str:
    """Return the name of the volume that the claim is bound to, or asks for; "" for none."""
    return str(spec_of(claim).get("volumeName") or "")


def claim_ref_of(volume: Object) -> Object | None:
    """Return the reference of the volume to a claim, None if it has none."""
    found: Object | None = spec_of(volume).get("claimRef")
    return found


def claim_key(claim: Object) -> str:
    """Return `namespace/name` of a claim."""
    return f"{namespace_of(claim)}/{name_of(claim)}"


def reserved_for(volume: Object) -> str:
    """Return `namespace/name` of the claim that the volume refers to, "" if it refers to none."""
    reference = claim_ref_of(volume)
    return f"{reference.get('namespace')}/{reference.get('name')}" if reference else ""


def is_for(volume: Object, claim: Object) -> bool:
    """Tell whether the volume refers to this claim: same name, and same uid unless it names none."""
    reference = claim_ref_of(volume)
    if (
        reference is None
        or reference.get("name") != name_of(claim)
        or reference.get("namespace") != namespace_of(claim)
    ):
        return False
    return not reference.get("uid") or reference.get("uid") == uid_of(claim)


def is_bound_claim(claim: Object) -> bool:
    """Tell whether binding was completed once (which an emptied volumeName does not undo)."""
    return BIND_COMPLETED in annotations_of(claim)


def is_fully_bound(claim: Object) -> bool:
    """Tell whether a claim names a volume and its binding was completed."""
    return bool(volume_name_of(claim)) and is_bound_claim(claim)


def is_dynamic(volume: Object) -> bool:
    """Tell whether a provisioner made the volume."""
    return PROVISIONED_BY in annotations_of(volume)


def reclaim_policy_of(volume: Object) -> str:
    """Return what happens to the volume once its claim is gone."""
    return str(spec_of(volume).get("persistentVolumeReclaimPolicy") or "Retain")


def waits_for_consumer(storage_class: Object | None) -> bool:
    """Tell whether volumes of the class are bound only once a pod was given a node."""
    return storage_class is not None and storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"


def is_default_class(storage_class: Object) -> bool:
    """Tell whether the class is marked as the default one."""
    annotations = annotations_of(storage_class)
    return "true" in (annotations.get(IS_DEFAULT_CLASS), annotations.get(IS_DEFAULT_CLASS_BETA))


def default_class(classes: Iterable[Object]) -> Object | None:
    """Return the class that claims without one get: of several defaults the newest, then the first by name."""
    defaults = sorted((each for each in classes if is_default_class(each)), key=name_of)
    return max(defaults, key=lambda each: str(metadata_of(each).get("creationTimestamp") or ""), default=None)


def is_reachable_from(volume: Object, labels: Mapping[str, str], name: str = "") -> bool:
    """Tell whether the volume's node affinity takes a node with these labels."""
    affinity = spec_of(volume).get("nodeAffinity") or _NOTHING
    return is_place_selected(affinity.get("required"), labels, name)


def offers_modes(volume: Object, claim: Object) -> bool:
    """Tell whether the volume has every access mode that the claim asks for."""
    return set(access_modes_of(claim)) <= set(access_modes_of(volume))


def mismatch_of(volume: Object, claim: Object) -> str:
    """Return why a volume that the claim asks for by name does not suit it, "" if it does."""
    if capacity_of(volume) < request_of(claim):
        return "requested PV is too small"
    if class_of(volume) != class_of(claim):
        return "storageClassName does not match"
    if attributes_class_of(volume) != attributes_class_of(claim):
        return "volumeAttributesClassName does not match"
    if mode_of(volume) != mode_of(claim):
        return "incompatible volumeMode"
    if not offers_modes(volume, claim):
        return "incompatible accessMode"
    return ""


def best_volume(
    claim: Object,
    volumes: Iterable[Object],
    *,
    node: Object | None = None,
    excluded: Collection[str] = (),
    only_reserved: bool = False,
) -> Object | None:
    """Return the volume that suits the claim best, None if none does.

    One that is reserved for the claim comes first, whatever its class, then the smallest that is large enough, among
    those with the fewest access modes. `node`: the volume must be reachable from it. `only_reserved`: the claim waits
    for its first consumer.
    """
    chosen: Object | None = None
    for volume in sorted(volumes, key=_preference):
        if name_of(volume) in excluded or not _is_thinkable(volume, claim):
            continue
        reaches = node is None or is_reachable_from(volume, labels_of(node), name_of(node))
        if claim_ref_of(volume) is not None:
            return volume if reaches else None
        if chosen is None and not only_reserved and reaches and _is_free_for(volume, claim):
            chosen = volume
    return chosen


def _preference(volume: Object) -> tuple[bool, int, Quantity, str]:
    return claim_ref_of(volume) is None, len(access_modes_of(volume)), capacity_of(volume), name_of(volume)


def _is_thinkable(volume: Object, claim: Object) -> bool:
    if claim_ref_of(volume) is not None and not is_for(volume, claim):
        return False
    return (
        capacity_of(volume) >= request_of(claim)
        and mode_of(volume) == mode_of(claim)
        and attributes_class_of(volume) == attributes_class_of(claim)
        and not is_terminating(volume)
        and offers_modes(volume, claim)
    )


def _is_free_for(volume: Object, claim: Object) -> bool:
    if phase_of(volume) != "Available" or class_of(volume) != class_of(claim):
        return False
    selector = spec_of(claim).get("selector")
    return selector is None or is_selected(selector, labels_of(volume))
