"""Python libraries, each in an environment of its own: a program of checks for each, below programs/."""

from pathlib import Path

import pytest

from tests.clients.cluster import Cluster, Kubectl, until
from tests.clients.results import expect_all_passed
from tests.clients.tools import everything, kubectl_path, python_with

pytestmark = [pytest.mark.real, pytest.mark.cluster]

PROGRAMS = Path(__file__).parent / "programs"

#: Program, name of the environment, what is installed into it.
CLIENTS = [
    pytest.param("kubernetes_client", "kubernetes", ["kubernetes"], id="kubernetes"),
    pytest.param("kubernetes_client", "kubernetes-31", ["kubernetes==31.*"], id="kubernetes-31", marks=everything),
    *(
        pytest.param(f"{name.replace('-', '_')}_client", name, [name], id=name, marks=everything)
        for name in ("kubernetes-asyncio", "lightkube", "kr8s")
    ),
]

PEERING = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: clusterkopfpeerings.kopf.dev}
spec:
  group: kopf.dev
  scope: Cluster
  names: {kind: ClusterKopfPeering, plural: clusterkopfpeerings}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {status: {type: object, x-kubernetes-preserve-unknown-fields: true}}}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.example.org}
spec:
  group: example.org
  scope: Namespaced
  names: {kind: Boat, plural: boats}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {sails: {type: integer}}}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
"""

BOAT = """
apiVersion: example.org/v1
kind: Boat
metadata: {name: ann}
spec: {sails: 1}
"""


@pytest.mark.parametrize(("program", "environment", "requirements"), CLIENTS)
def test_a_library_does_what_it_is_used_for(
    real_cluster: Cluster, program: str, environment: str, requirements: list[str]
) -> None:
    python = python_with(environment, *requirements)
    said = real_cluster.run(python, str(PROGRAMS / f"{program}.py"), environment={"PYTHONPATH": str(PROGRAMS)})
    expect_all_passed(said)


def test_an_operator_works(real_cluster: Cluster) -> None:
    python = python_with("kopf", "kopf")
    kubectl = Kubectl(real_cluster, kubectl_path(37), 37)
    kubectl.apply(PEERING)
    kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=20s")
    kubectl.apply("apiVersion: kopf.dev/v1\nkind: ClusterKopfPeering\nmetadata: {name: harbour}\n")
    program = str(PROGRAMS / "operator_with_kopf.py")
    with real_cluster.running(python, "-m", "kopf", "run", "--all-namespaces", program) as operator:
        until(
            lambda: kubectl.field(".status", "clusterkopfpeering", "harbour"), "its peer", 30, operator.path.read_text
        )
        kubectl.apply(BOAT)

        def status(path: str, value: str) -> None:
            found = f"jsonpath={{.status.{path}}}={value}"
            kubectl("wait", f"--for={found}", "boat/ann", "--timeout=20s")

        status("launch.sails", "1")
        status("state", "afloat")
        status("ticks", "3")
        assert "kopf.zalando.org" in kubectl.field(".metadata.finalizers", "boat", "ann")
        assert "with 1 sails" in kubectl("events", "--for=boat/ann")
        kubectl("patch", "boat", "ann", "--type=merge", "-p", '{"spec":{"sails":2}}')
        status("rigged", "1->2")
        kubectl("delete", "boat", "ann", "--timeout=20s")
        operator.said("SUNK ann")
