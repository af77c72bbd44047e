"""Logs, exec, attach and port-forward over real connections."""

import asyncio
import struct
from typing import Any

import aiohttp
import orjson
import pytest

from moorage.server.upgrades import exec as execution
from moorage.server.upgrades.spdy import Data, Opened, Reset, Session, control_frame, data_frames
from tests.server.world import Wire, World, until

POD = "/api/v1/namespaces/ns/pods/p"
SUCCESS = {"metadata": {}, "status": "Success"}


class Spdy:
    """A client that speaks SPDY over a raw connection."""

    def __init__(self, wire: Wire) -> None:
        self.wire, self.session, self.next = wire, Session(), 1
        self.data: dict[int, bytes] = {}
        self.ended: set[int] = set()

    @classmethod
    async def upgrade(cls, world: World, target: str, protocols: str) -> tuple["Spdy", dict[str, str]]:
        wire = await Wire.to(world)
        headers = {"Upgrade": "SPDY/3.1", "Connection": "Upgrade", "X-Stream-Protocol-Version": protocols}
        wire.send("POST", target, headers)
        code, answer = await wire.head()
        assert code == 101, answer
        return cls(wire), answer

    def open(self, **headers: str) -> int:
        number, self.next = self.next, self.next + 2
        self.wire.writer.write(self.session.open(number, headers))
        self.data[number] = b""
        return number

    def write(self, stream: int, data: bytes, *, fin: bool = False) -> None:
        self.wire.writer.write(data_frames(stream, data, fin=fin))

    async def read_until(self, condition: Any) -> None:
        async with asyncio.timeout(5):
            while not condition():
                received = await self.wire.reader.read(65536)
                if not received:
                    return
                # SYN_REPLY and data come back; the session of a client reads both
                for event in self.session.feed(received):
                    if isinstance(event, Data):
                        self.data[event.stream] = self.data.get(event.stream, b"") + event.data
                        if event.fin:
                            self.ended.add(event.stream)
                    elif isinstance(event, Reset):
                        self.ended.add(event.stream)

    def close(self) -> None:
        self.wire.close()


def client() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(headers={"Authorization": "Bearer secret"})


def url(world: World, path: str) -> str:
    return f"http://127.0.0.1:{world.port}{path}"


async def channels(socket: Any) -> dict[int, bytes]:
    """Read all channels until the server closes."""
    found: dict[int, bytes] = {}
    async for message in socket:
        data = message.data if isinstance(message.data, bytes) else message.data.encode()
        found[data[0]] = found.get(data[0], b"") + data[1:]
    return found


async def test_a_log_is_plain_text(world, wire):
    world.add_pod()
    wire.send("GET", f"{POD}/log?tailLines=5&timestamps=true&sinceTime=2026-01-01T00:00:00Z")
    code, headers = await wire.head()
    assert (code, headers["content-type"]) == (200, "text/plain")
    assert [await wire.chunk() for _ in range(3)] == [b"first\n", b"second\n", b""]
    options = world.gateway.options[-1]
    assert (options.container, options.tail_lines, options.timestamps, options.follow) == ("c", 5, True, False)
    assert options.since_time.year == 2026


async def test_a_followed_log_comes_as_it_is_written(world, wire):
    world.add_pod()
    wire.send("GET", f"{POD}/log?follow=True")
    await wire.head()
    assert await wire.chunk() == b"first\n"
    world.gateway.more_log.set()
    assert await wire.chunk() == b"second\n"


async def test_a_follower_that_goes_away_is_noticed(world):
    world.add_pod()
    wire = await Wire.to(world)
    wire.send("GET", f"{POD}/log?follow=true")
    await wire.head()
    wire.close()
    await until(lambda: len(world.front.streams) == 0)


async def test_a_log_goes_over_a_websocket(world):
    world.add_pod()
    async with client() as session, session.ws_connect(url(world, f"{POD}/log"), protocols=["binary.k8s.io"]) as socket:
        assert socket.protocol == "binary.k8s.io"
        assert [message.data async for message in socket] == [b"first\n", b"second\n"]


async def test_a_pod_without_a_node_has_no_log_and_cannot_be_entered(world, wire):
    world.add_pod(node="")
    code, headers, body = await wire.ask("GET", f"{POD}/log")
    assert (code, body, "content-type" in headers) == (204, b"", False)
    refused = await wire.json("GET", f"{POD}/log?container=nope")
    assert refused["message"] == "container nope is not valid for pod p"
    for subresource in ("exec?command=ls&stdout=true", "attach?stdout=true", "portforward"):
        refused = await wire.json("POST", f"{POD}/{subresource}")
        assert (refused["code"], refused["message"]) == (400, "pod p does not have a host assigned")
    assert (await wire.json("POST", "/api/v1/namespaces/ns/pods/nope/exec?command=ls"))["code"] == 404


async def test_a_command_runs_over_a_websocket(world):
    world.add_pod()
    target = url(
        world, f"{POD}/exec?command=sh&command=-c&command=cat%3Becho%20bad%20>%262%3Bexit%203&stdin=1&stdout=1&stderr=1"
    )
    async with client() as session, session.ws_connect(target, protocols=["v5.channel.k8s.io"]) as socket:
        assert socket.protocol == "v5.channel.k8s.io"
        await socket.send_bytes(b"\x00hello ")
        await socket.send_str("\x00world")
        await socket.send_bytes(b"\xff\x00")
        found = await channels(socket)
        assert socket.close_code == 1000
    assert (found[1], found[2]) == (b"hello world", b"bad\n")
    assert orjson.loads(found[3]) == execution.status_of_exit(3)
    assert world.gateway.options[-1].command == ("sh", "-c", "cat;echo bad >&2;exit 3")


async def test_success_is_told_and_unasked_channels_stay_silent(world):
    world.add_pod()
    target = url(world, f"{POD}/exec?command=sh&command=-c&command=echo%20a%3Becho%20b%20>%262&stdout=true")
    async with client() as session, session.ws_connect(target, protocols=["v4.channel.k8s.io"]) as socket:
        found = await channels(socket)
    assert found.keys() == {1, 3}
    assert orjson.loads(found[3]) == SUCCESS


async def test_old_protocols_tell_only_failures_as_text(world):
    world.add_pod()
    target = url(world, f"{POD}/exec?command=sh&command=-c&command=exit%207&stdout=true")
    async with client() as session, session.ws_connect(target) as socket:
        assert socket.protocol is None
        found = await channels(socket)
    assert found == {3: b"command terminated with non-zero exit code: exit status 7"}


async def test_base64_channels_are_text(world):
    world.add_pod()
    target = url(world, f"{POD}/exec?command=cat&stdin=true&stdout=true")
    async with client() as session, session.ws_connect(target, protocols=["v4.base64.channel.k8s.io"]) as socket:
        await socket.send_str("0aGVsbG8=")
        message = await socket.receive_str(timeout=5)
        assert message == "1aGVsbG8="
    await until(lambda: world.gateway.processes[0].is_killed)


async def test_the_terminal_follows_its_size(world):
    world.add_pod()
    target = url(world, f"{POD}/attach?stdin=true&stdout=true&tty=true")
    async with client() as session, session.ws_connect(target, protocols=["v5.channel.k8s.io"]) as socket:
        await socket.send_bytes(b'\x04{"Width":80,"Height":24}')
        await socket.send_bytes(b"\x04nonsense")
        await socket.send_bytes(b"\x00x")
        assert (await socket.receive_bytes(timeout=5)) == b"\x01x"
    process = world.gateway.processes[0]
    assert process.sizes == [(80, 24)]
    assert not process.is_killed
    process.kill()


async def test_a_command_is_killed_when_its_client_goes_away(world):
    world.add_pod()
    target = url(world, f"{POD}/exec?command=sleep&command=100&stdout=true")
    async with client() as session:
        socket = await session.ws_connect(target, protocols=["v5.channel.k8s.io"])
        socket._response.connection.transport.abort()
        await until(lambda: world.gateway.processes[0].is_killed)
    await until(lambda: len(world.front.streams) == 0)


async def test_errors_before_the_upgrade_are_ordinary_answers(world, wire):
    world.add_pod()
    for query, message in (
        ("command=ls", "you must specify at least 1 of stdin, stdout, stderr"),
        ("stdout=true", "you must specify at least one command for the container"),
        ("command=ls&stdout=true", "Upgrade request required"),
        ("command=ls&stdout=true&container=x", "container x is not valid for pod p"),
    ):
        refused = await wire.json("POST", f"{POD}/exec?{query}")
        assert (refused["code"], refused["message"]) == (400, message)
    async with client() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            await session.ws_connect(
                url(world, f"{POD}/exec?command=nowhere&stdout=1"), protocols=["v5.channel.k8s.io"]
            )
        assert refusal.value.status == 400
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(url(world, f"{POD}/exec?command=ls&stdout=1"), protocols=["v9.unknown"])


async def test_a_websocket_exec_needs_the_right_to_create(world):
    world.add_pod()
    async with client() as session, session.ws_connect(url(world, f"{POD}/exec?command=true&stdout=1")) as socket:
        await channels(socket)
    assert [each.verb for each in world.authorizer.asked if each.subresource == "exec"] == ["get", "create"]


async def test_a_command_runs_over_spdy(world):
    world.add_pod()
    target = f"{POD}/exec?command=sh&command=-c&command=cat%3Becho%20bad%20>%262%3Bexit%203&stdin=1&stdout=1&stderr=1"
    spdy, headers = await Spdy.upgrade(world, target, "v5.channel.k8s.io, v4.channel.k8s.io")
    assert (headers["x-stream-protocol-version"], headers["upgrade"]) == ("v4.channel.k8s.io", "SPDY/3.1")
    error, stdin, stdout, stderr = [spdy.open(streamtype=each) for each in ("error", "stdin", "stdout", "stderr")]
    spdy.write(stdin, b"hello", fin=True)
    await spdy.read_until(lambda: spdy.ended >= {error, stdout, stderr})
    assert (spdy.data[stdout], spdy.data[stderr]) == (b"hello", b"bad\n")
    assert orjson.loads(spdy.data[error]) == execution.status_of_exit(3)
    spdy.close()
    await until(lambda: len(world.front.streams) == 0)


async def test_spdy_resizes_the_terminal(world):
    world.add_pod()
    spdy, _ = await Spdy.upgrade(world, f"{POD}/attach?stdin=1&stdout=1&tty=1", "v4.channel.k8s.io")
    for kind in ("error", "stdin", "stdout"):
        spdy.open(streamtype=kind)
    resize = spdy.open(streamtype="resize")
    spdy.write(resize, b'{"Width":100,"Height":30}\n{"Width":')
    spdy.write(resize, b'90,"Height":20}\n')
    await until(lambda: world.gateway.processes and world.gateway.processes[0].sizes == [(100, 30), (90, 20)])
    spdy.close()
    await until(lambda: len(world.front.streams) == 0)
    world.gateway.processes[0].kill()


async def test_a_spdy_client_of_unknown_protocols_is_refused(world, wire):
    world.add_pod()
    headers = {"Upgrade": "SPDY/3.1", "Connection": "Upgrade", "X-Stream-Protocol-Version": "v9"}
    wire.send("POST", f"{POD}/exec?command=ls&stdout=1", headers)
    code, _, body = await wire.answer()
    assert code == 403
    assert b"unable to negotiate protocol" in body


async def test_nonsense_over_spdy_ends_the_connection(world):
    world.add_pod()
    spdy, _ = await Spdy.upgrade(world, f"{POD}/exec?command=sleep&command=9&stdout=1", "v4.channel.k8s.io")
    spdy.wire.writer.write(control_frame(1, b"short"))
    await spdy.read_until(lambda: False)
    await until(lambda: world.gateway.processes[0].is_killed and len(world.front.streams) == 0)
    spdy.close()


async def test_a_ping_comes_back(world):
    world.add_pod()
    spdy, _ = await Spdy.upgrade(world, f"{POD}/portforward", "portforward.k8s.io")
    ping = control_frame(6, struct.pack("!I", 7))
    spdy.wire.writer.write(ping)
    assert await asyncio.wait_for(spdy.wire.reader.readexactly(len(ping)), 5) == ping
    spdy.close()


@pytest.fixture
async def echo():
    """A server that sends everything back, then closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def test_a_port_is_forwarded_over_spdy(world, echo):
    world.add_pod()
    spdy, headers = await Spdy.upgrade(world, f"{POD}/portforward", "portforward.k8s.io")
    assert headers["x-stream-protocol-version"] == "portforward.k8s.io"
    for request in ("0", "1"):
        error = spdy.open(streamtype="error", port=str(echo), requestid=request)
        data = spdy.open(streamtype="data", port=str(echo), requestid=request)
        spdy.write(error, b"", fin=True)
        spdy.write(data, b"hello " + request.encode())
        spdy.write(data, b"!", fin=True)
        await spdy.read_until(lambda data=data, error=error: {data, error} <= spdy.ended)
        assert spdy.data[data] == f"hello {request}!".encode()
        assert spdy.data[error] == b""
    spdy.close()
    await until(lambda: len(world.front.streams) == 0)


async def test_a_port_that_nobody_listens_on_is_told_on_the_error_stream(world):
    world.add_pod()
    spdy, _ = await Spdy.upgrade(world, f"{POD}/portforward", "portforward.k8s.io")
    error, data = [spdy.open(streamtype=each, port="1", requestid="0") for each in ("error", "data")]
    await spdy.read_until(lambda: {data, error} <= spdy.ended)
    assert spdy.data[error].startswith(b"error forwarding port 1 to pod p, uid uid-p: ")
    spdy.close()


async def test_much_data_goes_both_ways_without_loss(world, echo):
    world.add_pod()
    spdy, _ = await Spdy.upgrade(world, f"{POD}/portforward", "portforward.k8s.io")
    spdy.open(streamtype="error", port=str(echo), requestid="0")
    data = spdy.open(streamtype="data", port=str(echo), requestid="0")
    sent = bytes(range(256)) * 20_000
    spdy.write(data, sent, fin=True)
    await spdy.read_until(lambda: data in spdy.ended)
    assert spdy.data[data] == sent
    spdy.close()


async def test_a_port_is_forwarded_through_a_tunnel(world, echo):
    world.add_pod()
    session = Session()
    async with (
        client() as http,
        http.ws_connect(url(world, f"{POD}/portforward"), protocols=["SPDY/3.1+portforward.k8s.io"]) as socket,
    ):
        assert socket.protocol == "SPDY/3.1+portforward.k8s.io"
        head = {"port": str(echo), "requestid": "0"}
        sent = session.open(1, {**head, "streamtype": "error"}, fin=True) + session.open(
            3, {**head, "streamtype": "data"}
        )
        sent += data_frames(3, b"through", fin=True)
        for at in range(0, len(sent), 7):  # boundaries of messages mean nothing
            await socket.send_bytes(sent[at : at + 7])
        found, ended = b"", set()
        while ended != {1, 3}:
            for event in session.feed(await socket.receive_bytes(timeout=5)):
                assert not isinstance(event, Opened)
                if isinstance(event, Data):
                    found += event.data
                    ended |= {event.stream} if event.fin else set()
    assert found == b"through"
    await until(lambda: len(world.front.streams) == 0)


async def test_a_port_is_forwarded_over_channels(world, echo):
    world.add_pod()
    target = url(world, f"{POD}/portforward?ports={echo}")
    async with client() as session, session.ws_connect(target, protocols=["v4.channel.k8s.io"]) as socket:
        greeting = struct.pack("<H", echo)
        assert await socket.receive_bytes(timeout=5) == b"\x00" + greeting
        assert await socket.receive_bytes(timeout=5) == b"\x01" + greeting
        await socket.send_bytes(b"\x00hello")
        assert await socket.receive_bytes(timeout=5) == b"\x00hello"
    await until(lambda: len(world.front.streams) == 0)


async def test_channels_need_ports(world):
    world.add_pod()
    async with client() as session:
        for query in ("", "?ports=0", "?ports=x"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
                await session.ws_connect(url(world, f"{POD}/portforward{query}"))
            assert refusal.value.status == 400


async def test_stopping_ends_commands_and_forwards(world, echo):
    world.add_pod()
    spdy, _ = await Spdy.upgrade(world, f"{POD}/portforward", "portforward.k8s.io")
    async with client() as session:
        socket = await session.ws_connect(url(world, f"{POD}/exec?command=sleep&command=9&stdout=1"))
        async with asyncio.timeout(3):
            closing = asyncio.ensure_future(world.server.stop(2))
            await socket.receive()
            await closing
    assert world.gateway.processes[0].is_killed
    spdy.close()
