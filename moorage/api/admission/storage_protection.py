"""Volumes and claims in use stay until nobody uses them: a finalizer from the beginning.

Source: plugin/pkg/admission/storage/storageobjectinuseprotection (v1.37).
"""

from moorage.api.kind_rules import Lookup
from moorage.api.request import Draft, Request
from moorage.objects.metadata import Object

RESOURCES = frozenset({"persistentvolumeclaims", "persistentvolumes", "volumeattributesclasses.storage.k8s.io"})

_FINALIZERS = {
    "persistentvolumeclaims": "kubernetes.io/pvc-protection",
    "persistentvolumes": "kubernetes.io/pv-protection",
    "volumeattributesclasses": "kubernetes.io/vac-protection",
}


def mutate(draft: Draft, old: Object | None, request: Request, lookup: Lookup) -> None:
    """Add the finalizer to what is new."""
    del lookup
    if old is not None or request.subresource:
        return
    finalizer = _FINALIZERS[request.resource.plural]
    metadata = draft["metadata"]
    finalizers = metadata.get("finalizers") or []
    if finalizer not in finalizers:
        metadata["finalizers"] = [*finalizers, finalizer]
