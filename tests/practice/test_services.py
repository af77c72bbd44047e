"""Pods find each other and the API by name and by service address."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.practice.conftest import open_lesson
from tests.practice.lesson import Failed, Lesson

pytestmark = [pytest.mark.real, pytest.mark.cluster]

SERVES = "mkdir /www; hostname > /www/index.html; trap 'exit 0' TERM; httpd -f -p 80 -h /www & wait"

ASKS_API = """
import ssl, urllib.error, urllib.request
base = "/var/run/secrets/kubernetes.io/serviceaccount/"
trusted = ssl.create_default_context(cafile=base + "ca.crt")
token = {"Authorization": "Bearer " + open(base + "token").read()}
request = urllib.request.Request("https://kubernetes.default.svc/api/v1/namespaces/default/pods", headers=token)
try:
    print(urllib.request.urlopen(request, context=trusted).read())
except urllib.error.HTTPError as error:
    print(error.read().decode())
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Lesson]:
    with tempfile.TemporaryDirectory(prefix="moorage-practice-") as directory:
        for lesson in open_lesson(Path(directory), 0, nodes=2):
            for each in objects():
                lesson.apply(json.dumps(each))
            lesson.ready("app=web", 2)
            yield lesson


def objects() -> Iterator[dict[str, Any]]:
    labels = {"app": "web"}
    service: dict[str, Any] = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}}
    yield {**service, "spec": {"clusterIP": "None", "selector": labels, "ports": [{"port": 80}]}}
    ports = [{"port": 8080, "targetPort": 80}]
    yield {**service, "metadata": {"name": "front"}, "spec": {"selector": labels, "ports": ports}}
    main = {"name": "main", "image": "kubetm/app", "command": ["sh", "-c", SERVES]}
    spread = {"labelSelector": {"matchLabels": labels}, "topologyKey": "kubernetes.io/hostname"}
    yield {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 2,
            "serviceName": "web",
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": [main],
                    "terminationGracePeriodSeconds": 1,
                    "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [spread]}},
                },
            },
        },
    }
    yield {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "python"},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "main", "image": "moorage.local/host", "command": ["sleep", "1000000"]}],
        },
    }


def fetched(cluster: Lesson, url: str) -> str:
    try:
        return cluster.kubectl("exec", "web-0", "--", "wget", "-q", "-O-", url).strip()
    except Failed:
        return ""


def test_a_pod_reaches_another_one_by_its_name(cluster: Lesson) -> None:
    assert len({pod["spec"]["nodeName"] for pod in cluster.pods("app=web")}) == 2
    cluster.until(lambda: fetched(cluster, "http://web-1.web") == "web-1", "an answer of web-1")
    assert fetched(cluster, "http://web-1.web.default.svc.cluster.local") == "web-1"


def test_a_service_address_leads_to_each_of_its_pods(cluster: Lesson) -> None:
    answers: set[str] = set()

    def both() -> bool:
        answers.add(fetched(cluster, "http://front:8080"))
        return answers >= {"web-0", "web-1"}

    cluster.until(both, "answers of both pods")


def test_pods_and_services_are_reached_through_the_api(cluster: Lesson) -> None:
    place = "/api/v1/namespaces/default"
    assert cluster.kubectl("get", "--raw", f"{place}/pods/web-1:80/proxy/").strip() == "web-1"
    answers: set[str] = set()

    def both() -> bool:
        answers.add(cluster.kubectl("get", "--raw", f"{place}/services/http:front:8080/proxy/index.html").strip())
        return answers >= {"web-0", "web-1"}

    cluster.until(both, "answers of both pods")
    nothing = cluster.kubectl("get", "--raw", f"{place}/pods/web-1:81/proxy/", code=1)
    assert "error trying to reach service: dial tcp" in nothing


def test_a_name_that_is_not_there_is_said_to_be_none(cluster: Lesson) -> None:
    lookup = ["exec", "web-0", "--", "busybox", "nslookup", "nobody.default.svc.cluster.local"]
    assert "NXDOMAIN" in cluster.kubectl(*lookup, code=1)


def test_a_pod_asks_the_api_as_its_service_account(cluster: Lesson) -> None:
    cluster.kubectl("wait", "--for=condition=Ready", "pod/python", "--timeout=20s")
    answer = cluster.kubectl("exec", "python", "--", "python3", "-c", ASKS_API)
    assert 'User \\"system:serviceaccount:default:default\\" cannot list resource \\"pods\\"' in answer
    address = cluster.kubectl("get", "endpoints", "kubernetes", "-o", "jsonpath={.subsets[0].addresses[0].ip}")
    slices = cluster.get("endpointslices", "-l", "kubernetes.io/service-name=kubernetes")["items"]
    assert [each["metadata"]["name"] for each in slices] == ["kubernetes"]
    assert slices[0]["endpoints"][0]["addresses"] == [address.partition("Warning")[0]]


def test_a_killed_keeper_of_a_nodes_network_is_replaced_and_services_go_on(cluster: Lesson) -> None:
    for path in (cluster.directory / "state" / "nodes" / "nodes").glob("*/zygote.pid"):
        cluster.run("kill", "-9", str(json.loads(path.read_text())["pid"]))
    cluster.kubectl("delete", "pod", "web-0", "web-1")
    cluster.ready("app=web", 2)
    cluster.until(lambda: fetched(cluster, "http://web-1.web") == "web-1", "an answer of web-1")
    cluster.until(lambda: fetched(cluster, "http://front:8080"), "an answer through the service")
