"""Label selectors as text (`env in (a,b),!tier`) and as objects (`matchLabels`, `matchExpressions`), as predicates.

Field selectors are moorage.objects.field_selectors; both can be imported from here. Grammar and texts are upstream's:
apimachinery/pkg/labels/selector.go and apis/meta/v1/helpers.go LabelSelectorAsSelector (v1.37).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from moorage.objects.errors import BadRequest
from moorage.objects.field_selectors import (
    FieldSelector,
    fields_for,
    parse_field_selector,
    selectable_fields,
)
from moorage.objects.metadata import Object
from moorage.objects.validation import go_json, label_value_problems, qualified_name_problems

__all__ = [
    "FieldSelector",
    "LabelPredicate",
    "Requirement",
    "fields_for",
    "parse_field_selector",
    "parse_label_requirements",
    "parse_label_selector",
    "parse_selector_object",
    "selectable_fields",
]

Labels = Mapping[str, str]
LabelPredicate = Callable[[Labels], bool]

#: How many selector texts are remembered: clients send the same few again and again.
_REMEMBERED: Final = 256

_SYMBOLS: Final = frozenset("=!(),><")
_LONG_SYMBOLS: Final = ("==", "!=")
_BLANKS: Final = " \t\r\n"
_WORD: Final = re.compile(r"[^=!(),><\s]+")
_OPERATORS: Final = {
    "in": "in",
    "notin": "notin",
    "=": "=",
    "==": "=",
    "!=": "!=",
    ">": ">",
    "<": "<",
}
_EXPECTED_OPERATORS: Final = "in, notin, =, ==, !=, gt, lt"
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")


class Requirement(NamedTuple):
    """One condition on a label. operator: in, notin, =, !=, >, <, exists or !exists; values are sorted."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def is_met(self, labels: Labels) -> bool:
        """Tell whether the labels meet this condition."""
        value = labels.get(self.key)
        match self.operator:
            case "in" | "=":
                return value in self.values
            case "notin" | "!=":
                return value not in self.values
            case "exists":
                return value is not None
            case "!exists":
                return value is None
        number = _integer(value or "")
        if number is None:
            return False
        limit = int(self.values[0])
        return number > limit if self.operator == ">" else number < limit


@lru_cache(_REMEMBERED)
def parse_label_selector(text: str) -> LabelPredicate:
    """Return the predicate that a `labelSelector` text means; an empty text takes everything. Raises BadRequest."""
    return _compiled(parse_label_requirements(text))


def parse_label_requirements(text: str) -> tuple[Requirement, ...]:
    """Return the conditions of a label selector text in their order. Raises BadRequest with upstream's text."""
    try:
        return tuple(_Parser(text).parse())
    except _SyntaxFault as fault:
        raise BadRequest(str(fault)) from None


def parse_selector_object(selector: Object | None) -> LabelPredicate:
    """Return the predicate that a LabelSelector object means: None takes nothing, an empty one takes everything.

    Raises BadRequest for an operator that does not exist.
    """
    if selector is None:
        return lambda labels: False
    requirements = [Requirement(key, "=", (value,)) for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        operator = _EXPRESSIONS.get(expression["operator"])
        if operator is None:
            raise BadRequest(f'"{expression["operator"]}" is not a valid label selector operator')
        requirements.append(Requirement(expression["key"], operator, tuple(expression.get("values") or ())))
    return _compiled(requirements)


_EXPRESSIONS: Final = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!exists"}


def _compiled(requirements: Sequence[Requirement]) -> LabelPredicate:
    """Return one function for all conditions; equalities, which most selectors consist of, are compared directly."""
    if all(each.operator == "=" for each in requirements):
        pairs = [(each.key, each.values[0]) for each in requirements]
        if len(pairs) == 1:
            key, value = pairs[0]
            return lambda labels: labels.get(key) == value
        return lambda labels: all(labels.get(key) == value for key, value in pairs)
    return lambda labels: all(each.is_met(labels) for each in requirements)


def _integer(text: str) -> int | None:
    """Read a signed number of 64 bits as Go's ParseInt does."""
    if not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


class _SyntaxFault(Exception):
    """The text is no label selector; the message is upstream's."""


class _Token(NamedTuple):
    kind: str
    text: str


_END: Final = _Token("end", "")


def _tokens(text: str) -> list[_Token]:
    """Return the words and symbols of the text; the kind of a symbol or keyword is itself, of others `word`."""
    tokens: list[_Token] = []
    position = 0
    while position < len(text):
        char = text[position]
        if char in _BLANKS:
            position += 1
            continue
        if char in _SYMBOLS:
            symbol = text[position : position + 2]
            symbol = symbol if symbol in _LONG_SYMBOLS else char
            tokens.append(_Token(symbol, symbol))
        else:
            match = _WORD.match(text, position)
            symbol = match.group() if match else char
            tokens.append(_Token(symbol if symbol in ("in", "notin") else "word", symbol))
        position += len(symbol)
    tokens.append(_END)
    return tokens


class _Parser:
    """Recursive descent over the tokens of one text."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._position = 0

    def _peek(self) -> _Token:
        """Return the next token where a value may stand: there keywords are plain words."""
        token = self._tokens[self._position]
        return _Token("word", token.text) if token.kind in ("in", "notin") else token

    def _take(self, *, operator: bool = False) -> _Token:
        token = self._tokens[self._position] if operator else self._peek()
        self._position = min(self._position + 1, len(self._tokens) - 1)
        return token

    def parse(self) -> list[Requirement]:
        """Return all conditions. Raises _SyntaxFault."""
        requirements: list[Requirement] = []
        while True:
            token = self._peek()
            if token.kind == "end":
                return requirements
            if token.kind not in ("word", "!"):
                raise _SyntaxFault(f"found '{token.text}', expected: !, identifier, or 'end of string'")
            try:
                requirements.append(self._requirement())
            except _SyntaxFault as fault:
                raise _SyntaxFault(f"unable to parse requirement: {fault}") from None
            token = self._take()
            if token.kind == "end":
                return requirements
            if token.kind != ",":
                raise _SyntaxFault(f"found '{token.text}', expected: ',' or 'end of string'")
            following = self._peek()
            if following.kind not in ("word", "!"):
                raise _SyntaxFault(f"found '{following.text}', expected: identifier after ','")

    def _requirement(self) -> Requirement:
        token, absent = self._take(), False
        if token.kind == "!":
            token, absent = self._take(), True
        if token.kind != "word":
            raise _SyntaxFault(f"found '{token.text}', expected: identifier")
        key = token.text
        _check_key(key)
        if absent:
            return Requirement(key, "!exists")
        if self._peek().kind in ("end", ","):
            return Requirement(key, "exists")
        token = self._take(operator=True)
        operator = _OPERATORS.get(token.kind)
        if operator is None:
            raise _SyntaxFault(f"found '{token.text}', expected: {_EXPECTED_OPERATORS}")
        values = self._values() if operator in ("in", "notin") else {self._exact_value()}
        return _checked(Requirement(key, operator, tuple(sorted(values))))

    def _exact_value(self) -> str:
        if self._peek().kind in ("end", ","):
            return ""
        token = self._take()
        if token.kind != "word":
            raise _SyntaxFault(f"found '{token.text}', expected: identifier")
        return token.text

    def _values(self) -> set[str]:
        token = self._take()
        if token.kind != "(":
            raise _SyntaxFault(f"found '{token.text}' expected: '('")
        token = self._peek()
        if token.kind == ")":
            self._take()
            return {""}
        if token.kind not in ("word", ","):
            raise _SyntaxFault(f"found '{token.text}', expected: ',', ')' or identifier")
        values = self._value_list()
        if self._take().kind != ")":
            raise _SyntaxFault(f"found '{token.text}', expected: ')'")
        return values

    def _value_list(self) -> set[str]:
        """Read values up to the closing parenthesis; two commas in a row stand around an empty value."""
        values: set[str] = set()
        while True:
            token = self._take()
            if token.kind == "word":
                values.add(token.text)
                following = self._peek()
                if following.kind == ")":
                    return values
                if following.kind != ",":
                    raise _SyntaxFault(f"found '{following.text}', expected: ',' or ')'")
            elif token.kind == ",":
                if not values:
                    values.add("")
                following = self._peek()
                if following.kind == ")":
                    return values | {""}
                if following.kind == ",":
                    self._take()
                    values.add("")
            else:
                raise _SyntaxFault(f"found '{token.text}', expected: ',', or identifier")


def _check_key(key: str) -> None:
    problems = qualified_name_problems(key)
    if problems:
        raise _SyntaxFault(f"<nil>: Invalid value: {go_json(key)}: {'; '.join(problems)}")


def _checked(requirement: Requirement) -> Requirement:
    """Refuse values that no label can have, and limits that are no numbers."""
    faults: list[str] = []
    if requirement.operator in (">", "<"):
        faults += [
            f"values[{index}]: Invalid value: {go_json(value)}: for 'Gt', 'Lt' operators, the value must be an integer"
            for index, value in enumerate(requirement.values)
            if _integer(value) is None
        ]
    for index, value in enumerate(requirement.values):
        problems = label_value_problems(value)
        if problems:
            faults.append(f"values[{index}][{requirement.key}]: Invalid value: {go_json(value)}: {'; '.join(problems)}")
    if faults:
        raise _SyntaxFault(faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]")
    return requirement
