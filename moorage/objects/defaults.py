"""Defaults of built-in kinds: what Kubernetes fills in where the client said nothing.

Constants come from data/defaults.table and are compiled once a kind into functions; what depends on other fields is in
moorage.objects.default_rules. Both expect an object as decoding leaves it: structs present, empty values left out.
Source: pkg/apis/*/v1/defaults.go and the strategies of v1.37.2, as run and asked (scripts/extract-facts).
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final

import orjson

from moorage.objects.default_rules import CONTAINER_RULES, KIND_RULES, POD_SPEC_RULES
from moorage.objects.facts import lines
from moorage.objects.go_types import Field, has_struct, struct_of
from moorage.objects.schema import definition_of

Apply = Callable[[dict[str, Any]], None]

#: Conditions that say no more than that nothing is there yet, or that the field's parent is.
_PLAIN_CONDITIONS: Final = frozenset(
    {
        "parent present",
        "absent",
        "empty",
        "matchConstraints present",
        "matchResources present",
        "Go zero value, always serialized",
    }
)

#: Constants that another field's absence decides about: the rules of their kinds set them.
_RULED: Final = frozenset({("batch/v1/Job", "spec.parallelism"), ("apps/v1/StatefulSet", "spec.updateStrategy.type")})

#: Optional objects that defaulting makes when they are absent.
_MADE: Final = frozenset({"persistentVolumeClaimRetentionPolicy", "conversion"})

_POD_SPEC: Final = "io.k8s.api.core.v1.PodSpec"
_CONTAINER: Final = "io.k8s.api.core.v1.Container"


def apply_defaults(api_version: str, kind: str, draft: dict[str, Any]) -> None:
    """Fill in place what clients of this kind may leave out. Kinds without defaults, and custom ones, stay as they are."""
    for apply in _functions(api_version, kind):
        apply(draft)


def apply_on_create(api_version: str, kind: str, draft: dict[str, Any]) -> None:
    """Set in place what every new object of the kind gets: generation, an empty status, finalizers.

    Only constants: what is computed or allocated is for moorage.api.kinds and admission. A status that the client sent
    is replaced.
    """
    for path, value in _on_create(api_version, kind):
        _set_on_create(draft, path, orjson.loads(value))
    if kind == "StatefulSet":
        for claim in draft["spec"].get("volumeClaimTemplates") or ():
            claim["kind"], claim["apiVersion"] = "PersistentVolumeClaim", "v1"


@cache
def _functions(api_version: str, kind: str) -> tuple[Apply, ...]:
    name = definition_of(api_version, kind)
    key = f"{api_version}/{kind}"
    row = lines("defaults").get(key)
    if row is None or not has_struct(name):
        return ()
    tree = _Node(name)
    for path, value in _constants(orjson.loads(row).get("defaults", ())):
        if (key, path) not in _RULED:
            tree.add(path, value)
    rule = KIND_RULES.get(key)
    return (tree.compiled(), *((rule,) if rule else ()))


def _constants(rows: list[list[Any]]) -> Iterator[tuple[str, Any]]:
    """Yield the rows that set a constant, or that name a shared list of rows."""
    for path, value, *condition in rows:
        is_plain = not condition or condition[0] in _PLAIN_CONDITIONS
        if is_plain and not _is_computed(value) and value is not None and value != "@PodOnly":
            yield path, value


class _Node:
    """The defaults below one struct: values of its fields, and the nodes of what its fields hold."""

    def __init__(self, definition: str) -> None:
        self.definition = definition
        self.values: list[tuple[str, Any]] = []
        self.children: dict[str, _Node] = {}
        self.rules: tuple[Apply, ...] = ()

    def add(self, path: str, value: Any) -> None:
        """Add a row: a path of fields, `[]` after those that are lists."""
        if not path:
            return
        first, _, rest = path.partition(".")
        if isinstance(value, str) and value.startswith("@"):
            self._share(first, rest, value)
        elif rest:
            self._child(first).add(rest, value)
        else:
            self.values.append((first, value))

    def _share(self, first: str, rest: str, value: str) -> None:
        """Add a shared list of rows (`@PodSpec`, `@Container`) below a field."""
        child = self._child(first)
        if rest:
            child.add(rest, value)
            return
        for path, each in _constants(orjson.loads(lines("defaults")[value])):
            child.add(path, each)
        child.rules = POD_SPEC_RULES if value == "@PodSpec" else CONTAINER_RULES

    def _child(self, step: str) -> "_Node":
        if step not in self.children:
            value = self._field(step.removesuffix("[]")).value
            inner = value.of if value.of is not None else value
            self.children[step] = _Node(inner.name)
        return self.children[step]

    def _field(self, name: str) -> Field:
        return struct_of(self.definition).fields[name]

    def compiled(self) -> Apply:
        """Return the function that applies these defaults to an object."""
        pointers = tuple((name, _maker(value)) for name, value in self.values if self._field(name).pointer)
        zeros = tuple((name, _maker(value)) for name, value in self.values if not self._field(name).pointer)
        made = tuple(step for step in self.children if step in _MADE)
        objects = tuple((name, child.compiled()) for name, child in self.children.items() if name[-1] != "]")
        lists = tuple((name[:-2], child.compiled()) for name, child in self.children.items() if name[-1] == "]")
        rules = self.rules

        def apply(obj: dict[str, Any]) -> None:
            for name, make in pointers:
                if obj.get(name) is None:
                    obj[name] = make()
            for name, make in zeros:
                if not obj.get(name):
                    obj[name] = make()
            for name in made:
                obj.setdefault(name, {})
            for name, each in objects:
                value = obj.get(name)
                if value is not None:
                    each(value)
            for name, each in lists:
                for item in obj.get(name) or ():
                    each(item)
            for rule in rules:
                rule(obj)

        return apply


def _maker(value: Any) -> Callable[[], Any]:
    """Return what makes the value: a new one each time if it could be changed."""
    if isinstance(value, dict | list):
        text = orjson.dumps(value)
        return lambda: orjson.loads(text)
    return lambda: value


@cache
def _on_create(api_version: str, kind: str) -> tuple[tuple[str, bytes], ...]:
    row = orjson.loads(lines("defaults").get(f"{api_version}/{kind}", b"{}"))
    return tuple(
        (path, orjson.dumps(value))
        for path, value, *condition in row.get("onCreate", ())
        if not condition and path.startswith(("metadata.", "status")) and not _is_computed(value)
    )


def _is_computed(value: Any) -> bool:
    """Tell whether a row's value describes what to compute."""
    if isinstance(value, list):
        return any(_is_computed(each) for each in value)
    if isinstance(value, dict):
        return bool(value.keys() & {"copy", "from", "base64", "when", "lower", "concat", "sum"})
    return isinstance(value, str) and value.startswith(("<", "round "))


def _set_on_create(draft: dict[str, Any], path: str, value: Any) -> None:
    steps, key = _steps(path)
    parent = draft
    for step in steps:
        if not isinstance(parent.get(step), dict):
            parent[step] = {}
        parent = parent[step]
    if key.endswith("+"):
        items = parent.setdefault(key[:-1], [])
        if value not in items:
            items.append(value)
    else:
        parent[key] = value


def _steps(path: str) -> tuple[list[str], str]:
    """Return the fields on the way and the last one; `annotations["a.b/c"]` is a key in a map."""
    before, bracket, key = path.partition('["')
    steps = before.split(".")
    return (steps, key[:-2]) if bracket else (steps[:-1], steps[-1])
