"""Match conditions: expressions that all must be true for a policy or webhook to be asked.

Source: apiserver/pkg/admission/plugin/webhook/matchconditions/matcher.go (v1.37).
"""

from moorage.api.admission.policies.evaluation import Evaluation, Failed
from moorage.api.admission.policies.programs import Program


def is_met(program: Program, evaluation: Evaluation) -> bool:
    """Tell whether all match conditions hold: one that is false decides, whatever fails. Raises Failed."""
    failures: list[str] = []
    for step in program.conditions:
        try:
            if evaluation.value_of(step) is False:
                return False
        except Failed as error:
            failures.append(str(error))
    if not failures:
        return True
    if program.ignores_failures:
        return False
    told = list(dict.fromkeys(failures))
    raise Failed(told[0] if len(told) == 1 else f"[{', '.join(told)}]")
