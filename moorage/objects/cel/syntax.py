"""From the text of an expression to its tree.

Source: the CEL language definition (langdef.md), messages after cel-go 0.26 as far as they are known.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

#: How deep expressions may nest: each level costs frames of ours.
DEPTH_MOST: Final = 80

#: How many code points an expression may have. Source: cel-go's expressionSizeCodePointLimit.
LENGTH_MOST: Final = 100_000

_TOKEN: Final = re.compile(
    r"""(?P<space>(?:\s|//[^\n]*)+)
    |(?P<float>(?:\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?))
    |(?P<uint>(?:0[xX][0-9a-fA-F]+|\d+)[uU])
    |(?P<int>0[xX][0-9a-fA-F]+|\d+)
    |(?P<text>(?:[rR]?[bB]|[bB]?[rR]|)(?:\"\"\"(?:[^\\]|\\.)*?\"\"\"|'''(?:[^\\]|\\.)*?'''|"(?:[^"\\\n\r]|\\.)*"|'(?:[^'\\\n\r]|\\.)*'))
    |(?P<name>[_a-zA-Z][_a-zA-Z0-9]*)
    |(?P<quoted>`[\w.\-/ ]+`)
    |(?P<sign>&&|\|\||==|!=|<=|>=|[-+*/%<>!?:.,()\[\]{}])""",
    re.VERBOSE | re.DOTALL,
)

_RESERVED: Final = frozenset(
    "as break const continue else for function if import let loop package namespace return var void while".split()
)

_OPERAND: Final = (
    "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"
)

_RELATIONS: Final = ("==", "!=", "<", "<=", ">", ">=", "in")

#: Macros on a list or a map: how many arguments each may have.
_FOLDS: Final[Mapping[str, tuple[int, ...]]] = {
    "all": (2, 3),
    "exists": (2, 3),
    "exists_one": (2, 3),
    "existsOne": (2, 3),
    "map": (2, 3),
    "filter": (2,),
    "sortBy": (2,),
    "transformList": (3, 4),
    "transformMap": (3, 4),
    "transformMapEntry": (3, 4),
}

#: What the lexer gives up on: a text that does not end, with its line; half of a sign, with what follows.
_UNFINISHED: Final = re.compile(r"(?:[rR]?[bB]|[bB]?[rR]|)[\"'][^\n\r]*\n?|[=&|].?", re.DOTALL)
_ESCAPED_IN_MESSAGES: Final = str.maketrans({"\n": "\\n", "\r": "\\r", "\t": "\\t"})

_ESCAPES: Final[Mapping[str, str]] = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    **{char: char for char in "\\?\"'`"},
}
_ESCAPE: Final = re.compile(
    r"\\(x[0-9a-fA-F]{2}|X[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-3][0-7]{2}|.)", re.DOTALL
)


class UInt(int):
    """An unsigned number: another type than int, though equal in value."""

    __slots__ = ()


class CelError(Exception):
    """The text is no expression, or its types do not fit. `problems` are places and texts."""

    def __init__(self, source: str, problems: list[tuple[int, str]]) -> None:
        super().__init__("\n".join(_told(source, *each) for each in sorted(problems, key=lambda each: each[0])))
        self.problems = tuple(problems)


def _told(source: str, place: int, text: str) -> str:
    if not source:  # cel-go has no place to show
        return f"ERROR: <input>:1:0: {text}"
    before = source[:place]
    line, start = before.count("\n") + 1, before.rfind("\n") + 1
    column = place - start
    shown = source[start:].partition("\n")[0]
    return f"ERROR: <input>:{line}:{column + 1}: {text}\n | {shown}\n | {'.' * column}^"


class Node(NamedTuple):
    """A part of an expression.

    kind:  literal (value), name (value), select (value: the field, operand), test (has), call (value: the name, args;
           operand if it is a method), list, map (args: keys and values by turns), struct (value: the type's name, names:
           its fields, args: their values), fold (value: the macro, operand, names, args), bind (names, args: value and
           body).
    place: where it stands in the text, for messages.
    optional: `.?` and `[?`; in lists, maps and structs the indexes of entries that may be missing.
    """

    kind: str
    place: int
    value: Any = None
    args: "tuple[Node, ...]" = ()
    operand: "Node | None" = None
    names: tuple[str, ...] = ()
    optional: Any = False


class _Token(NamedTuple):
    kind: str
    text: str
    place: int


def _dotted(node: Node) -> str:
    """Return the qualified name that a chain of names spells, "" for anything else."""
    if node.kind == "name":
        return str(node.value)
    if node.kind != "select" or node.optional or node.operand is None:
        return ""
    before = _dotted(node.operand)
    return f"{before}.{node.value}" if before else ""


def parse(source: str) -> Node:
    """Return the tree of an expression. Raises CelError."""
    if len(source) > LENGTH_MOST:
        text = f"expression code point size exceeds limit: size: {len(source)}, limit {LENGTH_MOST}"
        raise CelError(source, [(0, text)])
    return _Parser(source).whole()


class _Parser:
    def __init__(self, source: str) -> None:
        self._source = source
        self._unread: list[tuple[int, str]] = []
        self._tokens = self._scan()
        self._at = 0
        self._depth = 0

    def _scan(self) -> list[_Token]:
        tokens: list[_Token] = []
        place = 0
        while place < len(self._source):
            match = _TOKEN.match(self._source, place)
            if match is None:
                unfinished = _UNFINISHED.match(self._source, place)
                skipped = unfinished.group() if unfinished is not None else self._source[place]
                shown = skipped.translate(_ESCAPED_IN_MESSAGES)
                self._unread.append((place, f"Syntax error: token recognition error at: '{shown}'"))
                place += len(skipped)
                continue
            if match.lastgroup != "space":
                tokens.append(_Token(match.lastgroup or "", match.group(), place))
            place = match.end()
        return [*tokens, _Token("end", "<EOF>", len(self._source))]

    def whole(self) -> Node:
        """Return the tree. Raises CelError with what could not be read, and the first thing that does not fit."""
        try:
            node = self._ternary()
            if self._next.kind != "end":
                raise self._mismatch("<EOF>")
        except CelError as error:
            if not self._unread:
                raise
            raise CelError(self._source, [*self._unread, *error.problems]) from None
        if self._unread:
            raise CelError(self._source, self._unread)
        return node

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._next
        self._at += 1
        return token

    def _is(self, *signs: str) -> bool:
        return self._next.text in signs and self._next.kind in ("sign", "name")

    def _accept(self, sign: str) -> _Token | None:
        return self._take() if self._is(sign) else None

    def _expect(self, sign: str) -> _Token:
        if not self._is(sign):
            raise self._mismatch(f"'{sign}'")
        return self._take()

    def _mismatch(self, wanted: str) -> CelError:
        token = self._next
        word = "mismatched" if token.kind == "end" or wanted != "<EOF>" else "extraneous"
        return CelError(self._source, [(token.place, f"Syntax error: {word} input '{token.text}' expecting {wanted}")])

    def _ternary(self) -> Node:
        self._depth += 1
        if self._depth > DEPTH_MOST:
            raise CelError(self._source, [(self._next.place, "expression recursion limit exceeded")])
        node = self._chain(0)
        if mark := self._accept("?"):
            one = self._chain(0)
            self._expect(":")
            node = Node("call", mark.place, "_?_:_", (node, one, self._ternary()))
        self._depth -= 1
        return node

    #: From the weakest to the strongest.
    _LEVELS = (("||",), ("&&",), _RELATIONS, ("+", "-"), ("*", "/", "%"))

    def _chain(self, level: int) -> Node:
        if level == len(self._LEVELS):
            return self._unary()
        node = self._chain(level + 1)
        while self._is(*self._LEVELS[level]):
            sign = self._take()
            name = "@in" if sign.text == "in" else f"_{sign.text}_"
            node = Node("call", sign.place, name, (node, self._chain(level + 1)))
        return node

    def _unary(self) -> Node:
        signs = []
        while self._is("!", "-"):
            signs.append(self._take())
        if signs and signs[-1].text == "-" and self._next.kind in ("int", "float"):
            sign = signs.pop()
            token = self._take()
            node = self._members(Node("literal", sign.place, self._number(token, negative=True)))
        else:
            node = self._members(self._primary())
        for sign in reversed(signs):
            node = Node("call", sign.place, f"{sign.text}_", (node,))
        return node

    def _members(self, node: Node) -> Node:
        while self._is(".", "[", "{"):
            if self._is("{"):
                name = _dotted(node)
                if not name:
                    break
                node = self._struct(name)
                continue
            sign = self._take()
            optional = self._accept("?") is not None
            if sign.text == "[":
                index = self._ternary()
                self._expect("]")
                node = Node("call", sign.place, "_[?_]" if optional else "_[_]", (node, index))
                continue
            token = self._take()
            if token.kind not in ("name", "quoted"):
                seen = self._source[sign.place : token.place + (0 if token.kind == "end" else len(token.text))]
                problem = f"Syntax error: no viable alternative at input '{seen.translate(_ESCAPED_IN_MESSAGES)}'"
                raise CelError(self._source, [(token.place, problem)])
            if self._is("(") and not optional:
                node = self._method(node, token.text)
            else:
                node = Node("select", sign.place, token.text.strip("`"), operand=node, optional=optional)
        return node

    def _method(self, operand: Node, name: str) -> Node:
        opening = self._expect("(")
        args = self._arguments(")")
        if name in _FOLDS and len(args) in _FOLDS[name]:
            return self._fold(opening.place, name, operand, args)
        if name in ("optMap", "optFlatMap") and len(args) == 2:
            return Node("fold", opening.place, name, args[1:], operand, (self._variable(args[0]),))
        if name == "bind" and operand == Node("name", operand.place, "cel") and len(args) == 3:
            return Node("bind", opening.place, None, args[1:], names=(self._variable(args[0]),))
        return Node("call", opening.place, name, args, operand)

    def _fold(self, place: int, name: str, operand: Node, args: tuple[Node, ...]) -> Node:
        count = 2 if name.startswith("transform") or (len(args) == 3 and name != "map") else 1
        names = tuple(self._variable(each) for each in args[:count])
        return Node("fold", place, name, args[count:], operand, names)

    def _variable(self, node: Node) -> str:
        if node.kind != "name":
            raise CelError(self._source, [(node.place, "argument must be a simple name")])
        return str(node.value)

    def _arguments(self, closing: str) -> tuple[Node, ...]:
        args: list[Node] = []
        while not self._is(closing):
            args.append(self._ternary())
            if not self._accept(","):
                break
        self._expect(closing)
        return tuple(args)

    def _primary(self) -> Node:
        token = self._take()
        if token.kind in ("int", "uint", "float"):
            return Node("literal", token.place, self._number(token))
        if token.kind == "text":
            return Node("literal", token.place, self._text(token))
        if token.text in ("true", "false", "null") and token.kind == "name":
            return Node("literal", token.place, {"true": True, "false": False, "null": None}[token.text])
        if token.kind == "name" and token.text != "in":
            return self._named(token)
        if token.text == "." and self._next.kind == "name":
            return self._named(self._take())
        if token.text == "(":
            node = self._ternary()
            self._expect(")")
            return node
        if token.text == "[":
            return self._list(token)
        if token.text == "{":
            return self._map(token)
        self._at -= 1
        raise self._mismatch(_OPERAND)

    def _named(self, token: _Token) -> Node:
        if token.text in _RESERVED:
            raise CelError(self._source, [(token.place, f"reserved identifier: {token.text}")])
        if not self._is("("):
            return Node("name", token.place, token.text)
        opening = self._take()
        args = self._arguments(")")
        if token.text == "has" and len(args) == 1:
            if args[0].kind != "select":
                raise CelError(self._source, [(args[0].place, "invalid argument to has() macro")])
            return args[0]._replace(kind="test", place=opening.place)
        return Node("call", opening.place, token.text, args)

    def _list(self, opening: _Token) -> Node:
        items: list[Node] = []
        optional: set[int] = set()
        while not self._is("]"):
            if self._accept("?"):
                optional.add(len(items))
            items.append(self._ternary())
            if not self._accept(","):
                break
        self._expect("]")
        return Node("list", opening.place, args=tuple(items), optional=frozenset(optional))

    def _map(self, opening: _Token) -> Node:
        entries: list[Node] = []
        optional: set[int] = set()
        while not self._is("}"):
            if self._accept("?"):
                optional.add(len(entries) // 2)
            entries.append(self._ternary())
            self._expect(":")
            entries.append(self._ternary())
            if not self._accept(","):
                break
        self._expect("}")
        return Node("map", opening.place, args=tuple(entries), optional=frozenset(optional))

    def _struct(self, name: str) -> Node:
        """Read the fields of `Type{field: value}`."""
        opening = self._expect("{")
        names: list[str] = []
        values: list[Node] = []
        optional: set[int] = set()
        while not self._is("}"):
            if self._accept("?"):
                optional.add(len(names))
            if self._next.kind not in ("name", "quoted"):
                raise self._mismatch("{'}', ',', '?', IDENTIFIER, ESC_IDENTIFIER}")
            names.append(self._take().text.strip("`"))
            self._expect(":")
            values.append(self._ternary())
            if not self._accept(","):
                break
        self._expect("}")
        return Node("struct", opening.place, name, tuple(values), names=tuple(names), optional=frozenset(optional))

    def _number(self, token: _Token, *, negative: bool = False) -> Any:
        sign = -1 if negative else 1
        if token.kind == "float":
            return sign * float(token.text)
        value = sign * int(token.text.rstrip("uU"), 16 if token.text[:2].lower() == "0x" else 10)
        if token.kind == "uint":
            if value >= 2**64:
                raise CelError(self._source, [(token.place, "invalid uint literal")])
            return UInt(value)
        if not -(2**63) <= value < 2**63:
            raise CelError(self._source, [(token.place, "invalid int literal")])
        return value

    def _text(self, token: _Token) -> str | bytes:
        start = next(index for index, char in enumerate(token.text) if char in "\"'")
        prefix, body = token.text[:start].lower(), token.text[start:]
        quote = body[:3] if body[:3] in ('"""', "'''") else body[:1]
        inner = body[len(quote) : -len(quote)]
        if "b" in prefix:
            return inner.encode() if "r" in prefix else self._bytes(inner)
        return inner if "r" in prefix else _ESCAPE.sub(lambda match: self._escaped(match[1], token), inner)

    def _escaped(self, code: str, token: _Token) -> str:
        if code in _ESCAPES:
            return _ESCAPES[code]
        if code[0] in "xXuU" and len(code) > 1:
            return chr(int(code[1:], 16))
        if len(code) == 3:
            return chr(int(code, 8))
        raise CelError(self._source, [(token.place, "unable to unescape string")])

    @staticmethod
    def _bytes(inner: str) -> bytes:
        def one(match: re.Match[str]) -> str:
            code = match[1]
            if code in _ESCAPES:
                return _ESCAPES[code]
            return chr(int(code[1:], 16) if code[0] in "xX" else int(code, 8))

        pieces = re.split(r"(\\(?:[xX][0-9a-fA-F]{2}|[0-3][0-7]{2}|.))", inner)
        return b"".join(
            _ESCAPE.sub(one, piece).encode("latin-1") if piece.startswith("\\") else piece.encode() for piece in pieces
        )
