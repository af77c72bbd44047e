"""What a store may refuse, and what may go wrong with its disk."""


class StoreError(Exception):
    """Any refusal or failure of a store."""


class KeyExists(StoreError):
    """Create of a key that has a value."""

    def __init__(self, key: str) -> None:
        super().__init__(f"key {key!r} exists")
        self.key = key


class RevisionMismatch(StoreError):
    """Update or delete of a key whose last write is not the expected one. `actual` is 0 when the key has no value."""

    def __init__(self, key: str, *, expected: int, actual: int) -> None:
        super().__init__(f"key {key!r} is at revision {actual}, not {expected}")
        self.key = key
        self.expected = expected
        self.actual = actual


class Compacted(StoreError):
    """The asked changes were forgotten. `floor` is the newest revision that is gone."""

    def __init__(self, asked: int, *, floor: int) -> None:
        super().__init__(f"changes after revision {asked} were compacted up to {floor}")
        self.asked = asked
        self.floor = floor


class FutureRevision(StoreError):
    """The asked revision is newer than the newest."""

    def __init__(self, asked: int, *, newest: int) -> None:
        super().__init__(f"revision {asked} is in the future: the newest is {newest}")
        self.asked = asked
        self.newest = newest


class StoreUnavailable(StoreError):
    """The disk refused (full, read-only, damaged): nothing was acknowledged, nothing became visible."""


class StoreDamaged(StoreError):
    """What is on disk is not a store, or is broken; opening was refused and nothing was changed."""
