"""Whether the types in an expression fit, and what type it has. Messages are cel-go's.

Source: the CEL language definition, cel-go 0.26 checker/{checker,errors}.go.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from moorage.objects.cel.moments import to_duration, to_timestamp
from moorage.objects.cel.syntax import CelError, Node, UInt
from moorage.objects.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DYN,
    FREE,
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
from moorage.objects.cel.values import EvaluationError
from moorage.objects.patterns import BadPattern, compiled

#: Namespaces of functions: `sets.contains` is a name, no method of something called sets.
NAMESPACES: Final = frozenset({"sets", "optional", "ip", "format", "lists", "strings", "jsonpatch"})

#: Names of types, which are values too.
TYPE_NAMES: Final = frozenset("bool int uint double string bytes list map null_type type".split())


#: Functions whose argument is tried when it stands in the text: cel-go's validators of literals.
_READERS: Final[Mapping[str, Callable[[str], object]]] = {
    "duration": to_duration,
    "timestamp": to_timestamp,
    "matches": compiled,
}

#: Macros that make something of each item.
_MAKERS: Final = frozenset({"map", "transformList", "transformMap", "transformMapEntry"})

#: Returns the type of objects that an expression may make by name, None for unknown names.
Structs = Callable[[str], CelType | None]


def _no_structs(name: str) -> None:
    """Know no type of objects."""
    del name


def check(source: str, node: Node, variables: Mapping[str, CelType], structs: Structs = _no_structs) -> CelType:
    """Return the type of an expression. Raises CelError with everything that does not fit.

    variables: by name; a name with a dot is one variable too. structs: which objects `Type{…}` may make.
    """
    checker = _Checker(variables, structs)
    found = checker.of(node)
    if checker.problems:
        raise CelError(source, checker.problems)
    return found


class _Checker:
    def __init__(self, variables: Mapping[str, CelType], structs: Structs) -> None:
        self._variables = dict(variables)
        self._structs = structs
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
        if node.operand.kind == "name" and f"{node.operand.value}.{node.value}" in self._variables:
            return self._variables[f"{node.operand.value}.{node.value}"]
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
        if owner.fields is not None:
            if node.value in owner.fields:
                return owner.fields[node.value]
            return self._wrong(node, f"undefined field '{node.value}'")
        return self._wrong(node, f"type '{owner}' does not support field selection")

    def _list(self, node: Node) -> CelType:
        types = [self._element(each, index in node.optional) for index, each in enumerate(node.args)]
        return list_of(self._joined(node.args, types))

    def _element(self, node: Node, optional: bool) -> CelType:  # noqa: FBT001
        found = self.of(node)
        return found.args[0] if optional and found.name == "optional" else found

    def _map(self, node: Node) -> CelType:
        keys = [self.of(each) for each in node.args[::2]]
        values = [self._element(each, index in node.optional) for index, each in enumerate(node.args[1::2])]
        return map_of(self._joined(node.args[::2], keys), self._joined(node.args[1::2], values))

    def _joined(self, nodes: Sequence[Node], types: Sequence[CelType]) -> CelType:
        """Return the type that all of these have, any for none; what has another one is wrong."""
        if not types:
            return FREE
        bindings: Bindings = {}
        joined = CelType("A")
        for node, found in zip(nodes, types, strict=True):
            if not fits(found, joined, bindings):
                self._wrong(node, f"expected type '{bindings['A']}' but found '{found}'")
        return bindings["A"]

    def _struct(self, node: Node) -> CelType:
        owner = self._structs(node.value)
        if owner is None:
            return self._wrong(node, f"undeclared reference to '{node.value}' (in container '')")
        for index, (name, each) in enumerate(zip(node.names, node.args, strict=True)):
            found = self._element(each, index in node.optional)
            wanted = owner.fields.get(name) if owner.fields is not None else None
            if wanted is None:
                self._wrong(each, f"undefined field '{name}'")
            elif not fits(found, wanted, {}):
                self._wrong(each, f"expected type of field '{name}' is '{wanted}' but provided type is '{found}'")
        return owner

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
        if node.value in _MAKERS:
            for each, found in zip(node.args, tests, strict=False):
                self._must_be_bool(each, found)
            return self._made(node, last, names[node.names[0]])
        if node.value == "sortBy":
            return over
        self._must_be_bool(node.args[-1], last)
        if node.value == "filter":
            return list_of(names[node.names[0]])
        return BOOL

    def _made(self, node: Node, last: CelType, key: CelType) -> CelType:
        """Return the type of what a macro makes of each item."""
        if node.value == "transformMap":
            return map_of(key, last)
        if node.value != "transformMapEntry":
            return list_of(last)
        if last.name not in ("map", "dyn"):
            return self._wrong(node.args[-1], f"expected type 'map(dyn, dyn)' but found '{last}'")
        return last

    def _must_be_bool(self, node: Node, found: CelType) -> None:
        if found.name not in ("bool", "dyn"):
            self._wrong(node, f"expected type 'bool' but found '{found}'")

    def _call(self, node: Node) -> CelType:
        name, operand = node.value, node.operand
        is_name = operand is not None and operand.kind == "name" and operand.value in NAMESPACES
        if operand is not None and is_name and operand.value not in self._variables:
            return self._resolved(node, f"{operand.value}.{name}", None, [self.of(each) for each in node.args])
        receiver = self.of(operand) if operand is not None else None
        self._literals(node, name)
        return self._resolved(node, name, receiver, [self.of(each) for each in node.args])

    def _literals(self, node: Node, name: str) -> None:
        """Tell of texts that can be nothing else than a wrong argument."""
        reader = _READERS.get(name)
        last = node.args[-1] if node.args else None
        if reader is None or last is None or last.kind != "literal" or not isinstance(last.value, str):
            return
        try:
            reader(last.value)
        except (EvaluationError, BadPattern):
            self._wrong(last, f"invalid {name} argument")

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


def _variables_of(over: CelType, count: int) -> Sequence[CelType]:
    """Return the types of a macro's variables: items or keys; with two of them index and item, or key and value."""
    if over.name == "dyn":
        return (DYN,) * count
    if over.name == "map":
        return over.args[:count]
    return (over.args[0],) if count == 1 else (INT, over.args[0])
