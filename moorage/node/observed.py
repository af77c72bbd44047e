"""What a node sees of one pod, and what it may decide to do about it: values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from moorage.node.runtimes.runtime import ContainerState, SandboxState
from moorage.objects.metadata import Object


@dataclass(frozen=True, slots=True)
class ImageWork:
    """How far an image of the pod is. id is set once it is here; `failures` counts pulls that failed in a row.

    reason and message are what the container's status shows until then.
    """

    id: str = ""
    pulling: bool = False
    reason: str = ""
    message: str = ""
    failures: int = 0
    failed_at: datetime | None = None
    retry_at: datetime | None = None


class Failure(NamedTuple):
    """Why a container could not be started. attempt: the one that was made for it and ended at once, -1 if none was."""

    reason: str
    message: str
    at: datetime
    attempt: int = -1


@dataclass(frozen=True, slots=True)
class ProbeState:
    """What the probes of a running attempt found so far; None: no result yet (or no such probe)."""

    attempt: int
    started: bool | None = None
    ready: bool | None = None
    alive: bool | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Streak:
    """How often a container ended soon after its start, in a row: what its back-off grows with."""

    count: int = 0


@dataclass(frozen=True, slots=True)
class Observed:
    """One pod on this node.

    sandbox:  what the runtime has of it, None if nothing.
    mounts:   "" not yet, "ready", or what keeps its volumes from being mounted.
    images:   by reference; work that was never begun is absent.
    probes:   by container name, of the attempt that runs.
    streaks:  by container name.
    stopping: containers that were told to end, and within how many seconds.
    failures: by container name: why its last start failed.
    """

    pod: Object
    node_ip: str
    sandbox: SandboxState | None = None
    mounts: str = ""
    images: Mapping[str, ImageWork] = field(default_factory=dict)
    probes: Mapping[str, ProbeState] = field(default_factory=dict)
    streaks: Mapping[str, Streak] = field(default_factory=dict)
    stopping: Mapping[str, float] = field(default_factory=dict)
    failures: Mapping[str, Failure] = field(default_factory=dict)

    def latest(self, container: str) -> ContainerState | None:
        """Return the newest attempt at a container that the runtime knows."""
        if self.sandbox is None:
            return None
        attempts = [each for each in self.sandbox.containers if each.name == container]
        return max(attempts, key=lambda each: each.attempt, default=None)

    def previous(self, container: str) -> ContainerState | None:
        """Return the attempt before the newest one, if the runtime still knows it."""
        if self.sandbox is None:
            return None
        attempts = sorted((each for each in self.sandbox.containers if each.name == container), key=lambda c: c.attempt)
        return attempts[-2] if len(attempts) > 1 else None


@dataclass(frozen=True, slots=True)
class PrepareMounts:
    """Make the pod's volumes ready."""


@dataclass(frozen=True, slots=True)
class RunSandbox:
    """Make the pod's namespaces and address."""


@dataclass(frozen=True, slots=True)
class PullImage:
    """Fetch the image for a container, in the background."""

    container: str
    reference: str


@dataclass(frozen=True, slots=True)
class BackOffPull:
    """Tell that the next pull of an image has to wait."""

    container: str
    reference: str


@dataclass(frozen=True, slots=True)
class StartContainer:
    """Create and start an attempt at a container."""

    container: str
    attempt: int
    image: str


@dataclass(frozen=True, slots=True)
class StopContainer:
    """Tell a container to end, in the background; `why` is the text of the Event."""

    container: str
    grace_seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class StopSandbox:
    """End whatever still runs and free the address."""


@dataclass(frozen=True, slots=True)
class Forget:
    """Remove the pod's files (not its volumes' data) and, once that is done, its object."""


Step = PrepareMounts | RunSandbox | PullImage | BackOffPull | StartContainer | StopContainer | StopSandbox | Forget


@dataclass(frozen=True, slots=True)
class PodDecision:
    """Steps in order, the status to publish, when time alone may change the answer, and why."""

    steps: tuple[Step, ...]
    status: Object
    look_again_in: float | None = None
    because: str = ""
