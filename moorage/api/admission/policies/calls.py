"""One write as policies see it: what is done to which object by whom.

Source: apiserver/pkg/admission/{attributes,errors}.go, apiserver/pkg/admission/plugin/cel/condition.go (v1.37).
"""

from dataclasses import dataclass, replace
from typing import Any, Final

from moorage.api.request import Draft, Request, User
from moorage.objects.kinds import Resource
from moorage.objects.metadata import Object, metadata_of

_OPERATIONS: Final = {
    "create": ("CREATE", "CreateOptions"),
    "delete": ("DELETE", "DeleteOptions"),
    "deletecollection": ("DELETE", "DeleteOptions"),
    "connect": ("CONNECT", ""),
}
_UPDATE: Final = ("UPDATE", "UpdateOptions")

#: What a namespace shows of itself in expressions.
_NAMESPACE_METADATA: Final = (
    *("name", "generateName", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp"),
    *("deletionTimestamp", "deletionGracePeriodSeconds", "labels", "annotations", "finalizers"),
)


@dataclass(frozen=True, slots=True)
class Call:
    """A write on its way.

    operation: CREATE, UPDATE, DELETE or CONNECT.
    obj:       the object as it is to be; None when it goes. In a subresource with a kind of its own it is of that kind.
    old:       the object as it is; None when it is new.
    kind:      apiVersion and kind of `obj`.
    options:   what the client asked beside it (CreateOptions, …).
    """

    operation: str
    resource: Resource
    subresource: str
    namespace: str
    name: str
    user: User
    obj: Object | None
    old: Object | None
    kind: tuple[str, str]
    options: Object
    dry_run: bool = False

    @property
    def shown_name(self) -> str:
        """The name that a refusal tells."""
        metadata = metadata_of(self.obj) if self.obj is not None else {}
        return self.name or metadata.get("name") or metadata.get("generateName") or "Unknown"

    def with_object(self, obj: Object) -> "Call":
        """Return the call with another object."""
        return replace(self, obj=obj)

    def request(self, resource: Resource) -> dict[str, Any]:
        """Return what expressions see as `request`. resource: the one that a rule matched."""
        group, _, version = self.kind[0].rpartition("/")
        asked = {"group": group, "version": version, "kind": self.kind[1]}
        own = {"group": self.resource.group, "version": self.resource.version, "resource": self.resource.plural}
        user = self.user
        facts: dict[str, Any] = {
            "kind": {**asked, "version": resource.version} if resource is not self.resource else asked,
            "resource": {"group": resource.group, "version": resource.version, "resource": resource.plural},
            "requestKind": asked,
            "requestResource": own,
            "operation": self.operation,
            "userInfo": {"username": user.name, "groups": list(user.groups)},
            "dryRun": self.dry_run,
            "options": self.options or None,
        }
        if self.subresource:
            facts["subResource"] = facts["requestSubResource"] = self.subresource
        if user.uid:
            facts["userInfo"]["uid"] = user.uid
        if user.extra:
            facts["userInfo"]["extra"] = {key: list(values) for key, values in user.extra.items()}
        return facts | {key: value for key, value in (("name", self.name), ("namespace", self.namespace)) if value}


def call_of(request: Request, obj: Draft | Object | None, old: Object | None) -> Call:
    """Return a request with its objects as a call. obj: the object itself, also where the endpoint takes another kind."""
    operation, options = _OPERATIONS.get(request.verb, _UPDATE)
    if operation == "UPDATE" and old is None:
        operation, options = "CREATE", "CreateOptions"
    resource, metadata = request.resource, metadata_of(obj or old or {})
    name = request.name or metadata.get("name") or ""
    namespace = name if resource.id == "namespaces" else request.namespace
    kind = _kind_of(resource, request.subresource)
    if kind[1] == "Scale":
        obj, old = (None if each is None else _scale(resource, each) for each in (obj, old))
    gone = operation == "DELETE"
    return Call(
        operation,
        resource,
        request.subresource,
        namespace,
        name,
        request.user,
        None if gone else obj,
        old,
        kind,
        _options(request, options),
        request.is_dry_run,
    )


def _kind_of(resource: Resource, subresource: str) -> tuple[str, str]:
    """Return apiVersion and kind of what an endpoint takes."""
    found = resource.subresources.get(subresource)
    if found is None or found.kind == resource.kind:
        return resource.api_version, resource.kind
    if not found.version:
        return resource.api_version, found.kind
    return f"{found.group}/{found.version}" if found.group else found.version, found.kind


def _scale(resource: Resource, obj: Object) -> Object:
    from moorage.api.scale import scale_of

    return scale_of(obj, resource.rules.scale if resource.rules is not None else None, may_lack=True)


def _options(request: Request, kind: str) -> Object:
    if not kind:
        return {}
    options: dict[str, Any] = {"kind": kind, "apiVersion": "meta.k8s.io/v1"}
    if request.options is not None:
        return {**request.options, **options}
    for field in ("fieldManager", "fieldValidation"):
        if request.query.get(field) and kind != "DeleteOptions":
            options[field] = request.query[field]
    if request.query.get("dryRun"):
        options["dryRun"] = request.query["dryRun"].split(",")
    return options


def shown_namespace(namespace: Object | None) -> Object | None:
    """Return what expressions see as `namespaceObject`."""
    if namespace is None:
        return None
    metadata = metadata_of(namespace)
    shown = {key: metadata[key] for key in _NAMESPACE_METADATA if key in metadata}
    return {"metadata": shown, "spec": namespace.get("spec") or {}, "status": namespace.get("status") or {}}
