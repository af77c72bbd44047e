"""Reading and checking the options of lists, watches, writes and deletions. Pure.

Texts are upstream's. Source: apimachinery/pkg/apis/{meta/internalversion/validation,meta/v1/validation} (v1.37).
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from moorage.objects.errors import BadRequest, Cause, PlainError, StatusError, invalid

#: The longest name of a field manager. Source: metav1 validation FieldManagerMaxLength.
MANAGER_BYTES_MOST = 128

_FORBIDDEN = "FieldValueForbidden"
_NOT_SUPPORTED = "FieldValueNotSupported"


class Continue(NamedTuple):
    """Where a list goes on: from key `start` (inclusive), at `revision`."""

    revision: int
    start: str


def is_true(text: str | None) -> bool:
    """Read a boolean as Kubernetes does: absent, "0" and "false" are false, anything else (also "") is true."""
    return text is not None and text != "0" and text.lower() != "false"


def parse_integer(text: str, name: str = "ParseInt") -> int:
    """Read a whole number of a query. Raises BadRequest with Go's text."""
    try:
        return int(text)
    except ValueError:
        raise BadRequest(f'strconv.{name}: parsing "{text}": invalid syntax') from None


def parse_revision(text: str, *, where: str) -> int:
    """Read a resourceVersion, 0 if empty. `where` is "list", "get" or "watch": upstream answers each in its own way."""
    if not text:
        return 0
    if text.isascii() and text.isdigit():
        return int(text)
    why = f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
    error: StatusError = BadRequest(f"invalid resource version: {why}") if where == "list" else PlainError(why)
    raise error


def check_list_options(query: Mapping[str, str], *, watch: bool) -> None:
    """Refuse combinations of list options that make no sense. Raises Invalid."""
    match, revision = query.get("resourceVersionMatch", ""), query.get("resourceVersion", "")
    token = query.get("continue", "")
    causes = _watch_causes(query, match, token) if watch else _list_causes(query, match, revision, token)
    if causes:
        raise invalid("ListOptions", "meta.k8s.io", "", causes)


def _list_causes(query: Mapping[str, str], match: str, revision: str, token: str) -> list[Cause]:
    causes: list[Cause] = []
    if match:
        if not revision:
            causes.append(_match_forbidden("resourceVersionMatch is forbidden unless resourceVersion is provided"))
        if token:
            causes.append(_match_forbidden("resourceVersionMatch is forbidden when continue is provided"))
        if match not in ("Exact", "NotOlderThan"):
            allowed = 'supported values: "Exact", "NotOlderThan", ""'
            causes.append(Cause(_NOT_SUPPORTED, f'Unsupported value: "{match}": {allowed}', "resourceVersionMatch"))
        if match == "Exact" and revision == "0":
            causes.append(_match_forbidden('resourceVersionMatch "exact" is forbidden for resourceVersion "0"'))
    if "sendInitialEvents" in query:
        causes.append(Cause(_FORBIDDEN, "Forbidden: sendInitialEvents is forbidden for list", "sendInitialEvents"))
    return causes


def _watch_causes(query: Mapping[str, str], match: str, token: str) -> list[Cause]:
    causes: list[Cause] = []
    sends = "sendInitialEvents" in query
    if match and not sends:
        causes.append(
            _match_forbidden("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided")
        )
    if sends and match != "NotOlderThan":
        causes.append(_match_forbidden("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"))
    if match and match != "NotOlderThan":
        text = f'Unsupported value: "{match}": supported values: "NotOlderThan"'
        causes.append(Cause(_NOT_SUPPORTED, text, "resourceVersionMatch"))
    if token:
        causes.append(_match_forbidden("resourceVersionMatch is forbidden when continue is provided"))
    return causes


def _match_forbidden(text: str) -> Cause:
    return Cause(_FORBIDDEN, f"Forbidden: {text}", "resourceVersionMatch")


def check_write_options(query: Mapping[str, str], kind: str) -> bool:
    """Refuse options of a write that make no sense; `kind` names them ("CreateOptions"). Tells whether it is a dry run."""
    causes: list[Cause] = []
    dry_run = query.get("dryRun")
    values = None if dry_run is None else dry_run.split(",")
    if values is not None and any(value != "All" for value in values):
        causes.append(_bad_dry_run(values))
    manager = query.get("fieldManager", "")
    if len(manager.encode()) > MANAGER_BYTES_MOST:
        text = f"Too long: may not be more than {MANAGER_BYTES_MOST} bytes"
        causes.append(Cause("FieldValueTooLong", text, "fieldManager"))
    for position, each in enumerate(manager):
        if not each.isprintable():
            text = f"invalid character U+{ord(each):04X} (at position {position})"
            shown = orjson.dumps(manager).decode()
            causes.append(Cause("FieldValueInvalid", f"Invalid value: {shown}: {text}", "fieldManager"))
    validation = query.get("fieldValidation", "")
    if validation not in ("", "Ignore", "Strict", "Warn"):
        allowed = 'supported values: "", "Ignore", "Strict", "Warn"'
        causes.append(Cause(_NOT_SUPPORTED, f'Unsupported value: "{validation}": {allowed}', "fieldValidation"))
    if causes:
        raise invalid(kind, "meta.k8s.io", "", causes)
    return bool(values)


def _bad_dry_run(values: Sequence[str]) -> Cause:
    shown = orjson.dumps(list(values)).decode()
    return Cause(_NOT_SUPPORTED, f'Unsupported value: {shown}: supported values: "All"', "dryRun")


def check_dry_run(values: Sequence[str] | None, kind: str) -> bool:
    """Tell whether this is a dry run; `kind` names the options ("CreateOptions"). Raises Invalid."""
    if values is None:
        return False
    if any(value != "All" for value in values):
        raise invalid(kind, "meta.k8s.io", "", [_bad_dry_run(values)])
    return bool(values)


def encode_continue(token: Continue) -> str:
    """Return the `continue` text of a page."""
    body = orjson.dumps({"v": "meta.k8s.io/v1", "rv": token.revision, "start": token.start})
    return base64.urlsafe_b64encode(body).rstrip(b"=").decode()


def parse_continue(text: str) -> Continue:
    """Read a `continue` text. Raises BadRequest."""
    try:
        body = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        raise BadRequest("invalid continue token: continue key is not valid: illegal base64 data") from None
    try:
        token: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequest(f"invalid continue token: continue key is not valid: {_json_fault(body)}") from None
    if not isinstance(token, dict) or token.get("v") != "meta.k8s.io/v1":
        raise BadRequest(
            "invalid continue token: continue key is not valid: server does not recognize this encoded version"
        )
    revision, start = token.get("rv"), token.get("start")
    if not isinstance(revision, int) or revision == 0:
        raise BadRequest("invalid continue token: continue key is not valid: incorrect encoded start resourceVersion")
    if not isinstance(start, str) or not start:
        raise BadRequest("invalid continue token: continue key is not valid: encoded start key empty")
    return Continue(revision, start)


def _json_fault(body: bytes) -> str:
    """Say as Go does which character cannot begin a JSON value."""
    if not body:
        return "unexpected end of JSON input"
    code = body[0]
    shown = chr(code) if 32 <= code < 127 else f"\\u{code:04x}"
    return f"invalid character '{shown}' looking for beginning of value"


def check_delete_options(options: Mapping[str, Any]) -> None:
    """Refuse DeleteOptions that make no sense. Raises Invalid."""
    causes: list[Cause] = []
    policy = options.get("propagationPolicy")
    if policy is not None and options.get("orphanDependents") is not None:
        text = f'Invalid value: "{policy}": orphanDependents and deletionPropagation cannot be both set'
        causes.append(Cause("FieldValueInvalid", text, "propagationPolicy"))
    elif policy is not None and policy not in ("Foreground", "Background", "Orphan"):
        text = f'Unsupported value: "{policy}": supported values: "Foreground", "Background", "Orphan", "nil"'
        causes.append(Cause(_NOT_SUPPORTED, text, "propagationPolicy"))
    if causes:
        raise invalid("DeleteOptions", "meta.k8s.io", "", causes)
    check_dry_run(options.get("dryRun"), "DeleteOptions")
