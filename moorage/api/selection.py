"""Which objects a reader selects, and what it sees when one enters or leaves the selection. Pure."""

from collections.abc import Callable
from typing import NamedTuple

from moorage.api.answers import WatchChange
from moorage.objects.encoded import Encoded


class Selection(NamedTuple):
    """A namespace ("" for all), a name ("" for all) and a test on labels and fields; None takes everything."""

    namespace: str = ""
    name: str = ""
    test: Callable[[Encoded], bool] | None = None

    def takes(self, item: Encoded) -> bool:
        """Tell whether the object is part of the selection."""
        return (
            (not self.namespace or item.namespace == self.namespace)
            and (not self.name or item.name == self.name)
            and (self.test is None or self.test(item))
        )


class Step(NamedTuple):
    """One change of one object: `item` is its new state (for a deletion its last one), `previous` the one before."""

    revision: int
    item: Encoded
    previous: Encoded | None
    deleted: bool


def seen_by(selection: Selection, step: Step) -> WatchChange | None:
    """Return what a watcher of the selection is told about a step, None if nothing.

    An object that starts to match is ADDED, one that stops matching is DELETED, whatever really happened to it.
    Source: apiserver storage/cacher convertToWatchEvent (v1.37).
    """
    after = not step.deleted and selection.takes(step.item)
    before = step.previous is not None and selection.takes(step.previous)
    if after:
        return WatchChange("MODIFIED" if before else "ADDED", step.item, step.revision)
    if before:
        return WatchChange("DELETED", _last_seen(step), step.revision)
    return None


def _last_seen(step: Step) -> Encoded:
    """Return the state that a DELETED carries: the last matching one, at the revision at which it stopped to match."""
    if step.deleted or step.previous is None:
        return step.item
    raw = step.previous.raw.replace(
        b'"resourceVersion":"%d"' % step.previous.revision, b'"resourceVersion":"%d"' % step.revision, 1
    )
    return step.previous.at(raw, step.revision)
