"""The formats of texts that schemas name, and of numbers. A format that is not known means nothing.

Source: kube-openapi pkg/validation/strfmt, apiextensions-apiserver pkg/apiserver/validation/formats.go (v1.37).
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Final
from urllib.parse import urlsplit

from moorage.objects.validation import dns1123_label_problems, dns1123_subdomain_problems

_DATE_TIME: Final = r"\d{4}-\d\d-\d\d[Tt ]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([Zz]|[+-]\d\d:\d\d)?"
_DURATION: Final = (
    r"(?i)\s*[-+]?((\d+(\.\d*)?|\.\d+)\s*"
    r"(ns|nano|nanosecond|us|µs|micro|microsecond|ms|milli|millisecond|s|sec|second|m|min|minute|hr?|hour|d|day|w|wk|week)s?"
    r"\s*)+|[-+]?0"
)
_EMAIL: Final = r"[^@\s<>\"(),:;\[\]\\]+@[^@\s]+"
_HEX_COLOR: Final = r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"
_RGB_COLOR: Final = r"rgb\(\s*(\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])\s*(,\s*(\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])\s*){2}\)"
_HOSTNAME: Final = (
    r"([a-zA-Z0-9\u00a1-\uffff]([-a-zA-Z0-9\u00a1-\uffff]{0,61}[a-zA-Z0-9\u00a1-\uffff])?)"
    r"(\.([a-zA-Z0-9\u00a1-\uffff]([-a-zA-Z0-9\u00a1-\uffff]{0,61}[a-zA-Z0-9\u00a1-\uffff])?)){0,}"
)
_TOP_LEVEL: Final = r"[a-zA-Z\u00a1-\uffff]{2,63}"
_UUID: Final = r"(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?([0-9a-f])[0-9a-f]{3}-?([0-9a-f])[0-9a-f]{3}-?[0-9a-f]{12}"
_MAC: Final = r"([0-9a-fA-F]{2}([:-])([0-9a-fA-F]{2}\2){4,6}[0-9a-fA-F]{2})|([0-9a-fA-F]{4}\.){2,3}[0-9a-fA-F]{4}"
_SSN: Final = r"\d{3}[- ]?\d{2}[- ]?\d{4}"
_CARD: Final = (
    r"(4\d{12}(\d{3})?|5[1-5]\d{14}|6(011|5\d\d)\d{12}|3[47]\d{13}|3(0[0-5]|[68]\d)\d{11}|(2131|1800|35\d{3})\d{11})"
)

#: The formats of numbers -> least and most.
INTEGERS: Final[Mapping[str, tuple[int, int]]] = {
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
}
_NUMBERS: Final = frozenset({*INTEGERS, "float", "float32", "float64", "double"})


def _is_whole(pattern: str) -> Callable[[str], bool]:
    """Return a check. `re` compiles a pattern when it is first needed, which is never for most."""
    return lambda text: re.fullmatch(pattern, text) is not None


def _parses(read: Callable[[str], object]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            read(text)
        except ValueError:
            return False
        return True

    return check


def _is_date(text: str) -> bool:
    return len(text) == 10 and _parses(date.fromisoformat)(text)


def _is_uri(text: str) -> bool:
    """Tell whether it is an absolute URI or an absolute path, as Go's ParseRequestURI wants."""
    if not text or any(ord(char) <= 32 or ord(char) == 127 for char in text):
        return False
    if text.startswith("/"):
        return True
    scheme, colon, rest = text.partition(":")
    if not colon or not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9+.-]*", scheme) or not rest:
        return False
    return _parses(lambda it: urlsplit(it).port)(text)


def _is_hostname(text: str) -> bool:
    """Tell whether it is a host's name. One with dots must end in a top-level domain of two letters at least."""
    if len(text) > 255 or not re.fullmatch(_HOSTNAME, text):
        return False
    *_, last = labels = text.split(".")
    return len(labels) == 1 or re.fullmatch(_TOP_LEVEL, last) is not None


def _is_bytes(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return bool(text)


def _is_cidr(text: str) -> bool:
    return "/" in text and _parses(lambda it: ipaddress.ip_network(it, strict=False))(text)


def _is_uuid(version: str = "") -> Callable[[str], bool]:
    def check(text: str) -> bool:
        match = re.fullmatch(_UUID, text)
        if match is None or (version and match[1] != version):
            return False
        return version in ("", "3") or match[2].lower() in "89ab"

    return check


def _is_isbn10(text: str) -> bool:
    digits = re.sub(r"[\s-]", "", text)
    if not re.fullmatch(r"\d{9}[\dX]", digits):
        return False
    return sum((index + 1) * (10 if char == "X" else int(char)) for index, char in enumerate(digits)) % 11 == 0


def _is_isbn13(text: str) -> bool:
    digits = re.sub(r"[\s-]", "", text)
    if not re.fullmatch(r"\d{13}", digits):
        return False
    return sum((3 if index % 2 else 1) * int(char) for index, char in enumerate(digits)) % 10 == 0


def _is_card(text: str) -> bool:
    digits = re.sub(r"[^0-9]", "", text)
    if not re.fullmatch(_CARD, digits):
        return False
    doubled = [int(char) * (2 if index % 2 else 1) for index, char in enumerate(reversed(digits))]
    return sum(each - 9 if each > 9 else each for each in doubled) % 10 == 0


_TEXTS: Final[Mapping[str, Callable[[str], bool]]] = {
    "date": _is_date,
    "datetime": _is_whole(_DATE_TIME),
    "duration": _is_whole(_DURATION),
    "uri": _is_uri,
    "email": _is_whole(_EMAIL),
    "hostname": _is_hostname,
    "ipv4": _parses(ipaddress.IPv4Address),
    "ipv6": _parses(ipaddress.IPv6Address),
    "cidr": _is_cidr,
    "mac": _is_whole(_MAC),
    "uuid": _is_uuid(),
    "uuid3": _is_uuid("3"),
    "uuid4": _is_uuid("4"),
    "uuid5": _is_uuid("5"),
    "isbn": lambda text: _is_isbn10(text) or _is_isbn13(text),
    "isbn10": _is_isbn10,
    "isbn13": _is_isbn13,
    "creditcard": _is_card,
    "ssn": _is_whole(_SSN),
    "hexcolor": _is_whole(_HEX_COLOR),
    "rgbcolor": _is_whole(_RGB_COLOR),
    "byte": _is_bytes,
    "password": lambda text: True,
    "bsonobjectid": _is_whole(r"[0-9a-fA-F]{24}"),
    "k8sshortname": lambda text: not dns1123_label_problems(text),
    "k8slongname": lambda text: not dns1123_subdomain_problems(text),
}


def known_format(name: str) -> str:
    """Return the format's name if it means anything, "" if not."""
    return name if name in _NUMBERS or name.replace("-", "") in _TEXTS else ""


def is_of_format(text: str, name: str) -> bool:
    """Tell whether a text has a format; any text has a format of numbers."""
    check = _TEXTS.get(name.replace("-", ""))
    return check is None or check(text)
