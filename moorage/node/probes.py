"""What a row of probe results means: the thresholds. Pure. Source: the page "Liveness, Readiness and Startup Probes"."""

from dataclasses import dataclass
from typing import Any

from moorage.objects.metadata import Object

KINDS = ("startup", "liveness", "readiness")


@dataclass(frozen=True, slots=True)
class Timing:
    """When a probe runs and how many results in a row count; seconds."""

    delay: float
    period: float
    timeout: float
    successes: int
    failures: int


def timing_of(probe: Object) -> Timing:
    """Return a probe's timing with its defaults."""
    get: Any = probe.get
    return Timing(
        float(get("initialDelaySeconds") or 0),
        float(get("periodSeconds") or 10),
        float(get("timeoutSeconds") or 1),
        int(get("successThreshold") or 1),
        int(get("failureThreshold") or 3),
    )


@dataclass(frozen=True, slots=True)
class Tally:
    """Equal results in a row, and the verdict that holds: None until a threshold was reached."""

    last: bool | None = None
    count: int = 0
    verdict: bool | None = None


def counted(tally: Tally, result: bool, timing: Timing) -> Tally:  # noqa: FBT001
    """Return the tally after one more result."""
    count = tally.count + 1 if tally.last is result else 1
    needed = timing.successes if result else timing.failures
    return Tally(result, count, result if count >= needed else tally.verdict)
