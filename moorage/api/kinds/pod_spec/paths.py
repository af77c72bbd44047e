"""Checks of file paths inside volumes.

Source: pkg/apis/core/validation/validation.go, validateLocalDescendingPath and its like (v1.37).
"""

from moorage.objects.errors import Cause
from moorage.objects.validation import invalid

_NO_BACKSTEPS = "must not contain '..'"


def validate_no_backsteps(path: str, text: str) -> list[Cause]:
    """Return the cause of a path with a `..` element."""
    return [invalid(path, text, _NO_BACKSTEPS)] if ".." in text and ".." in text.split("/") else []


def validate_descending_path(path: str, text: str) -> list[Cause]:
    """Return the causes of a path that is absolute or climbs."""
    causes = [invalid(path, text, "must be a relative path")] if text.startswith("/") else []
    return causes + validate_no_backsteps(path, text)


def validate_unreserved_path(path: str, text: str) -> list[Cause]:
    """Return the causes of a path that is absolute, climbs, or begins with two dots."""
    causes = validate_descending_path(path, text)
    if text.startswith("..") and not text.startswith("../"):
        causes.append(invalid(path, text, "must not start with '..'"))
    return causes


def validate_file_mode(path: str, mode: int | None) -> list[Cause]:
    """Return the cause of a file mode out of range; none is fine."""
    if mode is not None and not 0 <= mode <= 0o777:
        return [invalid(path, mode, "must be a number between 0 and 0777 (octal), both inclusive")]
    return []
