"""The listening server: sockets, TLS, and an end in order."""

import asyncio
import errno
import ipaddress
import logging
import socket
import ssl
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from moorage.server.aiohttp_package import prepare
from moorage.server.connection import IDLE_SECONDS, Connections

if TYPE_CHECKING:
    from moorage.server.front import Front

log = logging.getLogger(__name__)

#: The longest request line and header; tokens and long selectors are the reason that they are not shorter.
LINE_BYTES_MOST: Final = 64 * 1024
HEADER_BYTES_MOST: Final = 64 * 1024

#: How long requests may take to finish when the server stops.
STOP_SECONDS: Final = 5.0

#: How many connections may wait to be accepted.
BACKLOG: Final = 1024


class CannotListen(Exception):
    """The address cannot be had; the message says why and what to do."""


class Server:
    """Serves a Front on one address: with TLS, or on loopback without."""

    def __init__(self, front: "Front", ssl_context: ssl.SSLContext | None, host: str, port: int) -> None:
        if ssl_context is None and not is_loopback(host):
            raise CannotListen(f"{host} can be reached from elsewhere: without TLS only loopback is listened on")
        self._front = front
        self._ssl_context = ssl_context
        self._host = host
        self._port = port
        self._connections: Connections | None = None
        self._listening: asyncio.Server | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that are listened on: the port is the real one if 0 was asked for."""
        if self._listening is None:
            return self._host, self._port
        host, port = self._listening.sockets[0].getsockname()[:2]
        return host, port

    @property
    def url(self) -> str:
        """Where clients find the server."""
        host, port = self.address
        shown = f"[{host}]" if ":" in host else host
        return f"{'https' if self._ssl_context else 'http'}://{shown}:{port}"

    async def start(self, *, serving: bool = True) -> None:
        """Take the address, and serve unless told to wait for `serve`. Raises CannotListen."""
        connections = Connections(self._front, partial(_http_server, self._front))
        try:
            self._listening = await asyncio.get_running_loop().create_server(
                connections,
                self._host,
                self._port,
                ssl=self._ssl_context,
                backlog=BACKLOG,
                reuse_address=True,
                start_serving=serving,
            )
        except OSError as error:
            connections.cancel()
            raise CannotListen(_why(error, self._host, self._port)) from error
        self._connections = connections

    async def serve(self) -> None:
        """Begin to serve; until then callers are refused, as by a server that is not there yet. Raises CannotListen."""
        assert self._listening is not None  # noqa: S101 - start() has run
        try:
            await self._listening.start_serving()
        except OSError as error:
            raise CannotListen(_why(error, self._host, self._port)) from error

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Take no more requests, end watches and other streams now, let the rest finish for up to `seconds`."""
        if self._listening is None or self._connections is None:
            return
        self._listening.close()
        self._front.streams.stop()
        await self._connections.stop(seconds)
        await self._listening.wait_closed()
        self._listening = None


def is_loopback(host: str) -> bool:
    """Tell whether an address can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _why(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is in use: stop what listens there, or choose another port"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"port {port} of {host} needs more rights than this process has: choose a port from 1024 on"
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"this machine has no address {host}"
    return f"{host}:{port} cannot be listened on: {error}"


def server_context(certificate: str, key: str, client_authority: str = "") -> ssl.SSLContext:
    """Return a TLS context from files. Clients may show a certificate of `client_authority`, and need not."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["http/1.1"])
    if client_authority:
        context.load_verify_locations(client_authority)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _http_server(front: "Front") -> Any:
    """Return aiohttp's low-level server, for what is not plain; it tells the front about connections that are lost."""
    prepare()
    from aiohttp.web_server import Server as HttpServer

    class Http(HttpServer):
        """Knows which connections are gone."""

        def connection_lost(self, handler: Any, exc: BaseException | None = None) -> None:
            super().connection_lost(handler, exc)
            front.lost(handler)

    return Http(
        cast("Any", front.handle),
        keepalive_timeout=IDLE_SECONDS,
        max_line_size=LINE_BYTES_MOST,
        max_field_size=HEADER_BYTES_MOST,
        access_log=None,
        logger=log,
    )
