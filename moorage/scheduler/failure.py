"""Why a pod cannot be on a node: the plugin of upstream that says so, its reasons, and whether evicting could help."""

from typing import NamedTuple


class Failure(NamedTuple):
    """plugin: upstream's name; reasons: its texts; final: no eviction of pods can change it."""

    plugin: str
    reasons: tuple[str, ...]
    final: bool
