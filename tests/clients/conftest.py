import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.cluster import REAL, SIMULATED, Cluster, Kubectl
from tests.clients.tools import kubectl_path


def open_cluster(arguments: tuple[str, ...]) -> Iterator[Cluster]:
    """Yield a running cluster, and end it with all that it has."""
    # Not below pytest's directory: its name is short enough for sockets.
    with tempfile.TemporaryDirectory(prefix="moorage-clients-") as directory:
        cluster = Cluster(Path(directory))
        try:
            cluster.moorage("up", "--memory", *arguments)
            yield cluster
        finally:
            cluster.moorage("down", "--delete-data")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    yield from open_cluster(SIMULATED)


@pytest.fixture(scope="module")
def real_cluster() -> Iterator[Cluster]:
    if not shutil.which("busybox"):
        pytest.skip("busybox-static is not installed")
    yield from open_cluster(REAL)


def in_namespace(cluster: Cluster, minor: int, name: str) -> Kubectl:
    """Return a kubectl in a fresh namespace, in which pods can be made at once."""
    kubectl = Kubectl(cluster, kubectl_path(minor), minor, name)
    kubectl("create", "namespace", name)
    return kubectl
