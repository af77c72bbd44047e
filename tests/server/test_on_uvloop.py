"""What touches the loop itself, once more on uvloop, the loop of the product."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvloop

from tests.server import test_front, test_inside, test_watching
from tests.server.world import Wire, World

SCENARIOS: list[Callable[..., Awaitable[None]]] = [
    test_front.test_an_object_is_answered_with_its_stored_bytes,
    test_front.test_a_body_that_grows_over_the_limit_is_refused,
    test_front.test_many_requests_go_over_one_connection_in_order,
    test_front.test_stopping_lets_requests_finish_and_takes_no_new_ones,
    test_watching.test_a_watch_tells_what_is_there_and_what_happens,
    test_watching.test_a_client_that_goes_away_is_noticed_at_once,
    test_watching.test_stopping_ends_watches_in_order,
    test_watching.test_a_watch_goes_over_a_websocket,
    test_inside.test_a_command_runs_over_a_websocket,
    test_inside.test_a_command_is_killed_when_its_client_goes_away,
    test_inside.test_a_command_runs_over_spdy,
    test_inside.test_spdy_resizes_the_terminal,
    test_inside.test_nonsense_over_spdy_ends_the_connection,
    test_inside.test_a_port_that_nobody_listens_on_is_told_on_the_error_stream,
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_the_same_holds_on_uvloop(scenario, caplog):
    async def run() -> None:
        world = World()
        await world.server.start()
        wire = await Wire.to(world)
        arguments: dict[str, Any] = {"world": world, "wire": wire}
        names = scenario.__code__.co_varnames[: scenario.__code__.co_argcount]
        try:
            await scenario(**{name: arguments[name] for name in names})
        finally:
            wire.close()
            await world.server.stop(1)
            for process in world.gateway.processes:
                process.reap()

    uvloop.run(run())
