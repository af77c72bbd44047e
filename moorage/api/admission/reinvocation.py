"""What is remembered between two rounds of the same write: who of those that change it wants to be asked again.

Source: apiserver/pkg/admission/plugin/{policy/mutating,webhook/mutating}/reinvocationcontext.go (v1.37).
"""

from collections.abc import Hashable
from dataclasses import dataclass, field


@dataclass
class Reinvocation:
    """The two rounds of policies, or of webhooks; each of these has a key of its own."""

    again: bool = False
    invoked: set[Hashable] = field(default_factory=set)
    due: set[Hashable] = field(default_factory=set)

    def object_changed(self) -> None:
        """Somebody changed the object: those who were asked before and want it are asked again."""
        self.due |= self.invoked
        self.invoked = set()
