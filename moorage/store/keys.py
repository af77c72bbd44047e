"""Keys in order, for ranges by prefix. Sorted when a range is asked, not when a key is written: ranges are rare."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable


class OrderedKeys:
    """A set of keys that gives those with a prefix in order. The caller says truthfully what is new and what is gone."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._sorted: list[str] = sorted(keys)
        self._added: list[str] = []
        self._gone: set[str] = set()

    def add(self, key: str) -> None:
        """Take in a key that was not there."""
        if key in self._gone:
            self._gone.discard(key)
        else:
            self._added.append(key)

    def discard(self, key: str) -> None:
        """Let go of a key that was there."""
        self._gone.add(key)

    def starting_with(self, prefix: str) -> list[str]:
        """Return all keys that start with `prefix`, in order."""
        if self._added or self._gone:
            self._settle()
        keys, size = self._sorted, len(prefix)
        start = bisect_left(keys, prefix)
        return keys[start : bisect_right(keys, prefix, lo=start, key=lambda key: key[:size])]

    def _settle(self) -> None:
        keys = self._sorted + self._added
        if self._gone:
            keys = [key for key in keys if key not in self._gone]
        keys.sort()  # two runs, the first already in order: a merge
        self._sorted, self._added, self._gone = keys, [], set()
