"""Listening, TLS and client certificates."""

import asyncio
import datetime
import socket
import ssl
import subprocess
import sys

import aiohttp
import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from moorage.server.serve import CannotListen, Server, is_loopback, server_context
from tests.server.world import World


def certificate(name: str, organization: str = "", issuer: tuple | None = None) -> tuple:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, name)]
        + ([x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else [])
    )
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    )
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def write(path, *parts) -> str:
    text = b""
    for part in parts:
        if isinstance(part, x509.Certificate):
            text += part.public_bytes(serialization.Encoding.PEM)
        else:
            text += part.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
    path.write_bytes(text)
    return str(path)


async def test_a_client_certificate_says_who_asks_and_is_not_required(tmp_path):
    authority = certificate("authority")
    server, jane = certificate("localhost", issuer=authority), certificate("jane", "system:masters", issuer=authority)
    ca = write(tmp_path / "ca.pem", authority[0])
    world = World(server_context(write(tmp_path / "s.pem", server[0]), write(tmp_path / "s.key", server[1]), ca))
    await world.server.start()
    assert world.server.url.startswith("https://127.0.0.1:")
    url = f"https://localhost:{world.port}/version"
    with_certificate = ssl.create_default_context(cafile=ca)
    with_certificate.load_cert_chain(write(tmp_path / "jane.pem", *jane))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=with_certificate)) as session:
        for _ in range(3):
            async with session.get(url) as answer:
                assert answer.status == 200
    assert len(world.front._certificates) <= 1
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=ca))
    ) as session:
        async with session.get(url) as answer:
            assert (answer.status, b"system:anonymous" in await answer.read()) == (403, True)
        async with session.get(url, headers={"Authorization": "Bearer secret"}) as answer:
            assert answer.status == 200
    await world.server.stop(1)


async def test_a_port_in_use_is_a_clear_error(world):
    other = Server(world.front, None, "127.0.0.1", world.port)
    with pytest.raises(CannotListen, match=f"port {world.port} of 127.0.0.1 is in use: stop what listens there"):
        await other.start()


def test_without_tls_only_loopback_is_listened_on(world):
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "10.0.0.1", "x")] == [
        True
    ] * 3 + [False] * 3
    with pytest.raises(CannotListen, match="only loopback"):
        Server(world.front, None, "0.0.0.0", 0)


async def test_nonsense_is_answered_with_400_and_the_server_lives_on(world, wire):
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
    assert b"400" in await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert (await wire.ask("GET", "/healthz"))[2] == b"ok"


async def test_headers_over_the_limit_are_refused(wire):
    wire.send("GET", "/healthz", {"X-Long": "x" * 70_000})
    code, _, _ = await wire.answer()
    assert code == 400


async def test_long_tokens_and_selectors_pass(wire):
    assert (await wire.ask("GET", f"/healthz?x={'y' * 20_000}", {"X-Long": "x" * 20_000}))[0] == 200


async def test_a_connection_that_is_idle_at_the_stop_is_closed(world, wire):
    await wire.ask("GET", "/healthz")
    port = world.port
    async with asyncio.timeout(2):
        await world.server.stop(5)
    assert await wire.at_end()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 0.2)


def test_the_server_does_not_import_the_client():
    code = (
        "import sys; from moorage.server.serve import _http_server\n"
        "from moorage.server.aiohttp_package import prepare; prepare()\n"
        "import aiohttp.web_server\n"
        "early = 'aiohttp.client' in sys.modules\n"
        "import aiohttp; session = aiohttp.ClientSession; from aiohttp import web\n"
        "import json; print(json.dumps([early, session.__name__, web.__name__, aiohttp.hdrs.ACCEPT, aiohttp.__version__]))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert orjson.loads(answer) == [False, "ClientSession", "aiohttp.web", "Accept", aiohttp.__version__]
