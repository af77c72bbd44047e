"""Claims that name no class get the default one.

Source: plugin/pkg/admission/storage/storageclass/setdefault (v1.37).
"""

from moorage.api.kind_rules import Lookup
from moorage.api.request import Draft, Request
from moorage.objects.metadata import Object, annotations_of, metadata_of, name_of

RESOURCES = frozenset({"persistentvolumeclaims"})

DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_BETA_DEFAULT_CLASS = "storageclass.beta.kubernetes.io/is-default-class"
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"


def default_class(lookup: Lookup) -> Object | None:
    """Return the default class: the newest of those marked so, by name among equals."""
    marked = [
        each
        for each in lookup.list("storageclasses.storage.k8s.io")
        if "true" in {annotations_of(each).get(DEFAULT_CLASS), annotations_of(each).get(_BETA_DEFAULT_CLASS)}
    ]
    marked.sort(key=name_of)
    return max(marked, key=lambda each: metadata_of(each).get("creationTimestamp") or "", default=None)


def mutate(draft: Draft, old: Object | None, request: Request, lookup: Lookup) -> None:
    """Set the default class on a new claim."""
    if old is not None or request.subresource:
        return
    spec = draft.setdefault("spec", {})
    if spec.get("storageClassName") is not None or CLASS_ANNOTATION in annotations_of(draft):
        return
    if (found := default_class(lookup)) is not None:
        spec["storageClassName"] = name_of(found)
