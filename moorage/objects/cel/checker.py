"""Whether the types in an expression fit, and what type it has. Messages are cel-go's.

Source: the CEL language definition, cel-go 0.26 checker/{checker,errors}.go.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from moorage.objects.cel.syntax import CelError, Node, UInt
from moorage.objects.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DYN,
    INT,
    NULL,
    STRING,
    TYPE,
    UINT,
    Bindings,
    CelType,
    bound_type,
    fits,
    functions,
    list_of,
    map_of,
    optional_of,
)

#: Namespaces of functions: `sets.contains` is a name, no method of something called sets.
NAMESPACES: Final = frozenset({"sets", "optional", "ip", "format"})

#: Names of types, which are values too.
TYPE_NAMES: Final = frozenset("bool int uint double string bytes list map null_type type".split())


def check(source: str, node: Node, variables: Mapping[str, CelType]) -> CelType:
    """Return the type of an expression. Raises CelError with everything that does not fit."""
    checker = _Checker(variables)
    found = checker.of(node)
    if checker.problems:
        raise CelError(source, checker.problems)
    return found


class _Checker:
    def __init__(self, variables: Mapping[str, CelType]) -> None:
        self._variables = dict(variables)
        self.problems: list[tuple[int, str]] = []

    def of(self, node: Node) -> CelType:
        """Return the type of a part; dyn for what is wrong, so that it is told once."""
        found: CelType = getattr(self, f"_{node.kind}")(node)
        return found

    def _wrong(self, node: Node, text: str) -> CelType:
        self.problems.append((node.place, text))
        return DYN

    def _literal(self, node: Node) -> CelType:
        value = node.value
        if isinstance(value, bool):
            return BOOL
        by_class = {UInt: UINT, int: INT, float: DOUBLE, str: STRING, bytes: BYTES}
        return by_class.get(type(value), NULL)

    def _name(self, node: Node) -> CelType:
        if node.value in self._variables:
            return self._variables[node.value]
        if node.value in TYPE_NAMES:
            return TYPE
        return self._wrong(node, f"undeclared reference to '{node.value}' (in container '')")

    def _select(self, node: Node) -> CelType:
        assert node.operand is not None  # noqa: S101 (the parser's promise)
        owner = self.of(node.operand)
        may_lack = node.optional or owner.name == "optional"
        if owner.name == "optional":
            owner = owner.args[0]
        found = self._field(node, owner)
        return optional_of(found) if may_lack and found.name != "optional" else found

    def _test(self, node: Node) -> CelType:
        self._select(node)
        return BOOL

    def _field(self, node: Node, owner: CelType) -> CelType:
        if owner.name == "dyn":
            return DYN
        if owner.name == "map":
            return owner.args[1]
        if owner.name == "object" and owner.fields is not None:
            if node.value in owner.fields:
                return owner.fields[node.value]
            return self._wrong(node, f"undefined field '{node.value}'")
        return self._wrong(node, f"type '{owner}' does not support field selection")

    def _list(self, node: Node) -> CelType:
        types = [self._element(each, index in node.optional) for index, each in enumerate(node.args)]
        return list_of(_joined(types))

    def _element(self, node: Node, optional: bool) -> CelType:  # noqa: FBT001
        found = self.of(node)
        return found.args[0] if optional and found.name == "optional" else found

    def _map(self, node: Node) -> CelType:
        keys = [self.of(each) for each in node.args[::2]]
        values = [self._element(each, index in node.optional) for index, each in enumerate(node.args[1::2])]
        return map_of(_joined(keys), _joined(values))

    def _bind(self, node: Node) -> CelType:
        value, body = node.args
        return self._inside(body, {node.names[0]: self.of(value)})

    def _inside(self, body: Node, names: Mapping[str, CelType]) -> CelType:
        outer = self._variables
        self._variables = {**outer, **names}
        found = self.of(body)
        self._variables = outer
        return found

    def _fold(self, node: Node) -> CelType:
        assert node.operand is not None  # noqa: S101 (the parser's promise)
        over = self.of(node.operand)
        if node.value in ("optMap", "optFlatMap"):
            inner = over.args[0] if over.name == "optional" else DYN
            found = self._inside(node.args[0], {node.names[0]: inner})
            return optional_of(found) if node.value == "optMap" else found
        if over.name not in ("list", "map", "dyn"):
            text = f"expression of type '{over}' cannot be range of a comprehension (must be list, map, or dynamic)"
            return self._wrong(node.operand, text)
        names = dict(zip(node.names, _variables_of(over, len(node.names)), strict=True))
        *tests, last = [self._inside(each, names) for each in node.args]
        if node.value == "map":
            for each, found in zip(node.args, tests, strict=False):
                self._must_be_bool(each, found)
            return list_of(last)
        self._must_be_bool(node.args[-1], last)
        if node.value == "filter":
            return list_of(names[node.names[0]])
        return BOOL

    def _must_be_bool(self, node: Node, found: CelType) -> None:
        if found.name not in ("bool", "dyn"):
            self._wrong(node, f"expected type 'bool' but found '{found}'")

    def _call(self, node: Node) -> CelType:
        name, operand = node.value, node.operand
        is_name = operand is not None and operand.kind == "name" and operand.value in NAMESPACES
        if operand is not None and is_name and operand.value not in self._variables:
            return self._resolved(node, f"{operand.value}.{name}", None, [self.of(each) for each in node.args])
        receiver = self.of(operand) if operand is not None else None
        return self._resolved(node, name, receiver, [self.of(each) for each in node.args])

    def _resolved(self, node: Node, name: str, receiver: CelType | None, args: Sequence[CelType]) -> CelType:
        forms = functions().get(name)
        if forms is None:
            return self._wrong(node, f"undeclared reference to '{name}' (in container '')")
        found: list[CelType] = []
        for form in forms:
            if (form.receiver is None) != (receiver is None) or len(form.args) != len(args):
                continue
            bindings: Bindings = {}
            pairs = list(zip(args, form.args, strict=True))
            if receiver is not None and form.receiver is not None:
                pairs.insert(0, (receiver, form.receiver))
            if all(fits(given, wanted, bindings) for given, wanted in pairs):
                found.append(bound_type(form.result, bindings))
        if not found:
            shown = f"({', '.join(map(str, args))})"
            shown = f"{receiver}.{shown}" if receiver is not None else shown
            return self._wrong(node, f"found no matching overload for '{name}' applied to '{shown}'")
        return found[0] if all(each == found[0] for each in found) else DYN


def _joined(types: Sequence[CelType]) -> CelType:
    """Return the type that all of these have, dyn if there is no one."""
    if not types:
        return DYN
    bindings: Bindings = {}
    joined = CelType("A")
    return bindings.get("A", DYN) if all(fits(each, joined, bindings) for each in types) else DYN


def _variables_of(over: CelType, count: int) -> Sequence[CelType]:
    """Return the types of a macro's variables: items or keys; with two of them index and item, or key and value."""
    if over.name == "dyn":
        return (DYN,) * count
    if over.name == "map":
        return over.args[:count]
    return (over.args[0],) if count == 1 else (INT, over.args[0])
