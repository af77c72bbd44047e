"""ValidatingAdmissionPolicyBindings: where a policy holds, and what happens to who breaks it.

Source: pkg/apis/admissionregistration/validation, pkg/printers (v1.37).
"""

from datetime import datetime
from typing import Any

from moorage.api.kinds.webhooks.policies import name_causes, param_ref_cell, validate_binding
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, name_of
from moorage.objects.validation import duplicate, in_list, invalid, required

_ACTIONS = ("Audit", "Deny", "Warn")
_TWICE = (
    "must not contain both Deny and Warn (repeating the same validation failure information in the API response and "
    "headers serves no purpose)"
)


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a binding."""
    del request
    spec = obj.get("spec") or {}
    causes = validate_binding(spec) + name_causes(obj)
    path, actions = "spec.validationActions", spec.get("validationActions") or []
    for index, action in enumerate(actions):
        causes += in_list(f"{path}[{index}]", action, _ACTIONS)
        if action in actions[:index]:
            causes.append(duplicate(f"{path}[{index}]", action))
    if {"Deny", "Warn"} <= set(actions):
        causes.append(invalid(path, actions, _TWICE))
    # What a declarative rule requires is said after everything else.
    if not spec.get("policyName"):
        causes = [*(cause for cause in causes if cause.field != "spec.policyName"), required("spec.policyName")]
    return causes if actions else [*causes, required(path)]


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, policy, parameters, age."""
    return [name_of(obj), (obj.get("spec") or {}).get("policyName") or "", param_ref_cell(obj), age_of(obj, now)]
