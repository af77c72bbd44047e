"""The loop of one pod: look, decide, do, publish; then wait until something changes.

Slow work (pulling, stopping) runs beside the loop and is part of what it sees, so the loop is never blocked.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from moorage.client.client import Target
from moorage.node.containers import log_directory, sandbox_config
from moorage.node.decide import containers_of, decide
from moorage.node.launcher import Launcher
from moorage.node.mounts import MountProblem
from moorage.node.observed import (
    BackOffPull,
    Forget,
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
from moorage.node.prober import Place
from moorage.node.pulls import Pulls
from moorage.node.references import Reference, references_of
from moorage.node.restarts import MOUNT, streak_after
from moorage.node.runtimes.runtime import ContainerState, RuntimeFailure, SandboxState
from moorage.node.termination import with_message
from moorage.node.tools import Tools
from moorage.node.unsupported import refusals, shortcomings
from moorage.objects.errors import Conflict, NotFound
from moorage.objects.metadata import Object, is_terminating, name_of, namespace_of, revision_of, uid_of

log = logging.getLogger(__name__)

#: How long to wait before a sandbox that could not be made, or a refresh that failed, is tried again, in seconds.
RETRY_SECONDS = 2.0

#: How many rounds a pod may take without waiting; more is a fault of the rule.
ROUNDS_MOST = 100


class PodWorker:
    """Keeps one pod as it should be, until it is gone."""

    def __init__(self, tools: Tools, pod: Object) -> None:
        self._tools = tools
        self.pod = pod
        self.uid = uid_of(pod)
        self._wake = asyncio.Event()
        self._pulls = Pulls(tools, self.wake)
        self._launcher = Launcher(tools, self.wake)
        self._mounts = ""
        self._problems = 0
        self._changed: dict[Reference, None] = {}
        self._streaks: dict[str, Streak] = {}
        self._counted: dict[str, int] = {}
        #: Ended attempts as they are shown, by container id.
        self._ends: dict[str, ContainerState] = {}
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

    def images_arrived(self, is_same: Callable[[str], bool]) -> None:
        """Images were loaded; `is_same` tells whether a reference names one of them."""
        self._pulls.arrived(is_same)

    def _referenced_changed(self, reference: Reference) -> None:
        """A ConfigMap, Secret or claim that the pod names has changed: what waited for it may go on."""
        self._launcher.retry()
        if self._mounts == "ready":
            self._changed[reference] = None
        else:
            self._mounts, self._problems = "", 0
        self.wake()

    async def run(self) -> None:
        """Work until the pod is forgotten."""
        while True:
            self._wake.clear()
            again, done = await self._settle()
            if done:
                return
            await self._refresh_files()
            due = self._tools.mounts.refresh_in(self.uid)
            waits = [each for each in (again, due) if each is not None]
            try:
                async with asyncio.timeout(min(waits, default=None)):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _settle(self) -> tuple[float | None, bool]:
        """Take rounds until nothing more can be done now; returns when to look again, and whether the pod is forgotten."""
        for _ in range(ROUNDS_MOST):
            seen = await self._observe()
            decision = decide(seen, self._tools.clock.now())
            if decision.steps == (PrepareMounts(), RunSandbox()):
                await self._prepare()
            else:
                for step in decision.steps:
                    await self._perform(step, decision)
            if any(isinstance(step, Forget) for step in decision.steps):
                return None, True
            if not decision.steps:
                await self._publish(decision)
                return decision.look_again_in, False
        log.error("pod_does_not_settle pod=%s/%s", namespace_of(self.pod), name_of(self.pod))
        return RETRY_SECONDS, False

    async def _refresh_files(self) -> None:
        """Write anew the files whose ConfigMap or Secret has changed, and tokens that have become old."""
        if self._mounts != "ready" or is_terminating(self.pod):
            return
        due = self._tools.mounts.refresh_in(self.uid)
        work: list[Reference | None] = [*self._changed, *([None] if due is not None and due <= 0 else ())]
        self._changed.clear()
        for reference in work:
            try:
                await self._tools.mounts.refresh(self.pod, reference)
            except MountProblem as problem:
                self._event("Warning", "FailedMount", str(problem))
                if reference is not None:
                    self._later("refresh", RETRY_SECONDS, partial(self._changed.setdefault, reference))

    async def _observe(self) -> Observed:
        sandbox = await self._tools.runtime.sandbox_state(self.uid)
        seen = Observed(
            pod=self.pod,
            node_ip=self._tools.facts.ip,
            sandbox=self._with_messages(sandbox) if sandbox is not None else None,
            mounts=self._mounts,
            images=self._pulls.images,
            stopping=self._launcher.stopping,
            failures=self._launcher.failures,
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
                self._ended(state, container)
        return replace(seen, probes=self._tools.prober.states(self.uid, running), streaks=dict(self._streaks))

    def _with_messages(self, sandbox: SandboxState) -> SandboxState:
        """Add to ended attempts what they say of their end; the files are read once."""
        if not self._tools.mounts.is_real or all(each.state != "exited" for each in sandbox.containers):
            return sandbox
        shown = []
        for state in sandbox.containers:
            if state.state == "exited" and state.id not in self._ends:
                container = next((each for each in containers_of(self.pod) if each["name"] == state.name), {})
                log_file = Path(log_directory(self._tools.facts, self.pod)) / state.name / f"{state.attempt}.log"
                directory = self._tools.mounts.directory_of(self.uid)
                self._ends[state.id] = with_message(state, container, directory, log_file)
            shown.append(self._ends.get(state.id, state))
        return replace(sandbox, containers=tuple(shown))

    def _ended(self, state: ContainerState, container: Object) -> None:
        if self._counted.get(state.name, -1) >= state.attempt:
            return
        self._counted[state.name] = state.attempt
        self._tools.prober.forget(self.uid, state.name)
        self._streaks[state.name] = streak_after(self._streaks.get(state.name, Streak()), state)
        self._pulls.forget(container.get("image", ""))
        if self._streaks[state.name].count > 1 and not is_terminating(self.pod):
            where = f"{name_of(self.pod)}_{namespace_of(self.pod)}({self.uid})"
            text = f"Back-off restarting failed container {state.name} in pod {where}"
            self._event("Warning", "BackOff", text, container)

    def _probed(self, container: Object, text: str) -> None:
        if text:
            self._event("Warning", "Unhealthy", text, container)
        else:
            self.wake()

    async def _perform(self, step: Step, decision: PodDecision) -> None:
        log.debug("pod_step pod=%s/%s step=%s", namespace_of(self.pod), name_of(self.pod), step)
        match step:
            case PrepareMounts():
                self._wait_for(await self._prepare_mounts())
            case RunSandbox():
                self._wait_for(await self._run_sandbox())
            case PullImage():
                await self._pulls.pull(self.pod, self._spec_of(step.container), step)
            case BackOffPull():
                self._pulls.back_off(self.pod, self._spec_of(step.container), step)
            case StartContainer():
                await self._launcher.start(self.pod, self._spec_of(step.container), step)
            case StopContainer():
                work = self._launcher.stop(self.pod, self._spec_of(step.container), step)
                self._launcher.stopping[step.container] = step.grace_seconds
                self._tools.tasks.start(f"stop/{name_of(self.pod)}/{step.container}", work)
            case StopSandbox():
                await self._tools.runtime.stop_sandbox(self.uid)
            case Forget():
                await self._forget(decision)

    async def _prepare(self) -> None:
        """Make volumes and sandbox side by side: the latter is other processes' work."""
        problems = await asyncio.gather(self._prepare_mounts(), self._run_sandbox())
        self._wait_for(problems[0] or problems[1])

    def _wait_for(self, problem: str) -> None:
        """Go on, or try again later what this problem keeps from going on."""
        if not problem:
            self._mounts, self._problems = "ready", 0
            return
        self._mounts = problem
        self._problems += 1
        self._later("prepare", MOUNT.delay(self._problems), self._prepare_again)

    def _prepare_again(self) -> None:
        if self._mounts != "ready":
            self._mounts = ""

    async def _prepare_mounts(self) -> str:
        """Return what keeps the volumes from being ready, "" if nothing does."""
        self._tools.references.watch(self.uid, references_of(self.pod), self._referenced_changed)
        try:
            await self._tools.mounts.prepare(self.pod)
        except MountProblem as problem:
            self._event("Warning", "FailedMount", str(problem))
            return str(problem)
        return ""

    async def _run_sandbox(self) -> str:
        """Return what keeps the sandbox from being made, "" if nothing does."""
        problem = "; ".join(refusals(self.pod))
        try:
            if not problem:
                await self._tools.runtime.run_sandbox(sandbox_config(self.pod, self._tools.facts))
        except (RuntimeFailure, OSError) as error:
            problem = str(error)
        if problem:
            text = f"Failed to create pod sandbox: {problem}"
            self._event("Warning", "FailedCreatePodSandBox", text)
            return text
        for text in shortcomings(self.pod):
            self._event("Warning", "NotSupported", text)
        return ""

    def _later(self, name: str, seconds: float, act: Callable[[], None]) -> None:
        async def wait() -> None:
            await asyncio.sleep(seconds)
            act()
            self.wake()

        self._tools.tasks.start(f"retry/{name}/{name_of(self.pod)}", wait())

    async def _forget(self, decision: PodDecision) -> None:
        """Remove the pod from this machine, then its object; in this order, so that a crash repeats the first."""
        await self._publish(decision)
        self._tools.references.forget(self.uid)
        for container in containers_of(self.pod):
            self._tools.prober.forget(self.uid, container["name"])
        await self._tools.runtime.remove_sandbox(self.uid)
        await self._tools.mounts.remove(self.uid)
        if not self._gone:
            await self._tools.drop(self.pod)

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
        self._tools.tell(self.pod, kind, reason, message, container)
