"""MutatingAdmissionPolicies at work: who of them changes a write, in which order, and when one is asked again.

Source: apiserver/pkg/admission/plugin/policy/mutating/{dispatcher,reinvocationcontext}.go (v1.37).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from moorage.api.admission.policies.calls import Call
from moorage.api.admission.policies.conditions import is_met
from moorage.api.admission.policies.denials import denied_by_mutation
from moorage.api.admission.policies.evaluation import CONDITION_STEPS_MOST, Evaluation, Failed
from moorage.api.admission.policies.index import Hook
from moorage.api.admission.policies.mutations import applied, patched
from moorage.api.admission.policies.params import Misconfigured, params_for, source_of
from moorage.api.admission.policies.programs import Program, Step
from moorage.api.admission.policies.reinvocation import Key, Reinvocation
from moorage.api.admission.policies.selection import selected
from moorage.api.admission.policies.variables import authorizer_for, namespace_of_call, variables_of
from moorage.api.admission.webhooks.reviews import as_version, from_version
from moorage.api.authorization import Rbac, Revisions
from moorage.api.pipeline import kind_of
from moorage.objects.cel.authorizers import Authorizer
from moorage.objects.kinds import Resource
from moorage.objects.metadata import Object, name_of, namespace_of
from moorage.objects.schema import Type

#: Reads what a mutation made as the endpoint reads a body (it is checked and defaulted). Raises StatusError.
Read = Callable[[Object], Object]


class Tools(NamedTuple):
    """What mutating needs beside the write: other objects, who may what, the type of the object, how it is read."""

    lookup: Revisions
    rbac: Rbac
    type: Type | None
    read: Read


class _Invocation(NamedTuple):
    """One policy with one binding and one set of parameters. matched: as what the write was selected."""

    program: Program
    binding: str
    matched: Resource
    param: Object | None

    @property
    def key(self) -> Key:
        param = self.param
        where = ("", "") if param is None else (namespace_of(param), name_of(param))
        return self.program.name, self.binding, *where

    def text(self, message: str) -> str:
        return f"policy '{self.program.name}' with binding '{self.binding}' denied request: {message}"


def mutated(hooks: Sequence[Hook], call: Call, tools: Tools, rounds: Reinvocation) -> Object | None:
    """Return the object as all policies that a write concerns want it. Raises Denied.

    rounds: what is remembered if the same write comes again (with `again` set then).
    """
    refusals: list[tuple[str, str]] = []
    invocations = [each for hook in hooks for each in _invocations(hook, call, tools.lookup, refusals)]
    round_ = _Round(tools, authorizer_for(tools.rbac, call.user), rounds)
    for invocation in invocations:
        call = round_.invoked(invocation, call, refusals)
    if refusals:
        raise denied_by_mutation(call, [message for message, _ in refusals], refusals[0][1])
    return call.obj


def _invocations(hook: Hook, call: Call, lookup: Revisions, refusals: list[tuple[str, str]]) -> Iterator[_Invocation]:
    spec, policy = hook.policy["spec"], name_of(hook.policy)
    matched = selected(spec.get("matchConstraints"), call, lookup)
    if matched is None:
        return
    program = hook.program
    try:
        source = source_of(spec["paramKind"], lookup) if spec.get("paramKind") else None
    except Misconfigured as error:
        if not program.ignores_failures:
            refusals.append((f'policy "{policy}" denied request: failed to configure policy: {error}', ""))
        return
    for binding in hook.bindings:
        if selected(binding["spec"].get("matchResources"), call, lookup) is None:
            continue
        try:
            params = params_for(source, binding["spec"].get("paramRef"), call.namespace, lookup)
        except Misconfigured as error:
            by = f"policy '{policy}' with binding '{name_of(binding)}'"
            if not program.ignores_failures:
                refusals.append((f"{by} denied request: failed to configure binding: {error}", ""))
            continue
        for param in params:
            yield _Invocation(program, name_of(binding), matched, param)


@dataclass(frozen=True, slots=True)
class _Round:
    """What all invocations of one round share."""

    tools: Tools
    authorizer: Authorizer
    rounds: Reinvocation

    def invoked(self, invocation: _Invocation, call: Call, refusals: list[tuple[str, str]]) -> Call:
        """Return the call after one policy; what it could not do is told in `refusals`."""
        program = invocation.program

        def refuse(error: Failed) -> None:
            if not program.ignores_failures:
                refusals.append((invocation.text(str(error)), "Invalid"))

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
            self.rounds.invoked.add(invocation.key)
        return call

    def _is_due(self, invocation: _Invocation, call: Call) -> bool:
        program = invocation.program
        if program.conditions:
            variables = variables_of(call, invocation.matched, invocation.param, self.authorizer)
            if not is_met(program, Evaluation(program, variables, CONDITION_STEPS_MOST)):
                return False
        return not self.rounds.again or invocation.key in self.rounds.due

    def _mutated(self, invocation: _Invocation, step: Step, call: Call, obj: Object) -> Object:
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
