"""Requests to another server's API carry who asks."""

import asyncio
from dataclasses import replace
from typing import Any

from moorage.api.request import User
from moorage.server.aggregation import NoBackend, identity_headers
from tests.server.test_proxying import ask, backend, echo
from tests.server.world import World


class Remote:
    """A group version `sea/v1` of a server on a port."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.is_available = True
        self.host = "10.96.0.9:443"

    async def connect(self) -> Any:
        if not self.port:
            raise NoBackend("error trying to reach service: dial tcp 10.1.1.1:1: connect: connection refused")
        return await asyncio.open_connection("127.0.0.1", self.port)

    def find(self, group: str, version: str) -> Any:
        return self if (group, version) == ("sea", "v1") else None


def served(world: World, remote: Remote) -> None:
    world.front.parts = replace(world.front.parts, remotes=remote)


def test_names_of_extra_values_are_escaped() -> None:
    user = User("jane", ("a", "b"), "u", {"example.com/a%": ("x", "y")})
    assert identity_headers(user) == (
        ("X-Remote-User", "jane"),
        ("X-Remote-Uid", "u"),
        ("X-Remote-Group", "a"),
        ("X-Remote-Group", "b"),
        ("X-Remote-Extra-example.com%2Fa%25", "x"),
        ("X-Remote-Extra-example.com%2Fa%25", "y"),
    )


async def test_any_path_of_the_group_version_is_passed_on_as_it_came(world: World) -> None:
    async with backend(echo) as port:
        served(world, Remote(port))
        for path in ("/apis/sea/v1", "/apis/sea/v1/fish/a%20b/tail/more?x=1&x=2", "/openapi/v3/apis/sea/v1?hash=A"):
            _, rest = await ask(world, f"PUT {path}\r\nX-Remote-User: root\r\nX-Remote-Extra-A: b\r\n", b"hello")
            assert rest.startswith(f"PUT {path} HTTP/1.1\r\nHost: 10.96.0.9:443\r\n".encode())
            assert b"X-Remote-User: admin\r\nX-Remote-Group: system:masters\r\n" in rest
            assert b"root" not in rest
            assert b"X-Remote-Extra-A" not in rest
            assert rest.endswith(b"\r\n\r\nhello")


async def test_another_version_is_not_passed_on(world: World) -> None:
    served(world, Remote(0))
    head, _ = await ask(world, "GET /apis/sea/v2/fish/a\r\n")
    assert head.startswith(b"HTTP/1.1 404")


async def test_a_server_that_cannot_be_reached_is_unavailable(world: World) -> None:
    remote = Remote(0)
    served(world, remote)
    head, rest = await ask(world, "GET /apis/sea/v1/fish/a\r\n")
    assert head.startswith(b"HTTP/1.1 503")
    assert rest == b"error trying to reach service: dial tcp 10.1.1.1:1: connect: connection refused\n"
    remote.is_available = False
    _, rest = await ask(world, "GET /apis/sea/v1/fish/a\r\n")
    assert rest == b"service unavailable\n"


async def test_upgrades_are_passed_on(world: World) -> None:
    async def switch(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"X-Remote-User: admin\r\n" in head
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tea\r\n\r\n")
        writer.write(await reader.readexactly(3))
        await writer.drain()

    async with backend(switch) as port:
        served(world, Remote(port))
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        lines = "GET /apis/sea/v1/fish/a/x HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer secret\r\n"
        writer.write(f"{lines}Connection: Upgrade\r\nUpgrade: tea\r\n\r\n".encode())
        assert b" 101 " in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        writer.write(b"pot")
        assert await asyncio.wait_for(reader.readexactly(3), 5) == b"pot"
        writer.close()
