"""What rules look at: objects and Events that were read before, and a word about what must still be read.

A rule that needs what was not read yet ends with Missing; whoever asked it reads that and asks again. So rules stay plain
functions, and nothing is read that no rule needs.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from moorage.objects.metadata import Object, Ref, is_controlled_by, metadata_of, namespace_of, uid_of


class Read(NamedTuple):
    """One object (`name`), all of a namespace ("" for all namespaces), or the Events about a uid."""

    resource: str
    namespace: str
    name: str = ""
    about: str = ""


class Missing(Exception):
    """The answer depends on something that has to be read first."""

    def __init__(self, read: Read) -> None:
        super().__init__(f"not read: {read}")
        self.read = read


class Unreadable(Exception):
    """The answer depends on something that this user may not read; the message is the server's."""


class World:
    """What has been read so far. A read is remembered as its objects, or as the text of its refusal."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self._read: dict[Read, Sequence[Object] | str] = {}

    def add(self, read: Read, found: Sequence[Object] | str) -> None:
        """Remember the objects of a read, or why it was refused."""
        self._read[read] = found

    def get(self, ref: Ref) -> Object | None:
        """Return an object, None if it does not exist. Raises Missing, Unreadable."""
        found = self._found(Read(ref.resource, ref.namespace, ref.name))
        return found[0] if found else None

    def list(self, resource: str, namespace: str = "") -> Sequence[Object]:
        """Return the objects of a namespace, or all. Raises Missing, Unreadable."""
        return self._found(Read(resource, namespace))

    def controlled(self, resource: str, owner: Object) -> Sequence[Object]:
        """Return what an object controls in its namespace. Raises Missing, Unreadable."""
        return [each for each in self.list(resource, namespace_of(owner)) if is_controlled_by(each, owner)]

    def events(self, obj: Object) -> Sequence[Object]:
        """Return the Events about an object, the newest first; none where they may not be read. Raises Missing."""
        read = Read("events", namespace_of(obj), about=uid_of(obj))
        try:
            return sorted(self._found(read), key=_moment, reverse=True)
        except Unreadable:
            return ()

    def warning(self, obj: Object, *reasons: str) -> str:
        """Return the text of the newest warning about an object, of these reasons if some are named; "" without one."""
        for event in self.events(obj):
            if event.get("type") == "Warning" and (not reasons or event.get("reason") in reasons):
                return str(event.get("message") or "")
        return ""

    def _found(self, read: Read) -> Sequence[Object]:
        found = self._read.get(read)
        if found is None:
            raise Missing(read)
        if isinstance(found, str):
            raise Unreadable(found)
        return found


def _moment(event: Object) -> tuple[str, str]:
    series = event.get("series") or {}
    at = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return str(at or metadata_of(event).get("creationTimestamp") or ""), str(metadata_of(event).get("name") or "")
