"""A cluster in this process: what callers see while it starts."""

import asyncio
import ssl
import threading
import urllib.error
import urllib.request
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
    """Asks for one object all the time and notes each status code that it gets."""

    def __init__(self, directory: Path, port: int) -> None:
        super().__init__(daemon=True)
        self.codes: set[int] = set()
        self.stop = threading.Event()
        trusted = ssl.create_default_context(cafile=str(directory / "pki" / "ca.crt"))
        token = (directory / "pki" / "admin.token").read_text()
        url = f"https://127.0.0.1:{port}/api/v1/namespaces/default/configmaps/c-{OBJECTS - 1}"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
        self.ask = lambda: urllib.request.urlopen(request, context=trusted, timeout=10)

    def run(self) -> None:
        """Ask until told to stop; a server that is not there yet is no answer."""
        while not self.stop.is_set():
            try:
                with self.ask() as answer:
                    self.codes.add(answer.status)
            except urllib.error.HTTPError as error:
                self.codes.add(error.code)
            except OSError:
                continue


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
