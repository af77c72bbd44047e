"""What a node does next about one pod. Pure: the loop in worker.py performs it.

Read `decide` first; the order of its cases is the life of a pod. Source: the Pod Lifecycle page and kubelet's
computePodActions (v1.37).
"""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from moorage.node.observed import (
    BackOffPull,
    Forget,
    Observed,
    PodDecision,
    PrepareMounts,
    ProbeState,
    PullImage,
    RunSandbox,
    StartContainer,
    Step,
    StopContainer,
    StopSandbox,
)
from moorage.node.restarts import CRASH, is_sidecar, restarts, shown_seconds, wait_seconds
from moorage.node.status import lost_attempt, status_for
from moorage.objects.metadata import Object, is_terminating, metadata_of, name_of, parse_time

#: How long a container may take to end when nothing else is said, in seconds.
DEFAULT_GRACE = 30

#: After this long without news from elsewhere a container that could not be created is tried again.
START_RETRY = CRASH


class Plan:
    """Collects steps and the time after which to look again."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.again: float | None = None
        self.because = ""

    def wait(self, seconds: float) -> None:
        """Look again after this many seconds, or earlier."""
        self.again = seconds if self.again is None else min(self.again, seconds)


def decide(seen: Observed, now: datetime) -> PodDecision:
    """Return the next steps for the pod and its status as of now."""
    plan = Plan()
    verdict = _verdict(seen, now)
    if is_terminating(seen.pod):
        _end(seen, plan, now)
    elif verdict is not None or has_ended(seen):
        _put_away(seen, plan)
    else:
        _run(seen, plan, now)
        if deadline := _deadline(seen.pod):
            plan.wait(max(0.0, (deadline - now).total_seconds()))
    # Nobody may take the pod for ended, and start another one in its place, while it still runs.
    status = status_for(seen, now, None if any(_running(seen)) else verdict)
    return PodDecision(tuple(plan.steps), status, plan.again, plan.because)


def _verdict(seen: Observed, now: datetime) -> tuple[str, str] | None:
    """Return (reason, message) when the node itself ends the pod's life, None otherwise."""
    deadline = _deadline(seen.pod)
    if deadline is not None and now >= deadline:
        return "DeadlineExceeded", "Pod was active on the node longer than the specified deadline"
    return None


def _deadline(pod: Object) -> datetime | None:
    seconds, start = pod["spec"].get("activeDeadlineSeconds"), (pod.get("status") or {}).get("startTime")
    return parse_time(start) + timedelta(seconds=seconds) if seconds is not None and start else None


def has_ended(seen: Observed) -> bool:
    """Tell whether the pod reached its final phase: no container runs, and none will run again."""
    if (seen.pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return True
    if seen.sandbox is None and not any(lost_attempt(seen, c) for c in seen.pod["spec"]["containers"]):
        return False
    if _failed_init(seen):
        return not _running(seen)
    return all(_is_over(seen, container) for container in seen.pod["spec"]["containers"])


def _failed_init(seen: Observed) -> bool:
    for container in seen.pod["spec"].get("initContainers") or ():
        state = seen.latest(container["name"])
        ended = state is not None and state.state == "exited" and state.exit_code != 0
        if ended and not restarts(seen.pod, container, state.exit_code if state else 1, init=True):
            return True
    return False


def _is_over(seen: Observed, container: Object) -> bool:
    state = seen.latest(container["name"]) or lost_attempt(seen, container)
    if state is None or state.state != "exited":
        return False
    return not restarts(seen.pod, container, state.exit_code, init=False)


def _run(seen: Observed, plan: Plan, now: datetime) -> None:
    """Bring the pod up and keep it up: volumes, sandbox, init containers in order, then all others."""
    if seen.mounts != "ready":
        if not seen.mounts:
            plan.steps.append(PrepareMounts())
            if seen.sandbox is None:
                plan.steps.append(RunSandbox())  # other processes are at work meanwhile
        plan.because = seen.mounts or "mounting volumes"
        return
    if seen.sandbox is None or not seen.sandbox.ready:
        if seen.sandbox is not None:
            plan.steps.append(StopSandbox())
        plan.steps.append(RunSandbox())
        plan.because = "making the sandbox"
        return
    for container in seen.pod["spec"].get("ephemeralContainers") or ():
        _visit(seen, container, plan, now)
    for container in seen.pod["spec"].get("initContainers") or ():
        if not _init_done(seen, container, plan, now):
            return
    for container in seen.pod["spec"]["containers"]:
        _keep(seen, container, plan, now, init=False)


def _init_done(seen: Observed, container: Object, plan: Plan, now: datetime) -> bool:
    """Tell whether the next container may start; if not, do what brings this one forward."""
    name = container["name"]
    state = seen.latest(name)
    if _was_initialized(seen) and not is_sidecar(container):
        return True
    if state is not None and state.state == "exited" and state.exit_code == 0 and not is_sidecar(container):
        return True
    _keep(seen, container, plan, now, init=True)
    if not is_sidecar(container):
        plan.because = plan.because or f"waiting for init container {name}"
        return False
    running = state is not None and state.state == "running"
    probe = seen.probes.get(name)
    started = running and (not container.get("startupProbe") or (probe is not None and bool(probe.started)))
    return started or _was_initialized(seen)


def _was_initialized(seen: Observed) -> bool:
    """Tell whether a main container was started already: then init containers are not run again."""
    return any(seen.latest(container["name"]) is not None for container in seen.pod["spec"]["containers"])


def _keep(seen: Observed, container: Object, plan: Plan, now: datetime, *, init: bool) -> None:
    """Start a container, start it again, or stop it when its probe says that it is not alive."""
    name = container["name"]
    state = seen.latest(name)
    if state is not None and state.state == "running":
        probe = seen.probes.get(name)
        which = _failed_probe(probe) if probe is not None and probe.attempt == state.attempt else ""
        if which and name not in seen.stopping:
            why = f"Container {name} failed {which} probe, will be restarted"
            plan.steps.append(StopContainer(name, _probe_grace(seen.pod, container, which), why))
        return
    if state is not None and state.state == "created":
        _start(seen, container, plan, now, state.attempt)
        return
    ended = state
    if state is None:
        ended = lost_attempt(seen, container)
    if ended is not None:
        if not restarts(seen.pod, container, ended.exit_code, init=init):
            return
        delay = wait_seconds(seen.streaks[name], ended.finished_at, now) if name in seen.streaks else 0.0
        failure = seen.failures.get(name)
        if failure is not None and failure.attempt >= 0 and (shown := shown_seconds(failure.at, now)) > 0:
            plan.wait(shown)
            plan.because = f"container {name}: {failure.message}"
            return
        if delay > 0:
            plan.wait(delay)
            plan.because = f"back-off before container {name} is started again"
            return
    _start(seen, container, plan, now, 0 if ended is None else ended.attempt + 1)


def _visit(seen: Observed, container: Object, plan: Plan, now: datetime) -> None:
    """Start an ephemeral container, once."""
    known = seen.latest(container["name"]) or lost_attempt(seen, container)
    if known is None or known.state == "created":
        _start(seen, container, plan, now, 0)


def _failed_probe(probe: ProbeState) -> str:
    """Return which probe says that the container has to end, "" if none does."""
    if probe.started is False:
        return "startup"
    return "liveness" if probe.alive is False else ""


def _start(seen: Observed, container: Object, plan: Plan, now: datetime, attempt: int) -> None:
    name, reference = container["name"], container.get("image", "")
    failure = seen.failures.get(name)
    if failure is not None and failure.attempt < 0:
        due = START_RETRY.first - (now - failure.at).total_seconds()
        if due > 0:
            plan.wait(due)
            plan.because = f"container {name}: {failure.message}"
            return
    image = seen.images.get(reference)
    if image is None:
        plan.steps.append(PullImage(name, reference))
        plan.because = f"getting image {reference}"
    elif image.id:
        plan.steps.append(StartContainer(name, attempt, image.id))
        plan.because = f"starting container {name}"
    elif not image.pulling:
        wait = (image.retry_at - now).total_seconds() if image.retry_at is not None else 0.0
        if wait <= 0:
            plan.steps.append(PullImage(name, reference))
        elif image.reason != "ErrImagePull" or image.failed_at is None:
            plan.wait(wait)
        elif (shown := shown_seconds(image.failed_at, now)) > 0:
            plan.wait(min(shown, wait))
        else:
            plan.steps.append(BackOffPull(name, reference))
        plan.because = f"image {reference}: {image.message}"


def _probe_grace(pod: Object, container: Object, which: str) -> float:
    probe = container.get(f"{which}Probe") or {}
    grace = probe.get("terminationGracePeriodSeconds")
    return float(grace if grace is not None else pod["spec"].get("terminationGracePeriodSeconds", DEFAULT_GRACE))


def _end(seen: Observed, plan: Plan, now: datetime) -> None:
    """Take the pod down in order: main containers, then sidecars in reverse, then what it stood on."""
    grace = float(metadata_of(seen.pod).get("deletionGracePeriodSeconds") or 0)
    running = list(_running(seen))
    if not running:
        if seen.sandbox is not None and seen.sandbox.ready:
            plan.steps.append(StopSandbox())
        plan.steps.append(Forget())
        plan.because = "deleted"
        return
    mains = [name for name in running if name not in _sidecar_names(seen.pod)]
    for name in mains or running[-1:]:
        if seen.stopping.get(name, math.inf) > grace:  # not told yet, or told with a longer time
            plan.steps.append(StopContainer(name, grace, f"Stopping container {name}"))
    plan.because = f"waiting for {', '.join(mains or running[-1:])} of pod {name_of(seen.pod)} to end"


def _put_away(seen: Observed, plan: Plan) -> None:
    """Free what an ended pod holds, but keep its containers' files: their logs can still be read."""
    running = list(_running(seen))
    for name in running:
        if name not in seen.stopping:
            grace = float(seen.pod["spec"].get("terminationGracePeriodSeconds", DEFAULT_GRACE))
            plan.steps.append(StopContainer(name, grace, f"Stopping container {name}"))
    if not running and seen.sandbox is not None and seen.sandbox.ready:
        plan.steps.append(StopSandbox())
    plan.because = "ended"


def _running(seen: Observed) -> Iterator[str]:
    for container in containers_of(seen.pod):
        state = seen.latest(container["name"])
        if state is not None and state.state == "running":
            yield container["name"]


def _sidecar_names(pod: Object) -> frozenset[str]:
    return frozenset(each["name"] for each in pod["spec"].get("initContainers") or () if is_sidecar(each))


def containers_of(pod: Object) -> Sequence[Object]:
    """Return init, main and ephemeral containers, in this order."""
    spec = pod["spec"]
    return [*(spec.get("initContainers") or ()), *spec["containers"], *(spec.get("ephemeralContainers") or ())]
