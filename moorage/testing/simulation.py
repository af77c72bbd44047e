"""One simulated life of a cluster, decided by a seed: users act, things go wrong, then all must come to rest and stay so.

Everything runs in one loop in virtual time (simulation_loop): the store in memory, the API, all controllers, the
scheduler, and nodes that only pretend. Invariants are checked at every change, conditions of rest at the end.
"""

import asyncio
import tempfile
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from moorage.aio.entropy import Entropy, seeded
from moorage.testing.clock import VirtualClock
from moorage.testing.faults import CALM, Faults, Weather
from moorage.testing.history import History, Step, Violation
from moorage.testing.invariants import invariants
from moorage.testing.settled import RESTLESS, problems_of, runtime_problems
from moorage.testing.simulated_cluster import RENEW_SECONDS, SimulatedCluster
from moorage.testing.simulated_user import SimulatedUser
from moorage.testing.simulation_loop import Deadlock, SimulationLoop, run_simulated
from moorage.testing.watchers import Watchers

#: How long everything may take to come to rest after the last fault, in virtual seconds: restarts back off up to 300.
REST_WITHIN_SECONDS: Final = 900.0

#: How long it must then stay at rest.
STAY_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run consists of: how many acts of the user, which faults, how many nodes, restarts and silences."""

    acts: int = 25
    nodes: int = 3
    faults: Faults = field(default_factory=Faults)
    restart: float = 0.04
    silence: float = 0.04
    compaction: float = 0.1


@dataclass(frozen=True, slots=True)
class Report:
    """What happened in a run that ended well. `digest` is equal for equal runs."""

    seed: int
    seconds: float
    changes: int
    digest: str
    acts: tuple[str, ...]
    faults: Mapping[str, int]


class SimulationFailed(Exception):
    """A run ended badly; the message has the seed, the problem, and what led to it."""


def simulate(seed: int, settings: Settings = Settings()) -> Report:
    """Run the simulation of a seed. Raises SimulationFailed."""
    lives: list[Simulation] = []

    def live(loop: SimulationLoop) -> Coroutine[Any, Any, Report]:
        lives.append(Simulation(seed, settings, loop, Path(directory)))
        return lives[0].run()

    with tempfile.TemporaryDirectory(prefix="moorage-simulation-") as directory:
        try:
            return run_simulated(seeded(seed), live)
        except (Violation, Deadlock) as error:
            raise SimulationFailed(lives[0].account(str(error))) from error


class Simulation:
    """One run."""

    def __init__(self, seed: int, settings: Settings, loop: SimulationLoop, directory: Path) -> None:
        self._seed = seed
        self._settings = settings
        self._loop = loop
        self._acts: list[str] = []
        self._entropy: Entropy = seeded(seed + 1)
        self._weather = Weather(seeded(seed + 2), CALM)
        self._clock = VirtualClock(loop)
        self._cluster = SimulatedCluster(self._clock, seeded(seed + 3), self._weather, directory, settings.nodes)
        self._history = History(self._cluster.store, loop.time, invariants())
        self._watchers = Watchers(seeded(seed + 4))
        self._user = SimulatedUser(self._cluster, self._history, self._entropy)

    async def run(self) -> Report:
        """Live; return what happened. Raises Violation, Deadlock."""
        try:
            await self._live()
        finally:
            await self._watchers.stop()
            await self._cluster.crash()
        history = self._history
        return Report(
            self._seed, self._loop.time(), history.count, history.digest, tuple(self._acts), dict(self._weather.counts)
        )

    def account(self, problem: str) -> str:
        """Return what went wrong and what led to it."""
        steps = [step.text() for step in self._history.steps][-25:]
        parts = [
            f"seed {self._seed}, at {self._loop.time():.3f} s: {problem}",
            "What was done:",
            *self._acts[-20:],
            "What changed last:",
            *steps,
            "What was decided last:",
            *self._cluster.stories(last=20),
            f"Again: moorage simulate --seed {self._seed}",
        ]
        return "\n".join(parts)

    async def _live(self) -> None:
        await self._cluster.start()
        await self._user.begin()
        self._watchers.start(self._cluster.client)
        await self._be_troubled()
        await self._user.come_to_rest()
        await self._come_to_rest()
        await self._stay()

    async def _be_troubled(self) -> None:
        """Let the user act while things go wrong."""
        settings, fraction = self._settings, self._entropy.fraction
        self._weather.faults = settings.faults
        for _ in range(settings.acts):
            self._note(await self._user.act())
            if fraction() < settings.silence:
                self._silence()
            if fraction() < settings.restart:
                await self._restart()
            if fraction() < settings.compaction:
                await self._cluster.store.compact(int(self._cluster.store.revision() * fraction()))
            await asyncio.sleep(fraction() ** 3 * 30)
            self._history.raise_violation()
        self._weather.clear()

    async def _restart(self) -> None:
        """Kill the whole process wherever it is, and start it over what it left."""
        self._note("the process is killed and starts again")
        self._weather.faults = CALM
        silent, self._weather.silent = self._weather.silent, set()
        await self._watchers.stop()
        await self._cluster.crash()
        self._history.follow()
        await self._cluster.restart()
        self._watchers.start(self._cluster.client)
        self._weather.faults, self._weather.silent = self._settings.faults, silent

    def _silence(self) -> None:
        """Cut a node off for a while."""
        name = self._cluster.node_names[int(self._entropy.fraction() * len(self._cluster.node_names))]
        component, seconds = f"system:node:{name}", self._entropy.fraction() * 90
        self._note(f"node {name} is silent for {seconds:.0f} s")
        self._weather.silent.add(component)
        self._loop.call_later(seconds, self._speak, component)

    def _speak(self, component: str) -> None:
        self._weather.silent.discard(component)

    async def _come_to_rest(self) -> None:
        await asyncio.sleep(2 * RENEW_SECONDS)  # a node that was silent may be taken for dead until it has spoken again
        end = self._loop.time() + REST_WITHIN_SECONDS
        problems = [""]
        while problems:
            await asyncio.sleep(5)
            await self._user.free_stuck_pods()
            self._history.raise_violation()
            problems = problems_of(self._history) or await self._deeper_problems()
            if problems and self._loop.time() > end:
                raise Violation(f"{REST_WITHIN_SECONDS:g} s after the last fault: " + "\n  ".join(problems[:10]))

    async def _deeper_problems(self) -> list[str]:
        """Return what does not show in the objects: what really runs, and what readers have pieced together."""
        problems = [*self._watchers.problems, *await self._watchers.differences()]
        for name, runtime in self._cluster.runtimes.items():
            problems += runtime_problems(self._history, name, await runtime.list_sandboxes())
        return problems

    async def _stay(self) -> None:
        moved: list[Step] = []
        self._history.listeners.append(moved.append)
        await asyncio.sleep(STAY_SECONDS)
        self._history.listeners.remove(moved.append)
        self._history.raise_violation()
        restless = [step.text() for step in moved if step.resource not in RESTLESS]
        if restless:
            raise Violation("All was at rest, then it moved:\n  " + "\n  ".join(restless[:10]))
        if problems := problems_of(self._history) + self._watchers.problems:
            raise Violation("All was at rest, then it was not:\n  " + "\n  ".join(problems[:10]))

    def _note(self, act: str) -> None:
        self._acts.append(f"{self._loop.time():9.3f} s  {act}")
