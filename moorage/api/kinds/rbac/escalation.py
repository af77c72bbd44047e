"""Nobody grants more than they have: the check of writes to roles and bindings.

Members of system:masters pass; so do who may `escalate` roles or `bind` the role.
Source: pkg/registry/rbac/{role,clusterrole,rolebinding,clusterrolebinding}/policybased, pkg/registry/rbac/validation (v1.37).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from moorage.api.authorization import SUPERUSERS, Rbac, Revisions, missing_rules, rbac_over
from moorage.api.kind_rules import Lookup
from moorage.api.kinds.rbac.bindings import GROUP
from moorage.api.request import Request, User
from moorage.objects.attributes import Attributes
from moorage.objects.errors import Forbidden, not_found
from moorage.objects.metadata import Object, name_of
from moorage.objects.validation import go_quoted

#: What somebody must have to gather whatever there is.
_EVERYTHING: Sequence[Object] = (
    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
    {"verbs": ["*"], "nonResourceURLs": ["*"]},
)

#: The fields of metadata whose change is left to the garbage collector.
_COLLECTED = frozenset({"ownerReferences", "finalizers", "managedFields", "resourceVersion"})

_FIELDS = (
    ("apiGroups", "APIGroups"),
    ("resources", "Resources"),
    ("nonResourceURLs", "NonResourceURLs"),
    ("resourceNames", "ResourceNames"),
    ("verbs", "Verbs"),
)


def check_role(obj: Object, old: Object | None, request: Request, lookup: Lookup) -> None:
    """Refuse a role whose rules its author does not have. Raises Forbidden."""
    if SUPERUSERS in request.user.groups or _is_collection(obj, old):
        return
    rbac = _rbac(lookup)
    asked_name = "" if request.verb == "create" else request.name
    if _may(rbac, request, "escalate", request.resource.plural, asked_name):
        return
    _check_granted(rbac, obj, obj.get("rules") or (), request)
    if any(_is_aggregated(each) for each in (obj, old or {})) and _missing(rbac, request, _EVERYTHING):
        raise _refused(obj, request, "must have cluster-admin privileges to use the aggregationRule")


def check_binding(obj: Object, old: Object | None, request: Request, lookup: Lookup) -> None:
    """Refuse a binding to a role that its author does not have. Raises Forbidden, NotFound."""
    if SUPERUSERS in request.user.groups or _is_collection(obj, old):
        return
    rbac = _rbac(lookup)
    reference = obj.get("roleRef") or {}
    name = reference.get("name") or ""
    plural = {"ClusterRole": "clusterroles", "Role": "roles"}.get(reference.get("kind") or "", "")
    if plural and _may(rbac, request, "bind", plural, name):
        return
    home = request.namespace if plural == "roles" else ""
    role = lookup.get(f"{plural}.{GROUP}", home, name) if plural else None
    if role is None:
        raise not_found(request.resource.plural, GROUP, name)
    _check_granted(rbac, obj, role.get("rules") or (), request)


def _rbac(lookup: Lookup) -> Rbac:
    return rbac_over(cast("Revisions", lookup))


def _may(rbac: Rbac, request: Request, verb: str, plural: str, name: str) -> bool:
    asked = Attributes(verb, GROUP, request.resource.version, plural, namespace=request.namespace, name=name)
    return rbac.judge(request.user, asked).allowed


def _is_aggregated(role: Object) -> bool:
    return bool((role.get("aggregationRule") or {}).get("clusterRoleSelectors"))


def _is_collection(obj: Object, old: Object | None) -> bool:
    """Tell whether a change is only about who owns the object and what holds it back."""
    if old is None:
        return False
    metadata, before = obj["metadata"], old["metadata"]
    if all(metadata.get(field) == before.get(field) for field in ("ownerReferences", "finalizers")):
        return False
    return all(obj.get(key) == old.get(key) for key in {*obj, *old} - {"metadata"}) and all(
        metadata.get(key) == before.get(key) for key in {*metadata, *before} - _COLLECTED
    )


def _missing(rbac: Rbac, request: Request, rules: Iterable[Object]) -> list[Object]:
    granted = [rule for grant in rbac.grants(request.user, request.namespace) for rule in grant.rules]
    return missing_rules(granted, rules)


def _check_granted(rbac: Rbac, obj: Object, rules: Iterable[Object], request: Request) -> None:
    if missing := _missing(rbac, request, rules):
        described = sorted({_described(rule) for rule in _compact(missing)})
        text = f"{_shown(request.user)} is attempting to grant RBAC permissions not currently held:\n"
        raise _refused(obj, request, text + "\n".join(described))


def _shown(user: User) -> str:
    return f"user {go_quoted(user.name)} (groups={_quoted(user.groups)})"


def _refused(obj: Object, request: Request, why: str) -> Forbidden:
    name, plural = name_of(obj), request.resource.plural
    details = {"name": name, "group": GROUP, "kind": plural}
    return Forbidden(f'{plural}.{GROUP} "{name}" is forbidden: {why}', details=details)


def _compact(rules: Iterable[Object]) -> list[Object]:
    """Return rules of single verbs with the verbs for the same group, resource and name put together."""
    together: dict[tuple[Any, ...], list[str]] = {}
    kept: list[Object] = []
    for rule in rules:
        if rule.get("nonResourceURLs"):
            kept.append(rule)
            continue
        key = tuple(tuple(rule.get(field) or ()) for field, _ in _FIELDS[:-1])
        verbs = together.setdefault(key, [])
        verbs += [verb for verb in rule["verbs"] if verb not in verbs]
    fields = [field for field, _ in _FIELDS[:-1]]
    return kept + [{**dict(zip(fields, key, strict=True)), "verbs": verbs} for key, verbs in together.items()]


def _described(rule: Mapping[str, Any]) -> str:
    parts = [f"{shown}:{_quoted(rule[field])}" for field, shown in _FIELDS if rule.get(field)]
    return f"{{{', '.join(parts)}}}"


def _quoted(texts: Iterable[str]) -> str:
    return f"[{' '.join(map(go_quoted, texts))}]"
