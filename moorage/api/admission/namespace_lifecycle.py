"""Nothing is created in a namespace that is missing or goes; some namespaces never go.

Source: apiserver/pkg/admission/plugin/namespace/lifecycle (v1.37).
"""

from moorage.api.admission.refusals import refused
from moorage.api.kind_rules import Lookup
from moorage.api.request import Draft, Request
from moorage.objects.errors import Forbidden, forbidden, not_found
from moorage.objects.metadata import Object, metadata_of

RESOURCES: frozenset[str] = frozenset()

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})


def mutate(draft: Draft, old: Object | None, request: Request, lookup: Lookup) -> None:
    """Refuse what is created in a namespace that is missing or terminating."""
    namespace = request.namespace
    if not namespace or old is not None or request.verb not in {"create", "update", "patch"}:
        return
    if request.resource.plural == "namespaces" and not request.resource.group:
        return
    found = lookup.get("namespaces", "", namespace)
    if found is None:
        raise not_found("namespaces", "", namespace)
    deleted = metadata_of(found).get("deletionTimestamp")
    if deleted:
        raise _terminating(draft, request, namespace, deleted)


def _terminating(draft: Draft, request: Request, namespace: str, deleted: str) -> Forbidden:
    del deleted
    error = refused(
        draft,
        request,
        f"unable to create new content in namespace {namespace} because it is being terminated",
    )
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {namespace} is being terminated",
        "field": "metadata.namespace",
    }
    error.details = {**(error.details or {}), "causes": [cause]}
    return error


def validate(obj: Object, old: Object | None, request: Request, lookup: Lookup) -> None:
    """Refuse the deletion of namespaces that the cluster needs."""
    del obj, old, lookup
    resource = request.resource
    if request.verb == "delete" and resource.plural == "namespaces" and not resource.group and request.name in IMMORTAL:
        raise forbidden("namespaces", "", request.name, "this namespace may not be deleted")
