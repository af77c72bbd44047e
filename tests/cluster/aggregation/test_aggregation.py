"""A group version of another server, end to end: through a whole cluster to a real HTTPS server and back."""

import asyncio
import os
import shutil
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from moorage.client.client import Target
from moorage.cluster.cluster import Cluster
from moorage.cluster.config import ClusterConfig
from moorage.cluster.control_plane import ControlPlane
from moorage.objects.api_services import RESOURCE
from moorage.objects.metadata import condition_of
from tests.cluster.aggregation.backend import COD, GROUP, PATH, VERSION, ExtensionServer
from tests.cluster.webhooks.server import Certificate

NAME = f"{VERSION}.{GROUP}"
FISH = f"{PATH}/namespaces/default/fish"
SECONDS = 10.0


def own_address() -> str:
    """An address of this machine that is no loopback, which endpoints may not have."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


class World:
    """A cluster, the server behind it, and what speaks to the cluster."""

    def __init__(self, control: ControlPlane, server: ExtensionServer, http: aiohttp.ClientSession) -> None:
        self.control = control
        self.server = server
        self.http = http
        #: The part of the APIService that says whom to trust.
        self.trust: dict[str, Any] = {}

    async def create(self, resource: str, obj: dict[str, Any]) -> None:
        await self.control.client.create(resource, obj)

    async def external_name(self) -> None:
        """Stand behind a service that is a name."""
        await self._service({"type": "ExternalName", "externalName": "localhost"})
        await self.api_service(self.server.port)

    async def endpoints(self) -> None:
        """Stand behind a service without a selector, whose endpoints somebody wrote."""
        await self.behind({"ports": [{"name": "api", "port": 443}]}, own_address())

    async def behind(self, spec: dict[str, Any], address: str) -> None:
        await self._service(spec)
        slice_ = {
            "metadata": {"name": "s", "namespace": "default", "labels": {"kubernetes.io/service-name": "sea"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address]}],
            "ports": [{"name": "api", "port": self.server.port}],
        }
        await self.create("endpointslices.discovery.k8s.io", slice_)
        await self.api_service(443)

    async def _service(self, spec: dict[str, Any]) -> None:
        await self.create("services", {"metadata": {"name": "sea", "namespace": "default"}, "spec": spec})

    async def api_service(self, port: int) -> None:
        spec = {
            "group": GROUP,
            "version": VERSION,
            "groupPriorityMinimum": 2000,
            "versionPriority": 10,
            **self.trust,
            "service": {"namespace": "default", "name": "sea", "port": port},
        }
        await self.create(RESOURCE, {"metadata": {"name": NAME}, "spec": spec})

    def condition(self) -> dict[str, Any]:
        found = self.control.lookup.get(RESOURCE, "", NAME)
        return dict((condition_of(found, "Available") if found else None) or {})

    async def until_condition(self, reason: str) -> dict[str, Any]:
        await until(lambda: self.condition().get("reason") == reason, lambda: str(self.condition()))
        return self.condition()

    async def json(self, path: str, **headers: str) -> Any:
        async with self.http.get(path, headers=headers) as answer:
            return await answer.json(content_type=None)


async def until(holds: Callable[[], bool], shown: Callable[[], str]) -> None:
    try:
        async with asyncio.timeout(SECONDS):
            while not holds():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(shown()) from None


@asynccontextmanager
async def session(directory: Path) -> AsyncIterator[aiohttp.ClientSession]:
    import orjson

    facts = orjson.loads((directory / "instance.json").read_bytes())
    trusted = ssl.create_default_context(cafile=str(directory / "pki" / "ca.crt"))
    headers = {"Authorization": f"Bearer {(directory / 'pki' / 'admin.token').read_text()}"}
    connector = aiohttp.TCPConnector(ssl=trusted)
    async with aiohttp.ClientSession(
        f"https://127.0.0.1:{facts['port']}", headers=headers, connector=connector
    ) as made:
        yield made


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    cluster = Cluster(ClusterConfig("test", tmp_path, nodes=0, memory=True))
    await cluster.start(lambda _: None)
    try:
        control = cluster.control
        assert control is not None
        pki = tmp_path / "pki"
        await until((pki / "front-proxy-client.pem").exists, lambda: "no certificate")
        certificate = Certificate(tmp_path, "sea.default.svc")
        server = ExtensionServer(certificate, pki / "front-proxy-ca.crt")
        async with server, session(tmp_path) as http:
            made = World(control, server, http)
            made.trust = {"caBundle": certificate.bundle}
            yield made
    finally:
        await cluster.close()


Behind = Callable[[World], Awaitable[None]]


@pytest.mark.parametrize("behind", [World.external_name, World.endpoints])
async def test_requests_reach_the_server_in_the_callers_name(world: World, behind: Behind) -> None:
    await behind(world)
    found = await world.until_condition("Passed")
    assert (found["status"], found["message"]) == ("True", "all checks passed")
    claims = {"X-Remote-User": "root", "X-Remote-Group": "wheel", "X-Remote-Extra-A": "b", "Impersonate-User": "jane"}
    claims |= {"Impersonate-Group": "system:masters", "Impersonate-Extra-Scopes": "a"}
    async with world.http.get(f"{FISH}?limit=5", headers=claims) as answer:
        assert answer.status == 200
        assert (await answer.json())["items"] == [COD]
    asked = world.server.asked[-1]
    assert asked.path_qs == f"{FISH}?limit=5"
    assert asked.headers.getall("X-Remote-User") == ["jane"]
    assert sorted(asked.headers.getall("X-Remote-Group")) == ["system:authenticated", "system:masters"]
    assert asked.headers.getall("X-Remote-Extra-Scopes") == ["a"]
    assert not {"X-Remote-Extra-A", "Authorization", "Impersonate-User"} & set(asked.headers)


async def test_writes_and_watches_are_passed_on(world: World) -> None:
    await world.external_name()
    await world.until_condition("Passed")
    async with world.http.post(FISH, json=COD) as answer:
        assert (answer.status, await answer.json()) == (201, COD)
    async with world.http.get(f"{FISH}?watch=true") as stream:
        assert b"ADDED" in await asyncio.wait_for(stream.content.readline(), SECONDS)
        world.server.go_on.set()
        assert b"DELETED" in await asyncio.wait_for(stream.content.readline(), SECONDS)
        assert await asyncio.wait_for(stream.content.read(), SECONDS) == b""


async def test_discovery_shows_what_the_server_serves(world: World) -> None:
    await world.external_name()
    await world.until_condition("Passed")
    groups = [each["name"] for each in (await world.json("/apis"))["groups"]]
    assert groups.index(GROUP) > groups.index("storagemigration.k8s.io")
    assert (await world.json(f"/apis/{GROUP}"))["preferredVersion"]["version"] == VERSION
    assert (await world.json(PATH))["resources"][0]["name"] == "fish"
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    items = (await world.json("/apis", Accept=accept))["items"]
    version = next(each for each in items if each["metadata"]["name"] == GROUP)["versions"][0]
    assert (version["freshness"], version["resources"][0]["resource"]) == ("Current", "fish")
    assert version["resources"][0]["subresources"][0]["subresource"] == "status"


async def test_who_may_not_is_told_so_here(world: World) -> None:
    await world.external_name()
    await world.until_condition("Passed")
    async with world.http.get(FISH, headers={"Impersonate-User": "jane"}) as answer:
        assert answer.status == 403
    assert world.server.asked == []


async def test_a_server_that_is_not_there_is_unavailable_and_one_that_is_gone_not_found(world: World) -> None:
    await world.api_service(443)
    found = await world.until_condition("ServiceNotFound")
    assert found["message"] == 'service/sea in "default" is not present'
    async with world.http.get(FISH) as answer:
        assert (answer.status, await answer.text()) == (503, "service unavailable\n")
    await world.control.client.delete(Target(RESOURCE, "", NAME))
    async with world.http.get(FISH) as answer:
        assert (answer.status, await answer.text()) == (404, "404 page not found\n")


async def test_a_server_that_stops_answering_is_seen(world: World) -> None:
    await world.endpoints()
    await world.until_condition("Passed")
    slice_ = world.control.lookup.get("endpointslices.discovery.k8s.io", "default", "s")
    assert slice_ is not None
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        ports = [{"name": "api", "port": closed.getsockname()[1]}]
    await world.control.client.update("endpointslices.discovery.k8s.io", {**slice_, "ports": ports})
    found = await world.until_condition("FailedDiscoveryCheck")
    assert found["status"] == "False"
    assert found["message"].endswith("connect: connection refused")
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    items = (await world.json("/apis", Accept=accept))["items"]
    version = next(each for each in items if each["metadata"]["name"] == GROUP)["versions"][0]
    assert (version["freshness"], version["resources"][0]["resource"]) == ("Stale", "fish")


async def test_a_server_of_another_authority_is_not_trusted(world: World, tmp_path: Path) -> None:
    world.trust = {"caBundle": Certificate(tmp_path, "other").bundle}
    await world.external_name()
    found = await world.until_condition("FailedDiscoveryCheck")
    assert "x509: certificate signed by unknown authority" in found["message"]


async def test_servers_can_learn_whom_to_believe(world: World, tmp_path: Path) -> None:
    del world
    async with session(tmp_path) as http:
        path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
        data = (await (await http.get(path)).json())["data"]
    assert data["requestheader-allowed-names"] == '["front-proxy-client"]'
    assert data["requestheader-client-ca-file"] == (tmp_path / "pki" / "front-proxy-ca.crt").read_text()
    assert data["client-ca-file"] == (tmp_path / "pki" / "ca.crt").read_text()


async def test_a_server_may_be_trusted_blindly(world: World) -> None:
    world.trust = {"insecureSkipTLSVerify": True}
    await world.external_name()
    await world.until_condition("Passed")
    assert (await world.json(FISH))["items"] == [COD]


async def test_a_bundle_that_is_no_certificate_is_told(world: World) -> None:
    world.trust = {"caBundle": "bm8="}
    await world.external_name()
    found = await world.until_condition("FailedDiscoveryCheck")
    assert found["message"].endswith("unable to load root certificates: unable to parse bytes as PEM block")


async def test_a_service_without_an_address_is_told(world: World) -> None:
    spec = {"type": "ClusterIP", "clusterIP": "None", "ports": [{"name": "api", "port": 443}]}
    await world.behind(spec, own_address())
    found = await world.until_condition("FailedDiscoveryCheck")
    assert found["message"] == 'cannot route to service with ClusterIP "None"'


async def test_kubectl_lists_and_explains_what_the_server_serves(world: World, tmp_path: Path) -> None:
    kubectl = os.environ.get("MOORAGE_KUBECTL") or shutil.which("kubectl")
    if not kubectl:
        pytest.skip("no kubectl: scripts/test fetches one")
    await world.external_name()
    await world.until_condition("Passed")
    environment = {**os.environ, "HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "kubeconfig")}

    async def ask(*arguments: str) -> bytes:
        process = await asyncio.create_subprocess_exec(
            kubectl, *arguments, env=environment, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await asyncio.wait_for(process.communicate(), 30)
        return out

    assert await ask("get", "fi", "-o", "name") == b"fish.sea.example.com/cod\n"
    assert b"Fish swim." in await ask("explain", "fish")
