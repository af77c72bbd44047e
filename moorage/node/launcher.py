"""Starts and stops the containers of one pod, with their hooks. What failed is kept for the pod's next round.

Source of the texts: pkg/kubelet/kuberuntime/kuberuntime_container.go (v1.37).
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from moorage.client.client import Selection, Target
from moorage.node.containers import container_config, log_directory, mounts_for
from moorage.node.environment import Missing, environment_for
from moorage.node.identity_policy import check_user
from moorage.node.mounts import described, prepare_sub_path
from moorage.node.observed import Failure, StartContainer, StopContainer
from moorage.node.prober import Place, ProbeFailed, run_handler
from moorage.node.references import in_environment
from moorage.node.runtimes.runtime import ContainerConfig, ContainerState, RuntimeFailure
from moorage.node.termination import prepare_file
from moorage.node.tools import Tools
from moorage.objects.errors import NotFound, StatusError
from moorage.objects.metadata import Object, name_of, namespace_of, uid_of

#: How many ended attempts of a container are kept. Source: kubelet's MaxPerPodContainerCount.
KEPT_ATTEMPTS = 1

#: How long to wait before a container that could not be stopped is told again, in seconds.
RETRY_SECONDS = 1.0

_SANDBOX_HAS_ENDED = ("SandboxNotReady", "SandboxNotFound")


class Launcher:
    """The containers of one pod. `wake` is called when something has changed behind the loop."""

    def __init__(self, tools: Tools, wake: Callable[[], None]) -> None:
        self.failures: dict[str, Failure] = {}
        #: Containers that were told to end, and within how many seconds.
        self.stopping: dict[str, float] = {}
        self._tools = tools
        self._wake = wake

    def retry(self) -> None:
        """Something that containers waited for may be there: forget what failed before they were made."""
        waiting = [name for name, failure in self.failures.items() if failure.attempt < 0]
        for name in waiting:
            del self.failures[name]

    async def start(self, pod: Object, container: Object, step: StartContainer) -> None:
        """Create and start an attempt."""
        self.failures.pop(step.container, None)
        self.stopping.pop(step.container, None)
        try:
            config = await self._config(pod, container, step)
        except (Missing, StatusError, ValueError, KeyError) as error:
            self._not_started(pod, container, "CreateContainerConfigError", str(error))
            return
        except OSError as error:
            self._not_started(pod, container, "CreateContainerError", described(error))
            return
        made = await self._create_and_start(pod, container, config)
        if made and (handler := (container.get("lifecycle") or {}).get("postStart")):
            work = self._post_start(pod, container, made, handler)
            self._tools.tasks.start(f"postStart/{step.container}", work)
        if made and step.attempt > KEPT_ATTEMPTS:
            self._tools.tasks.start(f"clean/{step.container}", self._clean(pod, step))

    async def _config(self, pod: Object, container: Object, step: StartContainer) -> ContainerConfig:
        environment = await self._environment(pod, container)
        image = await self._tools.runtime.image_status(step.image)
        check_user(pod, container, image.user if image is not None else "")
        sources = self._tools.mounts.ready.get(uid_of(pod), {})
        mounts = mounts_for(container, sources, environment)
        if self._tools.mounts.is_real:
            for each, mount in zip(container.get("volumeMounts") or (), mounts, strict=True):
                prepare_sub_path(each, sources[each["name"]][0], mount.source)
            directory = self._tools.mounts.directory_of(uid_of(pod))
            mounts += prepare_file(directory, container, step.attempt)
        return container_config(pod, container, step.attempt, step.image, environment, mounts)

    async def _create_and_start(self, pod: Object, container: Object, config: ContainerConfig) -> str:
        """Return the container's id, "" if it does not run."""
        made = ""
        try:
            made = await self._tools.runtime.create_container(uid_of(pod), config)
            self._tools.tell(pod, "Normal", "Created", "Container created", container)
            await self._tools.runtime.start_container(uid_of(pod), made)
        except RuntimeFailure as error:
            if error.reason in _SANDBOX_HAS_ENDED:
                return ""
            if not made:
                self._not_started(pod, container, error.reason or "CreateContainerError", str(error))
            else:
                ended = await self._has_ended(pod, made)
                attempt = config.attempt if ended else -1
                self._not_started(pod, container, "RunContainerError", str(error), attempt)
            return ""
        self._tools.tell(pod, "Normal", "Started", "Container started", container)
        return made

    async def _has_ended(self, pod: Object, container: str) -> bool:
        sandbox = await self._tools.runtime.sandbox_state(uid_of(pod))
        return any(each.id == container and each.state == "exited" for each in (sandbox.containers if sandbox else ()))

    def _not_started(self, pod: Object, container: Object, reason: str, message: str, attempt: int = -1) -> None:
        self.failures[container["name"]] = Failure(reason, message, self._tools.clock.now(), attempt)
        self._tools.tell(pod, "Warning", "Failed", f"Error: {message}", container)

    async def _clean(self, pod: Object, step: StartContainer) -> None:
        """Remove the attempts before the last ended one, with their logs."""
        sandbox = await self._tools.runtime.sandbox_state(uid_of(pod))
        for state in sandbox.containers if sandbox else ():
            if state.name == step.container and state.attempt < step.attempt - KEPT_ATTEMPTS:
                await self._tools.runtime.remove_container(uid_of(pod), state.id)
                log = Path(log_directory(self._tools.facts, pod)) / state.name / f"{state.attempt}.log"
                for path in (log, *log.parent.glob(f"{log.name}.*")):
                    path.unlink(missing_ok=True)

    async def _post_start(self, pod: Object, container: Object, made: str, handler: Object) -> None:
        try:
            await run_handler(self._tools.runtime, Place(pod, container, made), handler, None)
        except ProbeFailed:
            self._tools.tell(pod, "Warning", "FailedPostStartHook", "PostStartHook failed", container)
            grace = float(pod["spec"].get("terminationGracePeriodSeconds", 30))
            await self.stop(pod, container, StopContainer(container["name"], grace, "FailedPostStartHook"))

    async def _environment(self, pod: Object, container: Object) -> dict[str, str]:
        namespace, sources = namespace_of(pod), {}
        for kind, name in in_environment(container):
            try:
                sources[kind, name] = await self._tools.client.get(Target(kind, namespace, name))
            except NotFound:
                continue
        sandbox = await self._tools.runtime.sandbox_state(uid_of(pod))
        address = sandbox.ip if sandbox else ""
        facts = {"hostIP": self._tools.facts.ip, "podIP": address, **self._tools.allocatable}
        services = await self._services(namespace)
        return environment_for(pod, container, lambda kind, name: sources.get((kind, name)), services, facts)

    async def _services(self, namespace: str) -> Sequence[Object]:
        found: list[Object] = []
        for each in dict.fromkeys((namespace, "default")):
            listing = await self._tools.client.list("services", Selection(each))
            found += [item.object for item in listing.items]
        return found

    async def stop(self, pod: Object, container: Object, step: StopContainer) -> None:
        """End a container: its preStop hook, then its signal, within the grace period."""
        began = self._tools.clock.monotonic()
        self.stopping[step.container] = step.grace_seconds
        self._tools.tell(pod, "Normal", "Killing", step.why, container)
        try:
            state = await self._running(pod, step.container)
            if state is None:
                return
            lifecycle = container.get("lifecycle") or {}
            if handler := lifecycle.get("preStop"):
                await self._pre_stop(Place(pod, container, state.id), handler, step.grace_seconds)
            left = max(0.0, step.grace_seconds - (self._tools.clock.monotonic() - began))
            signal = lifecycle.get("stopSignal") or ""
            await self._tools.runtime.stop_container(uid_of(pod), state.id, left, signal)
        except RuntimeFailure as error:
            text = f"error killing pod: failed to stop container {step.container} of {name_of(pod)}: {error}"
            self._tools.tell(pod, "Warning", "FailedKillPod", text)
            await asyncio.sleep(RETRY_SECONDS)
        finally:
            self.stopping.pop(step.container, None)
            self._wake()

    async def _running(self, pod: Object, container: str) -> ContainerState | None:
        sandbox = await self._tools.runtime.sandbox_state(uid_of(pod))
        states = [each for each in (sandbox.containers if sandbox else ()) if each.name == container]
        newest = max(states, key=lambda each: each.attempt, default=None)
        return newest if newest is not None and newest.state == "running" else None

    async def _pre_stop(self, place: Place, handler: Object, grace_seconds: float) -> None:
        try:
            await run_handler(self._tools.runtime, place, handler, grace_seconds)
        except ProbeFailed:
            self._tools.tell(place.pod, "Warning", "FailedPreStopHook", "PreStopHook failed", place.container)
