"""Who writes a policy with parameters, or binds one, must be able to read these: expressions could tell him of them.

Source: pkg/registry/admissionregistration/{validating,mutating}admissionpolicy{,binding}/authz.go (v1.37).
"""

from collections.abc import Mapping
from typing import Any, Final

from moorage.api.admission.policies.params import Misconfigured, source_of
from moorage.api.authorization import SUPERUSERS, Rbac, Revisions, rbac_over
from moorage.api.kind_rules import Lookup
from moorage.api.request import Request, User
from moorage.objects.attributes import Attributes
from moorage.objects.errors import invalid
from moorage.objects.metadata import Object, name_of
from moorage.objects.validation import forbidden

Part = Mapping[str, Any]

_GROUP: Final = "admissionregistration.k8s.io"
POLICIES: Final = frozenset({f"validatingadmissionpolicies.{_GROUP}", f"mutatingadmissionpolicies.{_GROUP}"})
#: Bindings -> their policies.
BINDINGS: Final = {
    f"{sort}admissionpolicybindings.{_GROUP}": f"{sort}admissionpolicies.{_GROUP}"
    for sort in ("validating", "mutating")
}


def check_param_access(obj: Object, old: Object | None, request: Request, lookup: Revisions) -> None:
    """Refuse a policy or binding whose author may not read its parameters. Raises Invalid."""
    if request.verb == "delete" or SUPERUSERS in request.user.groups:
        return
    rbac = rbac_over(lookup)
    field = "paramKind" if request.resource.id in POLICIES else "paramRef"
    spec, before = obj.get("spec") or {}, (old or {}).get("spec") or {}
    if spec.get(field) is None or _is_same(spec, before, field):
        return
    why = (
        _policy_problem(spec, request, lookup, rbac) if field == "paramKind" else _problem(spec, request, lookup, rbac)
    )
    if why:
        row = request.resource
        raise invalid(row.kind, row.group, name_of(obj), [forbidden(f"spec.{field}", why)])


def _is_same(spec: Part, before: Part, field: str) -> bool:
    return bool(spec[field] == before.get(field) and spec.get("policyName") == before.get("policyName"))


def _policy_problem(spec: Part, request: Request, lookup: Lookup, rbac: Rbac) -> str:
    kind = spec["paramKind"]
    attributes = _attributes(kind, lookup)._replace(verb="get", name="*", namespace="*")
    if rbac.judge(request.user, attributes).allowed:
        return ""
    shown = f"kind={kind.get('kind') or ''}, apiVersion={kind.get('apiVersion') or ''}"
    what = f'must have "get" permission on all objects of the referenced paramKind ({shown})'
    return f"user {_shown(request.user)} {what}"


def _problem(spec: Part, request: Request, lookup: Lookup, rbac: Rbac) -> str:
    reference, name = spec["paramRef"], spec.get("policyName") or ""
    policy = lookup.get(BINDINGS[request.resource.id], "", name)
    kind = ((policy or {}).get("spec") or {}).get("paramKind")
    verb = "get" if reference.get("name") else "list"
    attributes = _attributes(kind, lookup)._replace(
        verb=verb, name=reference.get("name") or "", namespace=reference.get("namespace") or ""
    )
    if rbac.judge(request.user, attributes).allowed:
        return ""
    user = _shown(request.user)
    if policy is None:
        lacks = f'user {user} does not have "{verb}" permission for all groups, versions and resources'
        return f"unable to get policy {name} to determine minimum required permissions and {lacks}"
    return f'user {user} does not have "{verb}" permission on the object referenced by paramRef'


def _attributes(kind: Part | None, lookup: Lookup) -> Attributes:
    """Return what is to be read: everything where it is not known what that is."""
    if kind is None:
        return Attributes("", "*", "*", "*")
    group, _, version = (kind.get("apiVersion") or "").rpartition("/")
    try:
        return Attributes("", group, version, source_of(kind, lookup).resource.partition(".")[0])
    except Misconfigured:
        return Attributes("", group, version, "*")


def _shown(user: User) -> str:
    """Return a user as Go prints it."""
    extra = " ".join(f"{key}:[{' '.join(values)}]" for key, values in sorted(user.extra.items()))
    return f"&{{{user.name} {user.uid} [{' '.join(user.groups)}] map[{extra}]}}"
