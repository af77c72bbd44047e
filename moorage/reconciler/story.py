"""The story of decisions: what was decided about what, why, and what came of it. A ring buffer that can be dumped."""

from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson

from moorage.objects.actions import (
    Action,
    Bind,
    Confirm,
    ConfirmGone,
    ConfirmNone,
    Create,
    Delete,
    DeleteAll,
    DeleteVolumeData,
    Patch,
    ProvisionVolume,
    Record,
    SetStatus,
    Update,
)
from moorage.objects.metadata import Ref, format_micro_time, metadata_of

#: How many decisions are kept: some megabytes at most.
ENTRIES_MOST: Final = 4096


class Entry(NamedTuple):
    """One decision. `actions` are short texts ("create pods web-0"), `outcome` a word, `error` "" if there was none."""

    at: datetime
    controller: str
    ref: Ref
    because: str
    actions: tuple[str, ...]
    outcome: str
    error: str = ""


class Story:
    """The latest decisions of this process, oldest first."""

    def __init__(self, most: int = ENTRIES_MOST) -> None:
        self._entries: deque[Entry] = deque(maxlen=most)

    def add(self, entry: Entry) -> None:
        """Remember a decision."""
        self._entries.append(entry)

    def about(self, namespace: str = "", name: str = "") -> Sequence[Entry]:
        """Return the decisions about objects of a namespace, or of a name; "" for all."""
        return [
            entry
            for entry in self._entries
            if (not namespace or entry.ref.namespace == namespace) and (not name or entry.ref.name == name)
        ]

    def dump(self) -> bytes:
        """Return all entries as a JSON list."""
        return orjson.dumps([plain(entry) for entry in self._entries])


def describe(action: Action) -> str:
    """Return an action as a short text without contents."""
    match action:
        case Create(resource, obj) | Update(resource, obj) | SetStatus(resource, obj):
            metadata = metadata_of(obj)
            return f"{_VERBS[type(action)]} {resource} {metadata.get('name') or metadata.get('generateName')}"
        case Patch(ref) | Delete(ref) | Confirm(ref) | ConfirmGone(ref):
            return f"{_VERBS[type(action)]} {ref.resource} {ref.name}"
        case DeleteAll(resource, namespace) | ConfirmNone(resource, namespace):
            return f"{_VERBS[type(action)]} {resource} in {namespace}"
        case Bind(ref, node):
            return f"bind {ref.name} to {node}"
        case ProvisionVolume(name=name):
            return f"provision volume {name}"
        case DeleteVolumeData(_, volume):
            return f"delete the data of volume {metadata_of(volume).get('name')}"
        case Record(_, reason):
            return f"record {reason}"


_VERBS: Final[dict[type, str]] = {
    Create: "create",
    Update: "update",
    SetStatus: "set status of",
    Patch: "patch",
    Delete: "delete",
    Confirm: "confirm",
    ConfirmGone: "confirm the end of",
    DeleteAll: "delete all",
    ConfirmNone: "confirm that there are no",
}


def plain(entry: Entry) -> dict[str, Any]:
    """Return an entry as JSON has it."""
    return {**entry._asdict(), "at": format_micro_time(entry.at), "ref": entry.ref._asdict()}
