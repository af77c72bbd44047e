"""What every write shares: the tools of a write, and its steps up to the store, as pure functions of their input.

The order is upstream's: decode → default → admit (mutate) → prepare → validate → admit (validate).
Source: apiserver/pkg/endpoints/handlers/{create,update}.go and registry/rest (v1.37).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

from moorage.aio.entropy import Entropy
from moorage.api.kind_rules import Lookup, rules_for
from moorage.api.list_options import check_write_options
from moorage.api.request import Draft, Request
from moorage.api.resources import Resources
from moorage.api.storage import Storage
from moorage.objects.decoding import decode_object
from moorage.objects.defaults import apply_defaults
from moorage.objects.errors import BadRequest, Cause, invalid
from moorage.objects.kinds import Resource, group_versions, resource_of_kind
from moorage.objects.metadata import Object
from moorage.objects.schema import Type, type_of

#: The longest name that a field manager may have, and how it is cut from a User-Agent.
MANAGER_MOST = 128


#: The built-in kinds whose desired state has a generation. Source: their strategies (v1.37), asked of a real server.
WITH_GENERATION = frozenset(
    "MutatingAdmissionPolicy MutatingAdmissionPolicyBinding MutatingWebhookConfiguration ValidatingAdmissionPolicy "
    "ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration CustomResourceDefinition DaemonSet Deployment "
    "ReplicaSet StatefulSet HorizontalPodAutoscaler CronJob Job EndpointSlice FlowSchema PriorityLevelConfiguration "
    "Ingress IngressClass NetworkPolicy PodDisruptionBudget DeviceClass DeviceTaintRule ResourceSlice PriorityClass "
    "Pod PodTemplate ReplicationController".split()
)


#: Versions that upstream's scheme knows but does not serve: a body in one of them is of another version, not unknown.
KNOWN_VERSIONS = frozenset(
    {
        "admissionregistration.k8s.io/v1alpha1",
        "admissionregistration.k8s.io/v1beta1",
        "apps/v1beta1",
        "apps/v1beta2",
        "authentication.k8s.io/v1alpha1",
        "authentication.k8s.io/v1beta1",
        "authorization.k8s.io/v1beta1",
        "autoscaling/v2beta1",
        "autoscaling/v2beta2",
        "batch/v1beta1",
        "certificates.k8s.io/v1alpha1",
        "certificates.k8s.io/v1beta1",
        "coordination.k8s.io/v1alpha2",
        "coordination.k8s.io/v1beta1",
        "discovery.k8s.io/v1beta1",
        "events.k8s.io/v1beta1",
        "extensions/v1beta1",
        "flowcontrol.apiserver.k8s.io/v1beta1",
        "flowcontrol.apiserver.k8s.io/v1beta2",
        "flowcontrol.apiserver.k8s.io/v1beta3",
        "networking.k8s.io/v1beta1",
        "node.k8s.io/v1alpha1",
        "node.k8s.io/v1beta1",
        "policy/v1beta1",
        "rbac.authorization.k8s.io/v1alpha1",
        "rbac.authorization.k8s.io/v1beta1",
        "resource.k8s.io/v1alpha3",
        "resource.k8s.io/v1beta1",
        "resource.k8s.io/v1beta2",
        "scheduling.k8s.io/v1alpha1",
        "scheduling.k8s.io/v1beta1",
        "storage.k8s.io/v1alpha1",
        "storage.k8s.io/v1beta1",
        "storagemigration.k8s.io/v1alpha1",
        "storagemigration.k8s.io/v1beta1",
    }
)


class Unreadable(BadRequest):
    """The body is not an object of the expected kind; `why` says it without naming the kind."""

    def __init__(self, subject: str, why: str) -> None:
        super().__init__(f"{subject}: {why}")
        self.why = why


class Admission(Protocol):
    """Plugins that may change or refuse a write (moorage.api.admission.chain)."""

    async def mutate(self, draft: Draft, old: Object | None, request: Request, lookup: Lookup) -> None:
        """Change the draft in place, or raise StatusError."""

    async def validate(self, obj: Object, old: Object | None, request: Request, lookup: Lookup) -> None:
        """Raise StatusError if the write is refused. For a deletion `obj` is what goes, and `request.verb` is delete."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What writes need: storage, plugins, read access, chance."""

    storage: Storage
    admission: Admission
    lookup: Lookup
    entropy: Entropy
    resources: Resources


@dataclass(frozen=True, slots=True)
class Kind:
    """What is known about the objects of a resource: their type (None if nothing is), and their rules."""

    resource: Resource
    type: Type | None
    rules: ModuleType | None

    @property
    def has_generation(self) -> bool:
        """Whether metadata.generation counts the changes of the desired state."""
        return self.resource.custom or self.resource.kind in WITH_GENERATION

    def call(self, function: str, *arguments: object) -> Any:
        """Call an optional rule; None if the kind has no such rule."""
        rule = getattr(self.rules, function, None)
        return rule(*arguments) if rule is not None else None

    def causes(self, function: str, *arguments: object) -> list[Cause]:
        """Return the causes that an optional rule finds."""
        return self.call(function, *arguments) or []


_kinds: dict[int, tuple[Resource, Kind]] = {}


def kind_of(resource: Resource) -> Kind:
    """Return what is known about a built-in resource's objects."""
    known = _kinds.get(id(resource))
    if known is None:
        kind = Kind(resource, type_of(resource.api_version, resource.kind), rules_for(resource.kind))
        known = _kinds[id(resource)] = (resource, kind)
    return known[1]


def empty_of(resource: Resource) -> Mapping[str, Any]:
    """Return what Go writes of an object of this kind in which nothing is set, but for its kind and metadata."""
    type_ = kind_of(resource).type
    if type_ is None:
        return {}
    obj = decode_object(type_, {"kind": resource.kind, "apiVersion": resource.api_version}).obj
    return {key: value for key, value in obj.items() if key not in ("kind", "apiVersion", "metadata")}


def is_dry_run(request: Request, options: str) -> bool:
    """Check the options of a write and tell whether it is a dry run; `options` names their kind. Raises Invalid."""
    return check_write_options(request.query, options)


def manager_of(request: Request) -> str:
    """Return the field manager of a request: the one it names, or the first part of its User-Agent."""
    name = request.query.get("fieldManager") or request.agent.partition("/")[0]
    return name[:MANAGER_MOST]


def decoded(kind: Kind, request: Request, draft: Draft) -> Draft:
    """Return the draft checked against its type, without unknown fields, with defaults. Raises BadRequest."""
    resource = kind.resource
    check_kind(resource, draft)
    if kind.type is not None:
        result = decode_object(kind.type, draft)
        if result.error:
            raise Unreadable(_cannot(draft, resource), result.error)
        report_unknown(request, resource, draft, [f'unknown field "{path}"' for path in result.unknown])
        draft = result.obj
    draft["apiVersion"], draft["kind"] = resource.api_version, resource.kind
    apply_defaults(resource.api_version, resource.kind, draft)
    kind.call("default", draft)
    draft.setdefault("metadata", {})
    return draft


def report_unknown(request: Request, resource: Resource, draft: Mapping[str, Any], problems: list[str]) -> None:
    """Do with unknown and duplicate fields what the request's fieldValidation asks for. Raises BadRequest."""
    problems = [*request.duplicates, *problems]
    if not problems:
        return
    how = request.query.get("fieldValidation") or "Warn"
    if how == "Strict":
        raise Unreadable(_cannot(draft, resource), f"strict decoding error: {', '.join(problems)}")
    if how == "Warn":
        for problem in problems:
            request.warn(problem)


def check_kind(resource: Resource, draft: Mapping[str, Any]) -> None:
    """Refuse a body of another kind; a missing kind or apiVersion means the resource's own. Raises BadRequest."""
    kind, api_version = draft.get("kind") or resource.kind, draft.get("apiVersion") or resource.api_version
    if kind == resource.kind and api_version == resource.api_version:
        return
    if api_version != resource.api_version and (api_version in group_versions() or api_version in KNOWN_VERSIONS):
        raise BadRequest(
            f"the API version in the data ({api_version}) does not match the expected API version ({resource.api_version})"
        )
    if api_version != resource.api_version or resource_of_kind(api_version, kind) is None:
        why = f'no kind "{kind}" is registered for version "{api_version}" in scheme "pkg/runtime/scheme.go:111"'
        raise Unreadable(_cannot(draft, resource), why)
    group = resource.group.partition(".")[0] or "core"
    why = f"converting ({resource.version}.{kind}) to ({group}.{resource.kind}): unknown conversion"
    raise Unreadable(_cannot(draft, resource), why)


def _cannot(draft: Mapping[str, Any], resource: Resource) -> str:
    kind, version = draft.get("kind") or resource.kind, draft.get("apiVersion") or resource.api_version
    return f'{kind} in version "{version.rpartition("/")[2]}" cannot be handled as a {resource.kind}'


def refuse(kind: Kind, name: str, causes: list[Cause]) -> None:
    """Raise Invalid if there are causes."""
    if causes:
        raise invalid(kind.resource.kind, kind.resource.group, name, causes)
