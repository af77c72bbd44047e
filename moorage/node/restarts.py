"""Whether an ended container runs again, and how long it has to wait. Pure.

Source: the Pod Lifecycle page (restart policy, sidecar containers, back-off), kubelet's defaults (v1.37).
"""

from datetime import datetime

from moorage.aio.backoff import Backoff
from moorage.node.observed import Streak
from moorage.node.runtimes.runtime import ContainerState
from moorage.objects.metadata import Object

#: The delay before a container that keeps ending is started again: 10 s, doubling, up to five minutes.
CRASH = Backoff(first=10.0, most=300.0)

#: A container that ran for this long starts with a clean record, in seconds.
FORGIVEN_AFTER = 600.0

#: The delay before an image that could not be pulled is pulled again.
PULL = Backoff(first=10.0, most=300.0)

#: The delay before volumes that could not be mounted are tried again. Source: kubelet's exponentialbackoff package.
MOUNT = Backoff(first=0.5, most=122.0)

#: How long an error stays in the status before the back-off that follows from it is shown, in seconds.
SHOWN_SECONDS = 1.0


def is_sidecar(container: Object) -> bool:
    """Tell whether an init container keeps running beside the others."""
    return container.get("restartPolicy") == "Always"


def restarts(pod: Object, container: Object, exit_code: int, *, init: bool) -> bool:
    """Tell whether a container that ended with this code runs again."""
    if is_sidecar(container):
        return True
    policy = pod["spec"].get("restartPolicy", "Always")
    if init:
        return bool(exit_code != 0 and policy != "Never")
    return bool(policy == "Always" or (policy == "OnFailure" and exit_code != 0))


def streak_after(streak: Streak, ended: ContainerState) -> Streak:
    """Return the streak after an attempt ended: longer, or begun anew if the attempt ran long enough."""
    if ended.started_at and ended.finished_at - ended.started_at >= FORGIVEN_AFTER:
        return Streak(1)
    return Streak(streak.count + 1)


def wait_seconds(streak: Streak, finished_at: float, now: datetime) -> float:
    """Return how long the next attempt still has to wait; the first restart comes at once."""
    due = finished_at + CRASH.delay(streak.count - 1)
    return max(0.0, due - now.timestamp())


def shown_seconds(since: datetime, now: datetime) -> float:
    """Return for how long an error of this moment is still shown."""
    return max(0.0, SHOWN_SECONDS - (now - since).total_seconds())
