"""The loop of one pod: look, decide, do, publish; then wait until something changes.

Slow work (pulling, stopping) runs beside the loop and is part of what it sees, so the loop is never blocked.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from moorage.aio.clock import Clock
from moorage.aio.tasks import Tasks
from moorage.client.client import Client, Selection, Target
from moorage.node.containers import NodeFacts, container_config, mounts_for, sandbox_config
from moorage.node.decide import containers_of, decide
from moorage.node.environment import Missing, environment_for
from moorage.node.mounts import MountProblem, Mounts
from moorage.node.observed import (
    Forget,
    ImageWork,
    Observed,
    PodDecision,
    PrepareMounts,
    PullImage,
    RunSandbox,
    StartContainer,
    Step,
    StopContainer,
    StopSandbox,
    Streak,
)
from moorage.node.prober import Place, ProbeFailed, Prober, run_handler
from moorage.node.restarts import PULL, streak_after
from moorage.node.runtimes.runtime import ContainerState, Runtime, RuntimeFailure
from moorage.objects.actions import Record
from moorage.objects.errors import Conflict, NotFound, StatusError
from moorage.objects.metadata import Object, is_terminating, name_of, namespace_of, revision_of, uid_of
from moorage.reconciler.events import Recorder

log = logging.getLogger(__name__)

#: How long to wait before volumes, or a sandbox, that could not be made are tried again, in seconds.
RETRY_SECONDS = 2.0

#: How many rounds a pod may take without waiting; more is a fault of the rule.
ROUNDS_MOST = 100


@dataclass(frozen=True, slots=True)
class Tools:
    """What all pods of a node share."""

    client: Client
    runtime: Runtime
    mounts: Mounts
    prober: Prober
    recorder: Recorder
    clock: Clock
    tasks: Tasks
    facts: NodeFacts
    allocatable: Mapping[str, str]


class PodWorker:
    """Keeps one pod as it should be, until it is gone."""

    def __init__(self, tools: Tools, pod: Object) -> None:
        self._tools = tools
        self.pod = pod
        self.uid = uid_of(pod)
        self._wake = asyncio.Event()
        self._mounts = ""
        self._images: dict[str, ImageWork] = {}
        self._streaks: dict[str, Streak] = {}
        self._counted: dict[str, int] = {}
        self._stopping: set[str] = set()
        self._failures: dict[str, tuple[str, str, datetime]] = {}
        self._gone = False
        #: The attempts that ran when the pod was last looked at, by container name.
        self.running: dict[str, int] = {}

    def update(self, pod: Object) -> None:
        """Take a newer state of the object."""
        if revision_of(pod) > revision_of(self.pod):
            self.pod = pod
            self.wake()

    def vanish(self) -> None:
        """The object is gone from the API: take the pod down at once."""
        metadata = {
            **self.pod["metadata"],
            "deletionTimestamp": "1970-01-01T00:00:00Z",
            "deletionGracePeriodSeconds": 0,
        }
        self.pod = {**self.pod, "metadata": metadata}
        self._gone = True
        self.wake()

    def wake(self) -> None:
        """Look again soon."""
        self._wake.set()

    async def run(self) -> None:
        """Work until the pod is forgotten."""
        while True:
            self._wake.clear()
            again, done = await self._settle()
            if done:
                return
            try:
                async with asyncio.timeout(again):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _settle(self) -> tuple[float | None, bool]:
        """Take rounds until nothing more can be done now; returns when to look again, and whether the pod is forgotten."""
        for _ in range(ROUNDS_MOST):
            seen = await self._observe()
            decision = decide(seen, self._tools.clock.now())
            for step in decision.steps:
                await self._perform(step, decision)
            if any(isinstance(step, Forget) for step in decision.steps):
                return None, True
            if not decision.steps:
                await self._publish(decision)
                return decision.look_again_in, False
        log.error("pod_does_not_settle pod=%s/%s", namespace_of(self.pod), name_of(self.pod))
        return RETRY_SECONDS, False

    async def _observe(self) -> Observed:
        sandbox = await self._tools.runtime.sandbox_state(self.uid)
        seen = Observed(
            pod=self.pod,
            node_ip=self._tools.facts.ip,
            sandbox=sandbox,
            mounts=self._mounts,
            images=self._images,
            streaks=self._streaks,
            stopping=frozenset(self._stopping),
            failures=self._failures,
        )
        running = self.running = {}
        for container in containers_of(self.pod):
            state = seen.latest(container["name"])
            if state is None:
                continue
            if state.state == "running":
                running[state.name] = state.attempt
                place = Place(self.pod, container, state.id)
                self._tools.prober.watch(place, state.attempt, partial(self._probed, container))
            elif state.state == "exited":
                self._ended(state)
        return replace(seen, probes=self._tools.prober.states(self.uid, running), streaks=dict(self._streaks))

    def _ended(self, state: ContainerState) -> None:
        if self._counted.get(state.name, -1) >= state.attempt:
            return
        self._counted[state.name] = state.attempt
        self._tools.prober.forget(self.uid, state.name)
        self._streaks[state.name] = streak_after(self._streaks.get(state.name, Streak()), state)
        container = next(each for each in containers_of(self.pod) if each["name"] == state.name)
        self._images.pop(container.get("image", ""), None)
        if self._streaks[state.name].count > 1 and not is_terminating(self.pod):
            where = f"{name_of(self.pod)}_{namespace_of(self.pod)}({self.uid})"
            self._event("Warning", "BackOff", f"Back-off restarting failed container {state.name} in pod {where}")

    def _probed(self, container: Object, text: str) -> None:
        if text:
            self._event("Warning", "Unhealthy", text, container)
        else:
            self.wake()

    async def _perform(self, step: Step, decision: PodDecision) -> None:
        log.debug("pod_step pod=%s/%s step=%s", namespace_of(self.pod), name_of(self.pod), step)
        match step:
            case PrepareMounts():
                await self._prepare_mounts()
            case RunSandbox():
                await self._run_sandbox()
            case PullImage():
                await self._pull(step)
            case StartContainer():
                await self._start(step)
            case StopContainer():
                self._stopping.add(step.container)
                self._tools.tasks.start(f"stop/{name_of(self.pod)}/{step.container}", self._stop(step))
            case StopSandbox():
                await self._tools.runtime.stop_sandbox(self.uid)
            case Forget():
                await self._forget(decision)

    async def _prepare_mounts(self) -> None:
        try:
            await self._tools.mounts.prepare(self.pod)
        except MountProblem as problem:
            self._mounts = str(problem)
            self._event("Warning", "FailedMount", str(problem))
            self._later("mounts", lambda: setattr(self, "_mounts", ""))
        else:
            self._mounts = "ready"

    async def _run_sandbox(self) -> None:
        try:
            await self._tools.runtime.run_sandbox(sandbox_config(self.pod, self._tools.facts))
        except RuntimeFailure as error:
            text = f"Failed to create pod sandbox: {error}"
            self._event("Warning", "FailedCreatePodSandBox", text)
            self._mounts = text
            self._later("sandbox", lambda: setattr(self, "_mounts", "ready"))

    def _later(self, name: str, act: Any) -> None:
        async def wait() -> None:
            await asyncio.sleep(RETRY_SECONDS)
            act()
            self.wake()

        self._tools.tasks.start(f"retry/{name}/{name_of(self.pod)}", wait())

    async def _pull(self, step: PullImage) -> None:
        container = self._spec_of(step.container)
        policy = container.get("imagePullPolicy") or "IfNotPresent"
        before = self._images.get(step.reference, ImageWork())
        if await self._present(step, before, again=policy == "Always"):
            return
        if policy == "Never":
            text = f'Container image "{step.reference}" is not present with pull policy of Never'
            self._not_pulled(step, before, "ErrImageNeverPull", text)
            return
        self._images[step.reference] = replace(before, pulling=True)
        self._tools.tasks.start(f"pull/{step.reference}", self._fetch(step, before))

    async def _present(self, step: PullImage, before: ImageWork, *, again: bool) -> bool:
        """Take the image if it is here; an unreadable name counts as a failed pull.

        again: ask the registry whether there is a newer one. An image that was loaded has no registry to ask: it is
        the answer for its name.
        """
        try:
            image = await self._tools.runtime.image_status(step.reference)
        except RuntimeFailure as error:
            self._not_pulled(step, before, error.reason, str(error))
            return True
        if image is None or (again and image.digest):
            return False
        self._images[step.reference] = ImageWork(id=image.id)
        text = f'Container image "{step.reference}" already present on machine and can be accessed by the pod'
        self._event("Normal", "Pulled", text, self._spec_of(step.container))
        return True

    async def _fetch(self, step: PullImage, before: ImageWork) -> None:
        container, began = self._spec_of(step.container), self._tools.clock.monotonic()
        self._event("Normal", "Pulling", f'Pulling image "{step.reference}"', container)
        try:
            image = await self._tools.runtime.pull_image(step.reference)
        except RuntimeFailure as error:
            self._not_pulled(step, before, error.reason, str(error))
        else:
            self._images[step.reference] = ImageWork(id=image.id)
            took = f"{self._tools.clock.monotonic() - began:.3f}s"
            text = f'Successfully pulled image "{step.reference}" in {took} ({took} including waiting).'
            self._event("Normal", "Pulled", f"{text} Image size: {image.size_bytes} bytes.", container)
        self.wake()

    def _not_pulled(self, step: PullImage, before: ImageWork, reason: str, message: str) -> None:
        container = self._spec_of(step.container)
        failures = before.failures + 1
        reason = "ErrImagePull" if reason == "RegistryUnavailable" else reason
        due = self._tools.clock.now() + timedelta(seconds=PULL.delay(failures))
        self._images[step.reference] = ImageWork(reason=reason, message=message, failures=failures, retry_at=due)
        if reason == "ErrImagePull":
            self._event("Warning", "Failed", f'Failed to pull image "{step.reference}": {message}', container)
            self._event("Normal", "BackOff", f'Back-off pulling image "{step.reference}"', container)
        else:
            self._event("Warning", reason if reason == "ErrImageNeverPull" else "InspectFailed", message, container)
        self._event("Warning", "Failed", f"Error: {reason}", container)

    async def _start(self, step: StartContainer) -> None:
        container = self._spec_of(step.container)
        self._failures.pop(step.container, None)
        self._stopping.discard(step.container)
        try:
            environment = await self._environment(container)
            sources = self._tools.mounts.ready.get(self.uid, {})
            mounts = mounts_for(container, sources, environment)
        except (Missing, StatusError, ValueError, KeyError) as error:
            self._not_started(container, "CreateContainerConfigError", str(error))
            return
        config = container_config(self.pod, container, step.attempt, step.image, environment, mounts)
        reason = "CreateContainerError"
        try:
            made = await self._tools.runtime.create_container(self.uid, config)
            self._event("Normal", "Created", "Container created", container)
            reason = "RunContainerError"
            await self._tools.runtime.start_container(self.uid, made)
        except RuntimeFailure as error:
            self._not_started(container, error.reason or reason, str(error))
            return
        self._event("Normal", "Started", "Container started", container)
        if handler := (container.get("lifecycle") or {}).get("postStart"):
            self._tools.tasks.start(f"postStart/{step.container}", self._post_start(container, made, handler))

    def _not_started(self, container: Object, reason: str, message: str) -> None:
        self._failures[container["name"]] = (reason, message, self._tools.clock.now())
        self._event("Warning", "Failed", f"Error: {message}", container)

    async def _post_start(self, container: Object, made: str, handler: Object) -> None:
        try:
            await run_handler(self._tools.runtime, Place(self.pod, container, made), handler, None)
        except ProbeFailed:
            self._event("Warning", "FailedPostStartHook", "PostStartHook failed", container)
            grace = float(self.pod["spec"].get("terminationGracePeriodSeconds", 30))
            await self._stop(StopContainer(container["name"], grace, f"Stopping container {container['name']}"))

    async def _environment(self, container: Object) -> dict[str, str]:
        namespace, sources = namespace_of(self.pod), {}
        for kind, name in _referenced(container):
            try:
                sources[kind, name] = await self._tools.client.get(Target(kind, namespace, name))
            except NotFound:
                continue
        services = [item.object for item in (await self._tools.client.list("services", Selection(namespace))).items]
        if namespace != "default":
            services += [
                item.object for item in (await self._tools.client.list("services", Selection("default"))).items
            ]
        sandbox = await self._tools.runtime.sandbox_state(self.uid)
        facts = {"hostIP": self._tools.facts.ip, "podIP": sandbox.ip if sandbox else "", **self._tools.allocatable}
        return environment_for(self.pod, container, lambda kind, name: sources.get((kind, name)), services, facts)

    async def _stop(self, step: StopContainer) -> None:
        container, began = self._spec_of(step.container), self._tools.clock.monotonic()
        self._event("Normal", "Killing", step.why, container)
        state = (await self._observe()).latest(step.container)
        if state is None or state.state != "running":
            return
        try:
            if handler := (container.get("lifecycle") or {}).get("preStop"):
                await self._pre_stop(Place(self.pod, container, state.id), handler, step.grace_seconds)
            left = max(0.0, step.grace_seconds - (self._tools.clock.monotonic() - began))
            await self._tools.runtime.stop_container(self.uid, state.id, left)
        finally:
            self._stopping.discard(step.container)
            self.wake()

    async def _pre_stop(self, place: Place, handler: Object, grace_seconds: float) -> None:
        try:
            await run_handler(self._tools.runtime, place, handler, grace_seconds)
        except ProbeFailed:
            self._event("Warning", "FailedPreStopHook", "PreStopHook failed", place.container)

    async def _forget(self, decision: PodDecision) -> None:
        """Remove the pod from this machine, then its object; in this order, so that a crash repeats the first."""
        await self._publish(decision)
        for container in containers_of(self.pod):
            self._tools.prober.forget(self.uid, container["name"])
        await self._tools.runtime.remove_sandbox(self.uid)
        await self._tools.mounts.remove(self.uid)
        if self._gone:
            return
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": self.uid}}
        try:
            await self._tools.client.delete(Target("pods", namespace_of(self.pod), name_of(self.pod)), options)
        except (NotFound, Conflict):
            return  # somebody else removed it, or another pod has its name by now

    async def _publish(self, decision: PodDecision) -> None:
        if self._gone or decision.status == self.pod.get("status"):
            return
        try:
            self.pod = await self._tools.client.update(
                "pods", {**self.pod, "status": decision.status}, subresource="status"
            )
        except NotFound:
            self.vanish()
        except Conflict:
            # Somebody else wrote first: take the newest state and decide again.
            try:
                newest = await self._tools.client.get(Target("pods", namespace_of(self.pod), name_of(self.pod)))
            except NotFound:
                self.vanish()
            else:
                self.vanish() if uid_of(newest) != self.uid else self.update(newest)

    def _spec_of(self, name: str) -> Object:
        return next(each for each in containers_of(self.pod) if each["name"] == name)

    def _event(self, kind: str, reason: str, message: str, container: Object | None = None) -> None:
        path = _path_of(self.pod, container["name"]) if container else ""
        record = Record(self.pod, reason, message, kind, path=path, host=self._tools.facts.name)
        self._tools.recorder.record(record, "kubelet")


def _path_of(pod: Object, name: str) -> str:
    """Return how an Event names a container of a pod."""
    for part in ("initContainers", "containers", "ephemeralContainers"):
        if any(each["name"] == name for each in pod["spec"].get(part) or ()):
            return f"spec.{part}{{{name}}}"
    return ""


def _referenced(container: Object) -> set[tuple[str, str]]:
    """Return the ConfigMaps and Secrets that a container's environment names."""
    found: set[tuple[str, str]] = set()
    for each in container.get("envFrom") or ():
        for field, kind in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
            if field in each:
                found.add((kind, each[field]["name"]))
    for each in container.get("env") or ():
        origin = each.get("valueFrom") or {}
        for field, kind in (("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")):
            if field in origin:
                found.add((kind, origin[field]["name"]))
    return found
