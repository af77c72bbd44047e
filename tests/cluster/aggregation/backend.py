"""A real extension API server: HTTPS, one resource `fish` of `sea.example.com/v1`, who asks by front-proxy headers."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from tests.cluster.webhooks.server import Certificate

GROUP, VERSION = "sea.example.com", "v1"
PATH = f"/apis/{GROUP}/{VERSION}"
RESOURCES = {
    "kind": "APIResourceList",
    "apiVersion": "v1",
    "groupVersion": f"{GROUP}/{VERSION}",
    "resources": [
        {
            "name": "fish",
            "singularName": "fish",
            "namespaced": True,
            "kind": "Fish",
            "verbs": ["get", "list", "watch", "create"],
            "shortNames": ["fi"],
        },
        {"name": "fish/status", "singularName": "", "namespaced": True, "kind": "Fish", "verbs": ["get"]},
    ],
}
_KIND = {"group": GROUP, "version": VERSION, "kind": "Fish"}
_FISH = {"type": "object", "description": "Fish swim.", "x-kubernetes-group-version-kind": [_KIND]}
OPENAPI = {
    "openapi": "3.0.0",
    "info": {"title": "sea", "version": "1"},
    "paths": {f"{PATH}/fish": {"get": {"x-kubernetes-group-version-kind": _KIND, "responses": {}}}},
    "components": {"schemas": {"example.sea.v1.Fish": _FISH}},
}
COD = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Fish", "metadata": {"name": "cod", "namespace": "default"}}


class ExtensionServer:
    """Listens on all addresses. `asked` are all requests that somebody else than the aggregator made."""

    def __init__(self, certificate: Certificate, authority: Path) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority))
        context.load_cert_chain(certificate.file)
        context.verify_mode = ssl.CERT_REQUIRED
        self._context = context
        self.asked: list[web.BaseRequest] = []
        self.port = 0
        self.go_on = asyncio.Event()
        self._runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.1)

    async def __aenter__(self) -> "ExtensionServer":
        await self._runner.setup()
        site = web.TCPSite(self._runner, "0.0.0.0", 0, ssl_context=self._context)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _handle(self, http: web.BaseRequest) -> web.StreamResponse:
        if http.headers["X-Remote-User"] != "system:kube-aggregator":
            self.asked.append(http)
        if http.path == PATH:
            return _json(RESOURCES)
        if http.path == "/openapi/v3":
            return _json({"paths": {PATH[1:]: {"serverRelativeURL": f"/openapi/v3{PATH}?hash=1"}}})
        if http.path == f"/openapi/v3{PATH}":
            return _json(OPENAPI)
        if http.path != f"{PATH}/namespaces/default/fish":
            return _json({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound"}, 404)
        if http.method == "POST":
            return _json(orjson.loads(await http.read()), 201)
        if http.query.get("watch"):
            return await self._watch(http)
        return _json({"apiVersion": COD["apiVersion"], "kind": "FishList", "metadata": {}, "items": [COD]})

    async def _watch(self, http: web.BaseRequest) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "application/json"})
        await stream.prepare(http)
        await stream.write(orjson.dumps({"type": "ADDED", "object": COD}) + b"\n")
        await self.go_on.wait()
        await stream.write(orjson.dumps({"type": "DELETED", "object": COD}) + b"\n")
        return stream


def _json(body: Any, code: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=code, content_type="application/json")
