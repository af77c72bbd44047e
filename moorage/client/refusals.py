"""From a `Status` on the wire back to the error that the API raised."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from moorage.objects import errors
from moorage.objects.errors import Cause, Invalid, StatusError

_CLASSES: Final[tuple[type[StatusError], ...]] = (
    errors.BadRequest,
    errors.Unauthorized,
    errors.Forbidden,
    errors.NotFound,
    errors.MethodNotAllowed,
    errors.NotAcceptable,
    errors.AlreadyExists,
    errors.Conflict,
    errors.Expired,
    errors.TooLarge,
    errors.UnsupportedMediaType,
    errors.Invalid,
    errors.TooManyRequests,
    errors.InternalError,
    errors.ServiceUnavailable,
    errors.Timeout,
)
_BY_REASON: Final = {each.reason: each for each in _CLASSES}
#: For answers without a reason. 409 without one is a conflict, not a name that is taken.
_BY_CODE: Final = {each.code: each for each in _CLASSES} | {409: errors.Conflict, 500: errors.PlainError}


def error_of(status: Mapping[str, Any], code: int = 0) -> StatusError:
    """Return the error that a `Status` tells: its class by reason, else by code; code and reason are the Status' own."""
    code = int(status.get("code") or code or 500)
    reason = str(status.get("reason") or "")
    message = str(status.get("message") or reason or f"HTTP status {code}")
    details = status.get("details")
    kind = _BY_REASON.get(reason) or _BY_CODE.get(code)
    if kind is Invalid:
        causes = [
            Cause(str(c.get("reason", "")), str(c.get("message", "")), str(c.get("field", "")))
            for c in _causes(details)
        ]
        error: StatusError = Invalid(message, details=details, causes=causes)
    else:
        error = (kind or errors.PlainError)(message, details=details)
    if (error.code, error.reason) != (code, reason):
        error.code, error.reason = code, reason
    return error


def _causes(details: Any) -> list[Mapping[str, Any]]:
    return list((details or {}).get("causes") or ())


def error_of_body(code: int, body: bytes) -> StatusError:
    """Return the error for an answer of refusal, whatever its body is."""
    try:
        status = orjson.loads(body)
    except orjson.JSONDecodeError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status":
        return error_of(status, code)
    return error_of({"message": body[:500].decode("utf-8", "replace").strip()}, code)
