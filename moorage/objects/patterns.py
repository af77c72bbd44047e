"""The `pattern`s of schemas and those in CEL: regular expressions in Go's syntax (RE2), translated to Python's.

Differs from Kubernetes: Python's engine may take exponential time where Go's never does; patterns come from those who may
define resources or policies, and what they match is limited by the size of a request. Of Unicode classes only letters and digits
are known.
Source: package regexp/syntax (Go 1.25).
"""

import re
from functools import lru_cache
from typing import Final

#: Python's words about a fault -> Go's.
_FAULTS: Final = {
    "missing ), unterminated subpattern": "missing closing )",
    "unbalanced parenthesis": "unexpected )",
    "nothing to repeat": "missing argument to repetition operator",
    "bad escape": "invalid escape sequence",
    "bad character range": "invalid character class range",
    "min repeat greater": "invalid repeat count",
}

#: Classes by name, as members of a class of ours.
_POSIX: Final = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "0-9a-zA-Z",
    "upper": "A-Z",
    "lower": "a-z",
    "word": r"\w",
    "space": r"\t\n\v\f\r ",
    "blank": r"\t ",
    "xdigit": "0-9A-Fa-f",
    "punct": r"!-/:-@\[-`{-~",
    "print": " -~",
    "graph": "!-~",
    "cntrl": r"\x00-\x1f\x7f",
    "ascii": r"\x00-\x7f",
}
_UNICODE: Final = {"L": "A-Za-z\u00aa\u00b5\u00ba\u00c0-\u1fff\u2c00-\ud7ff\uf900-\ufdff", "N": "0-9", "Nd": "0-9"}

_FLAGS: Final = re.compile(r"\(\?([ims]*)(?:-([ims]+))?\)")
_GROUP: Final = re.compile(r"\(\?(?:P?<(\w+)>|[ims]*(?:-[ims]+)?:)")
_PERL: Final = re.compile(r"\(\?(?:<?[=!]|[^:)]{0,2})")
_REPEAT: Final = re.compile(r"[*+?]|\{\d+(?:,\d*)?\}")
_CLASS: Final = re.compile(r"\[\^?\]?(?:\[:\^?\w+:\]|\\[pP]\{\^?\w+\}|\\.|[^\]\\])*\]", re.DOTALL)
_CLASS_PART: Final = re.compile(r"\[:(\^?)(\w+):\]|\\p(?:\{(\w+)\}|(\w))|\\.|\[", re.DOTALL)
_NAMED_CLASS: Final = re.compile(r"\\([pP])(?:\{(\^?)(\w+)\}|(\w))")


class BadPattern(ValueError):
    """The pattern cannot be compiled; the message is Go's."""

    def __init__(self, fault: str) -> None:
        super().__init__(f"error parsing regexp: {fault}")


@lru_cache(1024)
def compiled(pattern: str) -> re.Pattern[str]:
    """Return the pattern ready to search with. Raises BadPattern."""
    try:
        return re.compile(_Translation(pattern).whole(), re.ASCII)
    except re.error as error:
        raise BadPattern(_go_fault(pattern, error)) from error


class _Translation:
    """Walks through a pattern once. Flags hold until the end of their group, through its alternatives."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._out: list[str] = []
        #: For each open group the flags that were set inside it: `(?i`, `(?s-i`.
        self._groups: list[list[str]] = [[]]
        self._repeated = ""

    def whole(self) -> str:
        place = 0
        while place < len(self._pattern):
            place = self._step(place)
        self._out.append(")" * len(self._groups[0]))
        return "".join(self._out)

    def _step(self, place: int) -> int:
        """Translate what stands at a place; returns where it goes on."""
        repeat = _REPEAT.match(self._pattern, place)
        if repeat is not None:
            return self._repeat(repeat)
        self._repeated = ""
        char = self._pattern[place]
        if char == "\\":
            return self._escape(place)
        if char == "[":
            return self._class(place)
        if char == "(":
            return self._open(place)
        self._out.append(self._plain(char))
        return place + 1

    def _plain(self, char: str) -> str:
        flags = self._groups[-1]
        if char == "|" and flags:
            return ")" * len(flags) + "|" + "".join(f"{each}:" for each in flags)
        if char == ")" and len(self._groups) > 1:
            self._groups.pop()
            return ")" * len(flags) + ")"
        if char == "$" and not any("m" in each.partition("-")[0] for group in self._groups for each in group):
            return r"\Z"
        return char

    def _repeat(self, match: re.Match[str]) -> int:
        sign = match.group()
        if self._repeated and (sign != "?" or (self._repeated.endswith("?") and len(self._repeated) > 1)):
            raise BadPattern(f"invalid nested repetition operator: `{self._repeated}{sign}`")
        self._repeated += sign
        self._out.append(sign)
        return match.end()

    def _escape(self, place: int) -> int:
        pair = self._pattern[place : place + 2]
        if match := _NAMED_CLASS.match(self._pattern, place):
            inverted = (match[1] == "P") != bool(match[2])
            self._out.append(f"[{'^' if inverted else ''}{self._unicode(match[3] or match[4], match.group())}]")
            return match.end()
        if pair == r"\Q":
            end = self._pattern.find(r"\E", place)
            text = self._pattern[place + 2 : end if end >= 0 else None]
            self._out.append(re.escape(text))
            return len(self._pattern) if end < 0 else end + 2
        if pair == "\\":
            raise BadPattern("trailing backslash at end of expression: ``")
        self._out.append(r"\Z" if pair == r"\z" else pair)
        return place + 2

    @staticmethod
    def _unicode(name: str, shown: str) -> str:
        if name not in _UNICODE:
            raise BadPattern(f"invalid character class range: `{shown}`")
        return _UNICODE[name]

    def _class(self, place: int) -> int:
        match = _CLASS.match(self._pattern, place)
        if match is None:
            raise BadPattern(f"missing closing ]: `{self._pattern[place:]}`")

        def part(found: re.Match[str]) -> str:
            _, posix, long, short = found.groups()
            if posix:
                if found[1] or posix not in _POSIX:
                    raise BadPattern(f"invalid character class range: `{found.group()}`")
                return _POSIX[posix]
            if long or short:
                return self._unicode(long or short, found.group())
            return r"\[" if found.group() == "[" else found.group()

        inner = match.group()[1:-1]
        self._out.append(f"[{_CLASS_PART.sub(part, inner)}]")
        return match.end()

    def _open(self, place: int) -> int:
        if match := _FLAGS.match(self._pattern, place):
            flags = f"(?{match[1]}{'-' + match[2] if match[2] else ''}"
            if flags != "(?":
                self._groups[-1].append(flags)
                self._out.append(f"{flags}:")
            return match.end()
        self._groups.append([])
        if match := _GROUP.match(self._pattern, place):
            self._out.append(f"(?P<{match[1]}>" if match[1] else match.group())
            return match.end()
        if match := _PERL.match(self._pattern, place):
            raise BadPattern(f"invalid or unsupported Perl syntax: `{match.group()}`")
        self._out.append("(")
        return place + 1


def _go_fault(pattern: str, error: re.error) -> str:
    known = next((go for python, go in _FAULTS.items() if error.msg.startswith(python)), error.msg)
    place = error.pos or 0
    if known in ("missing closing )", "unexpected )"):
        return f"{known}: `{pattern}`"
    return f"{known}: `{pattern[place : place + (2 if known == 'invalid escape sequence' else 1)]}`"
