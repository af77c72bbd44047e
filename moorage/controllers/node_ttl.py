"""How long nodes may keep secrets and config maps without asking: the larger the cluster, the longer.

Written as an annotation of each node, when it joins and whenever it changes after the cluster has grown or shrunk.
Source: pkg/controller/ttl (v1.37).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from moorage.controllers.rule import Controller, Decision, View
from moorage.objects.actions import Update
from moorage.objects.metadata import Object, Ref, annotations_of, metadata_of

ANNOTATION: Final = "node.alpha.kubernetes.io/ttl"

#: (fewest nodes, most nodes, seconds). They overlap, so that a cluster at a limit does not go to and fro.
STEPS: Final = ((0, 100, 0), (90, 500, 15), (450, 1000, 30), (900, 2000, 60), (1800, None, 300))


@dataclass(frozen=True, slots=True)
class Observed:
    """A node, and how many there are."""

    node: Object
    count: int


def observe(view: View, ref: Ref) -> Observed | None:
    """Select the node at `ref`."""
    node = view.get("nodes", "", ref.name)
    return None if node is None else Observed(node, len(view.list("nodes")))


def decide(observed: Observed, now: datetime) -> Decision:
    """Write the node's annotation unless it is right."""
    before = annotations_of(observed.node).get(ANNOTATION, "")
    wanted = str(seconds_for(observed.count, before))
    if wanted == before:
        return Decision(because="the node knows how long it may keep what it read")
    metadata = metadata_of(observed.node)
    changed = {**metadata, "annotations": {**annotations_of(observed.node), ANNOTATION: wanted}}
    why = f"{observed.count} nodes: they may keep what they read for {wanted} s"
    return Decision((Update("nodes", {**observed.node, "metadata": changed}),), because=why)


def seconds_for(count: int, before: str) -> int:
    """Return the seconds for a cluster of this many nodes. before: the node's annotation, "" if it has none."""
    step = next((index for index, row in enumerate(STEPS) if str(row[2]) == before), 0)
    while (most := STEPS[step][1]) is not None and count > most:
        step += 1
    while count < STEPS[step][0]:
        step -= 1
    return STEPS[step][2]


CONTROLLER = Controller(name="ttl-controller", kind="nodes", wakes={}, observe=observe, decide=decide)
