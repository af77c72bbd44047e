"""The value of an expression. What has no value raises EvaluationError; how much may be done is limited.

Source: the CEL language definition; the limit stands for apiserver/pkg/apis/cel/config.go (v1.37).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from moorage.objects.cel.checker import NAMESPACES, TYPE_NAMES
from moorage.objects.cel.extensions import ordered
from moorage.objects.cel.functions import FUNCTIONS
from moorage.objects.cel.syntax import Node
from moorage.objects.cel.values import EvaluationError, Optional, Struct, TypeValue

#: How many parts one expression may evaluate.
STEPS_MOST: Final = 100_000

_MISSING: Final = object()


class Budget:
    """How many steps several expressions together have left; below zero none is evaluated any more."""

    def __init__(self, steps: int) -> None:
        self.left = steps


def evaluate(node: Node, variables: Mapping[str, Any], budget: Budget | None = None) -> Any:
    """Return the value of an expression. Raises EvaluationError. budget: what it shares with others."""
    evaluation = _Evaluation(STEPS_MOST if budget is None else min(STEPS_MOST, budget.left))
    try:
        return evaluation.of(node, variables)
    except RecursionError:
        raise EvaluationError("the expression nests too deeply") from None
    finally:
        if budget is not None:
            budget.left -= evaluation.steps


class _Evaluation:
    def __init__(self, most: int) -> None:
        self._most = most
        self.steps = 0
        self._kinds: Mapping[str, Callable[[Node, Mapping[str, Any]], Any]] = {
            "literal": lambda node, _: node.value,
            "name": _name,
            "select": self._select,
            "test": self._test,
            "call": self._call,
            "list": self._list,
            "map": self._map,
            "struct": self._struct,
            "fold": self._fold,
            "bind": self._bind,
        }

    def of(self, node: Node, variables: Mapping[str, Any]) -> Any:
        self.steps += 1
        if self.steps > self._most:
            raise EvaluationError("operation cancelled: actual cost limit exceeded")
        return self._kinds[node.kind](node, variables)

    def _operand(self, node: Node, variables: Mapping[str, Any]) -> Any:
        assert node.operand is not None  # noqa: S101 (the parser's promise)
        return self.of(node.operand, variables)

    def _select(self, node: Node, variables: Mapping[str, Any]) -> Any:
        operand = node.operand
        if operand is not None and operand.kind == "name" and f"{operand.value}.{node.value}" in variables:
            return variables[f"{operand.value}.{node.value}"]
        owner = self._operand(node, variables)
        if node.optional or isinstance(owner, Optional):
            found = _found(owner, node.value)
            return Optional() if found is _MISSING else Optional((found,))
        found = _found(owner, node.value)
        if found is _MISSING:
            raise EvaluationError(f"no such key: {node.value}")
        return found

    def _test(self, node: Node, variables: Mapping[str, Any]) -> bool:
        return _found(self._operand(node, variables), node.value) is not _MISSING

    def _call(self, node: Node, variables: Mapping[str, Any]) -> Any:
        name, operand = node.value, node.operand
        if name in ("_&&_", "_||_"):
            return self._junction(node, variables, decisive=name == "_||_")
        if name == "_?_:_":
            test, one, other = node.args
            return self.of(one if _bool(self.of(test, variables)) else other, variables)
        args = [self.of(each, variables) for each in node.args]
        if operand is not None:
            if operand.kind == "name" and operand.value in NAMESPACES and operand.value not in variables:
                name = f"{operand.value}.{name}"
            else:
                receiver = self.of(operand, variables)
                if name in ("or", "orValue") and isinstance(receiver, Optional) and receiver.items:
                    return receiver if name == "or" else receiver.items[0]
                args.insert(0, receiver)
        self.steps += sum(len(each) // 10 for each in args if isinstance(each, str | bytes | list))
        function = FUNCTIONS.get(name)
        if function is None:
            raise EvaluationError("no such overload")
        try:
            return function(*args)
        except (TypeError, AttributeError, KeyError, IndexError):
            raise EvaluationError("no such overload") from None

    def _junction(self, node: Node, variables: Mapping[str, Any], *, decisive: bool) -> bool:
        """Return a && or ||: the decisive value on one side stands, even if the other side has none."""
        failure: EvaluationError | None = None
        for each in node.args:
            try:
                if _bool(self.of(each, variables)) is decisive:
                    return decisive
            except EvaluationError as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return not decisive

    def _list(self, node: Node, variables: Mapping[str, Any]) -> list[Any]:
        items: list[Any] = []
        for index, each in enumerate(node.args):
            value = self.of(each, variables)
            items += value.items if index in node.optional else (value,)
        return items

    def _map(self, node: Node, variables: Mapping[str, Any]) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        for index in range(0, len(node.args), 2):
            key, value = self.of(node.args[index], variables), self.of(node.args[index + 1], variables)
            if index // 2 in node.optional:
                if not value.items:
                    continue
                value = value.items[0]
            if key in result:
                raise EvaluationError(f"Failed with repeated key: {key}")
            result[key] = value
        return result

    def _struct(self, node: Node, variables: Mapping[str, Any]) -> Struct:
        fields: dict[str, Any] = {}
        for index, (name, each) in enumerate(zip(node.names, node.args, strict=True)):
            value = self.of(each, variables)
            if index in node.optional:
                if not value.items:
                    continue
                value = value.items[0]
            fields[name] = value
        return Struct(node.value, fields)

    def _bind(self, node: Node, variables: Mapping[str, Any]) -> Any:
        value, body = node.args
        return self.of(body, {**variables, node.names[0]: self.of(value, variables)})

    def _fold(self, node: Node, variables: Mapping[str, Any]) -> Any:
        over = self._operand(node, variables)
        name, body = node.value, node.args[-1]
        if name in ("optMap", "optFlatMap"):
            if not over.items:
                return over
            found = self.of(body, {**variables, node.names[0]: over.items[0]})
            return Optional((found,)) if name == "optMap" else found
        rounds = ({**variables, **each} for each in _rounds(over, node.names))
        if name in ("all", "exists"):
            return self._quantified(body, rounds, decisive=name == "exists")
        if name in ("exists_one", "existsOne"):
            return sum(_bool(self.of(body, each)) for each in rounds) == 1
        if name == "filter":
            return [each[node.names[0]] for each in rounds if _bool(self.of(body, each))]
        if name == "sortBy":
            return ordered([(self.of(body, each), each[node.names[0]]) for each in rounds])
        tests = node.args[:-1]
        kept = (each for each in rounds if all(_bool(self.of(test, each)) for test in tests))
        if name == "transformMap":
            return {each[node.names[0]]: self.of(body, each) for each in kept}
        if name == "transformMapEntry":
            return _entries(self.of(body, each) for each in kept)
        return [self.of(body, each) for each in kept]

    def _quantified(self, body: Node, rounds: Iterator[Mapping[str, Any]], *, decisive: bool) -> bool:
        failure: EvaluationError | None = None
        for each in rounds:
            try:
                if _bool(self.of(body, each)) is decisive:
                    return decisive
            except EvaluationError as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return not decisive


def _entries(parts: Iterator[Mapping[Any, Any]]) -> dict[Any, Any]:
    """Return the entries of all these maps as one."""
    result: dict[Any, Any] = {}
    for each in parts:
        for key, value in each.items():
            if key in result:
                raise EvaluationError(f"insert failed: key {key} already exists")
            result[key] = value
    return result


def _name(node: Node, variables: Mapping[str, Any]) -> Any:
    if node.value in variables:
        return variables[node.value]
    if node.value in TYPE_NAMES:
        return TypeValue(node.value)
    raise EvaluationError(f"no such attribute(s): {node.value}")


def _found(owner: Any, field: str) -> Any:
    if isinstance(owner, Optional):
        return _found(owner.items[0], field) if owner.items else _MISSING
    if isinstance(owner, Mapping):
        return owner.get(field, _MISSING)
    if isinstance(owner, list):
        raise EvaluationError("unsupported index type 'string' in list")
    return _MISSING  # what has no fields, null too, just lacks this one


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise EvaluationError("no such overload")
    return value


def _rounds(over: Any, names: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    if isinstance(over, Mapping):
        pairs: Iterator[tuple[Any, Any]] = iter(over.items())
    elif isinstance(over, list):
        pairs = enumerate(over) if len(names) == 2 else ((each, None) for each in over)
    else:
        raise EvaluationError("no such overload")
    for pair in pairs:
        yield dict(zip(names, pair, strict=False))
