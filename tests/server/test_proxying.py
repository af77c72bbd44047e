"""Requests go through the API to pods, and their answers come back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from moorage.objects.errors import BadRequest
from moorage.server.proxying import split_target, target_of
from tests.server.world import World

Serve = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def backend(serve: Serve) -> AsyncIterator[int]:
    """A server that hands each request's head, and its streams, to `serve`."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(await reader.readuntil(b"\r\n\r\n"), reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def echo(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with the head, and with the body if its length is told."""
    length = next((int(each[15:]) for each in head.split(b"\r\n") if each.lower().startswith(b"content-length:")), 0)
    body = head + await reader.readexactly(length)
    writer.write(b"HTTP/1.1 201 Made\r\nX-Mine: yes\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    await writer.drain()


async def ask(world: World, head: str, body: bytes = b"") -> tuple[bytes, bytes]:
    """Return head and rest of the answer to a request, whose connection is closed afterwards."""
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    first, _, more = head.partition("\r\n")
    lines = f"{first} HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer secret\r\n{more}"
    lines += f"Content-Length: {len(body)}\r\n" if body else ""
    writer.write(f"{lines}\r\n".encode() + body)
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    length = next((int(each[15:]) for each in answer.split(b"\r\n") if each.startswith(b"Content-Length:")), 0)
    if b"chunked" in answer:
        rest = await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 5)
    else:
        rest = await asyncio.wait_for(reader.readexactly(length), 5)
    writer.close()
    return answer, rest


def put_pod(world: World, port: int = 0) -> None:
    pod = dict(world.add_pod().object)
    containers = [{"name": "c", "ports": [{"containerPort": port}]}] if port else [{"name": "c"}]
    spec = {**pod["spec"], "containers": containers}
    status = {"podIP": "10.1.1.1", "podIPs": [{"ip": "10.1.1.1"}]}
    world.api.put("pods", "MODIFIED", {**pod, "spec": spec, "status": status})


def put_service(world: World, port: int, **conditions: Any) -> None:
    metadata = {"name": "s", "namespace": "ns", "uid": "s"}
    ports = [{"name": "web", "port": 80}]
    world.api.put("services", "ADDED", {"metadata": metadata, "spec": {"ports": ports}})
    target = {"kind": "Pod", "namespace": "ns", "name": "p"}
    slice_ = {
        "metadata": {**metadata, "labels": {"kubernetes.io/service-name": "s"}},
        "endpoints": [{"addresses": ["10.1.1.1"], "targetRef": target, "conditions": conditions}],
        "ports": [{"name": "web", "port": port}],
    }
    world.api.put("endpointslices.discovery.k8s.io", "ADDED", slice_)


POD = "/api/v1/namespaces/ns/pods/p"


async def test_a_request_reaches_the_pod_without_what_is_the_apis(world: World) -> None:
    async with backend(echo) as port:
        put_pod(world, port)
        head, rest = await ask(world, f"POST {POD}/proxy/a%20b/?x=1&x=2\r\nX-Yours: 1\r\n", b"hello")
    assert head.startswith(b"HTTP/1.1 201")
    assert b"X-Mine: yes" in head
    assert rest.startswith(b"POST /a%20b/?x=1&x=2 HTTP/1.1\r\nHost: api\r\nX-Yours: 1\r\n")
    assert rest.endswith(b"\r\n\r\nhello")
    assert b"X-Forwarded-For: 127.0.0.1\r\n" in rest
    assert b"X-Forwarded-Uri: /api/v1/namespaces/ns/pods/p/proxy/a%20b/\r\n" in rest
    assert b"secret" not in rest


async def test_a_service_leads_to_a_pod_by_the_name_or_number_of_its_port(world: World) -> None:
    async with backend(echo) as port:
        put_pod(world)
        put_service(world, port)
        for name in ("s:web", "s:80", "http:s:80"):
            _, rest = await ask(world, f"GET /api/v1/namespaces/ns/services/{name}/proxy/x\r\n")
            assert rest.startswith(b"GET /x HTTP/1.1\r\n")
        head, rest = await ask(world, "GET /api/v1/namespaces/ns/services/s:81/proxy/x\r\n")
        assert head.startswith(b"HTTP/1.1 503")
        assert b'no service port 81 found for service \\"s\\"' in rest


async def test_a_service_without_ready_pods_is_unavailable(world: World) -> None:
    put_pod(world)
    put_service(world, 80, ready=False)
    head, rest = await ask(world, "GET /api/v1/namespaces/ns/services/s:web/proxy/\r\n")
    assert head.startswith(b"HTTP/1.1 503")
    assert b'no endpoints available for service \\"s\\"' in rest


async def test_an_answer_without_a_length_is_streamed(world: World) -> None:
    seen = asyncio.Event()

    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await asyncio.wait_for(seen.wait(), 5)
        writer.write(b"3\r\ntwo\r\n0\r\n\r\n")
        await writer.drain()

    async with backend(serve) as port:
        put_pod(world, port)
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        writer.write(f"GET {POD}/proxy/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer secret\r\n\r\n".encode())
        await asyncio.wait_for(reader.readuntil(b"one\r\n"), 5)
        seen.set()
        assert await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 5) == b"3\r\ntwo\r\n0\r\n\r\n"
        writer.close()


async def test_links_and_redirections_lead_back_through_the_proxy(world: World) -> None:
    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if head.startswith(b"GET /old "):
            writer.write(b"HTTP/1.1 302 Found\r\nLocation: /new\r\nContent-Length: 0\r\n\r\n")
        else:
            writer.write(b'HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<a href="/x">')

    async with backend(serve) as port:
        put_pod(world, port)
        head, _ = await ask(world, f"GET {POD}/proxy/old\r\n")
        assert f"Location: {POD}/proxy/new\r\n".encode() in head
        _, rest = await ask(world, f"GET {POD}/proxy/\r\n")
        assert rest == f'<a href="{POD}/proxy/x">'.encode()
    head, _ = await ask(world, f"GET {POD}/proxy?a=1\r\n")
    assert head.startswith(b"HTTP/1.1 301")
    assert f"Location: {POD}/proxy/?a=1\r\n".encode() in head


async def test_an_upgrade_becomes_a_connection_in_both_directions(world: World) -> None:
    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"\r\nUpgrade: mine\r\n" in head
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: mine\r\nConnection: Upgrade\r\n\r\nhi")
        while data := await reader.read(100):
            writer.write(data.upper())

    async with backend(serve) as port:
        put_pod(world, port)
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        head = f"GET {POD}/proxy/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer secret\r\n"
        writer.write(f"{head}Connection: Upgrade\r\nUpgrade: mine\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\nhi"), 5)
        assert answer.startswith(b"HTTP/1.1 101 ")
        writer.write(b"abc")
        assert await asyncio.wait_for(reader.readexactly(3), 5) == b"ABC"
        writer.close()


async def test_a_pod_that_does_not_listen_is_unavailable(world: World) -> None:
    async with backend(echo) as port:
        pass
    put_pod(world, port)
    head, rest = await ask(world, f"GET {POD}/proxy/\r\n")
    assert head.startswith(b"HTTP/1.1 503")
    assert b"error trying to reach service: dial tcp 10.1.1.1:" in rest


async def test_a_node_tells_its_health_and_its_pods(world: World) -> None:
    world.api.put("nodes", "ADDED", {"metadata": {"name": "node-1"}})
    put_pod(world)
    assert (await ask(world, "GET /api/v1/nodes/node-1/proxy/healthz\r\n"))[1] == b"ok"
    assert b'"kind":"PodList"' in (await ask(world, "GET /api/v1/nodes/node-1:10250/proxy/pods\r\n"))[1]
    head, _ = await ask(world, "GET /api/v1/nodes/absent/proxy/\r\n")
    assert head.startswith(b"HTTP/1.1 404")


def test_names_have_a_scheme_and_a_port_at_most() -> None:
    assert target_of("https:a:443", "pod") == ("https", "a", "443")
    assert target_of("a:web", "pod") == ("", "a", "web")
    for text in ("ftp:a:1", "a:b:c:d", ":1"):
        with pytest.raises(BadRequest, match="invalid pod request"):
            target_of(text, "pod")


def test_a_target_is_split_as_it_came() -> None:
    assert split_target(f"{POD}/proxy/a%2Fb//c?x=%20") == (f"{POD}/proxy", "/a%2Fb//c", "?x=%20")
    assert split_target("/api/v1/nodes/n/proxy") == ("/api/v1/nodes/n/proxy", "", "")
