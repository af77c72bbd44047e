"""What every write shares: the tools of a write, and its steps up to the store, as pure functions of their input.

The order is upstream's: decode → default → admit (mutate) → prepare → validate → admit (validate).
Source: apiserver/pkg/endpoints/handlers/{create,update}.go and registry/rest (v1.37).
"""

from dataclasses import dataclass
from typing import Any, Protocol

from moorage.aio.entropy import Entropy
from moorage.api.bodies import Expected, read_body
from moorage.api.kind_rules import Lookup, rules_for
from moorage.api.list_options import check_write_options
from moorage.api.request import Draft, Request
from moorage.api.resources import Resources
from moorage.api.storage import Storage
from moorage.objects.defaults import apply_defaults
from moorage.objects.encoded import Encoded
from moorage.objects.errors import Cause, invalid, not_found
from moorage.objects.kinds import Resource
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


class Admission(Protocol):
    """Plugins that may change or refuse a write (moorage.api.admission.chain)."""

    async def mutate(self, draft: Draft, old: Object | None, request: Request, lookup: Lookup) -> None:
        """Change the draft in place, or raise StatusError."""

    async def validate(self, obj: Object, old: Object | None, request: Request, lookup: Lookup) -> None:
        """Raise StatusError if the write is refused. For a deletion `obj` is what goes, and `request.verb` is delete."""

    async def ask(self, draft: Draft, old: Object | None, request: Request, lookup: Lookup) -> None:
        """Let users' policies and webhooks change and judge an eviction, a binding, or a connection. Raises StatusError."""


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
    rules: Any

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
    """Return what is known about a resource's objects."""
    if resource.rules is not None:
        return Kind(resource, resource.rules.type, resource.rules)
    known = _kinds.get(id(resource))
    if known is None:
        kind = Kind(resource, type_of(resource.api_version, resource.kind), rules_for(resource.kind))
        known = _kinds[id(resource)] = (resource, kind)
    return known[1]


def found(tools: Tools, request: Request) -> Encoded:
    """Return the object that a request is about, in its version. Raises NotFound."""
    resource = request.resource
    item = tools.storage.find(resource, request.namespace, request.name)
    if item is None:
        plural = "componentstatus" if resource.id == "componentstatuses" else resource.plural  # upstream's slip
        raise not_found(plural, resource.group, request.name)
    return tools.storage.presented(resource, item)


def is_dry_run(request: Request, options: str) -> bool:
    """Check the options of a write and tell whether it is a dry run; `options` names their kind. Raises Invalid."""
    return check_write_options(request.query, options)


def manager_of(request: Request) -> str:
    """Return the field manager of a request: the one it names, or the first part of its User-Agent."""
    name = request.query.get("fieldManager") or request.agent.partition("/")[0]
    return name[:MANAGER_MOST]


def decoded(kind: Kind, request: Request, draft: Draft, raw: bytes | None = None) -> Draft:
    """Return the draft checked against its type, without unknown fields, with defaults. Raises BadRequest.

    raw: the JSON text that `draft` was parsed from, if it was: the request's own, not what a patch made.
    """
    resource = kind.resource
    given = draft.get("metadata")
    forgets = type(given) is dict and given.get("managedFields") == []
    draft = read_body(Expected(resource.api_version, resource.kind, kind.type, resource.custom), request, draft, raw)
    draft["apiVersion"], draft["kind"] = resource.api_version, resource.kind
    apply_defaults(resource.api_version, resource.kind, draft)
    kind.call("default", draft)
    metadata = draft.setdefault("metadata", {})
    if forgets:  # reading leaves empty lists out, but this one means: forget who owns what
        metadata["managedFields"] = []
    return draft


def refuse(kind: Kind, name: str, causes: list[Cause]) -> None:
    """Raise Invalid if there are causes."""
    if causes:
        # Events of the new group are refused in the words of the old one: one strategy serves both.
        group = "" if kind.resource.kind == "Event" else kind.resource.group
        raise invalid(kind.resource.kind, group, name, causes)
