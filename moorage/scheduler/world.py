"""What a decision is made from: where pods are, the caches, and which volumes are promised already."""

from dataclasses import dataclass, field

from moorage.controllers.rule import View
from moorage.scheduler.snapshot import Snapshot


@dataclass(slots=True)
class Promises:
    """Volumes and claims of pods that were given a node but are not bound yet. Claims as `namespace/name`."""

    #: Which claim a volume is promised to.
    volumes: dict[str, str] = field(default_factory=dict)
    #: The node for which a claim is to be provisioned.
    nodes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class World:
    """Read by decisions; changed by the loop alone."""

    snapshot: Snapshot
    view: View
    promises: Promises
