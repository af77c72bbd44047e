"""Connections: plain requests one after the other, in whatever pieces they come, and aiohttp for the rest."""

import asyncio

import orjson

from tests.server.world import Wire

MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "d"}, "data": {"k": "v"}}
HEAD = b"Host: x\r\nAuthorization: Bearer secret\r\n"


async def test_requests_that_come_at_once_are_answered_in_order(world, wire):
    world.api.put("configmaps", "ADDED", MAP)
    for _ in range(3):
        wire.send("GET", "/api/v1/namespaces/d/configmaps/a")
        wire.send("GET", "/api/v1/namespaces/d/configmaps/none")
        wire.send("GET", "/healthz")
    assert [(await wire.answer())[0] for _ in range(9)] == [200, 404, 200] * 3


async def test_a_body_may_come_in_pieces(wire):
    body = orjson.dumps({**MAP, "data": {"k": "v" * 1000}})
    wire.send("POST", "/api/v1/namespaces/d/configmaps", {"Content-Length": str(len(body))}, b"")
    for start in range(0, len(body), 100):
        wire.writer.write(body[start : start + 100])
        await wire.writer.drain()
        await asyncio.sleep(0)
    code, _, answer = await wire.answer()
    assert (code, orjson.loads(answer)["data"]) == (201, {"k": "v" * 1000})
    assert (await wire.ask("GET", "/healthz"))[0] == 200


async def test_a_connection_with_an_unusual_request_goes_on(world, wire):
    world.api.put("configmaps", "ADDED", MAP)
    assert (await wire.ask("GET", "/healthz"))[0] == 200
    body = orjson.dumps({**MAP, "metadata": {"name": "b", "namespace": "d"}})
    chunked = b"Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (
        len(body),
        body,
    )
    wire.writer.write(b"POST /api/v1/namespaces/d/configmaps HTTP/1.1\r\n" + HEAD + chunked)
    assert (await wire.answer())[0] == 201
    assert (await wire.ask("GET", "/api/v1/namespaces/d/configmaps/b"))[0] == 200
    wire.writer.write(b"GET /healthz HTTP/1.0\r\n" + HEAD + b"\r\n")
    assert (await wire.answer())[0] == 200
    assert await wire.at_end()


async def test_a_client_that_goes_amid_its_request_leaves_the_server_unharmed(world):
    for cut in (b"GET /heal", b"POST / HTTP/1.1\r\n" + HEAD + b"Content-Length: 100\r\n\r\nhalf"):
        wire = await Wire.to(world)
        wire.writer.write(cut)
        await wire.writer.drain()
        wire.close()
    wire = await Wire.to(world)
    assert (await wire.ask("GET", "/healthz"))[0] == 200
    wire.close()
