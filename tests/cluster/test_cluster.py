"""A cluster in this process: what callers see while it starts."""

import asyncio
import ssl
import threading
from pathlib import Path

from moorage.cluster.cluster import Cluster
from moorage.cluster.config import ClusterConfig
from moorage.cluster.instance import last_facts

#: Enough that loading takes many turns of the event loop.
OBJECTS = 500
OBJECT = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "x" * 500}}


def silent(_: str) -> None:
    """Say nothing."""


class Caller(threading.Thread):
    """Asks for one object all the time and notes each status code that it gets.

    Over asyncio, because a connection that is reset while urllib opens it leaves its socket open.
    """

    def __init__(self, directory: Path, port: int) -> None:
        super().__init__(daemon=True)
        self.codes: set[int] = set()
        self.stop = threading.Event()
        self._port = port
        self._trusted = ssl.create_default_context(cafile=str(directory / "pki" / "ca.crt"))
        token = (directory / "pki" / "admin.token").read_text()
        target = f"/api/v1/namespaces/default/configmaps/c-{OBJECTS - 1}"
        self._request = f"GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()

    def run(self) -> None:
        """Ask until told to stop; a server that is not there yet is no answer."""
        asyncio.run(self._ask_on())

    async def _ask_on(self) -> None:
        while not self.stop.is_set():
            try:
                self.codes.add(await self._ask())
            except (OSError, EOFError):
                continue

    async def _ask(self) -> int:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self._port, ssl=self._trusted, server_hostname="127.0.0.1"
        )
        try:
            writer.write(self._request)
            return int((await reader.readuntil(b"\r\n")).split()[1])
        finally:
            writer.transport.abort()


async def test_nobody_sees_a_cluster_without_its_objects_while_it_starts(tmp_path: Path) -> None:
    config = ClusterConfig("test", tmp_path, nodes=0)
    cluster = Cluster(config)
    await cluster.start(silent)
    assert cluster.control is not None
    objects = ({**OBJECT, "metadata": {"name": f"c-{number}", "namespace": "default"}} for number in range(OBJECTS))
    await asyncio.gather(*(cluster.control.client.create("configmaps", each) for each in objects))
    await cluster.close()
    caller = Caller(tmp_path, last_facts(tmp_path)["port"])
    caller.start()
    again = Cluster(config)
    await again.start(silent)
    await again.tasks.start("wait", _until(caller))
    await again.close()
    caller.stop.set()
    assert caller.codes == {200}


async def _until(caller: Caller) -> None:
    async with asyncio.timeout(10):
        while not caller.codes:
            await asyncio.sleep(0.01)
