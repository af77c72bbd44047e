"""Who may do what: RBAC over compiled roles and bindings, and what nodes need for their own pods.

Roles are compiled into an index by subject, kept until one of the four RBAC resources changes.
Source: plugin/pkg/auth/authorizer/rbac, pkg/registry/rbac/validation (v1.37).
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

from moorage.api.kind_rules import Lookup
from moorage.api.request import User
from moorage.objects.attributes import Attributes
from moorage.objects.errors import Forbidden, qualified
from moorage.objects.metadata import Object, name_of, namespace_of
from moorage.objects.validation import go_quoted

#: Members of this group may do everything. Source: bootstrap policy.
SUPERUSERS = "system:masters"

_BINDINGS = ("clusterrolebindings.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io")
_ROLES = ("clusterroles.rbac.authorization.k8s.io", "roles.rbac.authorization.k8s.io")


class Verdict(NamedTuple):
    """Whether it is allowed, and which rule says so."""

    allowed: bool
    reason: str = ""


class Revisions(Lookup, Hashable, Protocol):
    """Read access that also tells when something changed."""

    def revision(self, resource: str) -> int:
        """Return a number that grows when any object of the resource changes."""


class Grant(NamedTuple):
    """Rules that a binding gives to a subject, and how they are told."""

    rules: Sequence[Object]
    reason: str


#: Subject key ("User/jane", "Group/dev") -> what it is granted.
Grants = Mapping[str, list[Grant]]


class Rbac:
    """Answers from the cluster's roles and bindings."""

    def __init__(self, lookup: Revisions) -> None:
        self._lookup = lookup
        self._seen: tuple[int, ...] = ()
        self._cluster: Grants = {}
        self._namespaced: dict[str, Grants] = {}

    async def authorize(self, user: User, attributes: Attributes) -> None:
        """Return if the user may. Raises Forbidden with upstream's text."""
        if SUPERUSERS in user.groups or self.judge(user, attributes).allowed:
            return
        raise refused(user, attributes)

    def judge(self, user: User, attributes: Attributes) -> Verdict:
        """Return whether the user may, and why."""
        if SUPERUSERS in user.groups:
            return Verdict(allowed=True)
        for grant in self.grants(user, attributes.namespace):
            if any(is_covered(rule, attributes) for rule in grant.rules):
                return Verdict(allowed=True, reason=grant.reason)
        return Verdict(allowed=False)

    def grants(self, user: User, namespace: str) -> Iterator[Grant]:
        """Yield what the user is granted in a namespace ("" for the cluster's own resources)."""
        self._refresh()
        subjects = [f"User/{user.name}", *(f"Group/{group}" for group in user.groups)]
        tables = [self._cluster, *([self._namespaced.get(namespace, {})] if namespace else [])]
        for table in tables:
            for subject in subjects:
                yield from table.get(subject, ())

    def _refresh(self) -> None:
        seen = tuple(self._lookup.revision(resource) for resource in (*_BINDINGS, *_ROLES))
        if seen == self._seen:
            return
        self._seen = seen
        self._cluster = self._compiled(self._lookup.list(_BINDINGS[0]), "ClusterRoleBinding")
        by_namespace: dict[str, list[Object]] = {}
        for binding in self._lookup.list(_BINDINGS[1]):
            by_namespace.setdefault(namespace_of(binding), []).append(binding)
        self._namespaced = {key: self._compiled(bindings, "RoleBinding") for key, bindings in by_namespace.items()}

    def _compiled(self, bindings: Iterable[Object], kind: str) -> Grants:
        table: dict[str, list[Grant]] = {}
        for binding in bindings:
            reference = binding["roleRef"]
            rules = self.rules_of(reference, namespace_of(binding))
            where = f"{name_of(binding)}/{namespace_of(binding)}" if kind == "RoleBinding" else name_of(binding)
            role = f'{reference["kind"]} "{reference["name"]}"'
            for subject in binding.get("subjects") or ():
                key, shown = _subject_key(subject, namespace_of(binding))
                table.setdefault(key, []).append(
                    Grant(rules, f'RBAC: allowed by {kind} "{where}" of {role} to {shown}')
                )
        return table

    def rules_of(self, reference: Object, namespace: str) -> Sequence[Object]:
        """Return the rules of the role that a binding names; none if it does not exist."""
        cluster = reference["kind"] == "ClusterRole"
        role = self._lookup.get(_ROLES[0] if cluster else _ROLES[1], "" if cluster else namespace, reference["name"])
        return role.get("rules") or () if role is not None else ()


@lru_cache(8)
def rbac_over(lookup: Revisions) -> Rbac:
    """Return the Rbac over somebody's objects, the same one each time: it keeps what it compiled until that changes."""
    return Rbac(lookup)


def _subject_key(subject: Object, namespace: str) -> tuple[str, str]:
    kind, name = subject["kind"], subject["name"]
    if kind == "ServiceAccount":
        home = subject.get("namespace") or namespace
        return f"User/system:serviceaccount:{home}:{name}", f'ServiceAccount "{name}/{home}"'
    return f"{kind}/{name}", f'{kind} "{name}"'


def is_covered(rule: Object, attributes: Attributes) -> bool:
    """Tell whether one policy rule allows what is asked."""
    if not _has(rule.get("verbs"), attributes.verb):
        return False
    if attributes.path:
        return any(_is_path(pattern, attributes.path) for pattern in rule.get("nonResourceURLs") or ())
    if not _has(rule.get("apiGroups"), attributes.group):
        return False
    if not _has_resource(rule.get("resources") or (), attributes):
        return False
    names = rule.get("resourceNames")
    return not names or attributes.name in names


def _has(values: Sequence[str] | None, wanted: str) -> bool:
    return values is not None and (wanted in values or "*" in values)


def _has_resource(resources: Sequence[str], attributes: Attributes) -> bool:
    full = f"{attributes.resource}/{attributes.subresource}" if attributes.subresource else attributes.resource
    if full in resources or "*" in resources:
        return True
    return bool(attributes.subresource) and f"*/{attributes.subresource}" in resources


def _is_path(pattern: str, path: str) -> bool:
    if pattern in ("*", path):
        return True
    return pattern.endswith("*") and path.startswith(pattern[:-1])


def refused(user: User, attributes: Attributes, reason: str = "") -> Forbidden:
    """Return the error of a refusal, in upstream's words; `reason` is what an authorizer says about it."""
    name = go_quoted(user.name)
    if attributes.path:
        text = f'forbidden: User {name} cannot {attributes.verb} path "{attributes.path}"'
        return Forbidden(text, details={})
    full = f"{attributes.resource}/{attributes.subresource}" if attributes.subresource else attributes.resource
    where = f'in the namespace "{attributes.namespace}"' if attributes.namespace else "at the cluster scope"
    why = f'User {name} cannot {attributes.verb} resource "{full}" in API group "{attributes.group}" {where}'
    if reason:
        why += f": {reason}"
    subject = qualified(attributes.resource, attributes.group)
    named = f' "{attributes.name}"' if attributes.name else ""
    details = {"name": attributes.name, "group": attributes.group, "kind": attributes.resource}
    return Forbidden(f"{subject}{named} is forbidden: {why}", details={k: v for k, v in details.items() if v})


def missing_rules(granted: Iterable[Object], wanted: Iterable[Object]) -> list[Object]:
    """Return the wanted rules that the granted ones do not cover, one by one: what a user would escalate to."""
    granted = list(granted)
    return [rule for rule in _atoms(wanted) if not any(_covers(each, rule) for each in granted)]


def _atoms(rules: Iterable[Object]) -> Iterator[Object]:
    """Split rules into ones of a single verb, group and resource (or path)."""
    for rule in rules:
        for verb in rule.get("verbs") or ():
            for path in rule.get("nonResourceURLs") or ():
                yield {"verbs": [verb], "nonResourceURLs": [path]}
            for group in rule.get("apiGroups") or ():
                for resource in rule.get("resources") or ():
                    atom = {"verbs": [verb], "apiGroups": [group], "resources": [resource]}
                    names = rule.get("resourceNames") or ()
                    yield from ({**atom, "resourceNames": [name]} for name in names) if names else (atom,)


def _covers(granted: Object, atom: Object) -> bool:
    verb = atom["verbs"][0]
    if not _has(granted.get("verbs"), verb):
        return False
    if paths := atom.get("nonResourceURLs"):
        return any(_is_path(pattern, paths[0]) for pattern in granted.get("nonResourceURLs") or ())
    if not _has(granted.get("apiGroups"), atom["apiGroups"][0]):
        return False
    resource, _, subresource = atom["resources"][0].partition("/")
    if not _has_resource(granted.get("resources") or (), Attributes(verb, resource=resource, subresource=subresource)):
        return False
    names = granted.get("resourceNames")
    return not names or (bool(atom.get("resourceNames")) and atom["resourceNames"][0] in names)
