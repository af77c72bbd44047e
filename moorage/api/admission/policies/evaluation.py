"""Evaluating the expressions of a policy for one write: their variables, their budget, what an error is called.

Differs from Kubernetes: costs are counted in steps of ours, not in upstream's units; what runs for long ends all the same.
Source: apiserver/pkg/admission/plugin/cel/{activation,composition}.go, apiserver/pkg/apis/cel/config.go (v1.37).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from moorage.api.admission.policies.programs import Program, Step
from moorage.objects.cel.evaluation import Budget, evaluate
from moorage.objects.cel.values import EvaluationError

#: How many steps all expressions of one policy, or its match conditions, may take: ten times and two and a half times
#: what one may.
STEPS_MOST: Final = 1_000_000
CONDITION_STEPS_MOST: Final = 250_000

_OVER: Final = "validation failed due to running out of cost budget, no further validation rules will be run"


class Failed(Exception):
    """An expression has no value."""


class OverBudget(Failed):
    """All expressions together took too long; none is evaluated any more."""

    def __init__(self) -> None:
        super().__init__(_OVER)


class Evaluation:
    """The variables of one policy for one write, and what may still be spent on its expressions."""

    def __init__(self, program: Program, variables: Mapping[str, Any], steps: int = STEPS_MOST) -> None:
        self._budget = Budget(steps)
        self._variables = {**variables, "variables": _Variables(program, self)}

    def value_of(self, step: Step) -> Any:
        """Return the value of an expression. Raises Failed in upstream's words."""
        if isinstance(step.compiled, str):
            raise Failed(f"compilation error: {step.compiled}")
        try:
            return self.evaluated(step)
        except EvaluationError as error:
            if self._budget.left < 0:
                raise OverBudget from None
            raise Failed(f"expression '{step.text}' resulted in error: {error}") from None

    def evaluated(self, step: Step) -> Any:
        """Return the value of an expression that compiles. Raises EvaluationError."""
        assert not isinstance(step.compiled, str)  # noqa: S101 (asked before)
        return evaluate(step.compiled.tree, self._variables, self._budget)


class _Variables(Mapping[str, Any]):
    """The variables of a policy, evaluated when they are first asked for."""

    def __init__(self, program: Program, evaluation: Evaluation) -> None:
        self._steps = program.variables
        self._evaluation = evaluation
        self._known: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._known:
            step = self._steps[name]
            if isinstance(step.compiled, str):
                raise EvaluationError(f'composited variable "{name}" fails to compile: {step.compiled}')
            try:
                self._known[name] = self._evaluation.evaluated(step)
            except EvaluationError as error:
                raise EvaluationError(f'composited variable "{name}" fails to evaluate: {error}') from None
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._steps)

    def __len__(self) -> int:
        return len(self._steps)
