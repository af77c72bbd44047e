"""Claims grow only if their class allows it.

Source: plugin/pkg/admission/storage/persistentvolume/resize (v1.37).
"""

from moorage.api.admission.default_storage_class import CLASS_ANNOTATION
from moorage.api.admission.refusals import refused
from moorage.api.kind_rules import Lookup
from moorage.api.request import Request
from moorage.objects.metadata import Object, annotations_of
from moorage.objects.quantity import parse_quantity

RESOURCES = frozenset({"persistentvolumeclaims"})


def validate(obj: Object, old: Object | None, request: Request, lookup: Lookup) -> None:
    """Refuse a claim that asks for more than before without a class that can expand."""
    if old is None or request.verb == "delete" or request.subresource:
        return
    new_size, old_size = _size(obj), _size(old)
    if not new_size or not old_size or parse_quantity(new_size) <= parse_quantity(old_size):
        return
    if (old.get("status") or {}).get("phase") != "Bound":
        raise refused(obj, request, "Only bound persistent volume claims can be expanded")
    name = annotations_of(obj).get(CLASS_ANNOTATION) or (obj.get("spec") or {}).get("storageClassName") or ""
    found = lookup.get("storageclasses.storage.k8s.io", "", name) if name else None
    if found is None or not found.get("allowVolumeExpansion"):
        text = (
            "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support "
            "resize"
        )
        raise refused(obj, request, text)


def _size(claim: Object) -> str:
    requests = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
    return str(requests.get("storage") or "")
