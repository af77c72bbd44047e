"""The admission plugins in upstream's order, as one chain. Plugins are modules with `mutate` and `validate`.

A plugin names the resources it cares about in `RESOURCES` (an empty set: all), so that most writes meet two of them.
Webhooks and policies of users are not plugins of this chain: they come in through `extra` (moorage.api.admission.dynamic),
which changes a write after our own plugins did, and judges it after they did; only the quota comes later.
Source: pkg/kubeapiserver/options/plugins.go (v1.37).
"""

from collections.abc import Sequence
from types import ModuleType
from typing import Protocol

from moorage.aio.entropy import Entropy
from moorage.api.admission import (
    certificates,
    default_ingress_class,
    default_storage_class,
    default_toleration_seconds,
    limit_ranger,
    namespace_lifecycle,
    owner_references,
    pod_security,
    priority,
    resize,
    resource_quota,
    runtime_class,
    service_account,
    storage_protection,
    taint_nodes,
)
from moorage.api.admission.dynamic import Rounds
from moorage.api.kind_rules import Lookup
from moorage.api.request import Draft, Request
from moorage.objects.metadata import Object

#: In upstream's order. The quota comes last, when nobody can refuse any more.
PLUGINS: Sequence[ModuleType] = (
    namespace_lifecycle,
    limit_ranger,
    service_account,
    taint_nodes,
    pod_security,
    priority,
    default_toleration_seconds,
    default_storage_class,
    storage_protection,
    owner_references,
    resize,
    runtime_class,
    certificates,
    default_ingress_class,
    resource_quota,
)


class DynamicAdmission(Protocol):
    """Webhooks and policies that users configured: the seam for what decides outside of our own plugins."""

    def begin(self, request: Request, lookup: Lookup) -> Rounds | None:
        """Return what a write starts with, None if nobody may change it."""

    async def change(self, draft: Draft, old: Object | None, request: Request, lookup: Lookup, rounds: Rounds) -> bool:
        """Change the draft in place, or raise StatusError; tell whether it is to be changed once more."""

    async def validate(self, obj: Object, old: Object | None, request: Request, lookup: Lookup) -> None:
        """Raise StatusError if the write is refused."""


#: Verbs that our own plugins do not change anything of.
_ONLY_JUDGED = frozenset({"delete", "deletecollection", "connect"})


class AdmissionChain:
    """All plugins as one. `entropy` makes the names that plugins draw; `extra` are webhooks and policies."""

    def __init__(self, entropy: Entropy, extra: DynamicAdmission | None = None) -> None:
        self.entropy = entropy
        self._extra = extra
        self._plugins: dict[str, tuple[Sequence[ModuleType], Sequence[ModuleType]]] = {}

    async def mutate(self, draft: Draft, old: Object | None, request: Request, lookup: Lookup) -> None:
        """Let every plugin change the draft in place. Raises StatusError."""
        self._plugins_mutate(draft, old, request, lookup)
        if self._extra is None or (rounds := self._extra.begin(request, lookup)) is None:
            return
        if await self._extra.change(draft, old, request, lookup, rounds):
            rounds.again = True
            self._plugins_mutate(draft, old, request, lookup)
            await self._extra.change(draft, old, request, lookup, rounds)

    async def ask(self, draft: Draft, old: Object | None, request: Request, lookup: Lookup) -> None:
        """Let only users' policies and webhooks change and judge what is no write of the resource's own objects."""
        if self._extra is None:
            return
        rounds = self._extra.begin(request, lookup)
        if rounds is not None and await self._extra.change(draft, old, request, lookup, rounds):
            rounds.again = True
            await self._extra.change(draft, old, request, lookup, rounds)
        await self._extra.validate(draft, old, request, lookup)

    def _plugins_mutate(self, draft: Draft, old: Object | None, request: Request, lookup: Lookup) -> None:
        if request.verb in _ONLY_JUDGED:
            return
        for plugin in self._for(request)[0]:
            if plugin is service_account:
                service_account.mutate(draft, old, request, lookup, self.entropy)
            else:
                plugin.mutate(draft, old, request, lookup)

    async def validate(self, obj: Object, old: Object | None, request: Request, lookup: Lookup) -> None:
        """Let every plugin refuse the write. Raises StatusError."""
        plugins = self._for(request)[1]
        for plugin in plugins:
            if plugin is not resource_quota:
                plugin.validate(obj, old, request, lookup)
        if self._extra is not None:
            await self._extra.validate(obj, old, request, lookup)
        if plugins and plugins[-1] is resource_quota:
            resource_quota.validate(obj, old, request, lookup)

    def _for(self, request: Request) -> tuple[Sequence[ModuleType], Sequence[ModuleType]]:
        known = self._plugins.get(request.resource.id)
        if known is None:
            wanted = [each for each in PLUGINS if not each.RESOURCES or request.resource.id in each.RESOURCES]
            known = (
                tuple(each for each in wanted if hasattr(each, "mutate")),
                tuple(each for each in wanted if hasattr(each, "validate")),
            )
            self._plugins[request.resource.id] = known
        return known
