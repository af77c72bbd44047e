"""From exceptions to answers: the only place where a refusal becomes a `Status` on the wire.

What nobody foresaw becomes a 500 with nothing of our insides in it, and a traceback in the log.
Source: apiserver/pkg/endpoints/handlers/responsewriters/{errors,status}.go (v1.37).
"""

import logging
from typing import Any, Final

import orjson

from moorage.objects.errors import InternalError, MethodNotAllowed, NotFound, StatusError
from moorage.server.negotiation import JSON, YAML, Format
from moorage.server.replies import Header, Reply

log = logging.getLogger(__name__)

PLAIN_TEXT: Final = "text/plain; charset=utf-8"


def resource_not_found() -> NotFound:
    """Return the error for a path that no resource serves."""
    return NotFound("the server could not find the requested resource", details={})


def method_not_allowed() -> MethodNotAllowed:
    """Return the error for a verb that the resource does not know."""
    return MethodNotAllowed("the server does not allow this method on the requested resource", details={})


def page_not_found() -> Reply:
    """Return the answer for a path that nothing serves: not a Status, as upstream."""
    reply = Reply(404, b"404 page not found\n", PLAIN_TEXT)
    reply.headers = (("X-Content-Type-Options", "nosniff"),)
    return reply


def bad_target() -> Reply:
    """Return the answer for a path that cannot be decoded, as Go's HTTP server gives it."""
    reply = Reply(400, b"400 Bad Request", PLAIN_TEXT)
    reply.keep_alive = False
    return reply


def status_error_of(error: Exception, *, about: str) -> StatusError:
    """Return the refusal to answer with. A fault is logged with its traceback; `about` says what was asked for."""
    if isinstance(error, StatusError):
        return error
    log.error("request_failed %s", about, exc_info=error)
    return InternalError(f"Internal error occurred: {type(error).__name__}", details=_causes(error))


def _causes(error: Exception) -> dict[str, Any]:
    return {"causes": [{"message": type(error).__name__}]}


def status_of(error: StatusError) -> dict[str, Any]:
    """Return the `Status` of a refusal; empty details stay, as upstream's router writes them."""
    status = error.status()
    if error.details is not None and "details" not in status:
        code = status.pop("code")
        status.update(details={}, code=code)
    return status


def reply_of(error: StatusError, form: Format) -> Reply:
    """Return the answer for a refusal, written as the client wants it."""
    status = status_of(error)
    if form.encoding == YAML:
        from moorage.server import yaml_text

        body = yaml_text.dump(status)
    else:
        body = orjson.dumps(status)
    return Reply(error.code, body, form.encoding or JSON, headers_of(error))


def headers_of(error: StatusError) -> tuple[Header, ...]:
    """Return the headers that a refusal adds: Retry-After where the client should try again."""
    seconds = (error.details or {}).get("retryAfterSeconds")
    return (("Retry-After", str(seconds)),) if seconds else ()


def warning_header(text: str) -> Header:
    """Return a Warning header for a text. Source: apimachinery/pkg/util/net NewWarningHeader."""
    shown = " ".join(text.split()) if any(mark in text for mark in "\r\n\t") else text
    escaped = shown.replace("\\", "\\\\").replace('"', '\\"')
    return "Warning", f'299 - "{escaped}"'
