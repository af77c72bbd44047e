"""Which pods a pod wants near or far: selectors and affinity terms in a form that can be compared and shared.

Two pods of one workload have equal terms: so what is counted for one is known for the other.
Source: pkg/scheduler/framework/types.go getAffinityTerms, AffinityTerm.Matches (v1.37).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from moorage.objects.label_selectors import is_selected
from moorage.objects.metadata import Object, namespace_of

_NOTHING: Mapping[str, Any] = {}

#: Labels of a namespace by its name, for terms that select namespaces by labels.
NamespaceLabels = Mapping[str, Mapping[str, str]]


class Selector:
    """A LabelSelector that can be a key: equal ones are equal. None selects nothing."""

    __slots__ = ("_hash", "body", "pair", "text")

    def __init__(self, body: Object | None) -> None:
        self.body = body
        self.text = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
        #: A label that every selected object has, None if the selector names none.
        self.pair: tuple[str, str] | None = _pair_of(body)
        self._hash = hash(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Selector) and self.text == other.text

    def __hash__(self) -> int:
        return self._hash

    def takes(self, labels: Mapping[str, str]) -> bool:
        """Tell whether an object with these labels is selected."""
        return is_selected(self.body, labels)


class Whom(NamedTuple):
    """Pods that a selector takes, in these namespaces or in those whose labels `spaces` takes."""

    selector: Selector
    namespaces: frozenset[str]
    spaces: Selector | None = None

    def takes(self, namespace: str, labels: Mapping[str, str], spaces: NamespaceLabels) -> bool:
        """Tell whether a pod of a namespace with these labels is meant."""
        if namespace not in self.namespaces and (
            self.spaces is None or not self.spaces.takes(spaces.get(namespace, _NOTHING))
        ):
            return False
        return self.selector.takes(labels)


class Term(NamedTuple):
    """Pods that are meant, and the node label whose equal values are one place."""

    topology: str
    whom: Whom


class Weighted(NamedTuple):
    """A term that is only preferred."""

    weight: int
    term: Term


class Terms(NamedTuple):
    """The affinity of a pod to other pods."""

    near: tuple[Term, ...]
    far: tuple[Term, ...]
    near_preferred: tuple[Weighted, ...]
    far_preferred: tuple[Weighted, ...]


_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"


def terms_of(pod: Object, affinity: Mapping[str, Any]) -> Terms:
    """Return the terms of a pod's affinity and anti-affinity to pods."""
    home = namespace_of(pod)
    near: Mapping[str, Any] = affinity.get("podAffinity") or _NOTHING
    far: Mapping[str, Any] = affinity.get("podAntiAffinity") or _NOTHING
    return Terms(
        tuple(_term(each, home) for each in near.get(_REQUIRED) or ()),
        tuple(_term(each, home) for each in far.get(_REQUIRED) or ()),
        _weighted(near.get(_PREFERRED) or (), home),
        _weighted(far.get(_PREFERRED) or (), home),
    )


def _weighted(terms: Iterable[Object], home: str) -> tuple[Weighted, ...]:
    return tuple(
        Weighted(int(each["weight"]), _term(each["podAffinityTerm"], home)) for each in terms if each["weight"]
    )


def _term(term: Object, home: str) -> Term:
    """Return a term; matchLabelKeys were merged into its selector by the API when the pod was created."""
    names: Sequence[str] = term.get("namespaces") or ()
    spaces = term.get("namespaceSelector")
    if not names and spaces is None:
        names = (home,)
    wanted = None if spaces is None else Selector(spaces)
    return Term(term["topologyKey"], Whom(Selector(term.get("labelSelector")), frozenset(names), wanted))


def _pair_of(body: Object | None) -> tuple[str, str] | None:
    if not body:
        return None
    for key, value in (body.get("matchLabels") or _NOTHING).items():
        return (key, value)
    for each in body.get("matchExpressions") or ():
        if each["operator"] == "In" and len(each.get("values") or ()) == 1:
            return (each["key"], each["values"][0])
    return None
