"""The front door of a cluster: the API over HTTPS, with everything that callers ask for beside resources."""

import ssl
from collections.abc import Callable, Mapping
from pathlib import Path

import orjson

from moorage.api.authentication import Authenticator
from moorage.api.authorization import Rbac
from moorage.api.discovery import Discovery, version_info
from moorage.api.node_authorizer import NodeAuthorizer
from moorage.api.openapi import OpenApi
from moorage.api.request import User
from moorage.api.reviews import Reviews
from moorage.api.tables import Tables
from moorage.api.tokens import Tokens, discovery_document
from moorage.cluster.aggregation.remotes import Remotes
from moorage.cluster.certificates import Pki
from moorage.cluster.config import ClusterConfig
from moorage.cluster.control_plane import ControlPlane
from moorage.cluster.process import StartFailed
from moorage.objects.protobuf import decode as decode_protobuf
from moorage.server.front import Front, Parts
from moorage.server.gateway import PodGateway
from moorage.server.metrics import Metrics
from moorage.server.pages import Documents, Pages
from moorage.server.serve import CannotListen, Server

#: What upstream checks under these names; here all of it is done before the API says that it is ready.
_HOOKS = ("poststarthook/start-apiserver-admission-initializer", "poststarthook/rbac/bootstrap-roles")

#: Who the administrator is. Source: kubeadm's super-admin.conf.
ADMINISTRATOR = User("kubernetes-admin", ("system:masters",))


class FrontDoor:
    """Listens, and answers once the control plane is open."""

    def __init__(
        self, config: ClusterConfig, pki: Pki, control: ControlPlane, gateway: PodGateway, remotes: Remotes
    ) -> None:
        self._config = config
        self._ready = False
        self.port = 0
        api = control.api
        tokens = self.tokens = Tokens(_reader(pki.account_key), _reader(pki.account_public_key), control.entropy)
        rbac = Rbac(control.lookup)
        known = {pki.administrator_token.read_text(): ADMINISTRATOR}
        api.creations.update(Reviews(rbac, tokens, control.clock, known).creations())
        metrics = Metrics()
        pages = Pages(self._documents(control, tokens, remotes), metrics)
        parts = Parts(
            api=api,
            authenticator=Authenticator(tokens, control.lookup, control.clock, known),
            authorizer=NodeAuthorizer(rbac, control.lookup),
            pages=pages,
            tables=Tables(),
            gateway=gateway,
            clock=control.clock,
            entropy=control.entropy,
            metrics=metrics,
            protobuf=decode_protobuf,
            remotes=remotes,
        )
        self._front = Front(parts)
        self._tls = tls_context(pki)
        self._server: Server | None = None

    async def listen(self, last_port: int) -> int:
        """Take the configured port, else the one of the last start, else a free one; returns it. Raises StartFailed."""
        wanted = self._config.port
        try:
            return await self._listen(wanted or last_port)
        except CannotListen as error:
            if wanted or not last_port:
                hint = "Choose another port with --port, or none for a free one."
                raise StartFailed(f"the API cannot listen: {error}", hint=hint) from error
        return await self._listen(0)

    async def _listen(self, port: int) -> int:
        server = Server(self._front, self._tls, self._config.host, port)
        await server.start(serving=False)
        self._server = server
        self.port = server.address[1]
        return self.port

    async def serve(self) -> None:
        """Answer callers from now on: the state must be loaded, or they would see a cluster without objects."""
        if self._server is not None:
            try:
                await self._server.serve()
            except CannotListen as error:
                raise StartFailed(f"the API cannot listen: {error}") from error

    def _progress(self) -> str:
        return "" if self._ready else "not finished"

    def open(self) -> None:
        """Tell callers that the API is ready."""
        self._ready = True

    async def close(self) -> None:
        """Finish what is being answered; end watches and streams."""
        if self._server is not None:
            await self._server.stop()

    def _documents(self, control: ControlPlane, tokens: Tokens, remotes: Remotes) -> Documents:
        resources, custom = control.api.resources, control.api.publication.published
        checks: Mapping[str, Callable[[], str]] = {"ping": str, "log": str, "etcd": str}
        ready = {**checks, **dict.fromkeys(_HOOKS, self._progress)}

        def url() -> str:
            return f"https://{self._config.host}:{self.port}"

        def swagger(protobuf: bool) -> bytes:  # noqa: FBT001
            from moorage.api import openapi_v2

            return openapi_v2.as_protobuf(custom()) if protobuf else openapi_v2.as_json(custom())

        return Documents(
            # Both numbers only grow, so that their sum is another one whenever either is.
            discovery=Discovery(resources.all, lambda: resources.revision + remotes.revision, remotes.versions),
            openapi=OpenApi(custom, lambda: resources.revision, remotes.openapi),
            version=version_info(),
            live=checks,
            ready=ready,
            more={
                "/.well-known/openid-configuration": lambda: (
                    "application/json",
                    orjson.dumps(discovery_document(url())),
                ),
                "/openid/v1/jwks": lambda: ("application/jwk-set+json", orjson.dumps(tokens.key_set())),
            },
            swagger=swagger,
        )


def _reader(path: Path) -> Callable[[], bytes]:
    """Return what reads a file once, when it is first needed."""
    known: list[bytes] = []

    def read() -> bytes:
        if not known:
            known.append(path.read_bytes())
        return known[0]

    return read


def tls_context(pki: Pki) -> ssl.SSLContext:
    """Return the API's TLS settings: 1.2 and newer, client certificates of our authority welcome but not required."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(pki.server)
    context.load_verify_locations(pki.authority)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    return context
