"""Layers, archives and a loopback registry made for tests."""

import asyncio
import base64
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

ENTRIES = tuple[str, bytes | None]


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mode = kind, link, mode
    return made


def layer(*entries: tarfile.TarInfo | tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for one in entries:
            if isinstance(one, tuple):
                made = entry(one[0])
                made.size = len(one[1])
                archive.addfile(made, io.BytesIO(one[1]))
            else:
                archive.addfile(one)
    return out.getvalue()


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class MadeImage:
    """An image: plain layers, their packed blobs, configuration and manifest."""

    def __init__(self, layers: Sequence[bytes], packed: Sequence[bytes] | None = None, **config: Any) -> None:
        self.blobs = list(packed or [gzip.compress(one, mtime=0) for one in layers])
        body = {"config": config, "rootfs": {"type": "layers", "diff_ids": [digest(one) for one in layers]}}
        self.config = json.dumps(body).encode()
        self.manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {"digest": digest(self.config), "size": len(self.config)},
                "layers": [{"digest": digest(one), "size": len(one)} for one in self.blobs],
            }
        ).encode()

    @property
    def files(self) -> dict[str, bytes]:
        return {digest(one): one for one in [*self.blobs, self.config, self.manifest]}


def tar(files: Mapping[str, bytes]) -> bytes:
    return layer(*files.items())


def docker_archive(image: MadeImage, *names: str, **changes: Any) -> bytes:
    files = {f"{number}/layer.tar": blob for number, blob in enumerate(image.blobs)}
    listed = {"Config": "config.json", "RepoTags": list(names), "Layers": list(files), **changes}
    return tar({"config.json": image.config, **files, "manifest.json": json.dumps([listed]).encode()})


def layout(image: MadeImage, name: str = "") -> dict[str, bytes]:
    annotations = {"org.opencontainers.image.ref.name": name} if name else {}
    index = {"manifests": [{"digest": digest(image.manifest), "annotations": annotations}]}
    blobs = {f"blobs/sha256/{name[7:]}": data for name, data in image.files.items()}
    return {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(index).encode(), **blobs}


class Registry:
    """A registry on loopback. auth: "" | "basic" | "token"; redirect: where blobs are sent instead of being answered."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.tags: dict[str, bytes] = {}
        self.auth = ""
        self.redirect = ""
        self.asked: list[str] = []
        self.authorizations: list[str | None] = []
        self.address = ""

    def push(self, name: str, image: MadeImage) -> None:
        self.blobs |= image.files
        self.tags[name] = image.manifest

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        self.authorizations.append(request.headers.get("Authorization"))
        if request.path == "/token":
            known = "Basic " + base64.b64encode(b"user:secret").decode()
            if request.headers.get("Authorization") != known:
                return web.Response(status=401)
            return web.json_response({"token": f"for-{request.query['scope']}"})
        if (refused := self._refuse(request)) is not None:
            return refused
        *repository, kind, reference = request.path.removeprefix("/v2/").split("/")
        name = "/".join(repository)
        if kind == "manifests":
            data = self.blobs.get(reference) or self.tags.get(f"{name}:{reference}")
        else:
            data = self.blobs.get(reference)
            if self.redirect and data is not None:
                return web.Response(status=307, headers={"Location": f"{self.redirect}{request.path}"})
        if data is None:
            return web.json_response({"errors": [{"code": "UNKNOWN", "message": "unknown"}]}, status=404)
        return web.Response(body=data)

    def _refuse(self, request: web.Request) -> web.Response | None:
        wanted, challenge = "", ""
        if self.auth == "basic":
            wanted, challenge = "Basic " + base64.b64encode(b"user:secret").decode(), 'Basic realm="here"'
        elif self.auth == "token":
            wanted = "Bearer for-repository:app:pull"
            challenge = f'Bearer realm="http://{self.address}/token",service="here",scope="repository:app:pull"'
        if not wanted or request.headers.get("Authorization") == wanted:
            return None
        return web.Response(status=401, headers={"WWW-Authenticate": challenge})


@asynccontextmanager
async def serving() -> AsyncIterator[Registry]:
    registry = Registry()
    server = web.Server(registry.answer)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    registry.address = f"127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield registry
    finally:
        await runner.cleanup()
        await asyncio.sleep(0)
