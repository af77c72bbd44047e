"""Which webhooks may be about a resource: found without looking at them all, for as long as none changes.

A cluster without webhooks pays for a comparison of numbers a write.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from moorage.api.admission.policies.selection import EXEMPT, may_select
from moorage.api.authorization import Revisions
from moorage.objects.kinds import Resource
from moorage.objects.metadata import Object, name_of

if TYPE_CHECKING:
    from moorage.api.admission.policies.programs import Program

_GROUP: Final = "admissionregistration.k8s.io"


@dataclass
class Hook:
    """A webhook of a configuration. key: what names it for as long as its configuration does not change."""

    key: str
    written: Object

    @property
    def name(self) -> str:
        """Its own name."""
        return str(self.written["name"])

    @property
    def ignores_failures(self) -> bool:
        """Whether a call that fails counts as if nobody had been asked."""
        return bool(self.written.get("failurePolicy") == "Ignore")

    @property
    def seconds(self) -> int:
        """How long a call may take."""
        return int(self.written.get("timeoutSeconds") or 10)

    @cached_property
    def match(self) -> dict[str, Any]:
        """What it wants to be asked about, in the form that policies have."""
        written = self.written
        selectors = {key: written.get(key) for key in ("namespaceSelector", "objectSelector", "matchPolicy")}
        return {**selectors, "resourceRules": written.get("rules") or ()}

    @cached_property
    def conditions(self) -> "Program | None":
        """Its match conditions, compiled; None without any."""
        conditions = self.written.get("matchConditions")
        if not conditions:
            return None
        from moorage.api.admission.policies.programs import program_of

        spec = {"matchConditions": conditions, "failurePolicy": self.written.get("failurePolicy")}
        return program_of({"metadata": {"name": self.name}, "spec": spec})


class Index:
    """The webhooks of one sort (`validating`, `mutating`)."""

    def __init__(self, sort: str) -> None:
        self._configurations = f"{sort}webhookconfigurations.{_GROUP}"
        self._seen = -1
        self._hooks: Sequence[Hook] = ()
        self._by_resource: dict[tuple[str, str], Sequence[Hook]] = {}

    def hooks_for(self, resource: Resource, lookup: Revisions) -> Sequence[Hook]:
        """Return the webhooks that may be about a resource, in the order of their configurations' names."""
        seen = lookup.revision(self._configurations)
        if seen != self._seen:
            self._hooks = list(_hooks(lookup.list(self._configurations)))
            self._by_resource = {}
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
        return [each for each in self._hooks if each.match["resourceRules"] and may_select(each.match, resource)]


def _hooks(configurations: Sequence[Object]) -> list[Hook]:
    return [
        Hook(f"{name_of(configuration)}/{number}/{written['name']}", written)
        for configuration in sorted(configurations, key=name_of)
        for number, written in enumerate(configuration.get("webhooks") or ())
    ]
