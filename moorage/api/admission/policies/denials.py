"""How a policy refuses a write: the status that its client gets.

Source: apiserver/pkg/admission/plugin/policy/{validating/dispatcher,generic/policy_dispatcher}.go (v1.37).
"""

from collections.abc import Sequence
from typing import Any, Final

from moorage.api.admission.policies.calls import Call
from moorage.objects.errors import StatusError, forbidden

_CODES: Final = {"Forbidden": 403, "Unauthorized": 401, "RequestEntityTooLarge": 413, "Invalid": 422}


class Denied(StatusError):
    """A policy refuses, with a code and a reason of its own."""

    def __init__(self, message: str, code: int, reason: str, details: dict[str, Any]) -> None:
        super().__init__(message, details=details)
        self.code, self.reason = code, reason


def denied_by_validation(call: Call, message: str, reason: str) -> Denied:
    """Return the refusal of a validating policy; the reason decides about its code."""
    basis = forbidden(call.resource.plural, call.resource.group, call.shown_name, message)
    details = {**(basis.details or {}), "causes": [{"message": message}]}
    return Denied(basis.message, _CODES[reason or "Invalid"], reason or "Invalid", details)


def denied_by_mutation(call: Call, messages: Sequence[str], reason: str) -> Denied:
    """Return the refusal of mutating policies: 403 whatever its reason; the first message stands for all."""
    basis = forbidden(call.resource.plural, call.resource.group, call.shown_name, "admission request denied by policy")
    details = {**(basis.details or {}), "causes": [{"message": message} for message in messages]}
    return Denied(messages[0], 403, reason or "Forbidden", details)
