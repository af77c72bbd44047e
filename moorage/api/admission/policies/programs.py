"""Policies ready to be evaluated: all expressions compiled once for each version of a policy.

An expression that does not compile any more (its policy is older than our rules) keeps its error and fails when it is due.
Source: apiserver/pkg/admission/plugin/policy/{validating/plugin,mutating/compilation}.go (v1.37).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from moorage.api.admission.policies.expressions import (
    ANNOTATION,
    CONDITION,
    MESSAGE,
    MUTATIONS,
    VARIABLE,
    Expression,
    Scope,
    Scopes,
    Uncompiled,
)
from moorage.objects.cel.types import CelType
from moorage.objects.metadata import Object, name_of

Part = Mapping[str, Any]

#: Where a mutation keeps its expression.
PATCH_FIELDS: Final = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}


class Step(NamedTuple):
    """One expression. compiled: what it became, or why it does not compile. written: the part that it belongs to."""

    text: str
    compiled: Expression | str
    written: Part


@dataclass(frozen=True, slots=True)
class Program:
    """A policy. messages: for each validation that of its messageExpression, None without one."""

    name: str
    spec: Part
    conditions: Sequence[Step] = ()
    variables: Mapping[str, Step] = field(default_factory=dict)
    validations: Sequence[Step] = ()
    messages: Sequence[Step | None] = ()
    annotations: Sequence[Step] = ()
    mutations: Sequence[Step] = ()

    @property
    def ignores_failures(self) -> bool:
        """Whether what cannot be evaluated counts as if it was not there."""
        return bool(self.spec.get("failurePolicy") == "Ignore")


def program_of(policy: Object) -> Program:
    """Compile a policy of either sort."""
    spec: Part = policy.get("spec") or {}
    scopes = Scopes(params=spec.get("paramKind") is not None, composes=True)
    variables: dict[str, Step] = {}
    for each in spec.get("variables") or ():
        step = _step(scopes.plain, each.get("expression") or "", VARIABLE, each)
        variables[each.get("name") or ""] = step
        scopes.declare(each.get("name") or "", None if isinstance(step.compiled, str) else step.compiled.type)
    plain, validations = scopes.plain, spec.get("validations") or ()
    mutations = (each for each in spec.get("mutations") or () if each.get("patchType") in MUTATIONS)
    return Program(
        name_of(policy),
        spec,
        [_step(plain, each.get("expression") or "", CONDITION, each) for each in spec.get("matchConditions") or ()],
        variables,
        [_step(plain, each.get("expression") or "", CONDITION, each) for each in validations],
        [_message(scopes.message, each) for each in validations],
        [_step(plain, each["valueExpression"], ANNOTATION, each) for each in spec.get("auditAnnotations") or ()],
        [_mutation(scopes.mutation, each) for each in mutations],
    )


def _step(scope: Scope, text: str, wanted: Sequence[CelType], written: Part) -> Step:
    try:
        return Step(text, scope.compiled(text, wanted), written)
    except Uncompiled as error:
        return Step(text, str(error), written)


def _message(scope: Scope, validation: Part) -> Step | None:
    text = validation.get("messageExpression") or ""
    return _step(scope, text, MESSAGE, validation) if text else None


def _mutation(scope: Scope, mutation: Part) -> Step:
    kind = mutation["patchType"]
    text = (mutation.get(PATCH_FIELDS[kind]) or {}).get("expression") or ""
    return _step(scope, text, MUTATIONS[kind], mutation)
