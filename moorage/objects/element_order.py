"""Where merged list items go: patched ones in the patch's order, the others beside them in the order they had.

Source: apimachinery/pkg/util/strategicpatch/patch.go, normalizeElementOrder and mergeSortedSlice (v1.37).
"""

from collections.abc import Callable, Sequence
from typing import Any

#: What tells an item from the others: a primitive itself, an object by its merge key.
Identity = Callable[[Any], Any]


def ordered(items: Sequence[Any], order: Sequence[Any], before: Sequence[Any], identity: Identity) -> list[Any]:
    """Return the items in order. `order` and `before` are identities: the patch's, and those of the list as it was."""
    asked, place = _places(order), _places(before)
    patched = sorted((item for item in items if identity(item) in asked), key=lambda item: asked[identity(item)])
    others = sorted(
        (item for item in items if identity(item) not in asked),
        key=lambda item: place.get(identity(item), len(before)),
    )
    return _interleaved(others, patched, [place.get(identity(item), -1) for item in patched], place, identity)


def _places(identities: Sequence[Any]) -> dict[Any, int]:
    """Return the first place of each identity."""
    return {identity: index for index, identity in reversed(list(enumerate(identities)))}


def _interleaved(
    others: list[Any], patched: list[Any], patched_places: list[int], place: dict[Any, int], identity: Identity
) -> list[Any]:
    """Insert each other item before the first patched one that stood behind it; both keep their relative order."""
    result: list[Any] = []
    rest = iter(others)
    waiting = next(rest, None)
    for item, its_place in zip(patched, patched_places, strict=True):
        while waiting is not None and 0 <= place.get(identity(waiting), -1) < its_place:
            result.append(waiting)
            waiting = next(rest, None)
        result.append(item)
    if waiting is not None:
        result.append(waiting)
        result.extend(rest)
    return result
