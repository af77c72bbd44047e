"""What a ValidatingAdmissionPolicy says about one write, with one set of parameters.

Source: apiserver/pkg/admission/plugin/policy/validating/validator.go (v1.37).
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from moorage.api.admission.policies.evaluation import Evaluation, Failed, OverBudget
from moorage.api.admission.policies.programs import Program, Step

#: The longest message that a messageExpression may make, in bytes. Source: apiserver/pkg/apis/cel/config.go.
MESSAGE_BYTES_MOST: Final = 5 * 1024


class Denial(NamedTuple):
    """One validation that fails. reason: "" where it could not be evaluated."""

    message: str
    reason: str = ""


class Annotation(NamedTuple):
    """One annotation of the audit log, or why it could not be made."""

    key: str
    value: str = ""
    failure: str = ""


class Judgement(NamedTuple):
    """All that a policy says."""

    denials: tuple[Denial, ...] = ()
    annotations: tuple[Annotation, ...] = ()


def judged(program: Program, evaluation: Evaluation) -> Judgement:
    """Return what the validations and audit annotations of a policy say. Match conditions were asked before."""
    try:
        denials = tuple(_denials(program, evaluation))
        annotations = tuple(_annotations(program, evaluation))
    except OverBudget as error:
        return failed(program, error)
    return Judgement(denials, annotations)


def failed(program: Program, error: Failed) -> Judgement:
    """Return what a policy says that cannot be evaluated at all."""
    return Judgement() if program.ignores_failures else Judgement((Denial(str(error)),))


def _denials(program: Program, evaluation: Evaluation) -> Iterator[Denial]:
    for index, step in enumerate(program.validations):
        try:
            holds = evaluation.value_of(step)
        except OverBudget:
            raise
        except Failed as error:
            if not program.ignores_failures:
                yield Denial(str(error))
            continue
        if holds is not True:
            reason = step.written.get("reason") or "Invalid"
            yield Denial(_message_of(step, program.messages[index], evaluation), reason)


def _message_of(step: Step, message: Step | None, evaluation: Evaluation) -> str:
    made = _made(message, evaluation) if message is not None else ""
    given: str = (step.written.get("message") or "").strip()
    return made or given or f"failed expression: {step.text.strip()}"


def _made(message: Step, evaluation: Evaluation) -> str:
    """Return the text of a messageExpression, "" where it makes none that can be told."""
    try:
        value: Any = evaluation.value_of(message)
    except Failed:
        return ""
    text = value.strip() if isinstance(value, str) else ""
    return "" if len(text.encode()) > MESSAGE_BYTES_MOST or "\n" in text else text


def _annotations(program: Program, evaluation: Evaluation) -> Iterator[Annotation]:
    for step in program.annotations:
        key = step.written.get("key") or ""
        try:
            value = evaluation.value_of(step)
        except OverBudget:
            raise
        except Failed as error:
            if not program.ignores_failures:
                yield Annotation(key, failure=str(error))
            continue
        if isinstance(value, str) and value.strip():
            yield Annotation(key, value.strip())
