"""Calls webhooks over TLS, by connections that are used again (moorage.api.admission.webhooks.caller.WebhookCaller)."""

import asyncio
import ssl
from typing import Final, NamedTuple

import orjson

from moorage.aio.clock import Clock
from moorage.aio.entropy import Entropy
from moorage.api.admission.webhooks.caller import CallFailed, Endpoint
from moorage.client.http1 import BrokenAnswer, Exchange
from moorage.cluster.service_routes import Dialer, NoRoute, NotConnected, Reader, Route, connected, route_to
from moorage.cluster.webhooks.exchange import Answered, exchange
from moorage.cluster.webhooks.faults import answer_fault, tls_fault

#: How many connections wait for another call, and for how long.
IDLE_MOST: Final = 64
IDLE_SECONDS: Final = 60.0

#: How many TLS settings are kept, by authority.
CONTEXTS_MOST: Final = 64


class _Connection(NamedTuple):
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    exchange: Exchange
    since: float


class HttpsCaller:
    """Calls webhooks. dialer: what reaches pods, if anything does."""

    def __init__(self, objects: Reader, dialer: Dialer | None, clock: Clock, entropy: Entropy) -> None:
        self._objects = objects
        self._dialer = dialer
        self._clock = clock
        self._entropy = entropy
        self._contexts: dict[bytes, ssl.SSLContext] = {}
        self._idle: dict[Endpoint, list[_Connection]] = {}

    async def post(self, endpoint: Endpoint, query: str, body: bytes, seconds: float) -> bytes:
        """Return the JSON that a webhook answers to a JSON body. Raises CallFailed, also after `seconds`."""
        url = endpoint.url(query)
        try:
            async with asyncio.timeout(seconds):
                answer = await self._answer(endpoint, query, body)
        except TimeoutError:
            raise CallFailed(f'Post "{url}": context deadline exceeded') from None
        except CallFailed as error:
            raise CallFailed(f'Post "{url}": {error}') from None
        if not 200 <= answer.code <= 206:
            raise CallFailed(_refusal(answer))
        if not answer.body:
            kind = answer.content_type
            raise CallFailed(f"0-length response with status code: {answer.code} and content type: {kind}")
        return answer.body

    async def close(self) -> None:
        """Close all connections."""
        for connections in self._idle.values():
            for connection in connections:
                connection.writer.transport.abort()
        self._idle.clear()

    async def _answer(self, endpoint: Endpoint, query: str, body: bytes) -> Answered:
        """Send by a connection that waits, or by a new one if there is none or it has been closed meanwhile."""
        target = endpoint.url(query).removeprefix(f"https://{endpoint.shown_host}")
        while (waiting := self._waiting(endpoint)) is not None:
            try:
                return await self._sent(waiting, endpoint, target, body)
            except (ConnectionError, EOFError):
                continue
        fresh = await self._connected(endpoint)
        try:
            return await self._sent(fresh, endpoint, target, body)
        except (EOFError, BrokenAnswer) as error:
            raise CallFailed(str(error) if isinstance(error, BrokenAnswer) else "EOF") from error
        except OSError as error:
            text = tls_fault(error, endpoint.host) if isinstance(error, ssl.SSLError) else "connection reset by peer"
            raise CallFailed(text) from error

    async def _sent(self, connection: _Connection, endpoint: Endpoint, target: str, body: bytes) -> Answered:
        keeps = False
        try:
            answer = await exchange(connection.exchange, endpoint.shown_host, target, body)
            keeps = answer.keeps
        finally:
            if not keeps:
                connection.writer.transport.abort()
        if keeps:
            self._keep(endpoint, connection._replace(since=self._clock.monotonic()))
        return answer

    def _waiting(self, endpoint: Endpoint) -> _Connection | None:
        connections = self._idle.get(endpoint)
        while connections:
            found = connections.pop()
            usable = self._clock.monotonic() - found.since < IDLE_SECONDS
            if usable and not found.reader.at_eof() and not found.writer.is_closing():
                return found
            found.writer.transport.abort()
        self._idle.pop(endpoint, None)
        return None

    def _keep(self, endpoint: Endpoint, connection: _Connection) -> None:
        while sum(map(len, self._idle.values())) >= IDLE_MOST:
            oldest = next(iter(self._idle))
            for each in self._idle.pop(oldest):
                each.writer.transport.abort()
        self._idle.setdefault(endpoint, []).append(connection)

    async def _connected(self, endpoint: Endpoint) -> _Connection:
        """Return a connection whose other side has shown a certificate for the endpoint's host. Raises CallFailed."""
        route = self._route(endpoint)
        context = self._context(endpoint.authority)
        try:
            reader, writer = await connected(route, self._dialer, context, endpoint.host)
        except NotConnected as error:
            raise CallFailed(str(error)) from error
        return _Connection(reader, writer, Exchange(reader, writer), self._clock.monotonic())

    def _route(self, endpoint: Endpoint) -> Route:
        if endpoint.service is None:
            return Route(endpoint.host, endpoint.port)
        try:
            return route_to(endpoint.service, self._objects, self._entropy)
        except NoRoute as error:
            raise CallFailed(str(error)) from None

    def _context(self, authority: bytes) -> ssl.SSLContext:
        """Return the TLS settings that trust this authority alone. Raises CallFailed for what is no certificate."""
        known = self._contexts.get(authority)
        if known is None:
            try:
                known = ssl.create_default_context(cadata=authority.decode("ascii", "replace") or None)
            except ssl.SSLError:
                raise CallFailed("unable to load root certificates: unable to parse bytes as PEM block") from None
            if len(self._contexts) >= CONTEXTS_MOST:
                self._contexts.clear()
            self._contexts[authority] = known
        return known


def _refusal(answer: Answered) -> str:
    """Return what an answer says that is no success: its own Status, or words for its code."""
    try:
        status = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status" and status.get("message"):
        return str(status["message"])
    return answer_fault(answer.code, answer.body)
