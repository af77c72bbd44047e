"""One webhook and one write: whether it is asked, and what it answers.

Source: apiserver/pkg/admission/plugin/webhook/generic/webhook.go, …/{mutating,validating}/dispatcher.go (v1.37).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from moorage.aio.entropy import Entropy
from moorage.api.admission.policies.calls import Call
from moorage.api.admission.policies.selection import selected
from moorage.api.admission.webhooks.caller import CallFailed, WebhookCaller, endpoint_of
from moorage.api.admission.webhooks.index import Hook
from moorage.api.admission.webhooks.refusals import internal, no_dry_run
from moorage.api.admission.webhooks.reviews import BadAnswer, Verdict, review_of, review_version, verdict_of
from moorage.api.authorization import Revisions
from moorage.api.custom_resources.converter import Converter
from moorage.objects.errors import StatusError, forbidden
from moorage.objects.kinds import Resource
from moorage.objects.metadata import Object

_NO_SIDE_EFFECTS = ("None", "NoneOnDryRun")


class Invocation(NamedTuple):
    """A webhook that is to be asked. matched: as which resource a rule selected the write; call: in that version."""

    hook: Hook
    matched: Resource
    call: Call


class Unanswered(Exception):
    """A webhook could not be asked; the text says why."""


async def invocation_of(hook: Hook, call: Call, lookup: Revisions, converter: Converter | None) -> Invocation | None:
    """Return how a webhook is asked about a write, None if it is not. Raises Forbidden, NotFound, InternalError."""
    matched = selected(hook.match, call, lookup)
    if matched is None:
        return None
    seen = await _in_version(call, matched, converter)
    return Invocation(hook, matched, seen) if _is_met(hook, seen, matched, lookup) else None


async def _in_version(call: Call, matched: Resource, converter: Converter | None) -> Call:
    """Return a call whose custom objects a conversion webhook has brought into another version."""
    objects = [each for each in (call.obj, call.old) if each is not None]
    if converter is None or not is_by_webhook(call, matched) or not objects:
        return call
    made = iter(await in_version(converter, call, objects, matched.api_version))
    obj, old = (None if each is None else next(made) for each in (call.obj, call.old))
    return replace(call, obj=obj, old=old)


def is_by_webhook(call: Call, matched: Resource) -> bool:
    """Tell whether only a conversion webhook brings the objects of a call into the version of `matched`."""
    if matched.version == call.resource.version or call.kind[1] != call.resource.kind:
        return False
    return call.resource.rules is not None and call.resource.rules.conversion is not None


async def in_version(
    converter: Converter, call: Call, objects: Sequence[Object], api_version: str
) -> list[dict[str, Any]]:
    """Return objects of a call in another version. Raises InternalError."""
    try:
        return await converter.converted(call.resource.rules.conversion, objects, api_version)
    except StatusError as error:
        raise internal(error.message) from None


def _is_met(hook: Hook, call: Call, matched: Resource, lookup: Revisions) -> bool:
    """Tell whether the match conditions of a webhook hold. Raises Forbidden."""
    program = hook.conditions
    if program is None:
        return True
    from moorage.api.admission.policies.conditions import is_met
    from moorage.api.admission.policies.evaluation import CONDITION_STEPS_MOST, Evaluation, Failed
    from moorage.api.admission.policies.variables import authorizer_for, variables_of

    variables = variables_of(call, matched, None, authorizer_for(lookup, call.user))
    try:
        return is_met(program, Evaluation(program, variables, CONDITION_STEPS_MOST))
    except Failed as error:
        raise forbidden(call.resource.plural, call.resource.group, call.name, str(error)) from None


class Asker:
    """Asks webhooks."""

    def __init__(self, entropy: Entropy, caller: WebhookCaller | None) -> None:
        self._entropy = entropy
        self.caller = caller

    async def verdict(self, invocation: Invocation, *, mutating: bool) -> Verdict:
        """Return what a webhook says of a write. Raises Unanswered, BadRequest for a dry run that it does not take."""
        hook, call, uid = invocation.hook, invocation.call, self._entropy.uid()
        if call.dry_run and hook.written.get("sideEffects") not in _NO_SIDE_EFFECTS:
            raise no_dry_run(hook.name)
        try:
            version = review_version(hook.written.get("admissionReviewVersions") or ())
            body = review_of(call, invocation.matched, version, uid)
            answer = await self._answer(hook, body)
            return verdict_of(answer, version, uid, mutating=mutating)
        except BadAnswer as error:
            raise Unanswered(str(error)) from None

    async def _answer(self, hook: Hook, body: bytes) -> bytes:
        if self.caller is None:
            raise Unanswered("failed to call webhook: nobody calls webhooks in this process")
        try:
            endpoint = endpoint_of(hook.written.get("clientConfig") or {})
            return await self.caller.post(endpoint, f"timeout={hook.seconds}s", body, hook.seconds)
        except CallFailed as error:
            raise Unanswered(f"failed to call webhook: {error}") from None
