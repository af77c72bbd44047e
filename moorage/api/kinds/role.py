"""Roles: what may be done in one namespace. Source: pkg/registry/rbac/role, pkg/apis/rbac/validation (v1.37)."""

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.rbac.escalation import check_role
from moorage.api.kinds.rbac.policies import validate_rules
from moorage.api.request import Draft, Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Refuse to grant what the author does not have."""
    check_role(draft, None, request, lookup)


def prepare_update(draft: Draft, old: Object, request: Request, lookup: Lookup) -> None:
    """Refuse to grant what the author does not have."""
    check_role(draft, old, request, lookup)


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a Role."""
    del request
    return validate_rules(obj.get("rules") or (), namespaced=True)
