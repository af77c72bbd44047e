"""The Client Protocol over HTTP: to a Moorage in another process, or to any other conforming API server.

aiohttp's client is imported with the first request, not before. Passes tests/contracts/client.py.
"""

import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from moorage.aio.backoff import Backoff
from moorage.client.client import Change, Listing, Selection, Target
from moorage.client.kubeconfig import Credentials, read_credentials
from moorage.client.paths import Place, Places
from moorage.client.refusals import error_of, error_of_body
from moorage.objects.encoded import Encoded
from moorage.objects.errors import StatusError
from moorage.objects.field_selectors import fields_for
from moorage.objects.metadata import Object, name_of, namespace_of, revision_of

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

_JSON: Final = "application/json"

#: How soon a watch is begun again that the server ended: at once, unless it ends again and again without a word.
AGAIN: Final = Backoff(first=0.01, most=5.0)

#: The longest line of a watch that is taken: larger than any object that a server stores.
LINE_BYTES_MOST: Final = 16 * 1024 * 1024


class HttpClient:
    """Speaks to one API server as one user. `agent` names the field manager of its writes."""

    def __init__(self, credentials: Credentials, agent: str) -> None:
        self._credentials = credentials
        self._agent = agent
        self._open: ClientSession | None = None
        self._places = Places(self._document)

    @classmethod
    def from_kubeconfig(cls, path: Path, *, agent: str, context: str = "") -> "HttpClient":
        """Return a client for a context of a kubeconfig, the current one by default. Raises KubeconfigError."""
        return cls(read_credentials((path,), context), agent)

    async def __aenter__(self) -> "HttpClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        session, self._open = self._open, None
        if session is not None:
            await session.close()

    async def get(self, target: Target) -> Object:
        """Return the object. Raises NotFound."""
        place = await self._places.find(target.resource)
        return await self._answer("GET", place.item(target.namespace, target.name, target.subresource))

    async def list(self, resource: str, selection: Selection = Selection()) -> Listing:
        """Return all objects of the selection."""
        place = await self._places.find(resource)
        answer = await self._answer("GET", place.collection(selection.namespace), params=_selectors(selection))
        items = [_encoded(resource, place, item) for item in answer.get("items") or ()]
        return Listing(items, revision_of(answer))

    async def watch(
        self, resource: str, after: int, selection: Selection = Selection()
    ) -> AsyncIterator[Sequence[Change]]:
        """Yield changes after `after` in order, in batches; a watch that the server ends in order is begun again.

        Raises Expired when the changes were forgotten, ConnectionError when the connection breaks.
        """
        place = await self._places.find(resource)
        silent = 0
        while True:
            params = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": str(after)}
            async with _Watch(self, place, resource, {**_selectors(selection), **params}, selection) as batches:
                async for batch in batches:
                    after = max(after, batch[-1].revision)
                    silent = 0
                    yield batch
            silent += 1
            await asyncio.sleep(AGAIN.delay(silent))

    async def create(self, resource: str, obj: Object, *, subresource: str = "") -> Object:
        """Create; for a subresource the object of `obj`'s name gets it. Returns the answer."""
        place = await self._places.find(resource)
        namespace = namespace_of(obj)
        path = place.item(namespace, name_of(obj), subresource) if subresource else place.collection(namespace)
        return await self._answer("POST", path, body=_completed(obj, place, subresource))

    async def update(self, resource: str, obj: Object, *, subresource: str = "") -> Object:
        """Replace the object, or its status. Raises Conflict when obj's resourceVersion is outdated."""
        place = await self._places.find(resource)
        path = place.item(namespace_of(obj), name_of(obj), subresource)
        return await self._answer("PUT", path, body=_completed(obj, place, subresource))

    async def patch(
        self,
        target: Target,
        patch: Any,
        *,
        content_type: str = "application/merge-patch+json",
        manager: str = "",
    ) -> Object:
        """Patch the object; content_type says which kind of patch."""
        place = await self._places.find(target.resource)
        path = place.item(target.namespace, target.name, target.subresource)
        params = {"fieldManager": manager} if manager else {}
        return await self._answer("PATCH", path, params=params, body=patch, content_type=content_type)

    async def delete(self, target: Target, options: Object | None = None) -> Object:
        """Delete the object."""
        place = await self._places.find(target.resource)
        body = {"kind": "DeleteOptions", "apiVersion": "v1", **(options or {})}
        return await self._answer("DELETE", place.item(target.namespace, target.name), body=body)

    async def delete_collection(self, resource: str, selection: Selection) -> None:
        """Delete every object of the selection."""
        place = await self._places.find(resource)
        await self._answer("DELETE", place.collection(selection.namespace), params=_selectors(selection))

    async def revision(self) -> int:
        """Return a revision not older than any write that this client may have caused: that of a consistent list."""
        return revision_of(await self._answer("GET", "/api/v1/namespaces", params={"limit": "1"}))

    async def _document(self, path: str) -> Mapping[str, Any]:
        return await self._answer("GET", path)

    async def _answer(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = _JSON,
    ) -> dict[str, Any]:
        """Return the JSON of an answer. Raises StatusError, ConnectionError."""
        data = None if body is None else orjson.dumps(body)
        headers = {"Content-Type": content_type} if data is not None else {}
        session = self._session()
        try:
            async with session.request(
                method, self._url(path), params=params, data=data, headers=self._headers(headers)
            ) as response:
                content = await response.read()
        except Exception as error:
            raise _broken(error, f"{method} {path}") from error
        if response.status >= 400:
            raise error_of_body(response.status, content)
        answer: dict[str, Any] = orjson.loads(content)
        return answer

    async def open_stream(self, path: str, params: Mapping[str, str]) -> "ClientResponse":
        """Return the answer to a GET whose body goes on. Raises StatusError, ConnectionError."""
        session = self._session()
        try:
            response = await session.get(self._url(path), params=params, headers=self._headers({}))
            if response.status < 400:
                return response
            content = await response.read()
        except Exception as error:
            raise _broken(error, f"GET {path}") from error
        raise error_of_body(response.status, content)

    def _url(self, path: str) -> Any:
        from yarl import URL

        return URL(self._credentials.server.rstrip("/") + path, encoded=True)

    def _headers(self, more: Mapping[str, str]) -> dict[str, str]:
        headers = {"Accept": _JSON, "User-Agent": self._agent, **more}
        token = self._credentials.token
        if not token and self._credentials.token_file:
            token = Path(self._credentials.token_file).read_text().strip()
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def _session(self) -> "ClientSession":
        if self._open is None or self._open.closed:
            from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

            connector = TCPConnector(limit=0, ssl=tls_context(self._credentials) or True)
            timeout = ClientTimeout(total=None, sock_connect=30)
            self._open = ClientSession(
                connector=connector, timeout=timeout, cookie_jar=DummyCookieJar(), read_bufsize=256 * 1024
            )
        return self._open


def tls_context(credentials: Credentials) -> ssl.SSLContext | None:
    """Return the TLS settings for a server, None for one without TLS."""
    if not credentials.server.startswith("https://"):
        return None
    context = ssl.create_default_context(cadata=credentials.authority.decode() or None)
    if credentials.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if credentials.identity:
        with tempfile.NamedTemporaryFile() as file:  # `ssl` reads certificates of its own from files alone
            file.write(credentials.identity)
            file.flush()
            context.load_cert_chain(file.name)
    return context


def _selectors(selection: Selection) -> dict[str, str]:
    params = {"labelSelector": selection.labels, "fieldSelector": selection.fields}
    return {name: value for name, value in params.items() if value}


def _completed(obj: Object, place: Place, subresource: str) -> Object:
    """Return the object with its kind and apiVersion, which callers may leave out."""
    if subresource and subresource != "status":
        return obj
    return {"kind": place.kind, "apiVersion": place.api_version, **obj}


def _encoded(resource: str, place: Place, item: Mapping[str, Any]) -> Encoded:
    """Return an object as caches hold it. Items of lists lack kind and apiVersion."""
    obj = {"kind": place.kind, "apiVersion": place.api_version, **item}
    return Encoded(orjson.dumps(obj), revision_of(obj), obj, fields_for(resource, obj))


def _broken(error: Exception, what: str) -> Exception:
    """Return the error for an exception of aiohttp or of the system: a broken connection, or the exception itself."""
    from aiohttp import ClientError

    if isinstance(error, ConnectionError | StatusError):
        return error
    if isinstance(error, ClientError | TimeoutError | OSError):
        return ConnectionError(f"{what}: {error or type(error).__name__}")
    return error


class _Watch:
    """One watch: from the request to the end of its answer."""

    def __init__(
        self, client: HttpClient, place: Place, resource: str, params: Mapping[str, str], selection: Selection
    ) -> None:
        self._client = client
        self._place = place
        self._resource = resource
        self._params = params
        self._path = place.collection(selection.namespace)
        self._response: ClientResponse | None = None

    async def __aenter__(self) -> AsyncIterator[Sequence[Change]]:
        self._response = await self._client.open_stream(self._path, self._params)
        return self._batches(self._response)

    async def __aexit__(self, *_: object) -> None:
        if self._response is not None:
            self._response.close()

    async def _batches(self, response: "ClientResponse") -> AsyncIterator[Sequence[Change]]:
        """Yield what comes, all whole lines of a piece at a time. Raises StatusError for an ERROR, ConnectionError."""
        rest = b""
        while True:
            try:
                piece = await response.content.readany()
            except Exception as error:
                raise _broken(error, f"watch {self._path}") from error
            if not piece:
                return
            *lines, rest = (rest + piece).split(b"\n")
            if len(rest) > LINE_BYTES_MOST:
                raise ConnectionError(f"watch {self._path}: a line is longer than {LINE_BYTES_MOST} bytes")
            batch = [self._change(line) for line in lines if line]
            if batch:
                yield batch

    def _change(self, line: bytes) -> Change:
        event = orjson.loads(line)
        kind, obj = event["type"], event["object"]
        if kind == "ERROR":
            raise error_of(obj)
        if kind == "BOOKMARK":
            return Change(kind, None, revision_of(obj))
        item = _encoded(self._resource, self._place, obj)
        return Change(kind, item, item.revision)
