"""Expressions of policies: from their text to what can be evaluated, or what upstream says against them.

Source: apiserver/pkg/admission/plugin/cel/{compile,composition}.go (v1.37).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from moorage.objects.cel.checker import Structs, check
from moorage.objects.cel.environment import (
    JSON_PATCH,
    OBJECT,
    as_variable,
    composed,
    struct_named,
    variables_for,
)
from moorage.objects.cel.syntax import CelError, Node, parse
from moorage.objects.cel.types import BOOL, DYN, NULL, STRING, CelType, list_of
from moorage.objects.errors import Cause
from moorage.objects.validation import invalid

Part = Mapping[str, Any]

#: What an expression may be, by its use; nothing: anything.
CONDITION: Final = (BOOL,)
MESSAGE: Final = (STRING,)
ANNOTATION: Final = (STRING, NULL)
VARIABLE: Final = ()
MUTATIONS: Final[Mapping[str, Sequence[CelType]]] = {
    "ApplyConfiguration": (OBJECT,),
    "JSONPatch": (list_of(JSON_PATCH),),
}

#: Types that are written in another way where an expression has the wrong one.
_DECLARED: Final = {
    "null_type": "null_type",
    "timestamp": "google.protobuf.Timestamp",
    "duration": "google.protobuf.Duration",
}


class Uncompiled(ValueError):
    """An expression cannot be used; the text says why."""


class Expression(NamedTuple):
    """An expression ready to be evaluated. text: as it is written."""

    text: str
    tree: Node
    type: CelType


class Scope(NamedTuple):
    """What an expression may name."""

    variables: Mapping[str, CelType]
    structs: Structs | None = None

    def compiled(self, text: str, wanted: Sequence[CelType]) -> Expression:
        """Return the expression. Raises Uncompiled in upstream's words."""
        try:
            tree = parse(text)
            found = check(text, tree, self.variables, *((self.structs,) if self.structs is not None else ()))
        except CelError as error:
            raise Uncompiled(f"compilation failed: {error}") from None
        if wanted and not any(_is_exactly(found, each) for each in wanted):
            names = [_declared(each) for each in wanted]
            shown = names[0] if len(names) == 1 else f"one of [{' '.join(names)}]"
            raise Uncompiled(f"must evaluate to {shown} but got {_declared(found)}")
        return Expression(text, tree, found)


def _is_exactly(found: CelType, wanted: CelType) -> bool:
    return found.name == wanted.name and all(map(_is_exactly, found.args, wanted.args))


def _declared(type_: CelType) -> str:
    if type_.args and type_.name not in ("optional", "dyn"):
        return f"{type_.name}({', '.join(map(_declared, type_.args))})"
    return _DECLARED.get(type_.name) or str(type_)


class Scopes:
    """The scopes of one policy; they grow with its variables. composes: `variables` exists even without any."""

    def __init__(self, *, params: bool, composes: bool) -> None:
        self._params = params
        self._variables: dict[str, CelType] = {}
        self._composes = composes

    @property
    def plain(self) -> Scope:
        """The scope of validations, variables and annotations."""
        return Scope(self._named(authorizer=True))

    @property
    def message(self) -> Scope:
        """The scope of messages, which may not ask the authorizer."""
        return Scope(self._named(authorizer=False))

    @property
    def mutation(self) -> Scope:
        """The scope of mutations, which may make objects."""
        return Scope(self._named(authorizer=True), struct_named)

    @property
    def condition(self) -> Scope:
        """The scope of match conditions, which know no variables of the policy."""
        return Scope(variables_for(params=self._params))

    def declare(self, name: str, found: CelType | None) -> None:
        """Let later expressions name a variable; found: its type, None if it does not compile."""
        self._variables[name] = DYN if found is None else as_variable(found)

    def _named(self, *, authorizer: bool) -> Mapping[str, CelType]:
        variables = variables_for(params=self._params, authorizer=authorizer)
        return {**variables, "variables": composed(self._variables)} if self._composes else variables


def compile_causes(path: str, text: str, scope: Scope, wanted: Sequence[CelType], *, shown: str = "") -> list[Cause]:
    """Return why an expression cannot be used. shown: the value that is told, if not the text."""
    try:
        scope.compiled(text, wanted)
    except Uncompiled as error:
        return [invalid(path, shown or text, str(error))]
    return []


def condition_causes(path: str, text: str, *, params: bool = False) -> list[Cause]:
    """Return why a match condition of a webhook or a policy cannot be used."""
    return compile_causes(path, text, Scope(variables_for(params=params)), CONDITION)
