"""What the API says when it refuses: one tree, `StatusError`, that carries a `Status` object.

Texts are Kubernetes' own where clients match on them. Source: apimachinery/pkg/api/errors (v1.37).
Conflict, NotFound, AlreadyExists and Expired are results for a loop, not incidents.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple


class Cause(NamedTuple):
    """One reason why an object is refused: `field` is its path, `message` has no path in front."""

    reason: str
    message: str
    field: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class StatusError(Exception):
    """The API refuses. `code` is the HTTP status, `reason` the machine-readable word, `details` as in `Status`."""

    code = 500
    reason = "InternalError"

    def __init__(self, message: str, *, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def status(self) -> dict[str, Any]:
        """Return the `Status` object for the wire."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details:
            status["details"] = self.details
        status["code"] = self.code
        return status


class BadRequest(StatusError):
    """The request makes no sense."""

    code, reason = 400, "BadRequest"


class Unauthorized(StatusError):
    """Nobody vouched for the caller."""

    code, reason = 401, "Unauthorized"


class Forbidden(StatusError):
    """The caller may not, or an admission plugin refuses."""

    code, reason = 403, "Forbidden"


class NotFound(StatusError):
    """There is no such object."""

    code, reason = 404, "NotFound"


class MethodNotAllowed(StatusError):
    """The resource does not know this verb."""

    code, reason = 405, "MethodNotAllowed"


class NotAcceptable(StatusError):
    """None of the media types that the client accepts can be written."""

    code, reason = 406, "NotAcceptable"


class AlreadyExists(StatusError):
    """The name is taken."""

    code, reason = 409, "AlreadyExists"


class Conflict(StatusError):
    """Somebody else wrote first, or owns the field."""

    code, reason = 409, "Conflict"


class Expired(StatusError):
    """The asked history was forgotten: list again."""

    code, reason = 410, "Expired"


class TooLarge(StatusError):
    """The body is over the limit."""

    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(StatusError):
    """The body is of a type that cannot be read here."""

    code, reason = 415, "UnsupportedMediaType"


class Invalid(StatusError):
    """The object breaks rules; `causes` says which."""

    code, reason = 422, "Invalid"

    def __init__(self, message: str, *, details: dict[str, Any] | None = None, causes: Sequence[Cause] = ()) -> None:
        super().__init__(message, details=details)
        self.causes = tuple(causes)


class TooManyRequests(StatusError):
    """Not now: the caller should try again."""

    code, reason = 429, "TooManyRequests"


class InternalError(StatusError):
    """A fault on our side, or one that upstream reports as such."""


class PlainError(StatusError):
    """What upstream answers for errors that it did not foresee: 500 without a reason."""

    code, reason = 500, ""


class ServiceUnavailable(StatusError):
    """The service behind the resource cannot be reached, or the disk refuses."""

    code, reason = 503, "ServiceUnavailable"


class Timeout(StatusError):
    """The asked revision did not come in time."""

    code, reason = 504, "Timeout"


def qualified(resource: str, group: str) -> str:
    """Return `resource.group`, or the bare resource of the core group."""
    return f"{resource}.{group}" if group else resource


def _details(name: str, group: str, kind: str, **more: object) -> dict[str, Any]:
    details = {"name": name, "group": group, "kind": kind}
    return {key: value for key, value in {**details, **more}.items() if value}


def not_found(resource: str, group: str, name: str) -> NotFound:
    """Return the error for an object that does not exist (`resource` is the plural)."""
    return NotFound(f'{qualified(resource, group)} "{name}" not found', details=_details(name, group, resource))


def already_exists(resource: str, group: str, name: str) -> AlreadyExists:
    """Return the error for a name that is taken."""
    return AlreadyExists(
        f'{qualified(resource, group)} "{name}" already exists',
        details=_details(name, group, resource),
    )


def conflict(resource: str, group: str, name: str, why: str = "") -> Conflict:
    """Return the error for a write on an outdated revision, or with another reason `why`."""
    why = why or ("the object has been modified; please apply your changes to the latest version and try again")
    return Conflict(
        f'Operation cannot be fulfilled on {qualified(resource, group)} "{name}": {why}',
        details=_details(name, group, resource),
    )


def forbidden(resource: str, group: str, name: str, why: str) -> Forbidden:
    """Return the error for a refused request; `why` is the plugin's or authorizer's text."""
    subject = (
        f'{qualified(resource, group)} "{name}" is forbidden'
        if name
        else (f"{qualified(resource, group)} is forbidden")
    )
    return Forbidden(f"{subject}: {why}", details=_details(name, group, resource))


def invalid(kind: str, group: str, name: str, causes: Iterable[Cause]) -> Invalid:
    """Return the error for an object that breaks rules; messages are joined as upstream joins them, each said once."""
    causes = tuple(dict.fromkeys(causes))
    texts = list(dict.fromkeys(str(cause) for cause in causes))
    text = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    details = _details(name, group, kind, causes=[cause._asdict() for cause in causes])
    return Invalid(f'{qualified(kind, group)} "{name}" is invalid: {text}', details=details, causes=causes)
