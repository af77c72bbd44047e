"""Admission webhooks as a stage of every write: first those that change it, one after the other; then those that judge it.

A write to a resource that no webhook is about costs a comparison of numbers for each sort of webhooks. What asks them is
imported with the first.
Differs from Kubernetes: there is no audit log, so audit annotations of webhooks leave no trace.
"""

from typing import TYPE_CHECKING

from moorage.aio.entropy import Entropy
from moorage.api.admission.reinvocation import Reinvocation
from moorage.api.admission.webhooks.caller import WebhookCaller
from moorage.api.admission.webhooks.index import webhook_index
from moorage.api.authorization import Revisions
from moorage.api.request import Draft, Request
from moorage.objects.kinds import Resource
from moorage.objects.metadata import Object

if TYPE_CHECKING:
    from moorage.api.admission.webhooks.dispatch import Dispatcher
    from moorage.api.custom_resources.converter import Converter


class Webhooks:
    """All admission webhooks of a cluster. Without a caller every call fails, and the failure policies decide."""

    def __init__(self, entropy: Entropy, caller: WebhookCaller | None = None) -> None:
        self._entropy = entropy
        self._caller = caller
        #: Converts custom resources where a rule names another version than the request.
        self.converter: Converter | None = None
        self._mutating = webhook_index("mutating")
        self._validating = webhook_index("validating")

    def call_with(self, caller: WebhookCaller) -> None:
        """Reach webhooks by this caller from now on."""
        self._caller = caller

    def may_change(self, resource: Resource, lookup: Revisions) -> bool:
        """Tell whether any webhook may change a resource; cheap where there is none."""
        return bool(self._mutating.hooks_for(resource, lookup))

    async def change(
        self, draft: Draft, old: Object | None, request: Request, lookup: Revisions, rounds: Reinvocation
    ) -> bool:
        """Let webhooks change the draft in place; tell whether one did. Raises StatusError."""
        hooks = self._mutating.hooks_for(request.resource, lookup)
        if not hooks:
            return False
        dispatcher = self._dispatcher(request, lookup)
        changed = False
        for hook in hooks:
            asked, result = await dispatcher.changed(hook, draft, old, None if not rounds.again else rounds.due)
            if result:
                changed = True
                rounds.object_changed()
            if asked and hook.written.get("reinvocationPolicy") == "IfNeeded":
                rounds.invoked.add(hook.key)
        return changed

    async def validate(self, obj: Object, old: Object | None, request: Request, lookup: Revisions) -> None:
        """Ask webhooks about a write, all at once; they may warn. Raises StatusError with the first refusal."""
        hooks = self._validating.hooks_for(request.resource, lookup)
        if hooks:
            await self._dispatcher(request, lookup).validate(hooks, obj, old)

    def _dispatcher(self, request: Request, lookup: Revisions) -> "Dispatcher":
        from moorage.api.admission.webhooks.calls import Asker
        from moorage.api.admission.webhooks.dispatch import Dispatcher

        return Dispatcher(Asker(self._entropy, self._caller), self.converter, request, lookup)
