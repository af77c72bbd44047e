"""A server on a loopback port. The loop is asyncio's own; test_on_uvloop.py repeats what matters on uvloop."""

import pytest

from tests.server.world import Wire, World


@pytest.fixture
async def world():
    world = World()
    await world.server.start()
    yield world
    await world.server.stop(1.0)
    for process in world.gateway.processes:
        process.reap()


@pytest.fixture
async def wire(world):
    wire = await Wire.to(world)
    yield wire
    wire.close()
