"""What a client is told when a webhook refuses its write, or cannot be asked.

Source: apiserver/pkg/admission/plugin/webhook/errors/statuserror.go, …/{mutating,validating}/dispatcher.go (v1.37).
"""

from collections.abc import Mapping
from typing import Any

from moorage.api.admission.policies.denials import Denied
from moorage.objects.errors import BadRequest, InternalError


def rejected(webhook: str, result: Mapping[str, Any] | None) -> Denied:
    """Return the refusal that a webhook answered with; result: the Status of its answer."""
    result = result or {}
    code, reason = int(result.get("code") or 0), str(result.get("reason") or "")
    why = result.get("message") or reason
    told = f'admission webhook "{webhook}" denied the request'
    message = f"{told}: {why}" if why else f"{told} without explanation"
    return Denied(message, max(code, 400), reason, result.get("details") or {})


def uncalled(webhook: str, why: str) -> InternalError:
    """Return the refusal of a write about which a webhook could not be asked."""
    return internal(f'failed calling webhook "{webhook}": {why}')


def internal(text: str) -> InternalError:
    """Return a fault as upstream words it."""
    return InternalError(f"Internal error occurred: {text}", details={"causes": [{"message": text}]})


def no_dry_run(webhook: str) -> BadRequest:
    """Return the refusal of a dry run by a webhook that may have side effects."""
    return BadRequest(f'admission webhook "{webhook}" does not support dry run')
