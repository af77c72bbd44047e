"""The vocabulary of rules: what can be wrong with a field, and which texts have which form. Texts are Kubernetes' own.

Two families: functions that make a `Cause` (`required`, `invalid`, …), and checks of one text that return the messages
for what is wrong with it (`dns1123_label_problems`, …), none if it is right. Checks are pure and remembered: the same
names come again and again.
Source: apimachinery/pkg/util/validation, apimachinery/pkg/util/validation/field, api/validate/content (v1.37).
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

from moorage.objects.errors import Cause

#: What a check of one text returns: messages, none if it is right.
Problems = tuple[str, ...]
Check = Callable[[str], Problems]

#: How many texts each check remembers: names of containers, labels, images of one cluster.
_REMEMBERED = 4096

_NOTHING: Problems = ()


def go_json(value: Any) -> str:
    """Return the value as Go's JSON encoder writes it: no spaces, nothing escaped but what must be."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def go_quoted(text: str) -> str:
    """Return the text as Go's %q writes it, for texts of printable characters."""
    return json.dumps(text, ensure_ascii=False)


def required(path: str, detail: str = "") -> Cause:
    """Say that the field must have a value."""
    return Cause("FieldValueRequired", f"Required value: {detail}" if detail else "Required value", path)


def invalid(path: str, value: Any, detail: str = "") -> Cause:
    """Say that the field has a value that breaks a rule."""
    text = f"Invalid value: {go_json(value)}"
    return Cause("FieldValueInvalid", f"{text}: {detail}" if detail else text, path)


def not_supported(path: str, value: Any, allowed: Iterable[str]) -> Cause:
    """Say that the value is not one of the allowed ones, which are named in the given order."""
    names = ", ".join(map(go_quoted, allowed))
    text = f"Unsupported value: {go_json(value)}"
    return Cause("FieldValueNotSupported", f"{text}: supported values: {names}" if names else text, path)


def forbidden(path: str, detail: str) -> Cause:
    """Say that the field may not be set, or not so."""
    return Cause("FieldValueForbidden", f"Forbidden: {detail}", path)


def duplicate(path: str, value: Any) -> Cause:
    """Say that the value stands twice in a list whose items must differ."""
    return Cause("FieldValueDuplicate", f"Duplicate value: {go_json(value)}", path)


def not_found(path: str, value: Any, detail: str = "") -> Cause:
    """Say that what the field refers to does not exist."""
    text = f"Not found: {go_json(value)}"
    return Cause("FieldValueNotFound", f"{text}: {detail}" if detail else text, path)


def too_long(path: str, most: int, unit: str = "bytes") -> Cause:
    """Say that the text is longer than `most`."""
    return Cause("FieldValueTooLong", f"Too long: may not be more than {most} {unit}", path)


def too_many(path: str, actual: int, most: int) -> Cause:
    """Say that the list has more items than `most`."""
    return Cause(
        "FieldValueTooMany", f"Too many: {actual}: must have at most {most} item{'s' if most != 1 else ''}", path
    )


def internal(path: str, detail: str) -> Cause:
    """Say that the field cannot be checked."""
    return Cause("InternalError", f"Internal error: {detail}", path)


def type_invalid(path: str, value: Any, detail: str) -> Cause:
    """Say that the value is of the wrong type."""
    return Cause("FieldValueTypeInvalid", f"Invalid value: {go_json(value)}: {detail}", path)


def each_invalid(path: str, value: Any, problems: Iterable[str]) -> list[Cause]:
    """Return one `invalid` cause for every problem."""
    return [invalid(path, value, problem) for problem in problems]


def in_list(path: str, value: Any, allowed: Iterable[str]) -> list[Cause]:
    """Return `not_supported` if the value is none of the allowed ones."""
    return [] if value in allowed else [not_supported(path, value, allowed)]


def one_of(path: str, value: Any, allowed: Sequence[str]) -> list[Cause]:
    """Return `required` if there is no value, `not_supported` if it is none of the allowed ones."""
    if not value:
        return [required(path)]
    return in_list(path, value, allowed)


NOT_NEGATIVE = "must be greater than or equal to 0"


def not_negative(path: str, value: int | None) -> list[Cause]:
    """Return `invalid` if the number is below zero; none counts as zero."""
    return [invalid(path, value, NOT_NEGATIVE)] if value is not None and value < 0 else []


def _example(message: str, pattern: str, *examples: str) -> str:
    shown = ",  or ".join(f"'{example}'" for example in examples)
    return f"{message} (e.g. {shown}, regex used for validation is '{pattern}')"


_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_UNDERSCORED = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_UNDERSCORED_SUBDOMAIN = rf"{_UNDERSCORED}(\.{_UNDERSCORED})*"
_WILDCARD = rf"\*\.{_SUBDOMAIN}"
_DNS1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_C_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
_LABEL_KEY = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = f"({_LABEL_KEY})?"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_ENV_NAME = "[-._a-zA-Z][-._a-zA-Z0-9]*"
_HEADER = "[-A-Za-z0-9]+"
_PERCENT = "[0-9]+%"
_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"

_LABEL_TEXT = _example(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character",
    _LABEL,
    "my-name",
    "123-abc",
)
_SUBDOMAIN_TEXT = _example(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character",
    _SUBDOMAIN,
    "example.com",
)
_CASELESS_TEXT = _example(
    "an RFC 1123 subdomain must consist of alphanumeric characters, '-' or '.', and must start and end with an "
    "alphanumeric character",
    _SUBDOMAIN,
    "Example.com",
)
_UNDERSCORED_TEXT = _example(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start "
    "and end with an alphanumeric character",
    _UNDERSCORED_SUBDOMAIN,
    "example.com",
)
_WILDCARD_TEXT = _example(
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower "
    "case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
    _WILDCARD,
    "*.example.com",
)
_DNS1035_TEXT = _example(
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and "
    "end with an alphanumeric character",
    _DNS1035,
    "my-name",
    "abc-123",
)
_C_IDENTIFIER_TEXT = _example(
    "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters "
    "or '_'",
    _C_IDENTIFIER,
    "my_name",
    "MY_NAME",
    "MyName",
)
_KEY_WORDS = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)
_NAME_PART_TEXT = _example(f"name part {_KEY_WORDS}", _LABEL_KEY, "MyName", "my.name", "123-abc")
_QUALIFIED_TEXT = (
    _example(f"a valid label key {_KEY_WORDS}", _LABEL_KEY, "MyName", "my.name", "123-abc")
    + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
)
_LABEL_VALUE_TEXT = _example(
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character",
    _LABEL_VALUE,
    "MyValue",
    "my_value",
    "12345",
)
_CONFIG_KEY_TEXT = _example(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    _CONFIG_KEY,
    "key.name",
    "KEY_NAME",
    "key-name",
)
_HEADER_TEXT = _example("a valid HTTP header must consist of alphanumeric characters or '-'", _HEADER, "X-Header-Name")
_PERCENT_TEXT = _example(
    "a valid percent string must be a numeric string followed by an ending '%'", _PERCENT, "1%", "93%"
)

_label = re.compile(_LABEL).fullmatch
_subdomain = re.compile(_SUBDOMAIN).fullmatch
_underscored = re.compile(_UNDERSCORED_SUBDOMAIN).fullmatch
_wildcard = re.compile(_WILDCARD).fullmatch
_dns1035 = re.compile(_DNS1035).fullmatch
_c_identifier = re.compile(_C_IDENTIFIER).fullmatch
_label_key = re.compile(_LABEL_KEY).fullmatch
_label_value = re.compile(_LABEL_VALUE).fullmatch
_config_key = re.compile(_CONFIG_KEY).fullmatch
_header = re.compile(_HEADER).fullmatch
_percent = re.compile(_PERCENT).fullmatch
_path = re.compile(_PATH).fullmatch
_port_name = re.compile("[-a-z0-9]+").fullmatch
_has_letter = re.compile("[a-z]").search


def _at_most(text: str, most: int, unit: str = "characters") -> Problems:
    return (f"must be no more than {most} {unit}",) if len(text.encode()) > most else _NOTHING


@lru_cache(_REMEMBERED)
def dns1123_label_problems(text: str) -> Problems:
    """Check a DNS label (RFC 1123): names of containers, volumes, namespaces."""
    problems = _at_most(text, 63)
    if not _label(text):
        problems += ("must not contain dots",) if _subdomain(text) else (_LABEL_TEXT,)
    return problems


@lru_cache(_REMEMBERED)
def dns1123_subdomain_problems(text: str) -> Problems:
    """Check a DNS subdomain (RFC 1123): the names of most objects."""
    problems = _at_most(text, 253)
    return problems if _subdomain(text) else (*problems, _SUBDOMAIN_TEXT)


@lru_cache(_REMEMBERED)
def underscored_subdomain_problems(text: str) -> Problems:
    """Check a DNS subdomain whose labels may have underscores: DNS search paths."""
    problems = _at_most(text, 253)
    return problems if _underscored(text) else (*problems, _UNDERSCORED_TEXT)


@lru_cache(_REMEMBERED)
def wildcard_subdomain_problems(text: str) -> Problems:
    """Check a DNS subdomain that starts with `*.`: hosts of an Ingress."""
    problems = _at_most(text, 253)
    return problems if _wildcard(text) else (*problems, _WILDCARD_TEXT)


@lru_cache(_REMEMBERED)
def dns1035_label_problems(text: str) -> Problems:
    """Check a DNS label (RFC 1035), which starts with a letter."""
    problems = _at_most(text, 63)
    return problems if _dns1035(text) else (*problems, _DNS1035_TEXT)


@lru_cache(_REMEMBERED)
def c_identifier_problems(text: str) -> Problems:
    """Check a C identifier."""
    return _NOTHING if _c_identifier(text) else (_C_IDENTIFIER_TEXT,)


@lru_cache(_REMEMBERED)
def qualified_name_problems(text: str) -> Problems:
    """Check a qualified name: keys of labels, annotations, taints."""
    parts = text.split("/")
    problems: Problems = ()
    if len(parts) == 2:
        prefix, name = parts
        if not prefix:
            problems += ("prefix part must be non-empty",)
        else:
            found = _at_most(prefix, 253, "bytes")
            found = found if _subdomain(prefix) else (*found, _SUBDOMAIN_TEXT)
            problems += tuple(f"prefix part {problem}" for problem in found)
    elif len(parts) == 1:
        name = parts[0]
    else:
        return (_QUALIFIED_TEXT,)
    if not name:
        problems += ("name part must be non-empty",)
    elif len(name.encode()) > 63:
        problems += ("name part must be no more than 63 bytes",)
    return problems if _label_key(name) else (*problems, _NAME_PART_TEXT)


@lru_cache(_REMEMBERED)
def label_value_problems(text: str) -> Problems:
    """Check the value of a label."""
    problems = _at_most(text, 63, "bytes")
    return problems if _label_value(text) else (*problems, _LABEL_VALUE_TEXT)


def _dot_problems(text: str) -> Problems:
    if text in {".", ".."}:
        return (f"must not be '{text}'",)
    return ("must not start with '..'",) if text.startswith("..") else _NOTHING


@lru_cache(_REMEMBERED)
def config_key_problems(text: str) -> Problems:
    """Check a key of a ConfigMap or Secret, which becomes a file name."""
    problems = _at_most(text, 253)
    if not _config_key(text):
        problems += (_CONFIG_KEY_TEXT,)
    return problems + _dot_problems(text)


@lru_cache(_REMEMBERED)
def env_name_problems(text: str) -> Problems:
    """Check the name of an environment variable (relaxed rule): printable ASCII without `=`."""
    if not text:
        return ("environment variable name must be non-empty",)
    if all(" " <= char <= "~" and char != "=" for char in text):
        return _NOTHING
    return ("a valid environment variable name must consist only of printable ASCII characters other than '='",)


@lru_cache(_REMEMBERED)
def header_name_problems(text: str) -> Problems:
    """Check the name of an HTTP header."""
    return _NOTHING if _header(text) else (_HEADER_TEXT,)


@lru_cache(_REMEMBERED)
def path_segment_problems(text: str) -> Problems:
    """Check a name that only has to fit in a URL path."""
    if text in {".", ".."}:
        return (f"may not be '{text}'",)
    return tuple(f"may not contain '{char}'" for char in "/%" if char in text)


@lru_cache(_REMEMBERED)
def percent_problems(text: str) -> Problems:
    """Check a percentage as text: `25%`."""
    return _NOTHING if _percent(text) else (_PERCENT_TEXT,)


@lru_cache(_REMEMBERED)
def port_name_problems(text: str) -> Problems:
    """Check the name of a port (IANA service name)."""
    problems = _at_most(text, 15)
    if not _port_name(text):
        problems += ("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",)
    if not _has_letter(text):
        problems += ("must contain at least one letter (a-z)",)
    if "--" in text:
        problems += ("must not contain consecutive hyphens",)
    if text.startswith("-") or text.endswith("-"):
        problems += ("must not begin or end with a hyphen",)
    return problems


def port_number_problems(number: int) -> Problems:
    """Check a port number."""
    return _NOTHING if 1 <= number <= 65535 else ("must be between 1 and 65535, inclusive",)


def id_problems(number: int) -> Problems:
    """Check a numeric user or group id."""
    return _NOTHING if 0 <= number <= 2147483647 else ("must be between 0 and 2147483647, inclusive",)


def name_prefix_of(text: str) -> str:
    """Return a generateName so that it can be checked like a name: a trailing dash becomes a letter."""
    return text[:-1] + "a" if text.endswith("-") else text


def validate_qualified_name(path: str, text: str) -> list[Cause]:
    """Return the causes of a key that is no qualified name."""
    return each_invalid(path, text, qualified_name_problems(text))


def validate_label_name(path: str, text: str) -> list[Cause]:
    """Return the causes of a label key that is no qualified name."""
    return each_invalid(path, text, qualified_name_problems(text))


def validate_labels(path: str, labels: dict[str, str] | None) -> list[Cause]:
    """Return the causes of labels whose keys or values are not allowed, sorted by key as far as it matters."""
    causes: list[Cause] = []
    for key, value in (labels or {}).items():
        if problems := qualified_name_problems(key):
            causes += each_invalid(path, key, problems)
        if value and (problems := label_value_problems(value)):
            causes += each_invalid(path, value, problems)
    return causes


def validate_dns_label(path: str, text: str) -> list[Cause]:
    """Return the causes of a text that is no DNS label."""
    return each_invalid(path, text, dns1123_label_problems(text))


def validate_dns_subdomain(path: str, text: str) -> list[Cause]:
    """Return the causes of a text that is no DNS subdomain."""
    return each_invalid(path, text, dns1123_subdomain_problems(text))


def validate_caseless_subdomain(path: str, text: str) -> list[Cause]:
    """Return the causes of a text that is no DNS subdomain whatever its letters' case: names of volume drivers."""
    if len(text.encode()) > 253:
        return [invalid(path, text, "must be no more than 253 bytes")]
    return [] if _subdomain(text.lower()) else [invalid(path, text, _CASELESS_TEXT)]


def validate_fully_qualified_name(path: str, text: str) -> list[Cause]:
    """Return the causes of a text that is no domain of three segments or more."""
    return _validate_domain(path, text, 3, "three")


def validate_domain_name(path: str, text: str) -> list[Cause]:
    """Return the causes of a text that is no domain of two segments or more; a trailing dot is fine."""
    return _validate_domain(path, text.removesuffix(".") if text else text, 2, "two")


def _validate_domain(path: str, text: str, least: int, word: str) -> list[Cause]:
    if not text:
        return [required(path)]
    if problems := dns1123_subdomain_problems(text):
        return each_invalid(path, text, problems)
    if text.count(".") + 1 < least:
        return [invalid(path, text, f"should be a domain with at least {word} segments separated by dots")]
    return []


def validate_prefixed_path(path: str, text: str) -> list[Cause]:
    """Return the causes of a text that is no path below a domain (`acme.io/foo`)."""
    if not text:
        return [required(path)]
    domain, slash, rest = text.partition("/")
    if not slash or not domain or not rest:
        return [invalid(path, text, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    causes = each_invalid(path, domain, dns1123_subdomain_problems(domain))
    if not _path(rest):
        causes.append(invalid(path, rest, f"Invalid path (regex used for validation is '{_PATH}')"))
    return causes


def validate_prefixed_key(path: str, text: str) -> list[Cause]:
    """Return the causes of a text that is no key below a domain (`acme.io/foo`)."""
    if not text:
        return [required(path)]
    causes = each_invalid(path, text, qualified_name_problems(text))
    if not causes and "/" not in text:
        causes.append(invalid(path, text, 'must be a domain-prefixed key (such as "acme.io/foo")'))
    return causes
