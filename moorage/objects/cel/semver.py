"""Semantic versions: `semver('1.2.3').isGreaterThan(semver('1.2.0'))`.

Source: semver.org 2.0, apiserver/pkg/cel/library/semverlib.go (v1.37).
"""

import re
from typing import Final, NamedTuple

from moorage.objects.cel.values import EvaluationError, Opaque

_NUMBER: Final = "(0|[1-9][0-9]*)"
_PART: Final = "[0-9A-Za-z-]+"
_VERSION: Final = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_PART}(?:\.{_PART})*))?(?:\+({_PART}(?:\.{_PART})*))?", re.ASCII
)


class Version(NamedTuple):
    """A version. `before` are the parts of a pre-release: a number where they are one."""

    major: int
    minor: int
    patch: int
    before: tuple[str | int, ...] = ()


def to_semver(text: str, normalize: bool = False) -> Opaque:  # noqa: FBT001, FBT002 (an argument of the language)
    """Return the version that a text means. Raises EvaluationError."""
    match = _VERSION.fullmatch(_normalized(text) if normalize else text)
    parts = tuple((match[4] or "").split(".")) if match is not None and match[4] else ()
    if match is None or any(part.isdigit() and len(part) > 1 and part[0] == "0" for part in parts):
        raise EvaluationError(_fault(text))
    before = tuple(int(part) if part.isdigit() else part for part in parts)
    return Opaque("semver", Version(int(match[1]), int(match[2]), int(match[3]), before))


def _fault(text: str) -> str:
    """Return why a text is no version, in the words of the library that upstream asks."""
    if not text:
        return "Version string empty"
    parts = text.split(".", 2)
    if len(parts) < 3:
        return "No Major.Minor.Patch elements found"
    parts[2] = re.split("[-+]", parts[2], maxsplit=1)[0]
    for word, part in zip(("major", "minor", "patch"), parts, strict=True):
        if not (part.isascii() and part.isdigit()):
            return f'Invalid character(s) found in {word} number "{part}"'
        if len(part) > 1 and part[0] == "0":
            return f'{word.capitalize()} number must not contain leading zeroes "{part}"'
    return f'Invalid Semantic Version "{text}"'


def _normalized(text: str) -> str:
    """Return a version without a leading v and zeros, and with all three numbers. Raises EvaluationError."""
    parts = text.removeprefix("v").split(".", 2)
    for index, part in enumerate(parts):
        rest = part.lstrip("0")
        if len(part) > 1:
            parts[index] = rest if rest[:1].isdigit() else f"0{rest}"
    if len(parts) < 3:
        if any(sign in parts[-1] for sign in "+-"):
            raise EvaluationError("short version cannot contain PreRelease/Build meta data")
        parts += ["0"] * (3 - len(parts))
    return ".".join(parts)


def compare_versions(one: Version, other: Version) -> int:
    """Return -1, 0 or 1. A pre-release comes before its release; what is built is not compared."""
    mine, theirs = (_order(each) for each in (one, other))
    return (mine > theirs) - (mine < theirs)


def _order(version: Version) -> tuple[tuple[int, int, int], bool, tuple[tuple[bool, int, str], ...]]:
    parts = tuple(
        (False, each, "") if isinstance(each, int) else (True, 0, each) for each in version.before
    )  # numbers come before words
    return version[:3], not version.before, parts
