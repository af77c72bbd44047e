"""MutatingAdmissionPolicies at work: who of them changes a write, in which order, and when one is asked again.

Source: apiserver/pkg/admission/plugin/policy/mutating/{dispatcher,reinvocationcontext}.go (v1.37).
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from moorage.api.admission.policies.calls import Call
from moorage.api.admission.policies.conditions import is_met
from moorage.api.admission.policies.denials import denied_by_mutation
from moorage.api.admission.policies.evaluation import CONDITION_STEPS_MOST, Evaluation, Failed
from moorage.api.admission.policies.index import Hook
from moorage.api.admission.policies.invocations import Invocation, Unusable, invocations_of
from moorage.api.admission.policies.mutations import applied, patched
from moorage.api.admission.policies.programs import Step
from moorage.api.admission.policies.variables import authorizer_for, namespace_of_call, variables_of
from moorage.api.admission.reinvocation import Reinvocation
from moorage.api.admission.webhooks.reviews import as_version, from_version
from moorage.api.authorization import Revisions
from moorage.api.pipeline import kind_of
from moorage.objects.cel.authorizers import Authorizer
from moorage.objects.metadata import Object, name_of, namespace_of
from moorage.objects.schema import Type

#: Reads what a mutation made as the endpoint reads a body (it is checked and defaulted). Raises StatusError.
Read = Callable[[Object], Object]


class Tools(NamedTuple):
    """What mutating needs beside the write: other objects, the type of the object, how it is read."""

    lookup: Revisions
    type: Type | None
    read: Read


def mutated(hooks: Sequence[Hook], call: Call, tools: Tools, rounds: Reinvocation) -> Object | None:
    """Return the object as all policies that a write concerns want it. Raises Denied.

    rounds: what is remembered if the same write comes again (with `again` set then).
    """
    found = [each for hook in hooks for each in invocations_of(hook, call, tools.lookup)]
    refusals = [(_told(each), "") for each in found if isinstance(each, Unusable)]
    round_ = _Round(tools, authorizer_for(tools.lookup, call.user), rounds)
    for invocation in found:
        if isinstance(invocation, Invocation):
            call = round_.invoked(invocation, call, refusals)
    if refusals:
        raise denied_by_mutation(call, [message for message, _ in refusals], refusals[0][1])
    return call.obj


def _told(unusable: Unusable) -> str:
    policy, binding, message = unusable
    by = f"policy '{policy}' with binding '{binding}'" if binding else f'policy "{policy}"'
    return f"{by} denied request: {message}"


def _key(invocation: Invocation) -> Hashable:
    param = invocation.param
    where = ("", "") if param is None else (namespace_of(param), name_of(param))
    return invocation.program.name, name_of(invocation.binding), *where


@dataclass(frozen=True, slots=True)
class _Round:
    """What all invocations of one round share."""

    tools: Tools
    authorizer: Authorizer
    rounds: Reinvocation

    def invoked(self, invocation: Invocation, call: Call, refusals: list[tuple[str, str]]) -> Call:
        """Return the call after one policy; what it could not do is told in `refusals`."""
        program = invocation.program

        def refuse(error: Failed) -> None:
            if not program.ignores_failures:
                by = Unusable(program.name, name_of(invocation.binding), str(error))
                refusals.append((_told(by), "Invalid"))

        try:
            if not self._is_due(invocation, call):
                return call
        except Failed as error:
            refuse(error)
            return call
        before = call.obj
        for step in program.mutations:
            if call.obj is not None:
                try:
                    call = call.with_object(self._mutated(invocation, step, call, call.obj))
                except Failed as error:
                    refuse(error)
        if call.obj != before:
            self.rounds.object_changed()
        if program.spec.get("reinvocationPolicy") == "IfNeeded":
            self.rounds.invoked.add(_key(invocation))
        return call

    def _is_due(self, invocation: Invocation, call: Call) -> bool:
        program = invocation.program
        if program.conditions:
            variables = variables_of(call, invocation.matched, invocation.param, self.authorizer)
            if not is_met(program, Evaluation(program, variables, CONDITION_STEPS_MOST)):
                return False
        return not self.rounds.again or _key(invocation) in self.rounds.due

    def _mutated(self, invocation: Invocation, step: Step, call: Call, obj: Object) -> Object:
        if isinstance(step.compiled, str):
            raise Failed(step.compiled)
        variables: dict[str, Any] = {
            **variables_of(call, invocation.matched, invocation.param, self.authorizer),
            "namespaceObject": namespace_of_call(call, self.tools.lookup),
        }
        value = Evaluation(invocation.program, variables).value_of(step)
        matched = invocation.matched
        shown = as_version(obj, call, matched) or obj
        type_ = self.tools.type if matched is call.resource else kind_of(matched).type
        result = patched(shown, value) if step.written["patchType"] == "JSONPatch" else applied(shown, value, type_)
        return self.tools.read(from_version(result, call, matched))
