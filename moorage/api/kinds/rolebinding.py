"""RoleBindings: who has which role in a namespace.

Source: pkg/registry/rbac/rolebinding, pkg/apis/rbac/validation (v1.37).
"""

from datetime import datetime
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.rbac.bindings import binding_cells, validate_binding, validate_binding_update
from moorage.api.kinds.rbac.escalation import check_binding
from moorage.api.request import Draft, Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object

_ROLE_KINDS = ("Role", "ClusterRole")


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Refuse to grant what the author does not have."""
    check_binding(draft, None, request, lookup)


def prepare_update(draft: Draft, old: Object, request: Request, lookup: Lookup) -> None:
    """Refuse to grant what the author does not have."""
    check_binding(draft, old, request, lookup)


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a RoleBinding."""
    del request
    return validate_binding(obj, _ROLE_KINDS, namespaced=True)


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a RoleBinding may not change."""
    del request
    return validate_binding_update(obj, old)


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, role, age, users, groups, service accounts."""
    return binding_cells(obj, now)
