"""Fixtures of the API's tests."""

import pytest

from tests.api.world import World


@pytest.fixture
async def world():
    world = World()
    await world.api.load()
    yield world
    await world.store.close()
