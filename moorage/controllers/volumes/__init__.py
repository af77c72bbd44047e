"""Claims and volumes: binding, provisioning, protection, expansion. Pure rules; data is made and removed by drivers.

Claims and volumes find each other through a few indexes, so that a round costs what it looks at, not what there is.
"""

from collections.abc import Iterable

from moorage.controllers.rule import Index
from moorage.objects import pods as pod_facts
from moorage.objects.metadata import Object, namespace_of
from moorage.objects.volumes import claim_ref_of, class_of, reserved_for

CLAIMS = "persistentvolumeclaims"
VOLUMES = "persistentvolumes"
CLASSES = "storageclasses.storage.k8s.io"


def _reserved(volume: Object) -> Iterable[str]:
    found = reserved_for(volume)
    return (found,) if found else ()


def _free_class(volume: Object) -> Iterable[str]:
    return (class_of(volume),) if claim_ref_of(volume) is None else ()


def _wanted_class(claim: Object) -> Iterable[str]:
    return () if (claim.get("spec") or {}).get("volumeName") else (class_of(claim),)


def _wanted_volume(claim: Object) -> Iterable[str]:
    name = (claim.get("spec") or {}).get("volumeName")
    return (name,) if name else ()


def _claims(pod: Object) -> Iterable[str]:
    return [f"{namespace_of(pod)}/{name}" for name in pod_facts.claims_of(pod)]


#: Volumes by the claim (`namespace/name`) that they refer to.
RESERVED_VOLUMES = Index("reserved-for", _reserved)
#: Volumes that refer to no claim, by class.
FREE_VOLUMES = Index("free-of-class", _free_class)
#: Claims that name no volume, by class.
UNNAMED_CLAIMS = Index("wants-class", _wanted_class)
#: Claims by the volume that they name.
NAMING_CLAIMS = Index("wants-volume", _wanted_volume)
#: Pods by the claims (`namespace/name`) that they mount.
PODS_BY_CLAIM = Index("mounts-claim", _claims)
