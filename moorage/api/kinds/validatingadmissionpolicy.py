"""ValidatingAdmissionPolicies: expressions that objects must satisfy to be stored.

Source: pkg/apis/admissionregistration/validation, pkg/registry/admissionregistration, pkg/printers (v1.37).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from moorage.api.admission.policies.expressions import ANNOTATION, CONDITION, MESSAGE, Scopes, compile_causes
from moorage.api.kind_rules import Lookup
from moorage.api.kinds.webhooks.policies import name_causes, param_kind_cell, validate_policy
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Draft, Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, name_of
from moorage.objects.validation import (
    duplicate,
    each_invalid,
    in_list,
    invalid,
    qualified_name_problems,
    required,
)

Part = Mapping[str, Any]

#: How many annotations of the audit log a policy may make, and how long their expressions may be.
ANNOTATIONS_MOST, VALUE_EXPRESSION_MOST = 20, 5120

_REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")
_NOT_EMPTY = "must be non-empty if specified"
_ONE_ITEM = "validations or auditAnnotations must contain at least one item"


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Start without a status."""
    del request, lookup
    draft["status"] = {}


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a policy."""
    del request
    spec = obj.get("spec") or {}
    scopes = Scopes(params=spec.get("paramKind") is not None, composes=bool(spec.get("variables")))
    causes = validate_policy(spec, scopes)
    validations, annotations = spec.get("validations") or (), spec.get("auditAnnotations") or ()
    if not validations and not annotations:
        causes += [required(f"spec.{field}", _ONE_ITEM) for field in ("validations", "auditAnnotations")]
    for index, validation in enumerate(validations):
        causes += _validate_validation(f"spec.validations[{index}]", validation, scopes)
    causes += _validate_annotations("spec.auditAnnotations", annotations, name_of(obj), scopes)
    return causes + name_causes(obj)


def _validate_validation(path: str, validation: Part, scopes: Scopes) -> list[Cause]:
    causes: list[Cause] = []
    expression, message = validation.get("expression") or "", validation.get("message") or ""
    message_expression = validation.get("messageExpression") or ""
    if not expression.strip():
        causes.append(required(f"{path}.expression", "expression is not specified"))
    else:
        causes += compile_causes(f"{path}.expression", expression, scopes.plain, CONDITION)
    if message_expression and not message_expression.strip():
        causes.append(invalid(f"{path}.messageExpression", message_expression, _NOT_EMPTY))
    elif message_expression:
        causes += compile_causes(f"{path}.messageExpression", message_expression, scopes.message, MESSAGE)
    if message and not message.strip():
        causes.append(invalid(f"{path}.message", message, _NOT_EMPTY))
    elif _has_lines(message.strip()):
        causes.append(invalid(f"{path}.message", message, "must not contain line breaks"))
    if (reason := validation.get("reason")) is not None:
        causes += in_list(f"{path}.reason", reason, _REASONS)
    return causes


def _has_lines(text: str) -> bool:
    return "\n" in text or "\r" in text


def _validate_annotations(path: str, annotations: Sequence[Part], policy: str, scopes: Scopes) -> list[Cause]:
    causes: list[Cause] = []
    if len(annotations) > ANNOTATIONS_MOST:
        causes.append(invalid(path, annotations, f"must not have more than {ANNOTATIONS_MOST} auditAnnotations"))
    keys: set[str] = set()
    for index, annotation in enumerate(annotations):
        place, key = f"{path}[{index}]", annotation.get("key") or ""
        full = f"{policy}/{key}"
        causes += each_invalid(f"{place}.key", full, qualified_name_problems(full))
        expression = (annotation.get("valueExpression") or "").strip()
        if not expression:
            causes.append(required(f"{place}.valueExpression", "valueExpression is not specified"))
        elif len(expression) > VALUE_EXPRESSION_MOST:
            text = f"must not exceed {VALUE_EXPRESSION_MOST} bytes in length"
            causes.append(required(f"{place}.valueExpression", text))
        else:
            given = annotation["valueExpression"]
            causes += compile_causes(f"{place}.valueExpression", expression, scopes.plain, ANNOTATION, shown=given)
        if key in keys:
            causes.append(duplicate(f"{place}.key", key))
        keys.add(key)
    return causes


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, number of validations, kind of parameters, age."""
    validations = (obj.get("spec") or {}).get("validations") or ()
    return [name_of(obj), len(validations), param_kind_cell(obj), age_of(obj, now)]
