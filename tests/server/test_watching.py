"""Watches over real connections."""

import asyncio
import base64
import os

import aiohttp
import orjson

from moorage.objects.errors import Expired
from moorage.server import watch_stream
from tests.server.world import Wire, until

WATCH = "/api/v1/namespaces/ns/configmaps?watch=true"


async def lines(wire: Wire, count: int) -> list[dict]:
    text, found = b"", []
    while len(found) < count:
        text += await wire.chunk()
        *whole, text = text.split(b"\n")
        found += [orjson.loads(line) for line in whole]
    return found


async def test_a_watch_tells_what_is_there_and_what_happens(world, wire):
    world.add_config("a", k="1")
    wire.send("GET", f"{WATCH}&resourceVersion=0")
    code, headers = await wire.head()
    assert (code, headers["transfer-encoding"], headers["content-type"]) == (200, "chunked", "application/json")
    assert headers["cache-control"] == "no-cache, private"
    world_change = world.add_config("b")
    first, second = await lines(wire, 2)
    assert (first["type"], first["object"]["metadata"]["name"], first["object"]["kind"]) == ("ADDED", "a", "ConfigMap")
    assert second["object"]["metadata"]["resourceVersion"] == str(world_change.revision)


async def test_a_streaming_list_ends_with_a_bookmark(world, wire):
    world.add_config("a")
    wire.send("GET", f"{WATCH}&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true")
    await wire.head()
    added, bookmark = await lines(wire, 2)
    assert (added["type"], bookmark["type"]) == ("ADDED", "BOOKMARK")
    assert bookmark["object"] == {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": "2", "annotations": {"k8s.io/initial-events-end": "true"}},
    }


async def test_a_watch_ends_in_order_when_its_time_is_over(world, wire):
    wire.send("GET", f"{WATCH}&timeoutSeconds=1")
    await wire.head()
    assert await wire.chunk() == b""
    assert world.api.watches[0].is_closed
    assert (await wire.ask("GET", "/healthz"))[2] == b"ok"


async def test_a_refused_watch_is_an_ordinary_answer(wire):
    refused = await wire.json("GET", f"{WATCH}&labelSelector=!")
    assert refused["code"] == 400
    refused = await wire.json("GET", f"{WATCH}&timeoutSeconds=x")
    assert refused["message"] == 'strconv.ParseInt: parsing "x": invalid syntax'
    code, _, body = await wire.ask("GET", WATCH, {"Accept": "application/yaml"})
    assert (code, b"application/json;stream=watch" in body) == (406, True)


async def test_forgotten_history_is_told_as_an_error_notification(world, wire):
    world.api.forgets = True
    wire.send("GET", f"{WATCH}&resourceVersion=1")
    assert (await wire.head())[0] == 200
    (error,) = await lines(wire, 1)
    assert error["type"] == "ERROR"
    assert (error["object"]["code"], error["object"]["reason"]) == (410, "Expired")
    assert await wire.chunk() == b""


async def test_history_that_is_forgotten_while_watching_ends_the_watch(world, wire):
    wire.send("GET", f"{WATCH}&resourceVersion=1")
    await wire.head()
    world.api.forgets = True
    world.add_config("a")
    (error,) = await lines(wire, 1)
    assert error["object"]["message"] == str(Expired("too old resource version: 1 (2)"))
    assert await wire.chunk() == b""


async def test_a_client_that_goes_away_is_noticed_at_once(world):
    wire = await Wire.to(world)
    wire.send("GET", f"{WATCH}&resourceVersion=1")
    await wire.head()
    assert len(world.front.streams) == 1
    wire.close()
    await until(lambda: len(world.front.streams) == 0)
    await until(lambda: world.api.watches[0].is_closed)


async def test_stopping_ends_watches_in_order(world, wire):
    wire.send("GET", f"{WATCH}&resourceVersion=1")
    await wire.head()
    async with asyncio.timeout(2):
        await world.server.stop(5)
    assert await wire.chunk() == b""
    assert await wire.at_end()


async def test_bookmarks_tell_how_far_the_watch_has_come(world, wire, monkeypatch):
    monkeypatch.setattr(watch_stream, "BOOKMARK_SECONDS", 0.02)
    wire.send("GET", f"{WATCH}&resourceVersion=1&allowWatchBookmarks=true")
    await wire.head()
    world.add_pod()
    bookmarks = await lines(wire, 3)
    assert {line["type"] for line in bookmarks} == {"BOOKMARK"}
    assert bookmarks[-1]["object"]["metadata"] == {"resourceVersion": str(world.api.revision)}


async def test_tables_define_their_columns_once(world, wire):
    world.add_config("a")
    world.add_config("b")
    wire.send("GET", f"{WATCH}&resourceVersion=0", {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"})
    await wire.head()
    first, second = await lines(wire, 2)
    assert [len(each["object"]["columnDefinitions"] or ()) for each in (first, second)] == [1, 0]
    assert second["object"]["rows"][0]["cells"] == ["b"]


async def test_many_watchers_get_the_same_bytes(world):
    wires = [await Wire.to(world) for _ in range(20)]
    for wire in wires:
        wire.send("GET", f"{WATCH}&resourceVersion=1")
        await wire.head()
    item = world.add_config("a", k="1")
    expected = b'{"type":"ADDED","object":' + item.raw + b"}\n"
    assert {await wire.chunk() for wire in wires} == {expected}
    for wire in wires:
        wire.close()


async def test_a_watcher_that_does_not_read_holds_no_queue_and_is_dropped(world, monkeypatch):
    monkeypatch.setattr(watch_stream, "STALL_SECONDS", 0.2)
    wire = await Wire.to(world)
    wire.writer.transport.pause_reading()
    wire.send("GET", f"{WATCH}&resourceVersion=1")
    await until(lambda: len(world.front.streams) == 1)
    value = "x" * 100_000
    for number in range(200):
        world.add_config(f"c{number}", k=value)
        await asyncio.sleep(0)
    await until(lambda: len(world.front.streams) == 0)
    wire.close()


async def test_a_long_list_is_written_in_slices(world, wire):
    for number in range(40):
        world.add_config(f"c{number:03}", k="x" * 20_000)
    wire.send("GET", f"{WATCH}&resourceVersion=0")
    await wire.head()
    names = [line["object"]["metadata"]["name"] for line in await lines(wire, 40)]
    assert names == sorted(names)


async def test_the_old_watch_prefix_still_works(world, wire):
    world.add_config("a")
    wire.send("GET", "/api/v1/watch/namespaces/ns/configmaps")
    await wire.head()
    (added,) = await lines(wire, 1)
    assert added["object"]["metadata"]["name"] == "a"


async def test_an_old_client_reads_lines_without_chunks(world):
    wire = await Wire.to(world)
    world.add_config("a")
    wire.writer.write(b"GET " + WATCH.encode() + b"&timeoutSeconds=1 HTTP/1.0\r\nAuthorization: Bearer secret\r\n\r\n")
    _, headers = await wire.head()
    assert "transfer-encoding" not in headers
    assert orjson.loads(await asyncio.wait_for(wire.reader.read(), 5))["type"] == "ADDED"
    wire.close()


async def test_a_watch_goes_over_a_websocket(world):
    world.add_config("a")
    url = f"http://127.0.0.1:{world.port}{WATCH}"
    async with (
        aiohttp.ClientSession(headers={"Authorization": "Bearer secret"}) as session,
        session.ws_connect(url) as socket,
    ):
        first = orjson.loads(await socket.receive_str(timeout=5))
        world.add_config("b")
        second = orjson.loads(await socket.receive_str(timeout=5))
        await socket.close()
    assert [each["object"]["metadata"]["name"] for each in (first, second)] == ["a", "b"]
    await until(lambda: len(world.front.streams) == 0)


async def test_a_browser_brings_its_token_as_a_protocol(world, wire):
    token = base64.urlsafe_b64encode(b"secret").rstrip(b"=").decode()
    wire.send(
        "GET",
        WATCH,
        {
            "Authorization": None,
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            "Sec-WebSocket-Protocol": f"base64url.bearer.authorization.k8s.io.{token}, base64.binary.k8s.io",
        },
    )
    assert (await wire.head())[0] == 101
