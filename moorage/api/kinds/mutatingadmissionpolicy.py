"""MutatingAdmissionPolicies: expressions that change objects before they are stored.

Source: pkg/apis/admissionregistration/validation, pkg/printers (v1.37).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from moorage.api.admission.policies.expressions import MUTATIONS, Scopes, compile_causes
from moorage.api.kinds.webhooks.policies import name_causes, param_kind_cell, validate_policy
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Request
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, name_of
from moorage.objects.validation import in_list, invalid, not_supported, one_of, required

Part = Mapping[str, Any]

#: Nothing can be changed in what goes.
_OPERATIONS = ("*", "CONNECT", "CREATE", "UPDATE")
_REINVOCATION = ("IfNeeded", "Never")
_FIELDS = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a policy."""
    del request
    spec = obj.get("spec") or {}
    scopes = Scopes(params=spec.get("paramKind") is not None, composes=True)
    causes = validate_policy(spec, scopes)
    for rule in (spec.get("matchConstraints") or {}).get("resourceRules") or ():
        causes += _validate_operations("spec.matchConstraints.resourceRules.operations", rule.get("operations") or ())
    mutations = spec.get("mutations") or ()
    if not mutations:
        causes.append(required("spec.mutations", "mutations must contain at least one item"))
    for index, mutation in enumerate(mutations):
        causes += _validate_mutation(f"spec.mutations[{index}]", mutation, scopes)
    causes += one_of("spec.reinvocationPolicy", spec.get("reinvocationPolicy") or "", _REINVOCATION)
    return causes + name_causes(obj)


def _validate_operations(path: str, operations: Sequence[str]) -> list[Cause]:
    return [not_supported(path, "DELETE", _OPERATIONS) for operation in operations if operation == "DELETE"]


def _validate_mutation(path: str, mutation: Part, scopes: Scopes) -> list[Cause]:
    kind = mutation.get("patchType") or ""
    if kind not in _FIELDS:
        return in_list(f"{path}.patchType", kind, _FIELDS) if kind else [required(f"{path}.patchType")]
    own = _FIELDS[kind]
    causes: list[Cause] = []
    if (change := mutation.get(own)) is None:
        causes.append(required(f"{path}.{own}", f"must be specified when patchType is {kind}"))
    elif not (expression := (change.get("expression") or "").strip()):
        causes.append(required(f"{path}.{own}.expression"))
    else:
        causes += compile_causes(f"{path}.{own}.expression", expression, scopes.mutation, MUTATIONS[kind])
    for field in _FIELDS.values():
        if field != own and mutation.get(field) is not None:
            text = f"must not be specified when patchType is {kind}"
            causes.append(invalid(f"{path}.{field}", f"{{{field}}}", text))
    return causes


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, number of mutations, kind of parameters, age."""
    mutations = (obj.get("spec") or {}).get("mutations") or ()
    return [name_of(obj), len(mutations), param_kind_cell(obj), age_of(obj, now)]
