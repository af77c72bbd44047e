"""Ingresses that name no class get the default one.

Source: plugin/pkg/admission/network/defaultingressclass (v1.37).
"""

from moorage.api.kind_rules import Lookup
from moorage.api.request import Draft, Request
from moorage.objects.metadata import Object, annotations_of, metadata_of, name_of

RESOURCES = frozenset({"ingresses.networking.k8s.io"})

DEFAULT_CLASS = "ingressclass.kubernetes.io/is-default-class"
CLASS_ANNOTATION = "kubernetes.io/ingress.class"


def mutate(draft: Draft, old: Object | None, request: Request, lookup: Lookup) -> None:
    """Set the default class on a new ingress."""
    if old is not None or request.subresource:
        return
    spec = draft.setdefault("spec", {})
    if spec.get("ingressClassName") is not None or CLASS_ANNOTATION in annotations_of(draft):
        return
    marked = [
        each
        for each in lookup.list("ingressclasses.networking.k8s.io")
        if annotations_of(each).get(DEFAULT_CLASS) == "true"
    ]
    marked.sort(key=name_of)
    marked.sort(key=lambda each: metadata_of(each).get("creationTimestamp") or "", reverse=True)
    if marked:
        spec["ingressClassName"] = name_of(marked[0])
