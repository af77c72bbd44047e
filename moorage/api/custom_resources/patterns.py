"""The `pattern`s of schemas: regular expressions in Go's syntax (RE2), matched with Python's.

Differs from Kubernetes: Python's engine may take exponential time where Go's never does; patterns come from those who may
define resources, and what they match is limited by the size of a request.
Source: package regexp/syntax (Go 1.25).
"""

import re
from functools import lru_cache
from typing import Final

#: What Go says -> how Python's words about the same fault begin.
_FAULTS: Final = {
    "unterminated character set": "missing closing ]",
    "missing ), unterminated subpattern": "missing closing )",
    "unbalanced parenthesis": "unexpected )",
    "nothing to repeat": "missing argument to repetition operator",
    "multiple repeat": "invalid nested repetition operator",
    "bad escape": "invalid escape sequence",
    "bad character range": "invalid character class range",
    "min repeat greater": "invalid repeat count",
}

#: Groups that Perl knows and RE2 does not.
_PERL: Final = re.compile(r"\(\?(?:[=!>#]|<[=!])")

_ESCAPED_OR_END: Final = re.compile(r"\\(.)|\[\^?\]?(?:\\.|[^\]\\])*\]|(\$)", re.DOTALL)

#: POSIX classes, which Python does not know.
_CLASSES: Final = {
    "[:alpha:]": "a-zA-Z",
    "[:digit:]": "0-9",
    "[:alnum:]": "0-9a-zA-Z",
    "[:upper:]": "A-Z",
    "[:lower:]": "a-z",
    "[:space:]": r"\t\n\v\f\r ",
    "[:xdigit:]": "0-9A-Fa-f",
    "[:word:]": r"\w",
}


class BadPattern(ValueError):
    """The pattern cannot be compiled; the message is Go's."""


@lru_cache(1024)
def compiled(pattern: str) -> re.Pattern[str]:
    """Return the pattern ready to search with. Raises BadPattern."""
    if perl := _PERL.search(pattern):
        raise BadPattern(f"error parsing regexp: invalid or unsupported Perl syntax: `{perl.group()}`")
    text = pattern
    for name, members in _CLASSES.items():
        text = text.replace(name, members)
    try:
        return re.compile(_ESCAPED_OR_END.sub(_translated, text), re.ASCII)
    except re.error as error:
        raise BadPattern(f"error parsing regexp: {_go_fault(pattern, error)}") from error


def _translated(match: re.Match[str]) -> str:
    if match.group(2):
        return r"\Z"
    return r"\Z" if match.group(1) == "z" else match.group()


def _go_fault(pattern: str, error: re.error) -> str:
    known = next((go for python, go in _FAULTS.items() if error.msg.startswith(python)), error.msg)
    place = error.pos or 0
    if known == "missing closing ]":
        return f"{known}: `{pattern[place:]}`"
    if known in ("missing closing )", "unexpected )"):
        return f"{known}: `{pattern}`"
    length = 2 if known in ("invalid escape sequence", "invalid nested repetition operator") else 1
    start = place - 1 if known == "invalid nested repetition operator" else place
    return f"{known}: `{pattern[start : start + length]}`"
