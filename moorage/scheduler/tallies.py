"""How many pods of a kind are on each node, kept up to date as pods come and go.

Two things are counted: pods that somebody selects (a Tally, made when first asked for), and terms by which pods that
are placed keep others near or away (Holders). Both are found by a label, so that a change of one pod costs as much as
there are counters that it concerns, however many pods there are.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from moorage.scheduler.demand import Demand
from moorage.scheduler.terms import NamespaceLabels, Selector, Term, Whom

#: How many selections are counted at once. Those that nobody asked about for longest are let go.
TALLIES_MOST: Final = 1024

#: How much a required affinity of a placed pod attracts. Source: hardPodAffinityWeight's default.
REQUIRED_WEIGHT: Final = 1

Counts = dict[str, int]


class Pairable(Protocol):
    """What has a selector by whose label it is found."""

    @property
    def selector(self) -> Selector:
        """The selector."""


P = TypeVar("P", bound=Pairable)


class ByLabel(Generic[P]):
    """Things by a label that everything they select has."""

    def __init__(self) -> None:
        self._by_pair: dict[tuple[str, str], list[P]] = {}
        self._others: list[P] = []

    def add(self, thing: P) -> None:
        """Take a thing in."""
        pair = thing.selector.pair
        if pair is None:
            self._others.append(thing)
        else:
            self._by_pair.setdefault(pair, []).append(thing)

    def remove(self, thing: P) -> None:
        """Let a thing go."""
        pair = thing.selector.pair
        if pair is None:
            self._others.remove(thing)
            return
        things = self._by_pair[pair]
        things.remove(thing)
        if not things:
            del self._by_pair[pair]

    def about(self, labels: Mapping[str, str]) -> Iterator[P]:
        """Yield the things that may select an object with these labels."""
        if self._by_pair:
            for pair in labels.items():
                yield from self._by_pair.get(pair, ())
        yield from self._others

    def __bool__(self) -> bool:
        return bool(self._by_pair or self._others)


class Query(NamedTuple):
    """Pods that all of `whoms` mean; `alive`: without those that are being deleted."""

    whoms: tuple[Whom, ...]
    alive: bool

    def takes(self, pod: Demand, spaces: NamespaceLabels) -> bool:
        """Tell whether a pod counts."""
        if self.alive and pod.terminating:
            return False
        return all(whom.takes(pod.namespace, pod.labels, spaces) for whom in self.whoms)


class Tally:
    """Pods of a query by node."""

    __slots__ = ("counts", "query", "total")

    def __init__(self, query: Query) -> None:
        self.query = query
        self.counts: Counts = {}
        self.total = 0

    @property
    def selector(self) -> Selector:
        """The first selector of the query."""
        return self.query.whoms[0].selector


class Holder:
    """A term that placed pods have, by node. weight 0: nobody whom it means may come near (required anti-affinity)."""

    __slots__ = ("counts", "term", "weight")

    def __init__(self, term: Term, weight: int) -> None:
        self.term = term
        self.weight = weight
        self.counts: Counts = {}

    @property
    def selector(self) -> Selector:
        """The selector of the term."""
        return self.term.whom.selector


class Tallies:
    """All that is counted. `spaces` are the labels of the namespaces."""

    def __init__(self, spaces: NamespaceLabels) -> None:
        self._spaces = spaces
        self._tallies: OrderedDict[Query, Tally] = OrderedDict()
        self._index: ByLabel[Tally] = ByLabel()
        self._holders: dict[tuple[Term, int], Holder] = {}
        self._strict: ByLabel[Holder] = ByLabel()
        self._lenient: ByLabel[Holder] = ByLabel()

    def tally(self, query: Query, placed: Iterable[tuple[Demand, str]]) -> Tally:
        """Return the tally of a query; the first time it is counted from `placed`, pods with their nodes."""
        found = self._tallies.get(query)
        if found is not None:
            self._tallies.move_to_end(query)
            return found
        found = self._tallies[query] = Tally(query)
        for pod, node in placed:
            if query.takes(pod, self._spaces):
                _count(found.counts, node, 1)
                found.total += 1
        self._index.add(found)
        if len(self._tallies) > TALLIES_MOST:
            self._index.remove(self._tallies.popitem(last=False)[1])
        return found

    def add(self, pod: Demand, node: str) -> None:
        """Count a pod that was placed."""
        self._change(pod, node, 1)

    def remove(self, pod: Demand, node: str) -> None:
        """Count a pod no more."""
        self._change(pod, node, -1)

    def forget_spaces(self) -> None:
        """Let go of what depends on labels of namespaces, because they have changed."""
        stale = [query for query in self._tallies if any(whom.spaces is not None for whom in query.whoms)]
        for query in stale:
            self._index.remove(self._tallies.pop(query))

    def keeping_away(self, pod: Demand) -> list[Holder]:
        """Return the required anti-affinity terms of placed pods that mean this pod."""
        return self._meaning(self._strict, pod)

    def attracting(self, pod: Demand) -> list[Holder]:
        """Return the other terms of placed pods that mean this pod, with their weights (negative: rather away)."""
        return self._meaning(self._lenient, pod)

    def _meaning(self, index: ByLabel[Holder], pod: Demand) -> list[Holder]:
        if not index:
            return []
        return [
            each for each in index.about(pod.labels) if each.term.whom.takes(pod.namespace, pod.labels, self._spaces)
        ]

    def _change(self, pod: Demand, node: str, by: int) -> None:
        for tally in self._index.about(pod.labels):
            if tally.query.takes(pod, self._spaces):
                _count(tally.counts, node, by)
                tally.total += by
        if pod.terms is not None:
            for term, weight in _held(pod):
                self._hold(term, weight, node, by)

    def _hold(self, term: Term, weight: int, node: str, by: int) -> None:
        holder = self._holders.get((term, weight))
        index = self._lenient if weight else self._strict
        if holder is None:
            holder = self._holders[term, weight] = Holder(term, weight)
            index.add(holder)
        _count(holder.counts, node, by)
        if not holder.counts:
            del self._holders[term, weight]
            index.remove(holder)


def _held(pod: Demand) -> Iterator[tuple[Term, int]]:
    terms = pod.terms
    if terms is None:
        return
    for term in terms.far:
        yield term, 0
    for term in terms.near:
        yield term, REQUIRED_WEIGHT
    for weight, term in terms.near_preferred:
        yield term, weight
    for weight, term in terms.far_preferred:
        yield term, -weight


def _count(counts: Counts, node: str, by: int) -> None:
    value = counts.get(node, 0) + by
    if value:
        counts[node] = value
    else:
        counts.pop(node, None)
