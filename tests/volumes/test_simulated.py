"""The driver of simulations passes the same contract."""

import pytest

from moorage.volumes.driver import Driver
from moorage.volumes.simulated import SimulatedDriver
from tests.contracts.driver import DriverContract


@pytest.fixture
def driver() -> Driver:
    return SimulatedDriver()


class TestSimulatedDriver(DriverContract):
    pass
