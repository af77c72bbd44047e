"""The simulated runtime: the contract, and what its behaviours say."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from moorage.aio.clock import SystemClock
from moorage.node.runtimes.runtime import ContainerConfig, RuntimeFailure, SandboxConfig
from moorage.node.runtimes.simulated import FINISHING, JOB_LABEL, Behaviour, SimulatedRuntime
from tests.contracts.runtime import RuntimeContract

BEHAVIOURS = {
    "*/exits-7:*": Behaviour(present=True, exits_after=0.0, exit_code=7),
    "*/stubborn:*": Behaviour(present=True, stops_in=None),
    "*/unexecutable:*": Behaviour(present=True, start_failure="StartError"),
    "*/late:*": Behaviour(pull_seconds=0.01, start_seconds=0.01, ready_after=None),
    "*/gone:*": Behaviour(pull_failure="ErrImagePull"),
    "*/runs:*": Behaviour(present=True),
    "*/serves:*": Behaviour(present=True),
}


class SimulatedWorld:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.runtime = SimulatedRuntime(SystemClock(), behaviours=BEHAVIOURS)

    def container(self, what: str, **changes: object) -> ContainerConfig:
        return replace(ContainerConfig("main", 0, what), **changes)  # type: ignore[arg-type]

    async def settle(self, uid: str, container: str) -> None:
        """Nothing to wait for."""

    async def restart(self) -> None:
        await self.runtime.close()
        await self.runtime.start()


class TestSimulated(RuntimeContract):
    @pytest.fixture
    async def world(self, tmp_path: Path) -> AsyncIterator[SimulatedWorld]:  # type: ignore[override]
        world = SimulatedWorld(tmp_path)
        await world.runtime.start()
        yield world
        await world.runtime.close()


CONFIG = SandboxConfig("uid", "web-0", "default", "web-0", "")


async def test_a_pull_that_fails_says_its_reason() -> None:
    runtime = SimulatedRuntime(SystemClock(), behaviours=BEHAVIOURS)
    with pytest.raises(RuntimeFailure) as refused:
        await runtime.pull_image("gone")
    assert refused.value.reason == "ErrImagePull"


async def test_nothing_answers_before_it_is_ready() -> None:
    runtime = SimulatedRuntime(SystemClock(), behaviours=BEHAVIOURS)
    image = await runtime.pull_image("late")
    await runtime.run_sandbox(CONFIG)
    container = await runtime.create_container("uid", ContainerConfig("main", 0, image.id))
    await runtime.start_container("uid", container)
    with pytest.raises(OSError, match="nobody listens"):
        await runtime.dial("uid", 80)


async def test_a_switched_off_machine_has_nothing_and_tells_nothing() -> None:
    runtime = SimulatedRuntime(SystemClock(), behaviours=BEHAVIOURS)
    events = runtime.events()
    await runtime.run_sandbox(CONFIG)
    runtime.lose_everything()
    assert not await runtime.list_sandboxes()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(events), 0)


async def test_a_test_can_end_a_container_as_out_of_memory() -> None:
    runtime = SimulatedRuntime(SystemClock(), behaviours=BEHAVIOURS)
    await runtime.run_sandbox(CONFIG)
    container = await runtime.create_container("uid", ContainerConfig("main", 0, "runs"))
    await runtime.start_container("uid", container)
    runtime.end_container("uid", container, 137, oom_killed=True)
    (state,) = (await runtime.list_sandboxes())[0].containers
    assert (state.exit_code, state.signal, state.oom_killed) == (137, 9, True)


async def test_pods_of_jobs_end_by_themselves_where_nodes_say_so() -> None:
    runtime = SimulatedRuntime(SystemClock(), behaviours=BEHAVIOURS, of_jobs=FINISHING)
    labels = {JOB_LABEL: "sum"}
    assert runtime.behaviour_of("any", labels) is FINISHING
    assert runtime.behaviour_of("any").exits_after is None
    assert runtime.behaviour_of("runs", labels) is BEHAVIOURS["*/runs:*"]
