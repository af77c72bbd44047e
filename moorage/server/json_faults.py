"""What is wrong with a JSON text, in the words of Go's encoding/json, and which of its keys are there twice. Pure.

Only texts that orjson refused, or that may have a key twice, come here: it is slow and may be.
Source: encoding/json/scanner.go (Go 1.25), sigs.k8s.io/json.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

_SPACE: Final = b" \t\r\n"
_NUMBER: Final = re.compile(rb"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_LITERALS: Final = {ord("t"): b"true", ord("f"): b"false", ord("n"): b"null"}
_ESCAPES: Final = b'bfnrt\\/"'
_HEX: Final = b"0123456789abcdefABCDEF"

END: Final = "unexpected end of JSON input"
DEPTH_MOST: Final = 10_000


class _Fault(Exception):
    """The text is broken; the message is Go's."""


def fault_of(text: bytes) -> str:
    """Return what Go says about a JSON text, "" if it is well-formed."""
    try:
        position = _skip(text, _value(text, _skip(text, 0)))
    except _Fault as fault:
        return str(fault)
    return "" if position == len(text) else _unexpected(text[position], "after top-level value")


def _unexpected(code: int, where: str) -> str:
    return f"invalid character {_quoted(code)} {where}"


def _quoted(code: int) -> str:
    """Show a byte as Go's quoteChar does."""
    if code == ord("'"):
        return "'\\''"
    if code == ord('"'):
        return "'\"'"
    names = {0x07: "\\a", 0x08: "\\b", 0x09: "\\t", 0x0A: "\\n", 0x0B: "\\v", 0x0C: "\\f", 0x0D: "\\r", 0x5C: "\\\\"}
    if code in names:
        return f"'{names[code]}'"
    if code < 0x20 or code == 0x7F:
        return f"'\\x{code:02x}'"
    return f"'{chr(code)}'" if code < 0x7F or (code > 0xA0 and code != 0xAD) else f"'\\u{code:04x}'"


def _skip(text: bytes, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _at(text: bytes, at: int) -> int:
    if at >= len(text):
        raise _Fault(END)
    return text[at]


def _value(text: bytes, at: int) -> int:
    """Return where the value that begins at `at` ends. Nesting is followed with a stack of closing brackets."""
    stack: list[int] = []
    while True:
        at = _skip(text, at)
        code = _at(text, at)
        if code in b"{[":
            if len(stack) >= DEPTH_MOST:
                raise _Fault("exceeded max depth")
            at, opened = _open(text, at, code)
            if opened:
                stack.append(ord("}") if code == ord("{") else ord("]"))
                continue
        else:
            at = _scalar(text, at, code)
        at, ended = _close(text, at, stack)
        if ended:
            return at


def _open(text: bytes, at: int, code: int) -> tuple[int, bool]:
    """Go into an object (past its first key) or a list; False if it is empty and `at` is behind it."""
    at = _skip(text, at + 1)
    first = _at(text, at)
    if code == ord("["):
        return (at + 1, False) if first == ord("]") else (at, True)
    if first == ord("}"):
        return at + 1, False
    return _key(text, at), True


def _key(text: bytes, at: int) -> int:
    code = _at(text, at)
    if code != ord('"'):
        raise _Fault(_unexpected(code, "looking for beginning of object key string"))
    at = _skip(text, _string(text, at))
    code = _at(text, at)
    if code != ord(":"):
        raise _Fault(_unexpected(code, "after object key"))
    return at + 1


def _close(text: bytes, at: int, stack: list[int]) -> tuple[int, bool]:
    """Leave what ends behind a value, up to the next value; True at the end of the outermost one."""
    while stack:
        at = _skip(text, at)
        code = _at(text, at)
        in_object = stack[-1] == ord("}")
        if code == ord(","):
            at = _skip(text, at + 1)
            return (_key(text, at) if in_object else at), False
        if code != stack[-1]:
            raise _Fault(_unexpected(code, "after object key:value pair" if in_object else "after array element"))
        stack.pop()
        at += 1
    return at, True


def _scalar(text: bytes, at: int, code: int) -> int:
    if code == ord('"'):
        return _string(text, at)
    if code in _LITERALS:
        return _literal(text, at, _LITERALS[code])
    if code in b"-0123456789":
        return _number(text, at)
    raise _Fault(_unexpected(code, "looking for beginning of value"))


def _literal(text: bytes, at: int, word: bytes) -> int:
    for offset in range(1, len(word)):
        code = _at(text, at + offset)
        if code != word[offset]:
            where = f"in literal {word.decode()} (expecting {_quoted(word[offset])})"
            raise _Fault(_unexpected(code, where))
    return at + len(word)


def _string(text: bytes, at: int) -> int:
    at += 1
    while True:
        code = _at(text, at)
        if code == ord('"'):
            return at + 1
        if code == ord("\\"):
            at = _escape(text, at + 1)
        elif code < 0x20:
            raise _Fault(_unexpected(code, "in string literal"))
        else:
            at += 1


def _escape(text: bytes, at: int) -> int:
    code = _at(text, at)
    if code in _ESCAPES:
        return at + 1
    if code != ord("u"):
        raise _Fault(_unexpected(code, "in string escape code"))
    for offset in range(1, 5):
        digit = _at(text, at + offset)
        if digit not in _HEX:
            raise _Fault(_unexpected(digit, "in \\u hexadecimal character escape"))
    return at + 5


def _number(text: bytes, at: int) -> int:
    found = _NUMBER.match(text, at)
    if found is None:
        raise _Fault(_unexpected(_at(text, at + 1), "in numeric literal"))
    end = found.end()
    if end < len(text) and text[end] == ord(".") and found.group(2) is None and found.group(3) is None:
        raise _Fault(_unexpected(_at(text, end + 1), "after decimal point in numeric literal"))
    if end < len(text) and text[end] in b"eE" and found.group(3) is None:
        behind = end + (2 if text[end + 1 : end + 2] in (b"+", b"-") else 1)
        raise _Fault(_unexpected(_at(text, behind), "in exponent of numeric literal"))
    return end


def kind_of_value(value: object) -> str:
    """Return what Go calls a JSON value: string, number, bool, array, object."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object" if isinstance(value, dict) else "null"


def may_repeat(text: bytes, again: bytes) -> bool:
    """Tell whether a well-formed JSON object may have a key twice; `again` is its compact encoding without repeated keys.

    Every key puts `":` into the text. Both texts have the same strings, so they have equally many unless a key is gone;
    texts in which that sequence could be written in another way are taken for suspicious.
    """
    if text.count(b'":') != again.count(b'":') or b"\\u" in text:
        return True
    return b" :" in text or b"\t:" in text or b"\n:" in text or b"\r:" in text


class _Pairs(list[tuple[str, Any]]):
    """The members of an object in order, repeated ones too."""


def read_with_repeats(text: bytes) -> tuple[Any, tuple[str, ...]]:
    """Return the value of a well-formed JSON text, and the paths of keys that are there twice, in order.

    The later value counts; objects are merged, as Go decodes twice into the same place.
    """
    value = json.loads(text, object_pairs_hook=_Pairs)
    return _merged(value), tuple(dict.fromkeys(_repeats(value, "")))


def _merged(value: Any) -> Any:
    if isinstance(value, _Pairs):
        result: dict[str, Any] = {}
        for key, member in value:
            result[key] = _over(result.get(key), _merged(member))
        return result
    return [_merged(each) for each in value] if isinstance(value, list) else value


def _over(below: Any, above: Any) -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {key: _over(below.get(key), member) for key, member in above.items()}
    return above


def _repeats(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, member in value:
            here = f"{path}.{key}" if path else key
            if key in seen:
                yield here
            seen.add(key)
            yield from _repeats(member, here)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _repeats(each, f"{path}[{index}]")
