"""Helm of several versions with a chart of our own: hooks, a StatefulSet, a kind that comes with the chart."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients.cluster import Cluster, Kubectl
from tests.clients.conftest import in_namespace
from tests.clients.tools import everything, helm_path

pytestmark = [pytest.mark.real, pytest.mark.cluster]

CHART = str(Path(__file__).parent / "chart")

#: Helm is the one that comes with kubectl v1.MINOR: 3.16, 3.17, 4.1 and 4.3.
VERSIONS = [
    pytest.param(28, marks=everything, id="3.16"),
    pytest.param(31, marks=everything, id="3.17"),
    pytest.param(34, marks=everything, id="4.1"),
    pytest.param(37, id="4.3"),
]


@dataclass
class Helm:
    """A Helm of one version, in a namespace of its own."""

    kubectl: Kubectl
    path: str

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Run one command; returns what it said."""
        return self.kubectl.cluster.run(
            self.path,
            *arguments,
            "--namespace",
            self.kubectl.namespace,
            code=code,
            environment={"HELM_CACHE_HOME": "/tmp"},
        )

    def told(self, *arguments: str) -> Any:
        """Run one command that answers in JSON."""
        return json.loads(self(*arguments, "-o", "json"))


@pytest.fixture(params=VERSIONS)
def helm(real_cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Helm]:
    kubectl = in_namespace(real_cluster, request.param, f"helm-{request.param}")
    yield Helm(kubectl, helm_path(request.param))
    kubectl("delete", "namespace", kubectl.namespace, "--wait=false")


def test_a_release_lives_from_installation_to_its_end(helm: Helm) -> None:
    kubectl = helm.kubectl
    said = helm("install", "b", CHART, "--wait", "--timeout=60s")
    assert "STATUS: deployed" in said
    assert "2 berths are kept." in said
    assert kubectl.field(".status.readyReplicas", "sts", "b") == "2"
    assert kubectl.field(".spec.sails", "boats.berths.example.org", "b") == "2"
    assert kubectl.field(".data.served", "configmap", "b-note").startswith("v1.37.")
    assert kubectl.field(".data.hasStatefulSets", "configmap", "b-note") == "true"
    assert kubectl.field(".data.lookedUp", "configmap", "b-note") == kubectl.namespace
    assert kubectl.field(".status.succeeded", "job", "b-pre-install") == "1"

    helm("upgrade", "b", CHART, "--wait", "--timeout=60s", "--set", "note=second,replicas=3")
    assert kubectl.field(".status.readyReplicas", "sts", "b") == "3"
    assert kubectl.field(".data.note", "configmap", "b-note") == "second"
    assert kubectl.field(".spec.template.metadata.annotations.note", "sts", "b") == "second"
    assert "Succeeded" in helm("test", "b", "--logs")
    assert "all is well" in kubectl("logs", "b-looks")

    assert helm.told("list")[0]["revision"] == "2"
    assert helm.told("status", "b")["info"]["status"] == "deployed"
    assert "kind: StatefulSet" in helm("get", "manifest", "b")
    assert "helm.sh/hook: test" in helm("get", "hooks", "b")
    assert helm.told("get", "values", "b") == {"note": "second", "replicas": 3}

    assert "Rollback was a success" in helm("rollback", "b", "1", "--wait", "--timeout=60s")
    assert kubectl.field(".data.note", "configmap", "b-note") == "first"
    assert kubectl.field(".status.succeeded", "job", "b-post-rollback") == "1"
    assert [each["status"] for each in helm.told("history", "b")] == ["superseded", "superseded", "deployed"]

    refused = helm("upgrade", "b", CHART, "--timeout=30s", "--set", "hookCommand=exit 1", code=1)
    assert "pre-upgrade hooks failed" in refused
    assert helm.told("history", "b")[-1]["status"] == "failed"
    refused = helm("upgrade", "b", CHART, "--timeout=30s", "--set", "replicas=0", code=1)
    assert "spec.sails" in refused
    assert "should be greater than or equal to 1" in refused

    assert 'release "b" uninstalled' in helm("uninstall", "b", "--wait", "--timeout=60s")
    assert helm.told("list") == []
    assert "No resources found" in kubectl("get", "statefulsets,services,boats.berths.example.org")
    assert "data-b-0" in kubectl("get", "pvc")


def test_what_helm_would_do_is_tried_on_the_server(helm: Helm) -> None:
    assert "kind: StatefulSet" in helm("install", "t", CHART, "--dry-run=server")
    assert "kind: StatefulSet" in helm("template", "t", CHART, "--validate")
    assert helm.told("list") == []
