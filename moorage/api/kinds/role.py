"""Roles: what may be done in a namespace.

Source: pkg/apis/rbac/validation (v1.37).
"""

from moorage.api.kinds.rbac import validate_rules
from moorage.api.request import Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a Role."""
    del request
    return validate_rules(obj.get("rules") or [], namespaced=True)
