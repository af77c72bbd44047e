"""A whole cluster in virtual time in which something is made to fail, and the question why."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moorage.aio.entropy import seeded
from moorage.cli.inquiry import ask
from moorage.client.client import Target
from moorage.node.runtimes.simulated import Behaviour
from moorage.objects.errors import NotFound
from moorage.objects.metadata import Object, Ref
from moorage.testing.clock import VirtualClock
from moorage.testing.faults import CALM, Weather
from moorage.testing.simulated_cluster import SimulatedCluster
from moorage.testing.simulation_loop import SimulationLoop, run_simulated
from moorage.why.chain import Answer

#: Virtual seconds that a failure may take to show.
DEADLINE_SECONDS = 1500
RENEWED = 2.0

IMAGES = {
    "*/absent:*": Behaviour(pull_failure="ErrImagePull"),
    "*/unready:*": Behaviour(ready_after=None),
    "*/crash:*": Behaviour(exits_after=1.0, exit_code=3),
    "*/oom:*": Behaviour(exits_after=1.0, exit_code=137, oom_killed=True),
    "*/typo:*": Behaviour(start_failure="StartError"),
    "*/sick:*": Behaviour(exec_exit_code=1, stops_in=None),
    "*/stubborn:*": Behaviour(stops_in=None),
    "*/done:*": Behaviour(exits_after=0.5),
}


@dataclass
class Failing:
    """The cluster, and what tests do with it."""

    cluster: SimulatedCluster
    clock: VirtualClock
    weather: Weather

    async def make(self, resource: str, obj: dict[str, Any]) -> Object:
        """Create an object in namespace default, where it has one."""
        return await self.cluster.client.create(resource, obj)

    async def get(self, resource: str, name: str, namespace: str = "default") -> Object:
        """Return an object."""
        return await self.cluster.client.get(Target(resource, namespace, name))

    async def patch(self, resource: str, name: str, patch: Any, namespace: str = "default") -> None:
        """Change an object by a merge patch."""
        await self.cluster.client.patch(Target(resource, namespace, name), patch)

    async def delete(self, resource: str, name: str, namespace: str = "default") -> None:
        """Delete an object."""
        await self.cluster.client.delete(Target(resource, namespace, name))

    async def why(self, resource: str, name: str, namespace: str = "default") -> Answer:
        """Ask."""
        return await ask(self.cluster.client, Ref(resource, namespace, name), self.clock.now())

    async def until(self, resource: str, name: str, words: str, namespace: str = "default") -> Answer:
        """Ask until the answer has these words. Raises AssertionError with the last answer after the deadline."""
        loop = asyncio.get_running_loop()
        end = loop.time() + DEADLINE_SECONDS
        told = "nothing"
        while loop.time() < end:
            try:
                answer = await self.why(resource, name, namespace)
            except NotFound as error:
                told = str(error)
            else:
                told = "\n".join(answer.lines())
                if words in told:
                    return answer
            await asyncio.sleep(RENEWED)
        raise AssertionError(f"no {words!r} within {DEADLINE_SECONDS} s, but:\n{told}")


def live(work: Callable[[Failing], Awaitable[None]], nodes: int = 2) -> None:
    """Run `work` in a new cluster, in virtual time."""

    def begin(loop: SimulationLoop) -> Coroutine[Any, Any, None]:
        return _live(loop, work, nodes)

    run_simulated(seeded(1), begin)


async def _live(loop: SimulationLoop, work: Callable[[Failing], Awaitable[None]], nodes: int) -> None:
    clock, weather = VirtualClock(loop), Weather(seeded(2), CALM)
    with tempfile.TemporaryDirectory(prefix="moorage-why-") as directory:
        cluster = SimulatedCluster(clock, seeded(3), weather, Path(directory), nodes)
        for runtime in cluster.runtimes.values():
            runtime.behaviours.update(IMAGES)
        await cluster.start()
        try:
            failing = Failing(cluster, clock, weather)
            await failing.until("serviceaccounts", "default", "is there")  # before that no pods can be made
            await work(failing)
        finally:
            await cluster.crash()
