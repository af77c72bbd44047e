"""A small world around a real server: an API in memory behind the server's Protocols, and a loopback port."""

import asyncio
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import orjson

from moorage.aio.clock import SystemClock
from moorage.aio.entropy import seeded
from moorage.aio.signal import Signal
from moorage.api.answers import Answer, Page, WatchChange
from moorage.api.authentication import ANONYMOUS, Credentials
from moorage.api.discovery import Discovery, version_info
from moorage.api.openapi import OpenApi
from moorage.api.request import Request, User
from moorage.api.resources import Resources
from moorage.objects.attributes import Attributes
from moorage.objects.encoded import Encoded, encode, with_revision
from moorage.objects.errors import BadRequest, Expired, Forbidden, Unauthorized, not_found
from moorage.objects.protobuf import decode
from moorage.server.front import Front, Parts
from moorage.server.gateway import ExecOptions, LogOptions
from moorage.server.metrics import Metrics
from moorage.server.pages import Documents, Pages
from moorage.server.serve import Server

ADMIN = User("admin", ("system:masters",))


class Watching:
    """A stream of changes that knows how far it has come."""

    def __init__(self, api: "FakeApi", first: list[WatchChange], position: int, request: Request) -> None:
        self._api, self._first, self._position, self._request = api, first, position, request
        self.is_closed = False

    def __aiter__(self) -> "Watching":
        return self

    def progress(self) -> int:
        return self._api.revision

    async def __anext__(self) -> Sequence[WatchChange]:
        if self._first:
            first, self._first = self._first, []
            return first
        while True:
            count = self._api.changed.count
            if self._api.forgets:
                raise Expired("too old resource version: 1 (2)")
            steps, self._position = self._api.changes[self._position :], len(self._api.changes)
            if steps:
                return [change for kind, change in steps if kind == self._request.resource.id]
            await self._api.changed.wait_beyond(count)

    async def aclose(self) -> None:
        self.is_closed = True


class FakeApi:
    """Keeps objects in a dictionary; no rules."""

    def __init__(self) -> None:
        self.resources = Resources()
        self.items: dict[tuple[str, str, str], Encoded] = {}
        self.changes: list[tuple[str, WatchChange]] = []
        self.changed = Signal()
        self.revision = 1
        self.forgets = False
        self.requests: list[Request] = []
        self.watches: list[Watching] = []
        #: Called with each request of a write; may raise.
        self.on_write: Callable[[Request], Any] = lambda request: None

    def put(self, resource: str, kind: str, obj: dict[str, Any]) -> Encoded:
        self.revision += 1
        raw = with_revision(encode(obj), self.revision)
        item = Encoded(raw, self.revision, orjson.loads(raw), {})
        key = (resource, item.namespace, item.name)
        if kind == "DELETED":
            self.items.pop(key, None)
        else:
            self.items[key] = item
        self.changes.append((resource, WatchChange(kind, item, self.revision)))
        self.changed.fire()
        return item

    def _find(self, request: Request) -> Encoded:
        found = self.items.get((request.resource.id, request.namespace, request.name))
        if found is None:
            raise not_found(request.resource.plural, request.resource.group, request.name)
        return found

    async def get(self, request: Request) -> Answer:
        self.requests.append(request)
        return Answer(200, self._find(request))

    async def list(self, request: Request) -> Page:
        self.requests.append(request)
        items = [
            item
            for (resource, namespace, _), item in sorted(self.items.items())
            if resource == request.resource.id and request.namespace in ("", namespace)
        ]
        limit = int(request.query.get("limit") or 0)
        if limit and len(items) > limit:
            return Page(items[:limit], self.revision, "next", len(items) - limit)
        return Page(items, self.revision)

    async def watch(self, request: Request) -> AsyncIterator[Sequence[WatchChange]]:
        self.requests.append(request)
        after = int(request.query.get("resourceVersion") or 0)
        if request.query.get("labelSelector") == "!":
            raise BadRequest("unable to parse requirement")
        if self.forgets:
            raise Expired("too old resource version: 1 (2)")
        first = []
        position = next((i for i, (_, c) in enumerate(self.changes) if c.revision > after), len(self.changes))
        if not after:
            page = await self.list(request)
            first = [WatchChange("ADDED", item, item.revision) for item in page.items]
            position = len(self.changes)
        if request.query.get("sendInitialEvents") == "true":
            first.append(WatchChange("BOOKMARK", None, self.revision, initial_end=True))
        watching = Watching(self, first, position, request)
        self.watches.append(watching)
        return watching

    async def create(self, request: Request, draft: dict[str, Any]) -> Answer:
        await self._before(request)
        metadata = {"namespace": request.namespace, **draft.get("metadata", {})}
        obj = {"kind": request.resource.kind, "apiVersion": request.resource.api_version, **draft}
        return Answer(201, self.put(request.resource.id, "ADDED", {**obj, "metadata": metadata}))

    async def update(self, request: Request, draft: dict[str, Any]) -> Answer:
        await self._before(request)
        old = self._find(request)
        metadata = {**old.object["metadata"], **draft.get("metadata", {})}
        return Answer(200, self.put(request.resource.id, "MODIFIED", {**old.object, **draft, "metadata": metadata}))

    async def patch(self, request: Request, patch: Any, content_type: str) -> Answer:
        await self._before(request)
        old = self._find(request)
        changed = {**old.object, **{k: v for k, v in patch.items() if k != "metadata"}, "patchedBy": content_type}
        return Answer(200, self.put(request.resource.id, "MODIFIED", changed))

    async def delete(self, request: Request, options: Mapping[str, Any]) -> Answer:
        await self._before(request)
        item = self._find(request)
        self.put(request.resource.id, "DELETED", dict(item.object))
        details = {"name": request.name, "kind": request.resource.plural, "uid": item.uid, "asked": dict(options)}
        return Answer(
            200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        )

    async def connect(self, request: Request, options: dict[str, Any]) -> None:
        """Let every connection be made."""

    async def delete_collection(self, request: Request, options: Mapping[str, Any]) -> Page:
        page = await self.list(request)
        for item in page.items:
            self.put(request.resource.id, "DELETED", dict(item.object))
        return page

    async def _before(self, request: Request) -> None:
        self.requests.append(request)
        waiting = self.on_write(request)
        if waiting is not None:
            await waiting
        for text in request.duplicates:
            request.warn(text)


class FakeAuthenticator:
    async def authenticate(self, credentials: Credentials) -> User:
        if credentials.certificate is not None:
            return User(credentials.certificate.common_name, credentials.certificate.organizations)
        if not credentials.token:
            return ANONYMOUS
        if credentials.token != "secret":
            raise Unauthorized("Unauthorized")
        return ADMIN


class FakeAuthorizer:
    """Lets masters do everything and others nothing."""

    def __init__(self) -> None:
        self.asked: list[Attributes] = []

    async def authorize(self, user: User, attributes: Attributes) -> None:
        self.asked.append(attributes)
        if "system:masters" not in user.groups:
            raise Forbidden(
                f'forbidden: User "{user.name}" cannot {attributes.verb} path "{attributes.path}"', details={}
            )


class FakeTables:
    def is_general(self, resource: Any, subresource: str) -> bool:
        return False

    def columns(self, resource: Any, subresource: str) -> list[dict[str, Any]]:
        return [{"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0}]

    def conditions(self, resource: Any, subresource: str, obj: Any) -> list[Any]:
        return []

    def cells(self, resource: Any, subresource: str, obj: Any, now: Any) -> list[Any]:
        return [obj["metadata"]["name"]]


class LocalProcess:
    """A command on this machine."""

    def __init__(self, command: Sequence[str]) -> None:
        pipe = subprocess.PIPE
        self._popen = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0)
        self.stdin, self.stdout, self.stderr = map(_dup, (self._popen.stdin, self._popen.stdout, self._popen.stderr))
        self.sizes: list[tuple[int, int]] = []
        self.is_killed = False

    def resize(self, width: int, height: int) -> None:
        self.sizes.append((width, height))

    async def wait(self) -> int:
        code = await asyncio.to_thread(self._popen.wait)
        return code if code >= 0 else 128 - code

    def kill(self) -> None:
        self.is_killed = True
        self._popen.kill()

    def reap(self) -> None:
        self._popen.kill()
        self._popen.wait()


def _dup(file: Any) -> int:
    descriptor = os.dup(file.fileno())
    file.close()
    return descriptor


class FakeGateway:
    """Runs commands and connects to ports of this machine instead of a pod's."""

    def __init__(self) -> None:
        self.processes: list[LocalProcess] = []
        self.options: list[Any] = []
        self.more_log = asyncio.Event()

    async def logs(self, pod: Any, options: LogOptions) -> AsyncIterator[bytes]:
        self.options.append(options)
        return self._log(options)

    async def _log(self, options: LogOptions) -> AsyncIterator[bytes]:
        yield b"first\n"
        if options.follow:
            await self.more_log.wait()
        yield b"second\n"

    async def exec(self, pod: Any, options: ExecOptions) -> LocalProcess:
        self.options.append(options)
        if options.command[0] == "nowhere":
            raise BadRequest("no such command")
        process = LocalProcess(options.command)
        self.processes.append(process)
        return process

    async def attach(self, pod: Any, options: ExecOptions) -> LocalProcess:
        self.options.append(options)
        process = LocalProcess(("cat",))
        self.processes.append(process)
        return process

    async def dial(self, pod: Any, port: int) -> socket.socket:
        peer = socket.socket()
        peer.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(peer, ("127.0.0.1", port))
        except OSError:
            peer.close()
            raise
        return peer


class World:
    """A server that runs, and everything behind it."""

    def __init__(self, ssl_context: Any = None) -> None:
        self.api = FakeApi()
        self.authorizer = FakeAuthorizer()
        self.gateway = FakeGateway()
        resources, metrics = self.api.resources, Metrics()
        documents = Documents(
            discovery=Discovery(resources.all, lambda: resources.revision),
            openapi=OpenApi(lambda: (), lambda: resources.revision),
            version=version_info(),
            ready={"store": lambda: self.problem},
        )
        self.problem = ""
        self.front = Front(
            Parts(
                api=self.api,
                authenticator=FakeAuthenticator(),
                authorizer=self.authorizer,
                pages=Pages(documents, metrics),
                tables=FakeTables(),
                gateway=self.gateway,
                clock=SystemClock(),
                entropy=seeded(1),
                metrics=metrics,
                protobuf=decode,
            )
        )
        self.server = Server(self.front, ssl_context, "127.0.0.1", 0)

    @property
    def port(self) -> int:
        return self.server.address[1]

    def add_pod(self, name: str = "p", node: str = "node-1") -> Encoded:
        spec = {"containers": [{"name": "c", "image": "x"}], **({"nodeName": node} if node else {})}
        metadata = {"name": name, "namespace": "ns", "uid": f"uid-{name}"}
        return self.api.put("pods", "ADDED", {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": spec})

    def add_config(self, name: str, **data: str) -> Encoded:
        metadata = {"name": name, "namespace": "ns", "uid": f"uid-{name}"}
        obj = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, "data": data}
        return self.api.put("configmaps", "ADDED", obj)


async def until(condition: Callable[[], Any], seconds: float = 5.0) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)


class Wire:
    """A raw connection to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, world: World) -> "Wire":
        return cls(*await asyncio.open_connection("127.0.0.1", world.port))

    def send(self, method: str, target: str, headers: Mapping[str, str] = {}, body: bytes = b"") -> None:
        lines = {"Host": "x", "Authorization": "Bearer secret", **headers}
        if body:
            lines.setdefault("Content-Length", str(len(body)))
        head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items() if v is not None)
        self.writer.write(head.encode() + b"\r\n" + body)

    async def head(self) -> tuple[int, dict[str, str]]:
        text = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)).decode()
        first, *lines = text.strip().split("\r\n")
        pairs = [line.split(": ", 1) for line in lines]
        return int(first.split()[1]), {name.lower(): value for name, value in pairs}

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        code, headers = await self.head()
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return code, headers, body

    async def chunk(self) -> bytes:
        size = int(await asyncio.wait_for(self.reader.readuntil(b"\r\n"), 5), 16)
        data = await self.reader.readexactly(size)
        await self.reader.readexactly(2)
        return data

    async def ask(
        self, method: str, target: str, headers: Mapping[str, str] = {}, body: bytes = b""
    ) -> tuple[int, dict[str, str], bytes]:
        self.send(method, target, headers, body)
        return await self.answer()

    async def json(self, method: str, target: str, headers: Mapping[str, str] = {}, body: bytes = b"") -> Any:
        return orjson.loads((await self.ask(method, target, headers, body))[2])

    async def at_end(self) -> bool:
        return await asyncio.wait_for(self.reader.read(1), 5) == b""

    def close(self) -> None:
        self.writer.close()
