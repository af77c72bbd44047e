"""The policies that have bindings, as an index finds them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

from moorage.api.admission.hook_index import HookIndex
from moorage.api.admission.policies.selection import Part
from moorage.api.kind_rules import Lookup
from moorage.objects.metadata import Object, name_of, revision_of, uid_of

if TYPE_CHECKING:
    from moorage.api.admission.policies.programs import Program

_GROUP: Final = "admissionregistration.k8s.io"


@dataclass
class Hook:
    """A policy and its bindings. It is compiled when it is first needed."""

    policy: Object
    bindings: Sequence[Object]
    programs: dict[tuple[str, int], "Program"] = field(repr=False)

    @property
    def match(self) -> Part | None:
        """Which writes the policy is about."""
        constraints: Part | None = self.policy["spec"].get("matchConstraints")
        return constraints

    @cached_property
    def program(self) -> "Program":
        """The policy, compiled once for each of its versions."""
        from moorage.api.admission.policies.programs import (
            program_of,
        )  # what evaluates is imported with the first policy

        key = _version_of(self.policy)
        known = self.programs.get(key)
        if known is None:
            known = self.programs[key] = program_of(self.policy)
        return known


def policy_index(sort: str) -> HookIndex[Hook]:
    """Return the index of one sort of policies (`validating`, `mutating`), in the order of their names."""
    policies, bindings = f"{sort}admissionpolicies.{_GROUP}", f"{sort}admissionpolicybindings.{_GROUP}"
    #: What was compiled outlives a reading, for policies that did not change.
    programs: dict[tuple[str, int], Program] = {}

    def read(lookup: Lookup) -> Sequence[Hook]:
        bound: dict[str, list[Object]] = {}
        for binding in sorted(lookup.list(bindings), key=name_of):
            bound.setdefault(binding["spec"].get("policyName") or "", []).append(binding)
        found = [
            Hook(policy, bound[name_of(policy)], programs)
            for policy in sorted(lookup.list(policies), key=name_of)
            if name_of(policy) in bound
        ]
        for key in programs.keys() - {_version_of(each.policy) for each in found}:
            del programs[key]
        return found

    return HookIndex((policies, bindings), read)


def _version_of(policy: Object) -> tuple[str, int]:
    return uid_of(policy), revision_of(policy)
