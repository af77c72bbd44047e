"""What is remembered between two rounds of the same write: which mutating policies want to be asked again.

Source: apiserver/pkg/admission/plugin/policy/mutating/reinvocationcontext.go (v1.37).
"""

from dataclasses import dataclass, field

#: Policy, binding, and namespace and name of the parameters.
Key = tuple[str, str, str, str]


@dataclass
class Reinvocation:
    """What is remembered between two rounds of the same write: which policies want to be asked again."""

    again: bool = False
    invoked: set[Key] = field(default_factory=set)
    due: set[Key] = field(default_factory=set)

    def object_changed(self) -> None:
        """Somebody changed the object: those who were asked before and want it are asked again."""
        self.due |= self.invoked
        self.invoked = set()
