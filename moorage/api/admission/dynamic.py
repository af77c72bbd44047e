"""What users configured about writes: policies and webhooks, composed in upstream's order.

Policies that change, webhooks that change; then, after our own plugins judged: policies that judge, webhooks that judge.
When somebody changed the object, all who change are asked once more who want it (reinvocationPolicy IfNeeded).
Source: pkg/kubeapiserver/options/plugins.go, apiserver/pkg/admission/reinvocation.go (v1.37).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import orjson

from moorage.api.admission.policies.stage import Policies
from moorage.api.admission.reinvocation import Reinvocation
from moorage.api.admission.webhooks.stage import Webhooks
from moorage.api.kind_rules import Lookup
from moorage.api.request import Draft, Request
from moorage.objects.metadata import Object

if TYPE_CHECKING:
    from moorage.api.authorization import Revisions


@dataclass
class Rounds:
    """The two rounds of one write. seen: the object as policies and as webhooks left it in the first of them."""

    again: bool = False
    policies: Reinvocation = field(default_factory=Reinvocation)
    webhooks: Reinvocation = field(default_factory=Reinvocation)
    seen: tuple[bytes, bytes] = (b"", b"")


class Dynamic:
    """Policies and webhooks as one (moorage.api.admission.chain.DynamicAdmission)."""

    def __init__(self, policies: Policies, webhooks: Webhooks) -> None:
        self._policies = policies
        self._webhooks = webhooks

    def begin(self, request: Request, lookup: Lookup) -> Rounds | None:
        """Return what a write starts with, None if nobody is configured that may change it."""
        resource = request.resource
        if not self._policies.may_change(resource, lookup) and not self._webhooks.may_change(
            resource, cast("Revisions", lookup)
        ):
            return None
        return Rounds()

    async def change(self, draft: Draft, old: Object | None, request: Request, lookup: Lookup, rounds: Rounds) -> bool:
        """Let everybody change the draft in place; tell whether somebody did and all are to be asked again."""
        rounds.policies.again = rounds.webhooks.again = rounds.again
        if rounds.again and rounds.seen[0] != _snapshot(draft):
            rounds.policies.object_changed()
        changed = self._policies.change(draft, old, request, lookup, rounds.policies)
        after_policies = _snapshot(draft)
        if rounds.again and rounds.seen[1] != after_policies:
            rounds.webhooks.object_changed()
        changed |= await self._webhooks.change(draft, old, request, cast("Revisions", lookup), rounds.webhooks)
        rounds.seen = (after_policies, _snapshot(draft))
        return changed

    async def validate(self, obj: Object, old: Object | None, request: Request, lookup: Lookup) -> None:
        """Ask everybody about a write. Raises StatusError."""
        await self._policies.validate(obj, old, request, lookup)
        await self._webhooks.validate(obj, old, request, cast("Revisions", lookup))


def _snapshot(draft: Mapping[str, object]) -> bytes:
    return orjson.dumps(draft, option=orjson.OPT_SORT_KEYS)
