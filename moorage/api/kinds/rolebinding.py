"""RoleBindings: who has a role, in effect a namespace.

Source: pkg/apis/rbac/validation (v1.37).
"""

from datetime import datetime
from typing import Any

from moorage.api.kinds.rbac import binding_cells, validate_binding, validate_role_ref_update
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, name_of


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a binding."""
    del request
    return validate_binding(obj, kinds=("Role", "ClusterRole"))


def validate_update(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what of a binding may not change."""
    del request
    return validate_role_ref_update(obj, old)


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, role, age, users, groups, service accounts."""
    return [name_of(obj), *binding_cells(obj, age_of(obj, now))]
