"""What we ask servers of aggregated APIs ourselves: whether they answer, which resources they have.

Source: kube-aggregator/pkg/controllers/status/remote, pkg/apiserver/handler_discovery.go (v1.37).
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import orjson

from moorage.api.discovery import AGGREGATED
from moorage.api.request import User
from moorage.client.http1 import BrokenAnswer, Exchange, TooLargeAnswer
from moorage.cluster.aggregation.remotes import Remote
from moorage.cluster.service_routes import NoRoute
from moorage.server.aggregation import NoBackend, identity_headers

#: How long an answer may take, and how large it may be.
SECONDS: Final = 5.0
BYTES_MOST: Final = 16 * 1024 * 1024

#: As whom we ask.
AGGREGATOR: Final = User("system:kube-aggregator", ("system:masters",))


class Failed(Exception):
    """Nobody answers as he must; the text says why."""


class Answer(NamedTuple):
    """An answer."""

    code: int
    content_type: str
    body: bytes


async def fetch(remote: Remote, path: str, accept: str = "application/json") -> Answer:
    """Return what the server answers to a GET. Raises Failed."""
    try:
        async with asyncio.timeout(SECONDS):
            return await _fetch(remote, path, accept)
    except TimeoutError:
        raise Failed("context deadline exceeded (Client.Timeout exceeded while awaiting headers)") from None
    except NoBackend as error:
        raise Failed(str(error).removeprefix("error trying to reach service: ")) from None
    except TooLargeAnswer:
        raise Failed("the answer is too large") from None
    except BrokenAnswer as error:
        raise Failed(str(error)) from None
    except (OSError, EOFError):
        raise Failed("EOF") from None


async def _fetch(remote: Remote, path: str, accept: str) -> Answer:
    reader, writer = await remote.connect()
    try:
        exchange = Exchange(reader, writer)
        own = (("Host", remote.host), ("User-Agent", "kube-aggregator"), ("Accept", accept), ("Connection", "close"))
        await exchange.send("GET", path, (*own, *identity_headers(AGGREGATOR)), b"")
        head = await exchange.head()
        return Answer(head.code, head.get("Content-Type"), await exchange.whole_body(BYTES_MOST))
    finally:
        writer.transport.abort()


async def fault_of(remote: Remote) -> str:
    """Return why the server does not serve its group version, "" if it does."""
    url = f"https://{remote.host}{remote.path}"
    try:
        remote.routes()
        answer = await fetch(remote, remote.path)
    except NoRoute as error:
        return str(error)
    except Failed as error:
        return f'failing or missing response from {url}: Get "{url}": {error}'
    if not 200 <= answer.code < 300:
        return f"failing or missing response from {url}: bad status from {url}: {answer.code}"
    return ""


async def resources_of(remote: Remote) -> list[Any]:
    """Return the resources of a group version as aggregated discovery shows them. Raises Failed."""
    answer = await fetch(remote, "/apis", f"{AGGREGATED},application/json;q=0.9")
    if answer.code == 503:
        raise Failed(f"service unavailable: {answer.code}")
    if answer.code == 200 and "as=APIGroupDiscoveryList" in answer.content_type and ";v=v2;" in answer.content_type:
        return _aggregated(_read(answer), remote)
    answer = await fetch(remote, remote.path)
    if answer.code != 200:
        raise Failed(f"failed to download legacy discovery for {remote.path}: {answer.code}")
    return from_legacy(_read(answer).get("resources") or ())


async def openapi_of(remote: Remote) -> str:
    """Return where the server's OpenAPI document of a group version is, "" if it has none."""
    try:
        answer = await fetch(remote, "/openapi/v3")
        paths = _read(answer).get("paths") or {} if answer.code == 200 else {}
        url = (paths.get(remote.path.removeprefix("/")) or {}).get("serverRelativeURL") or ""
    except (Failed, AttributeError):
        return ""
    return url if isinstance(url, str) and url.startswith(f"/openapi/v3{remote.path}") else ""


def _aggregated(document: Mapping[str, Any], remote: Remote) -> list[Any]:
    for group in document.get("items") or ():
        if (group.get("metadata") or {}).get("name") == remote.group:
            for version in group.get("versions") or ():
                if version.get("version") == remote.version:
                    return list(version.get("resources") or ())
    return []


def _read(answer: Answer) -> dict[str, Any]:
    try:
        found = orjson.loads(answer.body)
    except orjson.JSONDecodeError as error:
        raise Failed(str(error)) from None
    if not isinstance(found, dict):
        raise Failed("the answer is no object")
    return found


def from_legacy(listed: Iterable[Mapping[str, Any]]) -> list[Any]:
    """Return the resources of an APIResourceList as aggregated discovery has them. Source: endpoints/groupversion.go."""
    found: dict[str, dict[str, Any]] = {}
    listed = list(listed)
    for each in listed:
        name = each["name"]
        if "/" in name:
            continue
        found[name] = {
            "resource": name,
            "responseKind": _kind(each),
            "scope": "Namespaced" if each.get("namespaced") else "Cluster",
            "singularResource": each.get("singularName") or "",
            "verbs": each.get("verbs") or [],
            **{key: each[key] for key in ("shortNames", "categories") if each.get(key)},
        }
    for each in listed:
        parent, slash, name = each["name"].partition("/")
        if slash and parent in found:
            shown = {"subresource": name, "responseKind": _kind(each), "verbs": each.get("verbs") or []}
            found[parent].setdefault("subresources", []).append(shown)
    return list(found.values())


def _kind(each: Mapping[str, Any]) -> dict[str, str]:
    return {"group": each.get("group") or "", "version": each.get("version") or "", "kind": each.get("kind") or ""}
