"""Which policies may be about a resource: found without looking at them all, for as long as none changes.

A cluster without policies pays for two comparisons of numbers a write.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

from moorage.api.admission.policies.selection import EXEMPT, may_select
from moorage.api.authorization import Revisions
from moorage.objects.kinds import Resource
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

    @cached_property
    def program(self) -> "Program":
        """The policy, compiled once for each of its versions."""
        from moorage.api.admission.policies.programs import (
            program_of,
        )  # what evaluates is imported with the first policy

        key = (uid_of(self.policy), revision_of(self.policy))
        known = self.programs.get(key)
        if known is None:
            known = self.programs[key] = program_of(self.policy)
        return known


class Index:
    """The policies of one sort (`validating`, `mutating`) that have bindings."""

    def __init__(self, sort: str) -> None:
        self._policies = f"{sort}admissionpolicies.{_GROUP}"
        self._bindings = f"{sort}admissionpolicybindings.{_GROUP}"
        self._seen: tuple[int, int] = (-1, -1)
        self._hooks: Sequence[Hook] = ()
        self._programs: dict[tuple[str, int], Program] = {}
        self._by_resource: dict[tuple[str, str], Sequence[Hook]] = {}

    def hooks_for(self, resource: Resource, lookup: Revisions) -> Sequence[Hook]:
        """Return the policies that may be about a resource, in the order of their names."""
        seen = (lookup.revision(self._policies), lookup.revision(self._bindings))
        if seen != self._seen:
            self._read(lookup)
            self._seen = seen
        if not self._hooks:
            return ()
        key = (resource.group, resource.plural)
        known = self._by_resource.get(key)
        if known is None:
            known = self._by_resource[key] = self._may_be_about(resource)
        return known

    def _may_be_about(self, resource: Resource) -> Sequence[Hook]:
        if resource.id in EXEMPT:
            return ()
        return [each for each in self._hooks if may_select(each.policy["spec"].get("matchConstraints"), resource)]

    def _read(self, lookup: Revisions) -> None:
        bindings: dict[str, list[Object]] = {}
        for binding in sorted(lookup.list(self._bindings), key=name_of):
            bindings.setdefault(binding["spec"].get("policyName") or "", []).append(binding)
        self._hooks = [
            Hook(policy, bindings[name_of(policy)], self._programs)
            for policy in sorted(lookup.list(self._policies), key=name_of)
            if name_of(policy) in bindings
        ]
        self._forget({(uid_of(each.policy), revision_of(each.policy)): each for each in self._hooks})
        self._by_resource = {}

    def _forget(self, current: Mapping[tuple[str, int], Hook]) -> None:
        for key in self._programs.keys() - current.keys():
            del self._programs[key]
