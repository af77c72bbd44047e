"""kubectl of several versions beside pods that run: logs, exec, cp, attach, port-forward, run, debug."""

import itertools
import urllib.request
from collections.abc import Iterator

import pytest

from tests.clients.cluster import Cluster, Kubectl
from tests.clients.conftest import in_namespace
from tests.clients.tools import everything

pytestmark = [pytest.mark.real, pytest.mark.cluster]

VERSIONS = [28, pytest.param(31, marks=everything), pytest.param(34, marks=everything), 37]

_NUMBERS = itertools.count()

#: The image that is always there: this machine's own files.
IMAGE = "moorage.local/host"

POD = """
apiVersion: v1
kind: Pod
metadata: {name: p, labels: {app: p}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: moorage.local/host
    stdin: true
    command: [sh, -c, 'echo one; echo two >&2; busybox httpd -p 8080 -h /etc; while read line; do echo "got $line"; done']
    ports: [{containerPort: 8080, name: http}]
  - {name: side, image: moorage.local/host, command: [sh, -c, 'echo side; exec sleep 1000']}
"""


@pytest.fixture(params=VERSIONS, ids=lambda minor: f"v1.{minor}", scope="module")
def kubectl(real_cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Kubectl]:
    kubectl = in_namespace(real_cluster, request.param, f"n{next(_NUMBERS)}")
    kubectl.apply(POD)
    kubectl("wait", "--for=condition=Ready", "pod/p", "--timeout=30s")
    yield kubectl
    kubectl("delete", "namespace", kubectl.namespace, "--wait=false")


def test_logs_are_read(kubectl: Kubectl) -> None:
    assert kubectl("logs", "p", "-c", "main").startswith("one\ntwo\n")
    assert kubectl("logs", "p", "-c", "main", "--tail=1").strip()
    assert kubectl("logs", "p", "-c", "side", "--timestamps").endswith("Z side\n")
    assert "[pod/p/side] side" in kubectl("logs", "-l", "app=p", "--all-containers", "--prefix")
    assert "previous terminated container" in kubectl("logs", "p", "-c", "side", "--previous", code=1)
    with kubectl.cluster.running(*kubectl.command("logs", "-f", "p", "-c", "main")) as logs:
        logs.said("two")
        # It stays attached when its input has ended, as long as the container runs.
        with kubectl.cluster.running(*kubectl.command("attach", "-i", "p", "-c", "main"), stdin="hello\n") as attached:
            attached.said("got hello")
        logs.said("got hello")


def test_commands_run_in_containers(kubectl: Kubectl) -> None:
    assert kubectl("exec", "p", "-c", "main", "--", "hostname") == "p\n"
    assert kubectl("exec", "-i", "p", "-c", "main", "--", "cat", stdin="through\n") == "through\n"
    assert "exit code 3" in kubectl("exec", "p", "-c", "main", "--", "sh", "-c", "exit 3", code=3)
    assert kubectl("exec", "p", "-c", "side", "--", "sh", "-c", "echo e >&2") == "e\n"
    assert "container nope" in kubectl("exec", "p", "-c", "nope", "--", "true", code=1)
    large = "x" * 300_000
    assert len(kubectl("exec", "-i", "p", "-c", "main", "--", "sh", "-c", "cat; echo", stdin=large)) == len(large) + 1


def test_files_are_copied(kubectl: Kubectl) -> None:
    directory = kubectl.cluster.directory / kubectl.namespace
    (directory / "there").mkdir(parents=True)
    (directory / "there" / "a").write_text("content")
    kubectl("cp", str(directory / "there"), "p:/tmp/there", "-c", "main")
    assert kubectl("exec", "p", "-c", "main", "--", "cat", "/tmp/there/a") == "content"
    kubectl("cp", "p:/tmp/there/a", str(directory / "back"), "-c", "main")
    assert (directory / "back").read_text() == "content"


def test_ports_are_forwarded(kubectl: Kubectl) -> None:
    kubectl("expose", "pod", "p", "--port=80", "--target-port=http")
    for target, port in (("pod/p", 8080), ("service/p", 80)):
        with kubectl.cluster.running(*kubectl.command("port-forward", target, f":{port}")) as forward:
            local = forward.said(r"Forwarding from 127\.0\.0\.1:(\d+)").group(1)
            for _ in range(3):
                with urllib.request.urlopen(f"http://127.0.0.1:{local}/hostname", timeout=10) as answer:
                    assert answer.read()
    kubectl("delete", "service", "p")


def test_a_pod_is_run_and_watched_to_its_end(kubectl: Kubectl) -> None:
    said = kubectl("run", "once", f"--image={IMAGE}", "--restart=Never", "-i", "--rm", "--", "cat", stdin="through\n")
    assert "through" in said
    assert 'pod "once" deleted' in said
    quiet = kubectl("run", "job", f"--image={IMAGE}", "--restart=Never", "--attach", "--", "sh", "-c", "exit 4", code=4)
    assert "job" in quiet
    kubectl("delete", "pod", "job")


def test_a_pod_is_debugged(kubectl: Kubectl) -> None:
    said = kubectl("debug", "p", f"--image={IMAGE}", "-c", "look", "--target=main", "--", "sleep", "1000")
    assert "Targeting container" in said
    path = "{.status.ephemeralContainerStatuses[0].state.running}"
    kubectl("wait", f"--for=jsonpath={path}", "pod/p", "--timeout=20s") if kubectl.minor > 30 else None
    kubectl("debug", "p", f"--image={IMAGE}", "--copy-to=q", "--", "sleep", "1000")
    kubectl("wait", "--for=condition=Ready", "pod/q", "--timeout=20s")
    kubectl("delete", "pod", "q", "--now")
    node = kubectl.field(".items[0].metadata.name", "nodes")
    assert f"on node {node}" in kubectl("debug", f"node/{node}", f"--image={IMAGE}", "--", "true")
