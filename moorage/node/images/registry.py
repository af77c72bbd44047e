"""Fetching images from registries: the distribution API (v2) with tokens, passwords, mirrors and redirects.

Credentials go to the registry that asked for them and to its token service, never along a redirect. Plain HTTP is
spoken only with loopback hosts and with registries that the configuration calls insecure.
"""

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moorage.node.images.manifest import (
    ACCEPT,
    JSON_BYTES_MAX,
    Manifest,
    assemble,
    bad_image,
    blobs_of,
    decode,
    digest_of,
    is_index,
    pick,
)
from moorage.node.images.reference import DEFAULT_REGISTRY, Reference
from moorage.node.runtimes.runtime import RuntimeFailure

if TYPE_CHECKING:
    import aiohttp

REDIRECTS_MAX = 5
BLOBS_AT_ONCE = 3
CHUNK = 1 << 20
#: Seconds without a byte after which a registry counts as dead.
SILENCE_SECONDS_MAX = 60
CONNECT_SECONDS_MAX = 15


@dataclass(frozen=True, slots=True)
class Registries:
    """How registries are reached. mirrors: registry → base URLs, tried in order before the registry itself.

    insecure: registries with which plain HTTP may be spoken. credentials: registry → (user, password).
    """

    mirrors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    insecure: frozenset[str] = frozenset()
    credentials: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def read_registries(path: Path) -> Registries:
    """Read the configuration file, JSON or YAML: {mirrors: {docker.io: [url]}, insecure: [host:port]}, and nothing else.

    Raises RuntimeFailure("InvalidRegistriesFile") saying what is wrong.
    """
    import yaml

    try:
        value = yaml.safe_load(path.read_text()) or {}
        _refuse_unknown(value)
        mirrors = {str(host): tuple(_urls(urls)) for host, urls in value.get("mirrors", {}).items()}
        return Registries(mirrors, frozenset(map(str, value.get("insecure", ()))))
    except (OSError, ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise RuntimeFailure("InvalidRegistriesFile", f"{path}: {error}", temporary=False) from error


def _refuse_unknown(value: Mapping[str, object]) -> None:
    if unknown := set(value) - {"mirrors", "insecure"}:
        raise ValueError(f"unknown members {', '.join(sorted(unknown))}")


def _urls(value: object) -> list[str]:
    urls = [value] if isinstance(value, str) else list(value)  # type: ignore[call-overload]
    for url in urls:
        if not re.match(r"https?://[^/]+", url):
            raise ValueError(f"mirror {url!r} is not an http(s) URL")
    return [url.rstrip("/") for url in urls]


def docker_credentials(config: bytes) -> dict[str, tuple[str, str]]:
    """Return registry → (user, password) of a Docker `config.json` or a `.dockerconfigjson` Secret.

    Entries that cannot be read are left out, as kubelet does.
    """
    try:
        entries = json.loads(config)["auths"].items()
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    found = {}
    for server, entry in entries:
        host = re.sub(r"^https?://", "", server).split("/")[0]
        known = _login_of(entry)
        if known is not None:
            found[DEFAULT_REGISTRY if host in ("index.docker.io", "registry-1.docker.io") else host] = known
    return found


def _login_of(entry: object) -> tuple[str, str] | None:
    if not isinstance(entry, Mapping):
        return None
    user, password = entry.get("username"), entry.get("password")
    if isinstance(entry.get("auth"), str):
        try:
            user, colon, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
        except ValueError:
            return None
        if not colon:
            return None
    return (user, password) if isinstance(user, str) and isinstance(password, str) else None


def is_loopback(host: str) -> bool:
    """Tell whether the host (with or without a port) is this machine."""
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    name = name.strip("[]")
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def endpoints_for(registries: Registries, registry: str) -> list[str]:
    """Return the base URLs to try for a registry, mirrors first."""
    host = "registry-1.docker.io" if registry == DEFAULT_REGISTRY else registry
    plain = is_loopback(host) or registry in registries.insecure
    return [*registries.mirrors.get(registry, ()), f"{'http' if plain else 'https'}://{host}"]


class Pull:
    """One pull; use as an asynchronous context manager. Raises RuntimeFailure with the word for the pod's status."""

    def __init__(
        self, registries: Registries, reference: Reference, credentials: Mapping[str, tuple[str, str]]
    ) -> None:
        self._registries = registries
        self._reference = reference
        self._credentials = {**registries.credentials, **credentials}
        self._authorization: dict[str, str] = {}
        self._endpoint = ""
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Pull":
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS_MAX, sock_read=SILENCE_SECONDS_MAX)
        self._session = aiohttp.ClientSession(timeout=timeout, auto_decompress=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def manifest(self) -> Manifest:
        """Fetch the manifest for this machine and the image's configuration."""
        endpoints = endpoints_for(self._registries, self._reference.registry)
        for endpoint in endpoints[:-1]:
            try:
                return await self._manifest_from(endpoint)
            except RuntimeFailure:
                continue  # a mirror need not have everything
        return await self._manifest_from(endpoints[-1])

    async def _manifest_from(self, endpoint: str) -> Manifest:
        self._endpoint = endpoint
        wanted = self._reference.digest or self._reference.tag
        data = await self._small(f"manifests/{wanted}", "the manifest", self._reference.digest)
        digest = digest_of(data)
        decoded = decode(data, "the manifest")
        if is_index(decoded):
            chosen = pick(decoded)
            decoded = decode(await self._small(f"manifests/{chosen}", "the manifest", chosen), "the manifest")
        config, layers = blobs_of(decoded)
        configuration = await self._small(f"blobs/{config}", "the image's configuration", config)
        return assemble(config, configuration, layers, digest)

    async def blobs(self, manifest: Manifest, work: Path, skip: Callable[[str], bool]) -> dict[str, Path]:
        """Fetch the layers that `skip` does not know into `work`, a few at once; returns diff id → file."""
        gate = asyncio.Semaphore(BLOBS_AT_ONCE)
        files: dict[str, Path] = {}

        async def fetch(blob: str, diff_id: str) -> None:
            async with gate:
                path = work / blob.rpartition(":")[2]
                await self._large(blob, path)
                files[diff_id] = path

        wanted = {blob: diff_id for blob, diff_id in manifest.layers if not skip(diff_id)}
        try:
            async with asyncio.TaskGroup() as group:
                for blob, diff_id in wanted.items():
                    group.create_task(fetch(blob, diff_id), name=f"pull/{blob[:19]}")
        except ExceptionGroup as group_error:
            raise group_error.exceptions[0] from group_error
        return files

    async def _small(self, path: str, what: str, digest: str = "") -> bytes:
        async with await self._get(path) as response:
            data = b""
            async for chunk in response.content.iter_chunked(CHUNK):
                data += chunk
                if len(data) > JSON_BYTES_MAX:
                    raise bad_image(f"{what} has more than {JSON_BYTES_MAX} bytes")
        if digest.startswith("sha256:") and digest_of(data) != digest:
            raise bad_image(f"{what} has the digest {digest_of(data)}, not {digest}")
        return data

    async def _large(self, digest: str, path: Path) -> None:
        hashing = hashlib.sha256()
        async with await self._get(f"blobs/{digest}") as response:
            with path.open("wb") as file:
                async for chunk in response.content.iter_chunked(CHUNK):
                    await asyncio.to_thread(_store, file, hashing, chunk)
        if f"sha256:{hashing.hexdigest()}" != digest:
            path.unlink()  # noqa: ASYNC240 - quick
            raise RuntimeFailure("ErrImagePull", f"layer {digest} arrived with another content than its digest says")

    async def _get(self, path: str) -> "aiohttp.ClientResponse":
        """Return the answer to a GET below the repository; follows redirects, answers challenges."""
        import aiohttp

        url = f"{self._endpoint}/v2/{self._reference.repository}/{path}"
        try:
            response = await self._follow(url)
            if response.status == 401:
                challenge = response.headers.get("WWW-Authenticate", "")
                response.release()
                await self._authorize(challenge)
                response = await self._follow(url)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            text = f'failed to pull image "{self._reference}": {self._endpoint}: {error or type(error).__name__}'
            raise RuntimeFailure("RegistryUnavailable", text) from error
        if response.status != 200:
            failure = await self._refusal(response)
            response.release()
            raise failure
        return response

    async def _follow(self, url: str) -> "aiohttp.ClientResponse":
        from yarl import URL

        assert self._session is not None  # noqa: S101 - used inside the context
        headers = {"Accept": ACCEPT, "User-Agent": "moorage"}
        if self._endpoint in self._authorization:
            headers["Authorization"] = self._authorization[self._endpoint]
        here = URL(url)
        for _ in range(REDIRECTS_MAX):
            response = await self._session.get(here, headers=headers, allow_redirects=False)
            location = response.headers.get("Location")
            if response.status not in (301, 302, 303, 307, 308) or not location:
                return response
            response.release()
            there = here.join(URL(location))
            if there.origin() != here.origin():
                headers.pop("Authorization", None)
            self._check_plain(there)
            here = there
        raise RuntimeFailure("ErrImagePull", f"{url}: more than {REDIRECTS_MAX} redirects")

    def _check_plain(self, url: Any) -> None:
        host = url.raw_authority
        if url.scheme != "https" and not (is_loopback(host) or host in self._registries.insecure):
            raise RuntimeFailure("ErrImagePull", f"{url.origin()}: plain HTTP is not allowed there", temporary=False)

    async def _authorize(self, challenge: str) -> None:
        """Answer a WWW-Authenticate challenge for this endpoint."""
        scheme, _, rest = challenge.partition(" ")
        known = self._credentials.get(self._reference.registry)
        basic = "Basic " + base64.b64encode(":".join(known).encode()).decode() if known else ""
        if scheme.lower() == "basic" and basic:
            self._authorization[self._endpoint] = basic
        elif scheme.lower() == "bearer":
            self._authorization[self._endpoint] = "Bearer " + await self._token(rest, basic)
        else:
            raise self._unauthorized()

    async def _token(self, challenge: str, basic: str) -> str:
        from yarl import URL

        assert self._session is not None  # noqa: S101 - used inside the context
        parameters = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        realm = URL(parameters.get("realm", ""))
        if not realm.is_absolute():
            raise RuntimeFailure("ErrImagePull", f"{self._endpoint}: its challenge names no token service")
        self._check_plain(realm)
        query = {key: parameters[key] for key in ("service", "scope") if key in parameters}
        headers = {"User-Agent": "moorage"} | ({"Authorization": basic} if basic else {})
        async with self._session.get(realm.update_query(query), headers=headers, allow_redirects=False) as response:
            if response.status != 200:
                raise self._unauthorized()
            answer = decode(await response.content.read(JSON_BYTES_MAX), "the token service's answer")
        token = answer.get("token") or answer.get("access_token")
        if not isinstance(token, str):
            raise self._unauthorized()
        return token

    def _unauthorized(self) -> RuntimeFailure:
        text = f'failed to pull and unpack image "{self._reference}": pull access denied, repository does not exist or '
        return RuntimeFailure("ErrImagePull", text + "may require authorization: authorization failed")

    async def _refusal(self, response: "aiohttp.ClientResponse") -> RuntimeFailure:
        if response.status in (401, 403):
            return self._unauthorized()
        name = f'failed to pull and unpack image "{self._reference}"'
        if response.status == 404:
            return RuntimeFailure("ErrImagePull", f"{name}: {self._reference}: not found")
        detail = ""
        try:
            errors = json.loads(await response.content.read(4096)).get("errors", [])
            detail = ": " + str(errors[0].get("message"))
        except (ValueError, AttributeError, IndexError, TypeError):
            pass
        reason = "RegistryUnavailable" if response.status >= 500 or response.status == 429 else "ErrImagePull"
        return RuntimeFailure(reason, f"{name}: unexpected status {response.status} {response.reason}{detail}")


def _store(file: Any, hashing: Any, chunk: bytes) -> None:
    hashing.update(chunk)
    file.write(chunk)
