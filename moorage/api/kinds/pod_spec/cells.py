"""How a pod looks in a table: the one word that says what it is doing, and its restarts.

Source: pkg/printers/internalversion/printers.go, printPod (v1.37).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from moorage.objects.ages import age_since, human_duration
from moorage.objects.metadata import Object, metadata_of, name_of, parse_time

Part = Mapping[str, Any]

_NONE = "<none>"
#: What the node controller writes into the status of pods whose node is gone.
_NODE_LOST = "NodeLost"


#: Phase -> the conditions of the row of a pod that ended so.
_ENDED: Final[Mapping[str, Sequence[Object]]] = {
    phase: ({"type": "Completed", "status": "True", "reason": phase, "message": message},)
    for phase, message in (
        ("Succeeded", "The pod has completed successfully."),
        ("Failed", "The pod failed."),
    )
}


def cells(pod: Object, now: datetime) -> list[Any]:
    """Return name, ready, status, restarts, age, IP, node, nominated node, readiness gates."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    word, total, ready, restarts, last = _state(pod, spec, status)
    shown = str(restarts)
    if restarts and last is not None:
        shown += f" ({human_duration((now - last).total_seconds())} ago)"
    ips: Sequence[Part] = status.get("podIPs") or ()
    return [
        name_of(pod),
        f"{ready}/{total}",
        word,
        shown,
        age_since(metadata_of(pod).get("creationTimestamp"), now),
        (ips[0].get("ip") if ips else status.get("podIP")) or _NONE,
        spec.get("nodeName") or _NONE,
        status.get("nominatedNodeName") or _NONE,
        _gates(spec, status),
    ]


def row_conditions(pod: Object) -> Sequence[Object]:
    """Return the condition of the row of a pod that has ended: kubectl leaves such rows out of what it prints."""
    return _ENDED.get((pod.get("status") or {}).get("phase") or "", ())


def _gates(spec: Part, status: Part) -> str:
    gates = spec.get("readinessGates") or ()
    if not gates:
        return _NONE
    true = {each.get("type") for each in status.get("conditions") or () if each.get("status") == "True"}
    return f"{sum(gate.get('conditionType') in true for gate in gates)}/{len(gates)}"


def _state(pod: Object, spec: Part, status: Part) -> tuple[str, int, int, int, datetime | None]:
    """Return the status word, containers, ready ones, restarts and the last restart."""
    regular, init = spec.get("containers") or (), spec.get("initContainers") or ()
    sidecars = {each.get("name") for each in init if each.get("restartPolicy") == "Always"}
    total = len(regular) + len(sidecars)
    word = status.get("reason") or status.get("phase") or ""
    if any(
        each.get("type") == "PodScheduled" and each.get("reason") == "SchedulingGated"
        for each in status.get("conditions") or ()
    ):
        word = "SchedulingGated"
    waiting, word, counted = _init_state(status, init, sidecars, word)
    if not waiting or _is_initialized(status):
        ready_init, restarts, last = counted if not waiting else (counted[0], *_sidecar_restarts(status, sidecars))
        word, ready, more, later = _regular_state(status, word)
        restarts += more
        last = max((each for each in (last, later) if each), default=None)
        ready += ready_init
    else:
        ready, restarts, last = counted
    return _terminating(pod, status, word), total, ready, restarts, last


def _terminating(pod: Object, status: Part, word: str) -> str:
    if not metadata_of(pod).get("deletionTimestamp"):
        return word
    if status.get("reason") == _NODE_LOST:
        return "Unknown"
    return word if status.get("phase") in {"Succeeded", "Failed"} else "Terminating"


def _is_initialized(status: Part) -> bool:
    return any(
        each.get("type") == "Initialized" and each.get("status") == "True" for each in status.get("conditions") or ()
    )


Counted = tuple[int, int, datetime | None]


def _init_state(status: Part, init: Sequence[Part], sidecars: set[Any], word: str) -> tuple[bool, str, Counted]:
    """Return whether init containers still work, the word for it, and (ready sidecars, restarts, last restart)."""
    restarts, ready, last = 0, 0, None
    for index, each in enumerate(status.get("initContainerStatuses") or ()):
        state = each.get("state") or {}
        restarts += each.get("restartCount") or 0
        last = _later(last, each)
        ended, waits = state.get("terminated"), state.get("waiting")
        if ended is not None and not ended.get("exitCode"):
            continue
        if each.get("name") in sidecars and each.get("started"):
            ready += bool(each.get("ready"))
            continue
        if ended is not None:
            word = f"Init:{_ended_word(ended)}"
        elif waits is not None and waits.get("reason") and waits["reason"] != "PodInitializing":
            word = f"Init:{waits['reason']}"
        else:
            word = f"Init:{index}/{len(init)}"
        return True, word, (ready, restarts, last)
    return False, word, (ready, _sidecar_restarts(status, sidecars)[0], _sidecar_restarts(status, sidecars)[1])


def _sidecar_restarts(status: Part, sidecars: set[Any]) -> tuple[int, datetime | None]:
    restarts, last = 0, None
    for each in status.get("initContainerStatuses") or ():
        if each.get("name") in sidecars:
            restarts += each.get("restartCount") or 0
            last = _later(last, each)
    return restarts, last


def _regular_state(status: Part, word: str) -> tuple[str, int, int, datetime | None]:
    """Return the word, ready containers, restarts and the last restart of the containers that run all the time."""
    ready, restarts, last, is_running, is_failed = 0, 0, None, False, False
    for each in reversed(status.get("containerStatuses") or ()):
        state = each.get("state") or {}
        restarts += each.get("restartCount") or 0
        last = _later(last, each)
        waits, ended = state.get("waiting"), state.get("terminated")
        if waits is not None and waits.get("reason"):
            word = waits["reason"]
        elif ended is not None:
            # A container that ended well does not hide one that did not.
            ended_word = _ended_word(ended)
            word = word if ended_word == "Completed" and is_failed else ended_word
            is_failed = is_failed or ended_word != "Completed"
        elif each.get("ready") and state.get("running") is not None:
            is_running = True
            ready += 1
    if word == "Completed" and is_running:
        is_ready = any(
            each.get("type") == "Ready" and each.get("status") == "True" for each in status.get("conditions") or ()
        )
        word = "Running" if is_ready else "NotReady"
    return word, ready, restarts, last


def _ended_word(ended: Part) -> str:
    if ended.get("reason"):
        return str(ended["reason"])
    return f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode') or 0}"


def _later(last: datetime | None, container: Part) -> datetime | None:
    finished = ((container.get("lastState") or {}).get("terminated") or {}).get("finishedAt")
    if not finished:
        return last
    moment = parse_time(finished)
    return moment if last is None or moment > last else last
