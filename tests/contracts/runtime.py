"""The contract of node.runtimes.runtime.Runtime: every implementation inherits RuntimeContract and gives it a `world`."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Protocol

import pytest

from moorage.node.runtimes.runtime import ContainerConfig, ContainerState, Runtime, RuntimeFailure, SandboxConfig

DEADLINE_SECONDS = 20


class World(Protocol):
    """What an implementation provides: a started runtime and containers that behave in known ways."""

    runtime: Runtime
    directory: Path

    def container(self, what: str, **changes: object) -> ContainerConfig:
        """Return a container that does `what`.

        runs: until told to stop, then ends with 0. stubborn: ignores its stop signal. exits-7: at once. unexecutable:
        its command is not there. serves: answers HTTP on port 8080.
        """

    async def settle(self, uid: str, container: str) -> None:
        """Wait until a container that runs listens to signals."""

    async def restart(self) -> None:
        """Replace the runtime by one of a new agent, over the same state."""


def sandbox(world: World, uid: str = "uid-a", **changes: object) -> SandboxConfig:
    values = {
        "name": "web-0",
        "namespace": "default",
        "hostname": "web-0",
        "log_directory": f"{world.directory}/logs/{uid}",
    }
    return SandboxConfig(uid=uid, **{**values, **changes})  # type: ignore[arg-type]


async def state_of(world: World, container: str, uid: str = "uid-a") -> ContainerState:
    for one in await world.runtime.list_sandboxes():
        for state in one.containers:
            if one.uid == uid and state.id == container:
                return state
    raise AssertionError(f"container {container} is not listed")


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await condition():
            await asyncio.sleep(0.005)


async def started(world: World, what: str = "runs", uid: str = "uid-a", **changes: object) -> str:
    await world.runtime.run_sandbox(sandbox(world, uid))
    container = await world.runtime.create_container(uid, world.container(what, **changes))
    await world.runtime.start_container(uid, container)
    if what in ("runs", "stubborn"):
        await world.settle(uid, container)
    return container


async def ended(world: World, container: str, uid: str = "uid-a") -> ContainerState:
    async def is_exited() -> bool:
        return (await state_of(world, container, uid)).state == "exited"

    await until(is_exited)
    return await state_of(world, container, uid)


class RuntimeContract:
    @pytest.fixture
    async def world(self) -> AsyncIterator[World]:
        raise NotImplementedError
        yield  # noqa: PT022 - for the type

    async def test_a_pod_runs_and_is_listed_with_its_address(self, world: World) -> None:
        container = await started(world)
        (listed,) = await world.runtime.list_sandboxes()
        assert (listed.uid, listed.name, listed.namespace, listed.ready) == ("uid-a", "web-0", "default", True)
        assert listed.ip.startswith("10.")
        (state,) = listed.containers
        assert (state.id, state.name, state.attempt, state.state) == (container, "main", 0, "running")
        assert state.started_at > 0

    async def test_a_created_container_has_not_started(self, world: World) -> None:
        await world.runtime.run_sandbox(sandbox(world))
        container = await world.runtime.create_container("uid-a", world.container("runs"))
        assert (await state_of(world, container)).state == "created"

    async def test_every_verb_may_be_repeated(self, world: World) -> None:
        first = await started(world)
        address = (await world.runtime.list_sandboxes())[0].ip
        assert await started(world) == first
        assert (await world.runtime.list_sandboxes())[0].ip == address
        for _ in range(2):
            await world.runtime.stop_container("uid-a", first, 10)
        for _ in range(2):
            await world.runtime.remove_container("uid-a", first)
        for _ in range(2):
            await world.runtime.stop_sandbox("uid-a")
        for _ in range(2):
            await world.runtime.remove_sandbox("uid-a")
        assert not await world.runtime.list_sandboxes()

    async def test_pods_have_addresses_of_their_own(self, world: World) -> None:
        for uid in ("uid-a", "uid-b", "uid-c"):
            await world.runtime.run_sandbox(sandbox(world, uid))
        assert len({one.ip for one in await world.runtime.list_sandboxes()}) == 3

    async def test_a_wanted_address_is_given(self, world: World) -> None:
        assert (await world.runtime.run_sandbox(sandbox(world, ip="10.124.1.77"))).ip == "10.124.1.77"

    async def test_a_host_network_pod_has_no_address_of_its_own(self, world: World) -> None:
        assert (await world.runtime.run_sandbox(sandbox(world, host_network=True))).ip == ""

    async def test_an_end_is_told_and_its_exit_code_kept(self, world: World) -> None:
        events = world.runtime.events()
        container = await started(world, "exits-7")
        async with asyncio.timeout(DEADLINE_SECONDS):
            assert await anext(events) == "uid-a"
        state = await state_of(world, container)
        assert (state.state, state.exit_code, state.signal) == ("exited", 7, 0)
        assert state.finished_at >= state.started_at > 0
        await events.aclose()  # type: ignore[attr-defined]

    async def test_the_next_attempt_is_another_container(self, world: World) -> None:
        first = await started(world, "exits-7")
        await ended(world, first)
        second = await world.runtime.create_container("uid-a", world.container("runs", attempt=1))
        await world.runtime.start_container("uid-a", second)
        assert second != first
        assert (await state_of(world, second)).state == "running"
        assert (await state_of(world, first)).exit_code == 7

    async def test_a_container_that_obeys_ends_with_its_own_exit_code(self, world: World) -> None:
        container = await started(world)
        await world.runtime.stop_container("uid-a", container, 10)
        state = await state_of(world, container)
        assert (state.state, state.exit_code) == ("exited", 0)

    async def test_a_container_that_ignores_its_signal_is_killed_after_the_grace_period(self, world: World) -> None:
        container = await started(world, "stubborn")
        await world.runtime.stop_container("uid-a", container, 0.2)
        state = await state_of(world, container)
        assert (state.state, state.exit_code, state.signal) == ("exited", 137, 9)

    async def test_no_grace_means_killed_at_once(self, world: World) -> None:
        container = await started(world)
        await world.runtime.stop_container("uid-a", container, 0)
        assert (await state_of(world, container)).exit_code == 137

    async def test_stopping_the_sandbox_ends_its_containers(self, world: World) -> None:
        container = await started(world, "stubborn")
        await world.runtime.stop_sandbox("uid-a")
        (listed,) = await world.runtime.list_sandboxes()
        assert not listed.ready
        assert [(one.id, one.state, one.exit_code) for one in listed.containers] == [(container, "exited", 137)]

    async def test_a_command_that_is_not_there_is_a_start_error(self, world: World) -> None:
        await world.runtime.run_sandbox(sandbox(world))
        container = await world.runtime.create_container("uid-a", world.container("unexecutable"))
        with pytest.raises(RuntimeFailure, match="executable file not found in \\$PATH") as refused:
            await world.runtime.start_container("uid-a", container)
        assert refused.value.reason == "StartError"
        state = await state_of(world, container)
        assert (state.state, state.exit_code) == ("exited", 128)

    async def test_a_running_container_cannot_be_removed(self, world: World) -> None:
        container = await started(world)
        with pytest.raises(RuntimeFailure):
            await world.runtime.remove_container("uid-a", container)

    async def test_what_is_not_here_is_refused_or_already_gone(self, world: World) -> None:
        with pytest.raises(RuntimeFailure):
            await world.runtime.create_container("nobody", world.container("runs"))
        with pytest.raises(RuntimeFailure):
            await world.runtime.start_container("nobody", "nothing")
        with pytest.raises(RuntimeFailure):
            await world.runtime.exec("nobody", "nothing", ["true"], tty=False, stdin=False)
        with pytest.raises(OSError, match=r"nobody|run"):
            await world.runtime.dial("nobody", 80)
        await world.runtime.stop_container("nobody", "nothing", 1)
        await world.runtime.remove_container("nobody", "nothing")
        await world.runtime.stop_sandbox("nobody")
        await world.runtime.remove_sandbox("nobody")

    async def test_an_image_that_is_not_here_is_refused(self, world: World) -> None:
        await world.runtime.run_sandbox(sandbox(world))
        assert await world.runtime.image_status("localhost/absent:1") is None
        with pytest.raises(RuntimeFailure) as refused:
            await world.runtime.create_container("uid-a", world.container("runs", image="sha256:" + "0" * 64))
        assert refused.value.reason == "ErrImageNeverPull"

    async def test_a_name_that_is_none_is_an_invalid_image_name(self, world: World) -> None:
        for verb in (world.runtime.image_status, world.runtime.pull_image):
            with pytest.raises(RuntimeFailure, match=r"couldn't parse image name") as refused:
                await verb("Not A Name")
            assert refused.value.reason == "InvalidImageName"

    async def test_a_command_beside_the_container_gives_its_exit_code(self, world: World) -> None:
        container = await started(world)
        process = await world.runtime.exec("uid-a", container, ["true"], tty=False, stdin=False)
        async with asyncio.timeout(DEADLINE_SECONDS):
            assert await process.wait() == 0
        for descriptor in {process.stdin, process.stdout, process.stderr} - {-1}:
            os.close(descriptor)

    async def test_no_command_runs_beside_a_container_that_has_ended(self, world: World) -> None:
        container = await started(world, "exits-7")
        await ended(world, container)
        with pytest.raises(RuntimeFailure):
            await world.runtime.exec("uid-a", container, ["true"], tty=False, stdin=False)

    async def test_attaching_lasts_until_the_container_ends(self, world: World) -> None:
        container = await started(world)
        process = await world.runtime.attach("uid-a", container)
        await world.runtime.stop_container("uid-a", container, 10)
        async with asyncio.timeout(DEADLINE_SECONDS):
            assert await process.wait() == 0
        for descriptor in {process.stdin, process.stdout, process.stderr} - {-1}:
            os.close(descriptor)

    async def test_a_port_that_is_served_can_be_dialled(self, world: World) -> None:
        await started(world, "serves")

        async def answers() -> bool:
            try:
                sock = await world.runtime.dial("uid-a", 8080)
            except OSError:
                return False
            reader, writer = await asyncio.open_connection(sock=sock)
            with contextlib.suppress(ConnectionError):  # a server may answer and close before it was asked
                writer.write(b"GET / HTTP/1.0\r\n\r\n")
                await writer.drain()
            answer = await reader.read(5)
            writer.close()
            return answer.startswith(b"HTTP/")

        await until(answers)

    async def test_a_new_agent_finds_what_runs(self, world: World) -> None:
        container = await started(world)
        before = (await world.runtime.list_sandboxes())[0]
        await world.restart()
        assert (await world.runtime.list_sandboxes())[0] == before
        assert await started(world) == container
        await world.runtime.stop_container("uid-a", container, 10)
        assert (await state_of(world, container)).exit_code == 0

    async def test_a_new_agent_finds_what_has_ended(self, world: World) -> None:
        container = await started(world, "exits-7")
        await ended(world, container)
        await world.runtime.stop_sandbox("uid-a")
        await world.restart()
        (listed,) = await world.runtime.list_sandboxes()
        assert not listed.ready
        assert listed.containers[0].exit_code == 7
