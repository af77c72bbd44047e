"""The HTTP client passes the contract against the real API behind the real server; and what is its own."""

import asyncio
from contextlib import aclosing

import pytest

from moorage.aio.clock import SystemClock
from moorage.aio.entropy import seeded
from moorage.api.api import Api
from moorage.api.tables import Tables
from moorage.client.client import Selection, Target
from moorage.client.http import HttpClient
from moorage.client.kubeconfig import Credentials
from moorage.objects.errors import Expired, Forbidden, Invalid, PlainError, Unauthorized
from moorage.server.front import Front, Parts
from moorage.server.serve import Server
from moorage.store.memory import MemoryStore
from tests.contracts.client import ClientContract
from tests.server.world import FakeAuthenticator, FakeAuthorizer, FakeGateway, World, until


class NoAdmission:
    async def mutate(self, *_: object) -> None: ...

    async def validate(self, *_: object) -> None: ...

    async def ask(self, *_: object) -> None: ...


class TestHttpClient(ClientContract):
    @pytest.fixture
    async def client(self):
        store, world = MemoryStore(), World()
        api = Api(store, SystemClock(), seeded(1), NoAdmission())
        await api.load()
        old = world.front.parts
        parts = Parts(
            api=api,
            authenticator=FakeAuthenticator(),
            authorizer=FakeAuthorizer(),
            pages=old.pages,
            tables=Tables(),
            gateway=FakeGateway(),
            clock=old.clock,
            entropy=old.entropy,
            metrics=old.metrics,
        )
        server = Server(Front(parts), None, "127.0.0.1", 0)
        await server.start()
        async with HttpClient(Credentials(server.url, token="secret"), "suite") as client:
            await client.create("namespaces", {"metadata": {"name": "default"}})
            yield client
        await server.stop(1)
        await store.close()


@pytest.fixture
async def world():
    world = World()
    await world.server.start()
    yield world
    await world.server.stop(1)


@pytest.fixture
async def client(world):
    async with HttpClient(Credentials(world.server.url, token="secret"), "suite/1.0") as client:
        yield client


async def test_the_agent_is_told(world, client):
    await client.list("configmaps")
    assert world.api.requests[-1].agent == "suite/1.0"


async def test_items_of_lists_get_their_kind_back(world, client):
    item = world.add_config("a")
    listing = await client.list("configmaps", Selection("ns"))
    assert listing.items[0].object == item.object


async def test_who_may_not_is_told_why(world):
    async with HttpClient(Credentials(world.server.url, token="wrong"), "suite") as client:
        with pytest.raises(Unauthorized):
            await client.list("configmaps")
    async with HttpClient(Credentials(world.server.url), "suite") as client:
        with pytest.raises(Forbidden):
            await client.get(Target("configmaps", "ns", "a"))


async def test_a_token_is_read_from_its_file_each_time(world, tmp_path):
    file = tmp_path / "token"
    file.write_text("secret\n")
    async with HttpClient(Credentials(world.server.url, token_file=str(file)), "suite") as client:
        await client.list("configmaps")
        file.write_text("wrong\n")
        with pytest.raises(Unauthorized):
            await client.list("configmaps")


async def test_a_server_that_is_gone_is_a_connection_error(world, client):
    await client.list("configmaps")
    await world.server.stop(1)
    with pytest.raises(ConnectionError):
        await client.list("configmaps")


async def test_a_watch_whose_connection_breaks_is_a_connection_error(world, client):
    async def watch() -> None:
        async for _ in client.watch("configmaps", 1):
            pass

    watching = asyncio.ensure_future(watch())
    await until(lambda: len(world.front.streams) == 1)
    for connection in tuple(world.server._connections.open):
        connection.transport.abort()
    with pytest.raises(ConnectionError):
        await watching


async def test_a_watch_that_ends_in_order_is_begun_again_where_it_was(world, client):
    async with asyncio.timeout(5), aclosing(client.watch("configmaps", 1)) as changes:
        batches = changes.__aiter__()
        first = asyncio.ensure_future(anext(batches))
        await until(lambda: len(world.front.streams) == 1)
        item = world.add_config("a")
        assert (await first)[-1].revision == item.revision
        second = asyncio.ensure_future(anext(batches))
        await asyncio.sleep(0)
        world.front.streams.stop()  # the server ends all streams in order, then goes on
        world.front.streams.is_stopping = True
        await until(lambda: len(world.front.streams) == 0)
        world.front.streams.is_stopping = False
        world.add_config("b")
        assert (await second)[-1].item.name == "b"
        assert world.api.requests[-1].query["resourceVersion"] == str(item.revision)


async def test_forgotten_history_is_expired(world, client):
    world.api.forgets = True
    with pytest.raises(Expired):
        async for _ in client.watch("configmaps", 1):
            pass


def test_statuses_become_the_errors_that_they_were():
    from moorage.client.refusals import error_of, error_of_body

    causes = [{"reason": "FieldValueRequired", "message": "Required value", "field": "metadata.name"}]
    for error in (
        Expired("gone"),
        Invalid("bad", details={"kind": "Pod", "causes": causes}),
        PlainError("why"),
        Forbidden("no", details={"kind": "pods"}),
    ):
        again = error_of(error.status())
        assert type(again) is type(error)
        assert again.status() == error.status()
    assert error_of({"reason": "Gone", "code": 410, "message": "x"}).code == 410
    plain = error_of_body(404, b"404 page not found\n")
    assert (plain.code, plain.message) == (404, "404 page not found")
    assert error_of_body(502, b"\xff<html>").code == 502
