"""ValidatingAdmissionPolicies at work: who of them is asked about a write, and what comes of their answers.

Differs from Kubernetes: there is no audit log, so the action Audit and audit annotations leave no trace; an annotation
that cannot be made refuses the write all the same.
Source: apiserver/pkg/admission/plugin/policy/validating/dispatcher.go (v1.37).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from moorage.api.admission.policies.calls import Call
from moorage.api.admission.policies.conditions import is_met
from moorage.api.admission.policies.denials import denied_by_validation
from moorage.api.admission.policies.evaluation import CONDITION_STEPS_MOST, Evaluation, Failed
from moorage.api.admission.policies.index import Hook
from moorage.api.admission.policies.invocations import Unusable, invocations_of
from moorage.api.admission.policies.programs import Program
from moorage.api.admission.policies.validations import Judgement, failed, judged
from moorage.api.admission.policies.variables import authorizer_for, namespace_of_call, variables_of
from moorage.api.authorization import Revisions
from moorage.objects.metadata import name_of


class _Refusal(NamedTuple):
    """What a policy has against a write. binding: "" where the policy itself cannot be used."""

    policy: str
    binding: str
    message: str
    reason: str = ""

    @property
    def text(self) -> str:
        """What the client is told."""
        by = f" with binding '{self.binding}'" if self.binding else ""
        return f"ValidatingAdmissionPolicy '{self.policy}'{by} denied request: {self.message}"


def validate(hooks: Sequence[Hook], call: Call, lookup: Revisions, warn: Callable[[str], None]) -> None:
    """Ask every policy that a write concerns. Raises Denied with the first refusal; all may warn."""
    authorizer = authorizer_for(lookup, call.user)
    refusals: list[_Refusal] = []
    for hook in hooks:
        for found in invocations_of(hook, call, lookup):
            if isinstance(found, Unusable):
                refusals.append(_Refusal(*found))
                continue
            variables = variables_of(call, found.matched, found.param, authorizer)
            judgement = _judgement(found.program, variables, call, lookup)
            refusals += _refusals(judgement, found.program.name, found.binding, warn)
    if refusals:
        raise denied_by_validation(call, refusals[0].text, refusals[0].reason)


def _judgement(program: Program, variables: Mapping[str, Any], call: Call, lookup: Revisions) -> Judgement:
    if program.conditions:
        try:
            if not is_met(program, Evaluation(program, variables, CONDITION_STEPS_MOST)):
                return Judgement()
        except Failed as error:
            return failed(program, error)
    whole = {**variables, "namespaceObject": namespace_of_call(call, lookup)}
    return judged(program, Evaluation(program, whole))


def _refusals(
    judgement: Judgement, policy: str, binding: Mapping[str, Any], warn: Callable[[str], None]
) -> Iterator[_Refusal]:
    """Do with each denial what the binding says; yield those that refuse."""
    actions, name = binding["spec"].get("validationActions") or (), name_of(binding)
    for denial in judgement.denials:
        if "Warn" in actions:
            warn(f"Validation failed for ValidatingAdmissionPolicy '{policy}' with binding '{name}': {denial.message}")
        if "Deny" in actions:
            yield _Refusal(policy, name, denial.message, denial.reason)
    for annotation in judgement.annotations:
        if annotation.failure:
            yield _Refusal(policy, name, annotation.failure)
