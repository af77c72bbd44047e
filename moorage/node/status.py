"""The status of a pod from what its node sees. Pure.

Source: the Pod Lifecycle page; kubelet's status texts (v1.37).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from moorage.node.observed import Observed
from moorage.node.restarts import is_sidecar, restarts, shown_seconds, wait_seconds
from moorage.node.runtimes.runtime import ContainerState
from moorage.objects.metadata import (
    Object,
    condition_of,
    format_time,
    generation_of,
    is_terminating,
    name_of,
    namespace_of,
    uid_of,
)

#: The exit code and the start time of a container whose command could not be executed. Source: containerd's.
NOT_STARTED_EXIT_CODE, NEVER = 128, "1970-01-01T00:00:00Z"

#: The exit code of a container that vanished with its machine. Source: kubelet's ContainerStatusUnknown.
LOST_EXIT_CODE = 137

_UNKNOWN = "The container could not be located when the pod was terminated"


def lost_attempt(seen: Observed, container: Object) -> ContainerState | None:
    """Return the attempt that the published status knows but the runtime has lost (the machine went down), as ended."""
    known = _published(seen.pod, container["name"])
    if not known.get("containerID"):
        return None
    ended = (known.get("state") or {}).get("terminated") or {}
    return ContainerState(
        name=container["name"],
        attempt=known.get("restartCount", 0),
        id=str(known["containerID"]).rpartition("//")[2],
        state="exited",
        image=known.get("imageID", ""),
        exit_code=ended.get("exitCode", LOST_EXIT_CODE),
    )


def _published(pod: Object, container: str) -> Mapping[str, Any]:
    status = pod.get("status") or {}
    for part in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
        for each in status.get(part) or ():
            if each["name"] == container:
                found: Mapping[str, Any] = each
                return found
    return {}


def status_for(seen: Observed, now: datetime, verdict: tuple[str, str] | None) -> Object:
    """Return the complete status; `verdict` is (reason, message) when the node ended the pod's life."""
    pod, old = seen.pod, seen.pod.get("status") or {}
    spec = pod["spec"]
    inits = [_container_status(seen, each, now, init=True) for each in spec.get("initContainers") or ()]
    mains = [_container_status(seen, each, now, init=False) for each in spec["containers"]]
    extras = [_container_status(seen, each, now, init=False) for each in spec.get("ephemeralContainers") or ()]
    phase = "Failed" if verdict is not None else _phase(seen, inits, mains)
    status: dict[str, Any] = {key: old[key] for key in ("qosClass", "nominatedNodeName", "resize") if key in old}
    status["phase"] = phase
    if generation := generation_of(pod):
        status["observedGeneration"] = generation
    if verdict is not None:
        status["reason"], status["message"] = verdict
    status["startTime"] = old.get("startTime") or format_time(now)
    status["hostIP"], status["hostIPs"] = seen.node_ip, [{"ip": seen.node_ip}]
    address = (
        seen.node_ip if spec.get("hostNetwork") else (seen.sandbox.ip if _has_sandbox(seen) and seen.sandbox else "")
    )
    address = address or (old.get("podIP", "") if phase in ("Succeeded", "Failed") else "")
    if address:
        status["podIP"], status["podIPs"] = address, [{"ip": address}]
    if inits:
        status["initContainerStatuses"] = inits
    status["containerStatuses"] = mains
    if extras:
        status["ephemeralContainerStatuses"] = extras
    status["conditions"] = _conditions(seen, phase, inits, mains, now)
    return status


def _container_status(seen: Observed, container: Object, now: datetime, *, init: bool) -> dict[str, Any]:
    name, reference = container["name"], container.get("image", "")
    known = _published(seen.pod, name)
    state = seen.latest(name)
    lost = lost_attempt(seen, container) if state is None else None
    ended = state if state is not None and state.state == "exited" else lost
    shown = _state(seen, container, state, ended, now, init=init)
    running = "running" in shown
    result: dict[str, Any] = {"name": name, "state": shown, "lastState": {}}
    previous = seen.previous(name) if "waiting" not in shown else ended
    if previous is not None:
        result["lastState"] = {"terminated": _terminated(previous)}
    elif known.get("lastState") and "waiting" not in shown:
        result["lastState"] = known["lastState"]
    probe = seen.probes.get(name)
    current = probe if probe is not None and state is not None and probe.attempt == state.attempt else None
    started = running and (not container.get("startupProbe") or (current is not None and bool(current.started)))
    result["ready"] = _is_ready(container, shown, current, started=started, init=init)
    newest = state or lost
    result["restartCount"] = newest.attempt if newest is not None else known.get("restartCount", 0)
    result["image"] = reference
    image = seen.images.get(reference)
    result["imageID"] = (image.id if image is not None else "") or (newest.image if newest is not None else "")
    if newest is not None and newest.id:
        result["containerID"] = f"moorage://{newest.id}"
    if init and not is_sidecar(container):
        result["started"] = started
    else:
        result["started"] = started
    return result


def _is_ready(
    container: Object,
    shown: Mapping[str, Any],
    probe: Any,
    *,
    started: bool,
    init: bool,
) -> bool:
    if init and not is_sidecar(container):
        return bool((shown.get("terminated") or {}).get("exitCode", 1) == 0)
    if "running" not in shown or not started:
        return False
    return not container.get("readinessProbe") or (probe is not None and bool(probe.ready))


def _state(
    seen: Observed,
    container: Object,
    state: ContainerState | None,
    ended: ContainerState | None,
    now: datetime,
    *,
    init: bool,
) -> dict[str, Any]:
    """Return the one of waiting, running, terminated that holds."""
    name = container["name"]
    if state is not None and state.state == "running":
        return {"running": {"startedAt": _time(state.started_at)}}
    if ended is not None and not _runs_again(seen, container, ended.exit_code, init=init):
        return {"terminated": _terminated(ended)}
    failure = seen.failures.get(name)
    if failure is not None and (failure.attempt < 0 or shown_seconds(failure.at, now) > 0):
        return {"waiting": {"reason": failure.reason, "message": failure.message}}
    if ended is not None and name in seen.streaks:
        delay = wait_seconds(seen.streaks[name], ended.finished_at, now)
        if delay > 0 and seen.streaks[name].count > 1:
            return {"waiting": _crash_loop(seen, container, seen.streaks[name].count)}
        if seen.streaks[name].count <= 1:
            return {"terminated": _terminated(ended)}
    image = seen.images.get(container.get("image", ""))
    if image is not None and image.reason and not image.id:
        return {"waiting": {"reason": image.reason, "message": image.message}}
    initializing = not init and any(True for _ in _unfinished_inits(seen))
    return {"waiting": {"reason": "PodInitializing" if initializing else "ContainerCreating"}}


def _runs_again(seen: Observed, container: Object, exit_code: int, *, init: bool) -> bool:
    """Tell whether an ended container is started again; an ephemeral one never is."""
    if is_terminating(seen.pod) or _is_ephemeral(seen.pod, container):
        return False
    return restarts(seen.pod, container, exit_code, init=init)


def _is_ephemeral(pod: Object, container: Object) -> bool:
    return any(each["name"] == container["name"] for each in pod["spec"].get("ephemeralContainers") or ())


def _unfinished_inits(seen: Observed) -> Any:
    if any(seen.latest(each["name"]) is not None for each in seen.pod["spec"]["containers"]):
        return
    for container in seen.pod["spec"].get("initContainers") or ():
        state = seen.latest(container["name"])
        if state is None or state.state != "exited" or state.exit_code != 0:
            yield container


def _crash_loop(seen: Observed, container: Object, count: int) -> dict[str, Any]:
    from moorage.node.restarts import CRASH

    pod, seconds = seen.pod, int(CRASH.delay(count - 1))
    shown = f"{seconds // 60}m{seconds % 60}s" if seconds >= 60 else f"{seconds}s"
    where = f"{name_of(pod)}_{namespace_of(pod)}({uid_of(pod)})"
    return {
        "reason": "CrashLoopBackOff",
        "message": f"back-off {shown} restarting failed container={container['name']} pod={where}",
    }


def _terminated(state: ContainerState) -> dict[str, Any]:
    if not state.finished_at and state.exit_code == LOST_EXIT_CODE:
        return {
            "exitCode": LOST_EXIT_CODE,
            "reason": "ContainerStatusUnknown",
            "message": _UNKNOWN,
            "startedAt": None,
            "finishedAt": None,
        }
    never_ran = state.exit_code == NOT_STARTED_EXIT_CODE and not state.started_at
    reason = "OOMKilled" if state.oom_killed else ("Completed" if state.exit_code == 0 else "Error")
    reason = "StartError" if never_ran else reason
    result: dict[str, Any] = {"exitCode": state.exit_code, "reason": reason}
    if state.message:
        result["message"] = state.message
    if state.signal:
        result["signal"] = state.signal
    result["startedAt"] = NEVER if never_ran else _time(state.started_at)
    result["finishedAt"] = _time(state.finished_at)
    if state.id:
        result["containerID"] = f"moorage://{state.id}"
    return result


def _time(seconds: float) -> str | None:
    return format_time(datetime.fromtimestamp(seconds, UTC)) if seconds else None


def _phase(seen: Observed, inits: list[dict[str, Any]], mains: list[dict[str, Any]]) -> str:
    """Return the phase. Source: kubelet getPhase (v1.37)."""
    old = (seen.pod.get("status") or {}).get("phase", "Pending")
    if old in ("Succeeded", "Failed"):
        return str(old)
    policy = seen.pod["spec"].get("restartPolicy", "Always")
    specs = {each["name"]: each for each in seen.pod["spec"].get("initContainers") or ()}
    if (
        any(
            "terminated" in s["state"] and s["state"]["terminated"]["exitCode"]
            for s in inits
            if not is_sidecar(specs[s["name"]])
        )
        and policy == "Never"
    ):
        return "Failed"
    begun = [each for each in mains if "running" in each["state"] or "terminated" in each["state"] or each["lastState"]]
    if len(begun) < len(mains):
        return "Pending"
    running = any("running" in each["state"] for each in mains)
    ended = [each["state"]["terminated"] for each in mains if "terminated" in each["state"]]
    if not running and len(ended) == len(mains) and not _any_restarts(seen, ended):
        return "Failed" if any(each["exitCode"] for each in ended) else "Succeeded"
    return "Running"


def _any_restarts(seen: Observed, ended: list[dict[str, Any]]) -> bool:
    if is_terminating(seen.pod):
        return False
    policy = seen.pod["spec"].get("restartPolicy", "Always")
    return bool(policy == "Always" or (policy == "OnFailure" and any(each["exitCode"] for each in ended)))


def _conditions(
    seen: Observed, phase: str, inits: list[dict[str, Any]], mains: list[dict[str, Any]], now: datetime
) -> list[dict[str, Any]]:
    done = phase in ("Succeeded", "Failed")
    has_sandbox = _has_sandbox(seen) and seen.sandbox is not None and seen.sandbox.ready
    initialized = not list(_unfinished_inits(seen)) or phase == "Succeeded"
    unready = [each["name"] for each in mains if not each["ready"]]
    facts: list[tuple[str, bool, str, str]] = [
        ("PodReadyToStartContainers", has_sandbox, "", ""),
        ("Initialized", initialized, *_why_uninitialized(inits, phase, ok=initialized)),
        ("Ready", *_readiness(seen, phase, unready, done=done, gates=True)),
        ("ContainersReady", *_readiness(seen, phase, unready, done=done, gates=False)),
        ("PodScheduled", True, "", ""),
    ]
    kept = [each for each in (seen.pod.get("status") or {}).get("conditions") or () if each["type"] not in _OWN]
    return [*(_condition(seen.pod, fact, now) for fact in facts), *kept]


def _has_sandbox(seen: Observed) -> bool:
    """Tell whether the pod's sandbox is shown: it may be made while the volumes are, which come first for kubelet."""
    return seen.sandbox is not None and (seen.mounts == "ready" or bool(seen.sandbox.containers))


_OWN = frozenset({"PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"})


def _why_uninitialized(inits: list[dict[str, Any]], phase: str, *, ok: bool) -> tuple[str, str]:
    if ok:
        return ("PodCompleted", "") if phase == "Succeeded" else ("", "")
    names = " ".join(each["name"] for each in inits if not each["ready"])
    return "ContainersNotInitialized", f"containers with incomplete status: [{names}]"


def _readiness(seen: Observed, phase: str, unready: list[str], *, done: bool, gates: bool) -> tuple[bool, str, str]:
    if done:
        return False, "PodCompleted" if phase == "Succeeded" else "PodFailed", ""
    if unready:
        return False, "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"
    if gates:
        for gate in seen.pod["spec"].get("readinessGates") or ():
            condition = condition_of(seen.pod, gate["conditionType"])
            if condition is None or condition.get("status") != "True":
                text = f'the status of pod readiness gate "{gate["conditionType"]}" is not "True", but False'
                return False, "ReadinessGatesNotReady", text
    return True, "", ""


def _condition(pod: Object, fact: tuple[str, bool, str, str], now: datetime) -> dict[str, Any]:
    kind, holds, reason, message = fact
    status = "True" if holds else "False"
    before = condition_of(pod, kind)
    same = before is not None and before.get("status") == status
    result: dict[str, Any] = {"type": kind}
    if generation := generation_of(pod):
        result["observedGeneration"] = generation
    result["status"] = status
    result["lastProbeTime"] = None
    result["lastTransitionTime"] = before["lastTransitionTime"] if same and before is not None else format_time(now)
    if reason:
        result["reason"] = reason
    if message:
        result["message"] = message
    return result
