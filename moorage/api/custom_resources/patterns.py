"""The `pattern`s of schemas: regular expressions in Go's syntax (RE2), matched with Python's.

Differs from Kubernetes: Python's engine may take exponential time where Go's never does; patterns come from those who may
define resources, and what they match is limited by the size of a request.
Source: package regexp/syntax (Go 1.25).
"""

import re
import sys
import unicodedata
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

#: A class of characters, or an escape that names a category of Unicode: \\pL, \\p{Lu}.
_CLASS_OR_CATEGORY: Final = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]|\\[^pP]|\\(p)(?:\{(\w+)\}|(\w))", re.DOTALL)
_CATEGORY: Final = re.compile(r"\\p(?:\{(\w+)\}|(\w))")

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
    text = _CLASS_OR_CATEGORY.sub(_with_categories, pattern) if "\\p" in pattern else pattern
    for name, members in _CLASSES.items():
        text = text.replace(name, members)
    try:
        return re.compile(_ESCAPED_OR_END.sub(_translated, text), re.ASCII)
    except re.error as error:
        raise BadPattern(f"error parsing regexp: {_go_fault(pattern, error)}") from error


def _with_categories(match: re.Match[str]) -> str:
    """Spell out categories, inside of a class or as one of their own."""
    if match.group(1):
        members = _members(match.group(2) or match.group(3))
        return f"[{members}]" if members else match.group()
    return _CATEGORY.sub(lambda each: _members(each.group(1) or each.group(2)) or each.group(), match.group())


@lru_cache(32)
def _members(category: str) -> str:
    """Return the ranges of characters in a general category such as L or Nd, "" if there is none. Takes 0.1 s, once."""
    found = [code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)).startswith(category)]
    ranges: list[list[int]] = []
    for code in found:
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)


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
