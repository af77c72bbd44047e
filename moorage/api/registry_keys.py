"""Under which keys upstream's server keeps objects: messages about failed preconditions show them.

Source: kubernetes/pkg/registry/*/storage, pkg/kubeapiserver/default_storage_factory_builder.go (v1.37).
"""

from collections.abc import Mapping
from typing import Final

from moorage.objects.encoded import Encoded
from moorage.objects.errors import Conflict, conflict
from moorage.objects.kinds import Resource

#: Resources that are not kept under their own name.
_PREFIXES: Final[Mapping[str, str]] = {
    "replicationcontrollers": "controllers",
    "endpoints": "services/endpoints",
    "services": "services/specs",
    "nodes": "minions",
    "ingresses.networking.k8s.io": "ingress",
}

#: Built-in groups whose resources are kept under their group as well, as custom resources are.
_GROUPED: Final = frozenset({"apiextensions.k8s.io", "apiregistration.k8s.io"})


def registry_key(resource: Resource, namespace: str, name: str) -> str:
    """Return the key of an object: `/registry/pods/default/web-0`."""
    prefix = _PREFIXES.get(resource.id, resource.plural)
    if resource.custom or resource.group in _GROUPED:
        prefix = f"{resource.group}/{resource.plural}"
    return "/".join(("/registry", prefix, *((namespace,) if namespace else ()), name))


def uid_conflict(resource: Resource, item: Encoded, uid: str) -> Conflict:
    """Return the error for a write that means an object with another uid."""
    return _precondition(resource, item, f"UID in precondition: {uid}, UID in object meta: {item.uid}")


def revision_conflict(resource: Resource, item: Encoded, revision: str) -> Conflict:
    """Return the error for a write whose precondition names another revision."""
    what = f"ResourceVersion in precondition: {revision}, ResourceVersion in object meta: {item.revision}"
    return _precondition(resource, item, what)


def _precondition(resource: Resource, item: Encoded, what: str) -> Conflict:
    return conflict(
        resource.plural,
        resource.group,
        item.name,
        f"StorageError: invalid object, Code: 4, Key: {registry_key(resource, item.namespace, item.name)}, "
        f"ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: {what}",
    )
