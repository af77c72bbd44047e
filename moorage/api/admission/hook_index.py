"""Which policies or webhooks may be about a resource: found without looking at them all, for as long as none changes.

A cluster without any pays for a comparison of numbers a write.
"""

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from moorage.api.admission.policies.selection import EXEMPT, Part, may_select
from moorage.api.authorization import Revisions
from moorage.objects.kinds import Resource


class Hook(Protocol):
    """What somebody configured for writes."""

    @property
    def match(self) -> Part | None:
        """Which writes it is about, as matchConstraints of a policy say it."""


H = TypeVar("H", bound=Hook)


class HookIndex(Generic[H]):
    """The hooks of one sort. read: returns all of them in order; resources: what they are written in."""

    def __init__(self, resources: Sequence[str], read: Callable[[Revisions], Sequence[H]]) -> None:
        self._resources = resources
        self._read = read
        self._seen: list[int] = []
        self._hooks: Sequence[H] = ()
        self._by_resource: dict[tuple[str, str], Sequence[H]] = {}

    def hooks_for(self, resource: Resource, lookup: Revisions) -> Sequence[H]:
        """Return the hooks that may be about a resource, in order."""
        seen = [lookup.revision(each) for each in self._resources]
        if seen != self._seen:
            self._hooks, self._by_resource = self._read(lookup), {}
            self._seen = seen
        if not self._hooks:
            return ()
        key = (resource.group, resource.plural)
        known = self._by_resource.get(key)
        if known is None:
            known = self._by_resource[key] = self._may_be_about(resource)
        return known

    def _may_be_about(self, resource: Resource) -> Sequence[H]:
        if resource.id in EXEMPT:
            return ()
        return [each for each in self._hooks if may_select(each.match, resource)]
