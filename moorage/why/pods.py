"""Why a pod does not run or is not ready: its node, its images, its configuration, its restarts, its probes."""

import re
from collections.abc import Iterator
from typing import Any, Final

from moorage.objects.metadata import Object, Ref, condition_of, controller_of, is_condition_true, name_of, namespace_of
from moorage.objects.pods import claims_of, is_failed, is_ready, is_succeeded, node_of, spec_of, status_of
from moorage.why import scheduling
from moorage.why.cause import Cause, cut, kubectl
from moorage.why.places import is_absent_or_silent
from moorage.why.world import Unreadable, World

_PULLING: Final = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName")
_NEVER_RAN: Final = ("StartError", "ContainerCannotRun")
_STARTING: Final = frozenset({"", "ContainerCreating", "PodInitializing"})
_OBJECT_MISSING: Final = re.compile(r'\b(secret|configmap|persistentvolumeclaim) "([^"]+)" not found')


def explain(pod: Object, world: World) -> Cause | None:
    """Return why a pod is not as wished, None if it runs and is ready, or ended well."""
    if is_succeeded(pod):
        return None
    if is_failed(pod):
        return _failed(pod)
    node = node_of(pod)
    if not node:
        return scheduling.explain(pod, world)
    if not is_ready(pod) and is_absent_or_silent(Ref("nodes", "", node), world):
        return Cause(f"is not ready: it is bound to node {node}", holder=Ref("nodes", "", node))
    return _of_containers(pod, world) or (_unwell(pod, world) if is_ready(pod) else _not_ready(pod, world))


def _failed(pod: Object) -> Cause:
    status = status_of(pod)
    show = kubectl(f"logs {name_of(pod)}", namespace_of(pod))
    if status.get("reason"):
        return Cause(f"has failed: {status['reason']}: {cut(str(status.get('message') or ''))}".rstrip(": "), show)
    for name, state in _statuses(pod):
        ended = (state.get("state") or {}).get("terminated") or {}
        if ended.get("exitCode"):
            return Cause(f"has failed: its container {name} {_ending(ended)}", f"{show} -c {name}")
    return Cause("has failed", show)


def _ending(ended: Object) -> str:
    reason = ended.get("reason")
    if reason in _NEVER_RAN and ended.get("message"):
        return f"cannot be started: {cut(str(ended['message']))}"
    told = f" ({reason})" if reason and reason != "Error" else ""
    return f"ended with exit code {ended.get('exitCode')}{told}"


def _statuses(pod: Object) -> Iterator[tuple[str, Any]]:
    status = status_of(pod)
    for field in ("initContainerStatuses", "containerStatuses"):
        for each in status.get(field) or ():
            yield str(each.get("name")), each


def _of_containers(pod: Object, world: World) -> Cause | None:
    """Return the first container that waits for something that will not come by itself."""
    for name, state in _statuses(pod):
        waiting = (state.get("state") or {}).get("waiting") or {}
        reason = str(waiting.get("reason") or "")
        if reason in _PULLING:
            return _unpulled(pod, name, waiting, world)
        if reason == "CrashLoopBackOff":
            return _crashing(pod, name, state)
        if reason not in _STARTING:
            return _unstarted(pod, name, waiting)
    return None


def _unpulled(pod: Object, name: str, waiting: Object, world: World) -> Cause:
    containers = [*(spec_of(pod).get("initContainers") or ()), *(spec_of(pod).get("containers") or ())]
    image = next((str(each.get("image")) for each in containers if each.get("name") == name), "?")
    says = (
        f"cannot pull image {image} of container {name} ({waiting['reason']}): {cut(str(waiting.get('message') or ''))}"
    )
    mend = f"set image {_maker(pod, world)} {name}=IMAGE"
    return Cause(says.rstrip(": "), f"{kubectl(mend, namespace_of(pod))}, or make the image available")


def _maker(pod: Object, world: World) -> str:
    """Return whose template the pod is made from, as kubectl writes it: "deployment/web"; the pod if it has none."""
    owner, found = controller_of(pod), pod
    if owner is not None and owner.get("kind") == "ReplicaSet":
        try:
            found = world.get(Ref("replicasets.apps", namespace_of(pod), str(owner.get("name")))) or pod
        except Unreadable:
            found = pod
        owner = controller_of(found) or owner
    return f"{str(owner.get('kind')).lower()}/{owner.get('name')}" if owner is not None else f"pod/{name_of(pod)}"


def _crashing(pod: Object, name: str, state: Object) -> Cause:
    last = (state.get("lastState") or {}).get("terminated") or {}
    times = state.get("restartCount") or 0
    says = f"restarts again and again: its container {name} {_ending(last)}, {times} restart{'s' * (times != 1)} so far"
    return Cause(says, kubectl(f"logs {name_of(pod)} -c {name} --previous", namespace_of(pod)))


def _unstarted(pod: Object, name: str, waiting: Object) -> Cause:
    message = cut(str(waiting.get("message") or ""))
    says = f"cannot start its container {name} ({waiting.get('reason')}): {message}"
    show = kubectl(f"describe pod {name_of(pod)}", namespace_of(pod))
    missing = _OBJECT_MISSING.search(message)
    if missing is None:
        return Cause(says, show)
    ref, command = _missing(pod, missing)
    return Cause(f"cannot start its container {name} ({waiting.get('reason')})", holder=ref, absent=command)


def _missing(pod: Object, found: re.Match[str]) -> tuple[Ref, str]:
    """Return the object that a message says is missing, and the command that makes it."""
    word = {"secret": "secret generic", "configmap": "configmap"}.get(found[1], found[1])
    ref = Ref(f"{found[1]}s", namespace_of(pod), found[2])
    return ref, kubectl(f"create {word} {found[2]} --from-literal=KEY=VALUE", namespace_of(pod))


def _not_ready(pod: Object, world: World) -> Cause | None:
    show = kubectl(f"describe pod {name_of(pod)}", namespace_of(pod))
    for name, state in _statuses(pod):
        if "running" not in (state.get("state") or {}):
            continue
        if state.get("started") is False or not state.get("ready"):
            probe = _probe_failure(pod, world, name)
            if probe:
                return Cause(f"is not ready: {probe}", show)
    mounting = world.warning(pod, "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox")
    if mounting:
        return _mounting(pod, world, mounting, show)
    gates = [str(each.get("conditionType")) for each in spec_of(pod).get("readinessGates") or ()]
    closed = [each for each in gates if not is_condition_true(pod, each)]
    if closed and is_condition_true(pod, "ContainersReady"):
        return Cause(f"is not ready before its readiness gates are true: {', '.join(closed)}", show)
    condition = condition_of(pod, "Ready") or {}
    told = cut(str(condition.get("message") or "")) or "its containers are being started"
    return Cause(f"is not ready: {told}", show)


def _unwell(pod: Object, world: World) -> Cause | None:
    """Return why a pod that is ready now will be restarted, None if no liveness probe says so."""
    for event in world.events(pod):
        if event.get("reason") == "Started":
            return None
        if event.get("reason") == "Killing" and "liveness probe" in str(event.get("message")):
            failed = world.warning(pod, "Unhealthy") or str(event["message"])
            show = kubectl(f"logs {name_of(pod)} --previous", namespace_of(pod))
            return Cause(f"is ready now, and is being restarted: {cut(failed)}", show)
    return None


def _probe_failure(pod: Object, world: World, container: str) -> str:
    text = world.warning(pod, "Unhealthy")
    if text:
        return f"{cut(text)} (container {container})"
    spec: Object = next((each for each in spec_of(pod).get("containers") or () if each.get("name") == container), {})
    probes = [kind for kind in ("startupProbe", "readinessProbe") if spec.get(kind)]
    return f"the {probes[0]} of container {container} has not succeeded yet" if probes else ""


def _mounting(pod: Object, world: World, message: str, show: str) -> Cause:
    missing = _OBJECT_MISSING.search(message)
    if missing:
        ref, command = _missing(pod, missing)
        return Cause("cannot mount a volume", holder=ref, absent=command)
    for name in claims_of(pod):
        claim = Ref("persistentvolumeclaims", namespace_of(pod), name)
        if world.get(claim) is None:
            return Cause("cannot mount a volume", holder=claim)
    return Cause(f"cannot mount a volume: {cut(message)}", show)
