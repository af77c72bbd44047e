"""One webhook and one write: whether it is asked, and what it answers.

Source: apiserver/pkg/admission/plugin/webhook/generic/webhook.go, …/{mutating,validating}/dispatcher.go (v1.37).
"""

from typing import NamedTuple

from moorage.aio.entropy import Entropy
from moorage.api.admission.policies.calls import Call
from moorage.api.admission.policies.selection import selected
from moorage.api.admission.webhooks.caller import CallFailed, WebhookCaller, endpoint_of
from moorage.api.admission.webhooks.index import Hook
from moorage.api.admission.webhooks.refusals import no_dry_run
from moorage.api.admission.webhooks.reviews import BadAnswer, Verdict, as_version, review_of, review_version, verdict_of
from moorage.api.authorization import Rbac, Revisions
from moorage.objects.errors import forbidden
from moorage.objects.kinds import Resource

_NO_SIDE_EFFECTS = ("None", "NoneOnDryRun")


class Invocation(NamedTuple):
    """A webhook that is to be asked. matched: as which resource a rule selected the write."""

    hook: Hook
    matched: Resource


class Unanswered(Exception):
    """A webhook could not be asked; the text says why."""


def invocation_of(hook: Hook, call: Call, lookup: Revisions) -> Invocation | None:
    """Return how a webhook is asked about a write, None if it is not. Raises Forbidden, NotFound."""
    matched = selected(hook.match, call, lookup)
    if matched is None:
        return None
    return Invocation(hook, matched) if _is_met(hook, call, matched, lookup) else None


def _is_met(hook: Hook, call: Call, matched: Resource, lookup: Revisions) -> bool:
    """Tell whether the match conditions of a webhook hold. Raises Forbidden."""
    program = hook.conditions
    if program is None:
        return True
    from moorage.api.admission.policies.conditions import is_met
    from moorage.api.admission.policies.evaluation import CONDITION_STEPS_MOST, Evaluation, Failed
    from moorage.api.admission.policies.variables import authorizer_for, variables_of

    obj = as_version(call.obj, call, matched)
    seen = call if obj is None else call.with_object(obj)
    variables = variables_of(seen, matched, None, authorizer_for(Rbac(lookup), call.user))
    try:
        return is_met(program, Evaluation(program, variables, CONDITION_STEPS_MOST))
    except Failed as error:
        raise forbidden(call.resource.plural, call.resource.group, call.shown_name, str(error)) from None


class Asker:
    """Asks webhooks."""

    def __init__(self, entropy: Entropy, caller: WebhookCaller | None) -> None:
        self._entropy = entropy
        self.caller = caller

    async def verdict(self, invocation: Invocation, call: Call, *, mutating: bool) -> Verdict:
        """Return what a webhook says of a write. Raises Unanswered, BadRequest for a dry run that it does not take."""
        hook, uid = invocation.hook, self._entropy.uid()
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
