"""What the API answers, before a media type is chosen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from moorage.objects.encoded import Encoded


class Answer(NamedTuple):
    """One object: as stored (`Encoded`), or made for this answer (a dict: Scale, Status, dry runs, reviews)."""

    code: int
    body: Encoded | dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list: items by namespace and name, true at `revision`.

    token:     the `continue` of the next page, "" on the last.
    remaining: how many items follow, None when it is not told (selectors were given, or it is the last page).
    """

    items: Sequence[Encoded]
    revision: int
    token: str = ""
    remaining: int | None = None


class WatchChange(NamedTuple):
    """One watch notification. kind: ADDED, MODIFIED, DELETED, or BOOKMARK (item is None).

    initial_end: the bookmark that ends the initial events of a streaming list.
    """

    kind: str
    item: Encoded | None
    revision: int
    initial_end: bool = False
