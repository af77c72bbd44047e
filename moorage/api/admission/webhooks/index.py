"""Webhooks of configurations, as an index finds them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from moorage.api.admission.hook_index import HookIndex
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


def webhook_index(sort: str) -> HookIndex[Hook]:
    """Return the index of one sort of webhooks (`validating`, `mutating`), in the order of their configurations' names."""
    configurations = f"{sort}webhookconfigurations.{_GROUP}"
    return HookIndex((configurations,), lambda lookup: _hooks(lookup.list(configurations)))


def _hooks(configurations: Sequence[Object]) -> list[Hook]:
    """Return all webhooks that have rules: those without any are about nothing."""
    return [
        Hook(f"{name_of(configuration)}/{number}/{written['name']}", written)
        for configuration in sorted(configurations, key=name_of)
        for number, written in enumerate(configuration.get("webhooks") or ())
        if written.get("rules")
    ]
