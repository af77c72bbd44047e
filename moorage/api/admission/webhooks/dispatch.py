"""Asking webhooks about one write, and doing what they answer.

Source: apiserver/pkg/admission/plugin/webhook/{mutating,validating}/dispatcher.go (v1.37).
"""

import asyncio
import logging
from collections.abc import Hashable, Sequence, Set
from typing import Any

import orjson

from moorage.api.admission.policies.calls import Call, call_of
from moorage.api.admission.policies.stage import read_by, take
from moorage.api.admission.webhooks.calls import (
    Asker,
    Invocation,
    Unanswered,
    in_version,
    invocation_of,
    is_by_webhook,
)
from moorage.api.admission.webhooks.index import Hook
from moorage.api.admission.webhooks.refusals import internal, rejected, uncalled
from moorage.api.admission.webhooks.reviews import Verdict, as_version, from_version
from moorage.api.authorization import Revisions
from moorage.api.custom_resources.converter import Converter
from moorage.api.request import Draft, Request
from moorage.objects.errors import StatusError
from moorage.objects.json_patch import json_patch
from moorage.objects.metadata import Object

log = logging.getLogger(__name__)


class Dispatcher:
    """Asks webhooks about the write of a request."""

    def __init__(self, asker: Asker, converter: Converter | None, request: Request, lookup: Revisions) -> None:
        self._asker = asker
        self._converter = converter
        self._request = request
        self._lookup = lookup

    async def changed(
        self, hook: Hook, draft: Draft, old: Object | None, due: Set[Hashable] | None
    ) -> tuple[bool, bool]:
        """Let a webhook change the draft in place; tell whether it was asked, and whether it did. Raises StatusError.

        due: the only ones that are asked, None in the first round.
        """
        call = call_of(self._request, draft, old)
        invocation = await invocation_of(hook, call, self._lookup, self._converter)
        if invocation is None or (due is not None and hook.key not in due):
            return False, False
        result = await self._result(invocation, call)
        if result is not None:
            take(draft, result, self._request, call)
        return True, result is not None

    async def _result(self, invocation: Invocation, call: Call) -> Object | None:
        """Return the object as a webhook wants it, None if it changes nothing."""
        verdict = await self._asked(invocation, mutating=True)
        if verdict is None or not verdict.patch:
            return None
        name = invocation.hook.name
        if call.obj is None:
            text = (
                f'admission webhook "{name}" attempted to modify the object, which is not supported for this operation'
            )
            raise internal(text)
        patched = await self._patched(invocation, call, call.obj, verdict.patch)
        result = read_by(self._request, call, "Ignore")(patched)
        return None if result == call.obj else result

    async def _patched(self, invocation: Invocation, call: Call, obj: Object, operations: Any) -> Object:
        """Return what a patch makes of the object of a call, in the call's version. Raises InternalError."""
        matched, seen = invocation.matched, invocation.call.obj
        try:
            patched = json_patch(as_version(seen or obj, call, matched), operations)
        except StatusError as error:
            raise internal(error.message) from None
        if self._converter is not None and is_by_webhook(call, matched):
            api_version = call.resource.api_version
            return (await in_version(self._converter, call, [patched], api_version))[0]
        back: Object = orjson.loads(orjson.dumps(from_version(patched, call, matched)))  # reading it may change it
        return back

    async def validate(self, hooks: Sequence[Hook], obj: Object, old: Object | None) -> None:
        """Ask webhooks all at once. Raises StatusError with the first refusal."""
        call = call_of(self._request, obj, old)
        found = [await invocation_of(hook, call, self._lookup, self._converter) for hook in hooks]
        invocations = [each for each in found if each is not None]
        asked = (self._asked(each, mutating=False) for each in invocations)
        for outcome in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _asked(self, invocation: Invocation, *, mutating: bool) -> Verdict | None:
        """Return what a webhook that allows the write says, None if its failure is ignored. Raises StatusError."""
        hook = invocation.hook
        try:
            verdict = await self._asker.verdict(invocation, mutating=mutating)
        except Unanswered as error:
            if not hook.ignores_failures:
                raise uncalled(hook.name, str(error)) from None
            log.warning("webhook_failed_open name=%s error=%s", hook.name, error)
            return None
        for text in verdict.warnings:
            self._request.warn(text)
        if not verdict.allowed:
            raise rejected(hook.name, verdict.result)
        return verdict
