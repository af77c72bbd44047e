"""Who leads."""

import asyncio

from moorage.reconciler import election
from moorage.reconciler.election import RESOURCE, Elector
from tests.controllers.world import World
from tests.reconciler.memory import MemoryClient, StandingClock, until

LEASE = ("kube-system", "controllers")


def holder(world: World) -> str:
    lease = world.get(RESOURCE, *LEASE)
    return str(lease["spec"]["holderIdentity"]) if lease else ""


async def forever() -> None:
    await asyncio.Event().wait()


async def test_the_first_candidate_leads_and_the_second_waits_until_the_lease_stands_still() -> None:
    clock = StandingClock()
    world = World(clock.now())
    client = MemoryClient(world)
    first, second = Elector(client, clock, "one", LEASE), Elector(client, clock, "two", LEASE)
    leading = asyncio.ensure_future(first.lead(forever))
    await until(lambda: holder(world) == "one")
    assert not await second._try()
    leading.cancel()
    clock.advance(election.LEASE_SECONDS - 1)
    assert not await second._try()
    clock.advance(2)
    assert await second._try()
    assert holder(world) == "two"
    assert (world.get(RESOURCE, *LEASE) or {})["spec"]["leaseTransitions"] == 1


async def test_a_leader_whose_work_has_ended_returns() -> None:
    clock = StandingClock()
    world = World(clock.now())
    worked = []

    async def work() -> None:
        worked.append(holder(world))

    async with asyncio.timeout(5):
        await Elector(MemoryClient(world), clock, "one", LEASE).lead(work)
    assert worked == ["one"]
