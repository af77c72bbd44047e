"""MutatingAdmissionPolicyBindings: where a policy changes objects.

Source: pkg/apis/admissionregistration/validation, pkg/printers (v1.37).
"""

from datetime import datetime
from typing import Any

from moorage.api.kinds.webhooks.policies import name_causes, param_ref_cell, validate_binding
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, name_of


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a binding."""
    del request
    return validate_binding(obj.get("spec") or {}) + name_causes(obj)


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, policy, parameters, age."""
    return [name_of(obj), (obj.get("spec") or {}).get("policyName") or "", param_ref_cell(obj), age_of(obj, now)]
