"""Which group versions other servers serve, and connections to them.

The core group and the group of APIServices itself are always served here: whoever gave them away could never get them back.
Source: kube-aggregator/pkg/apiserver/{apiserver,handler_proxy}.go (v1.37).

Differs from Kubernetes: an APIService that gives the core group to another server is not followed; what others serve is
neither collected with its owners nor deleted with its namespace by us.
"""

import asyncio
import base64
import binascii
import ssl
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from moorage.aio.entropy import Entropy
from moorage.api.admission.webhooks.caller import ServiceReference
from moorage.api.discovery import RemoteVersion
from moorage.api.watch_cache import Caches
from moorage.cluster.aggregation.front_proxy import FrontProxy
from moorage.cluster.service_routes import Dialer, NoRoute, NotConnected, Reader, Route, connected, route_to, routes_to
from moorage.controllers.api_service_availability import AVAILABLE, PORT
from moorage.objects.metadata import Object, is_condition_true
from moorage.server.aggregation import NoBackend

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX: Final = "apiregistration.k8s.io/apiservices"
_OURS: Final = frozenset(("", "apiregistration.k8s.io"))

#: How many TLS settings are kept.
CONTEXTS_MOST: Final = 64


class Means(NamedTuple):
    """What connections are made with. dialer: what reaches pods, if anything does."""

    objects: Reader
    dialer: Dialer | None
    entropy: Entropy
    front_proxy: FrontProxy
    contexts: dict[tuple[str, bool], ssl.SSLContext]


class Remote:
    """A group version of another server, as its APIService has it (moorage.server.aggregation.RemoteApi)."""

    def __init__(self, api_service: Object, means: Means) -> None:
        spec = api_service["spec"]
        service = spec["service"]
        self.group, self.version = spec["group"], spec["version"]
        self.priorities = (spec["groupPriorityMinimum"], spec["versionPriority"])
        self.name = api_service["metadata"]["name"]
        self.service = ServiceReference(service["namespace"], service["name"], service.get("port") or PORT)
        self.is_available = is_condition_true(api_service, AVAILABLE)
        self._trust = (spec.get("caBundle") or "", bool(spec.get("insecureSkipTLSVerify")))
        self._means = means

    @property
    def path(self) -> str:
        """Where its resources are."""
        return f"/apis/{self.group}/{self.version}"

    @property
    def host(self) -> str:
        """The name and port of its service, as a cluster's own network has them."""
        found = self._means.objects.get("services", self.service.namespace, self.service.name)
        spec = (found or {}).get("spec") or {}
        address = spec.get("externalName") if spec.get("type") == "ExternalName" else spec.get("clusterIP")
        address = address or f"{self.service.name}.{self.service.namespace}.svc"
        return f"[{address}]:{self.service.port}" if ":" in address else f"{address}:{self.service.port}"

    def routes(self) -> list[Route]:
        """Return everybody who answers for it. Raises NoRoute."""
        return routes_to(self.service, self._means.objects)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a connection to one of its endpoints. Raises NoBackend."""
        context = self._context()
        try:
            route = route_to(self.service, self._means.objects, self._means.entropy)
            return await connected(route, self._means.dialer, context, self.server_name)
        except NoRoute as error:
            raise NoBackend("service unavailable") from error
        except NotConnected as error:
            raise NoBackend(f"error trying to reach service: {error}") from error

    @property
    def server_name(self) -> str:
        """Whom its certificate must be for."""
        return f"{self.service.name}.{self.service.namespace}.svc"

    def _context(self) -> ssl.SSLContext:
        """Return the TLS settings that trust whom the APIService trusts. Raises NoBackend for what is no certificate."""
        known = self._means.contexts.get(self._trust)
        if known is None:
            known = context_for(*self._trust)
            known.load_cert_chain(self._means.front_proxy.certificate())
            if len(self._means.contexts) >= CONTEXTS_MOST:
                self._means.contexts.clear()
            self._means.contexts[self._trust] = known
        return known


def context_for(bundle: str, is_insecure: bool) -> ssl.SSLContext:  # noqa: FBT001 - as the spec has it
    """Return the TLS settings for a caBundle (base64; "" trusts whom the machine trusts). Raises NoBackend."""
    try:
        authority = base64.b64decode(bundle).decode("ascii", "replace").strip()
        context = ssl.create_default_context(cadata=authority or None)
    except (ssl.SSLError, binascii.Error):
        raise NoBackend("unable to load root certificates: unable to parse bytes as PEM block", 500) from None
    if is_insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Remotes:
    """Follows the APIServices (moorage.server.aggregation.RemoteApis)."""

    def __init__(self, caches: Caches, means: Means) -> None:
        self._caches = caches
        self._means = means
        #: Grows whenever another server begins or ends to serve something, or another document is known.
        self.revision = 0
        self._apis: dict[tuple[str, str], Remote] = {}
        self._documents: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._openapi: dict[tuple[str, str], str] = {}

    def follow(self) -> None:
        """Take the APIServices that are there, then those that come."""
        self._caches.of(PREFIX).changed.subscribe(self._refresh)
        self._refresh()

    def find(self, group: str, version: str) -> Remote | None:
        """Return who serves a group version, None if it is not another server."""
        return self._apis.get((group, version)) if self._apis else None

    def all(self) -> list[Remote]:
        """Return all of them."""
        return list(self._apis.values())

    def versions(self) -> list[RemoteVersion]:
        """Return what discovery shows of them. What nobody has fetched yet is stale."""
        return [
            RemoteVersion(
                each.group,
                each.version,
                each.priorities,
                self._documents.get(key) or {"version": each.version, "resources": [], "freshness": "Stale"},
            )
            for key, each in self._apis.items()
        ]

    def openapi(self) -> dict[str, str]:
        """Return where their OpenAPI documents are, by the keys of the index."""
        return {f"apis/{group}/{version}": url for (group, version), url in self._openapi.items() if url}

    def learn(self, remote: Remote, resources: list[Any] | None, openapi: str = "") -> None:
        """Keep what a server says of a group version; None: it says nothing, so that what is known is stale."""
        key = (remote.group, remote.version)
        if key not in self._apis:
            return
        known = self._documents.get(key) or {}
        is_fresh = resources is not None
        shown = resources if resources is not None else known.get("resources") or []
        document = {"version": remote.version, "resources": shown, "freshness": "Current" if is_fresh else "Stale"}
        if is_fresh:
            self._openapi[key] = openapi
        if document != known:
            self._documents[key] = document
            self.revision += 1

    def _refresh(self) -> None:
        apis: dict[tuple[str, str], Remote] = {}
        for item in self._caches.of(PREFIX).items():
            if b'"service"' not in item.raw:
                continue
            spec = item.object["spec"]
            if spec.get("service") and spec.get("group") and spec["group"] not in _OURS:
                remote = Remote(item.object, self._means)
                apis[remote.group, remote.version] = remote
        if not apis and not self._apis:
            return
        for key in self._documents.keys() - apis.keys():
            del self._documents[key]
            self._openapi.pop(key, None)
        self._apis = apis
        self.revision += 1
