"""A bare HTTP/1.1 client that sends exactly what it is given, over connections that stay open.

For replaying recorded requests and for putting load on a server, where a comfortable client would tidy paths, merge
headers and cost more than the server does. Speaks to what a kubeconfig names; follows no redirects, keeps no cookies.
"""

import asyncio
import base64
import ssl
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

#: How long an answer may take to begin, and to go on, in seconds.
PATIENCE_SECONDS: Final = 60.0

#: How long a head may be, and how much is read at once.
_BUFFER_BYTES: Final = 1 << 20

#: The header that a request may give in place of the endpoint's own; with the value None it goes without.
AUTHORIZATION: Final = "Authorization"

Headers = Sequence[tuple[str, str | None]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server and what it wants to see: `headers` go with every request; `tls` is None for plain HTTP."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """What was answered. Names of headers are in lower case; the same name may come several times."""

    status: int
    headers: Headers
    body: bytes = b""

    def header(self, name: str) -> str:
        """Return the first value of a header, "" if there is none."""
        return next((value for key, value in self.headers if key == name and value), "")

    def all(self, name: str) -> list[str]:
        """Return all values of a header."""
        return [value for key, value in self.headers if key == name and value is not None]


class Connection:
    """One connection: a request, then its answer, then the next one. `spent` tells that it can take no more."""

    def __init__(self, endpoint: Endpoint, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.spent = False
        self._endpoint = endpoint
        self._reader = reader
        self._writer = writer
        self._fixed = "".join(f"{key}: {value}\r\n" for key, value in endpoint.headers)

    @classmethod
    async def open(cls, endpoint: Endpoint) -> "Connection":
        """Connect. Raises OSError."""
        return cls(
            endpoint,
            *await asyncio.open_connection(endpoint.host, endpoint.port, ssl=endpoint.tls, limit=_BUFFER_BYTES),
        )

    async def request(self, method: str, target: str, headers: Headers = (), body: bytes | None = None) -> Reply:
        """Send a request and return its whole answer. Raises ConnectionError, TimeoutError."""
        head = await self.begin(method, target, headers, body)
        if method == "HEAD" or head.status in (204, 304):
            return head
        async with asyncio.timeout(PATIENCE_SECONDS):
            chunks = [chunk async for chunk in self.chunks(head)]
        return Reply(head.status, head.headers, chunks[0] if len(chunks) == 1 else b"".join(chunks))

    async def begin(self, method: str, target: str, headers: Headers = (), body: bytes | None = None) -> Reply:
        """Send a request and return the head of its answer; `chunks` gives the rest. Raises ConnectionError, TimeoutError."""
        own = "".join(f"{key}: {value}\r\n" for key, value in headers if value is not None)
        fixed = self._fixed
        if any(key == AUTHORIZATION for key, _ in headers):
            fixed = "".join(f"{key}: {value}\r\n" for key, value in self._endpoint.headers if key != AUTHORIZATION)
        size = f"Content-Length: {len(body)}\r\n" if body is not None else ""
        host = f"{self._endpoint.host}:{self._endpoint.port}"
        head = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{fixed}{own}{size}\r\n"
        self._writer.write(head.encode("latin-1") + (body or b""))
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._head()

    async def chunks(self, head: Reply) -> AsyncIterator[bytes]:
        """Yield the body that follows this head, as it comes. Raises ConnectionError when it breaks off."""
        reader = self._reader
        try:
            if head.header("transfer-encoding").lower() == "chunked":
                while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
                    yield (await reader.readexactly(size + 2))[:-2]
                await reader.readuntil(b"\r\n")
            elif length := head.header("content-length"):
                yield await reader.readexactly(int(length))
            else:
                self.spent = True
                while chunk := await reader.read(_BUFFER_BYTES):
                    yield chunk
        except (asyncio.IncompleteReadError, ValueError) as error:
            self.spent = True
            raise ConnectionError(f"the answer broke off: {error}") from error

    async def lines(self, head: Reply) -> AsyncIterator[bytes]:
        """Yield the lines of the body, without their ends."""
        rest = b""
        async for chunk in self.chunks(head):
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                yield line
        if rest:
            yield rest

    def close(self) -> None:
        """Let go of the connection at once."""
        self.spent = True
        self._writer.transport.abort()  # a farewell over TLS would outlive the loop of a short test

    async def _head(self) -> Reply:
        while True:
            try:
                text = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
                self.spent = True
                raise ConnectionError("the connection ended before an answer began") from error
            first, *rest = text[:-4].split("\r\n")
            status = int(first.split(" ", 2)[1])
            if status >= 200:
                break
        pairs = [line.split(":", 1) for line in rest]
        reply = Reply(status, [(pair[0].lower(), pair[-1].strip()) for pair in pairs])
        if reply.header("connection").lower() == "close":
            self.spent = True
        return reply


class Pool:
    """Connections to one endpoint, used again; as many as there are requests at once."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._idle: list[Connection] = []

    async def request(self, method: str, target: str, headers: Headers = (), body: bytes | None = None) -> Reply:
        """Send a request; one that finds its connection closed by the server is sent again. Raises OSError."""
        for is_last in (False, True):
            connection = await self.take()
            try:
                reply = await connection.request(method, target, headers, body)
            except OSError:
                connection.close()
                if is_last:
                    raise
                self.close()
            else:
                self.give(connection)
                return reply
        raise AssertionError("unreachable")

    async def take(self) -> Connection:
        """Return a connection that nobody uses. Raises OSError."""
        return self._idle.pop() if self._idle else await Connection.open(self.endpoint)

    def give(self, connection: Connection) -> None:
        """Take a connection back."""
        if connection.spent:
            connection.close()
        else:
            self._idle.append(connection)

    def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            self._idle.pop().close()


def endpoint_of(kubeconfig: Path) -> Endpoint:
    """Return the server of the current context, with its user's certificate or token. Raises OSError, KeyError."""
    import yaml

    config = yaml.safe_load(kubeconfig.read_bytes())
    context = _named(config["contexts"], config["current-context"])["context"]
    cluster = _named(config["clusters"], context["cluster"])["cluster"]
    user = _named(config.get("users") or [], context.get("user", "")).get("user") or {}
    url = urlsplit(cluster["server"])
    tls = _tls(cluster, user, kubeconfig.parent) if url.scheme == "https" else None
    headers = [(AUTHORIZATION, f"Bearer {user['token']}")] if user.get("token") else []
    return Endpoint(url.hostname or "localhost", url.port or (443 if tls else 80), tls, headers)


def _named(entries: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    return next((entry for entry in entries if entry["name"] == name), {})


def _tls(cluster: dict[str, Any], user: dict[str, Any], directory: Path) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif authority := _contents(cluster, "certificate-authority", directory):
        context.load_verify_locations(cadata=authority.decode())
    certificate, key = (_contents(user, field, directory) for field in ("client-certificate", "client-key"))
    if certificate and key:
        with tempfile.NamedTemporaryFile() as file:  # the standard library reads certificates from files alone
            file.write(certificate + b"\n" + key)
            file.flush()
            context.load_cert_chain(file.name)
    return context


def _contents(entry: dict[str, Any], field: str, directory: Path) -> bytes:
    """Return what a kubeconfig holds itself (`field-data`) or in a file beside it (`field`), b"" for nothing."""
    if data := entry.get(f"{field}-data"):
        return base64.b64decode(data)
    return (directory / entry[field]).read_bytes() if entry.get(field) else b""
