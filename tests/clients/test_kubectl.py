"""kubectl of several versions, command by command, on a node that only pretends to run pods."""

import base64
import itertools
import json
import shutil
from collections.abc import Iterator

import pytest

from tests.clients.cluster import Cluster, Kubectl, until
from tests.clients.conftest import in_namespace
from tests.clients.tools import everything

pytestmark = pytest.mark.cluster

VERSIONS = [28, pytest.param(31, marks=everything), pytest.param(34, marks=everything), 37]

_NUMBERS = itertools.count()

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - {name: web, image: 'web:1', ports: [{containerPort: 80}]}
      - {name: side, image: 'side:1'}
"""

STATEFULSET = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: db, image: 'db:1', volumeMounts: [{name: data, mountPath: /data}]}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""

DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.GROUP}
spec:
  group: GROUP
  names: {kind: Boat, plural: boats, singular: boat, shortNames: [bt]}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.sails, statusReplicasPath: .status.sails}}
    additionalPrinterColumns: [{name: Sails, type: integer, jsonPath: .spec.sails}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties: {sails: {type: integer, description: How many sails it has.}, name: {type: string}}
          status: {type: object, properties: {sails: {type: integer}}}
"""


@pytest.fixture(params=VERSIONS, ids=lambda minor: f"v1.{minor}")
def kubectl(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Kubectl]:
    kubectl = in_namespace(cluster, request.param, f"n{next(_NUMBERS)}")
    yield kubectl
    kubectl("delete", "namespace", kubectl.namespace, "--wait=false")


def rolled_out(kubectl: Kubectl, manifest: str = DEPLOYMENT, what: str = "deployment/web") -> None:
    """Apply a workload and wait until it is there."""
    kubectl.apply(manifest)
    assert "successfully rolled out" in kubectl("rollout", "status", what, "--timeout=30s") or "sts" in what


def test_what_there_is_can_be_asked(kubectl: Kubectl) -> None:
    version = json.JSONDecoder().raw_decode(kubectl("version", "-o", "json"))[0]
    assert version["serverVersion"]["gitVersion"].startswith("v1.37.")
    assert "statefulsets" in kubectl("api-resources", "--api-group=apps", "-o", "name")
    assert "apps/v1" in kubectl("api-versions").split()
    assert "is running at" in kubectl("cluster-info")
    explained = kubectl("explain", "statefulset.spec.volumeClaimTemplates")
    assert "PersistentVolumeClaim" in explained
    assert "FIELDS" in kubectl("explain", "pods", "--recursive")
    assert json.loads(kubectl("get", "--raw", "/version"))["major"] == "1"
    assert kubectl("get", "--raw", "/readyz") == "ok"
    assert "[+]ping ok" in kubectl("get", "--raw", "/livez?verbose")


def test_objects_are_shown_in_every_form(kubectl: Kubectl) -> None:
    rolled_out(kubectl)
    assert kubectl("get", "deployments").splitlines()[0].split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert "CONTAINERS" in kubectl("get", "deployments", "-o", "wide")
    assert kubectl("get", "deploy", "web", "--no-headers").split()[:4] == ["web", "2/2", "2", "2"]
    assert kubectl("get", "pods", "-l", "app=web", "-o", "name").count("pod/web-") == 2
    assert len(kubectl("get", "pods", "--field-selector=status.phase=Running", "--no-headers").splitlines()) == 2
    assert len(kubectl("get", "pods", "--chunk-size=1", "--no-headers").splitlines()) == 2
    assert "web-" in kubectl("get", "pods", "--sort-by=.metadata.name")
    assert "LABELS" in kubectl("get", "pods", "--show-labels")
    assert "APP" in kubectl("get", "pods", "-L", "app")
    assert kubectl.namespace in kubectl("get", "pods", "-A")
    assert kubectl("get", "deploy", "web", "-o", "custom-columns=N:.metadata.name", "--no-headers").strip() == "web"
    assert kubectl("get", "deploy", "web", "-o", "go-template={{.spec.replicas}}") == "2"
    assert kubectl.field(".items[*].metadata.name", "deploy") == "web"
    assert "managedFields" not in kubectl("get", "deploy", "web", "-o", "yaml")
    assert "kubectl-client-side-apply" in kubectl("get", "deploy", "web", "-o", "yaml", "--show-managed-fields")
    together = kubectl("get", "all")
    assert all(f"{each}/web" in together for each in ("pod", "deployment.apps", "replicaset.apps"))
    assert "web" in kubectl("get", "deploy", "web", "--subresource=status")
    assert kubectl("get", "deploy", "web", "--subresource=scale", "--no-headers").split()[:3] == ["web", "2", "2"]
    assert "(NotFound)" in kubectl("get", "deploy", "none", code=1)
    assert kubectl("get", "deploy", "none", "--ignore-not-found") == ""
    assert "No resources found" in kubectl("get", "jobs")
    assert "doesn't have a resource type" in kubectl("get", "nothing", code=1)


def test_watches_tell_what_happens(kubectl: Kubectl) -> None:
    with kubectl.cluster.running(*kubectl.command("get", "configmaps", "-w", "--output-watch-events")) as watch:
        watch.said(r"ADDED +kube-root-ca\.crt")
        kubectl("create", "configmap", "seen", "--from-literal=a=1")
        watch.said(r"ADDED +seen +1")
        kubectl("patch", "configmap", "seen", "-p", '{"data":{"b":"2"}}')
        watch.said(r"MODIFIED +seen +2")
        kubectl("delete", "configmap", "seen")
        watch.said(r"DELETED +seen")
    kubectl("create", "configmap", "one")
    with kubectl.cluster.running(*kubectl.command("get", "configmap", "one", "-o", "name", "-w")) as watch:
        watch.said("configmap/one")
        kubectl("label", "configmap", "one", "a=b")
        watch.said("configmap/one\nconfigmap/one")


def test_objects_are_described(kubectl: Kubectl) -> None:
    rolled_out(kubectl)
    kubectl("expose", "deployment", "web", "--port=80")
    described = kubectl("describe", "deployment", "web")
    assert "NewReplicaSet:" in described
    assert "ScalingReplicaSet" in described
    pod = kubectl("describe", kubectl("get", "pods", "-l", "app=web", "-o", "name").split()[0])
    assert "Successfully assigned" in pod
    assert "Started" in pod
    assert "Endpoints:" in kubectl("describe", "service", "web")
    assert "Non-terminated Pods:" in kubectl("describe", "nodes")
    rolled_out(kubectl, STATEFULSET, "sts/db")
    assert "create Pod db-0 in StatefulSet db successful" in kubectl("describe", "sts", "db").replace(
        "Create", "create"
    )
    assert "Used By:" in kubectl("describe", "pvc", "data-db-0")
    assert "Reclaim Policy:" in kubectl("describe", "pv")
    assert "Status:       Active" in kubectl("describe", "namespace", kubectl.namespace)
    for kind in ("rs", "sa", "configmap", "storageclass", "endpointslices", "controllerrevisions"):
        assert "Name:" in kubectl("describe", kind)
    kubectl("describe", "secrets")
    assert "PolicyRule:" in kubectl("describe", "clusterrole", "view")
    assert "Subjects:" in kubectl("describe", "clusterrolebinding", "cluster-admin")


def test_what_is_applied_is_compared_with_what_was(kubectl: Kubectl) -> None:
    assert kubectl.apply(DEPLOYMENT) == "deployment.apps/web created\n"
    assert kubectl.apply(DEPLOYMENT) == "deployment.apps/web unchanged\n"
    changed = DEPLOYMENT.replace("web:1", "web:2").replace("      - {name: side, image: 'side:1'}\n", "")
    difference = kubectl("diff", "-f", "-", stdin=changed, code=1)
    assert "+      - image: web:2" in difference
    assert "-      - image: side:1" in difference
    assert kubectl.apply(changed, "--dry-run=server") == "deployment.apps/web configured (server dry run)\n"
    assert kubectl.field(".spec.template.spec.containers[*].name", "deploy", "web") == "web side"
    assert kubectl.apply(changed) == "deployment.apps/web configured\n"
    assert kubectl.field(".spec.template.spec.containers[*].image", "deploy", "web") == "web:2"
    assert "image: web:2" in kubectl("apply", "view-last-applied", "deploy/web")
    kubectl("apply", "set-last-applied", "-f", "-", stdin=changed)
    assert "unknown field" in kubectl("apply", "-f", "-", stdin=changed.replace("replicas", "relpicas"), code=1)


def test_what_the_server_applies_has_owners(kubectl: Kubectl) -> None:
    kubectl.apply(DEPLOYMENT)
    assert kubectl.apply(DEPLOYMENT, "--server-side") == "deployment.apps/web serverside-applied\n"
    managers = kubectl.field(".metadata.managedFields[*].manager", "deploy", "web", "--show-managed-fields").split()
    assert "kubectl" in managers
    kubectl("scale", "deployment", "web", "--replicas=3")
    kubectl("patch", "deploy", "web", "--field-manager=other", "-p", '{"spec":{"minReadySeconds":1,"replicas":4}}')
    # In its own name kubectl may take what it once applied at the client's side; anybody else may not.
    conflict = kubectl("apply", "--server-side", "--field-manager=third", "-f", "-", stdin=DEPLOYMENT, code=1)
    assert 'conflict with "other"' in conflict
    assert ".spec.replicas" in conflict
    kubectl.apply(DEPLOYMENT, "--server-side", "--force-conflicts")
    assert kubectl.field(".spec.replicas", "deploy", "web") == "2"
    changed = DEPLOYMENT.replace("web:1", "web:2")
    assert "+      - image: web:2" in kubectl("diff", "--server-side", "-f", "-", stdin=changed, code=1)


def test_what_is_no_longer_applied_is_pruned(kubectl: Kubectl) -> None:
    both = "".join(
        f"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {{set: one}}}}\n" for name in "ab"
    )
    kubectl.apply(both)
    pruned = kubectl.apply(both.split("---\n")[1], "--prune", "-l", "set=one", "--prune-allowlist=core/v1/ConfigMap")
    assert "configmap/b pruned" in pruned
    directory = kubectl.cluster.directory / f"kustomize-{kubectl.namespace}"
    directory.mkdir()
    (directory / "kustomization.yaml").write_text("namePrefix: my-\nresources: [one.yaml]\n")
    (directory / "one.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n")
    assert "name: my-one" in kubectl("kustomize", str(directory))
    assert kubectl("apply", "-k", str(directory)) == "configmap/my-one created\n"
    assert kubectl("delete", "-k", str(directory)).startswith('configmap "my-one" deleted')


def test_objects_are_created_from_arguments(kubectl: Kubectl) -> None:
    create = [
        "configmap c --from-literal=a=1",
        "secret generic s --from-literal=a=1",
        "secret docker-registry r --docker-server=r.example --docker-username=u --docker-password=p",
        "serviceaccount sa",
        "deployment d --image=d:1 --replicas=1 --port=80",
        "job j --image=j:1 -- true",
        "cronjob cj --image=j:1 --schedule=@daily -- true",
        "job from --from=cronjob/cj",
        "role r --verb=get,list --resource=pods",
        "rolebinding rb --role=r --serviceaccount=NS:sa",
        "clusterrole NS --verb=get --resource=nodes",
        "clusterrolebinding NS --clusterrole=NS --user=jane",
        "service clusterip ci --tcp=80:8080",
        "service nodeport np --tcp=80",
        "service loadbalancer lb --tcp=80",
        "service externalname en --external-name=example.org",
        "ingress i --rule=host.example/path=svc:80",
        "poddisruptionbudget p --selector=app=d --min-available=1",
        "priorityclass NS --value=7",
        "quota q --hard=configmaps=20",
        "token sa",
    ]
    for line in create:
        words = line.replace("NS", kubectl.namespace).split()
        said = kubectl("create", *words)
        assert said.endswith("created\n") or words[0] == "token", said
        if words[0] != "token":
            kubectl("create", *words, code=1)
    dry = kubectl("create", "deployment", "dry", "--image=x:1", "--dry-run=server", "-o", "yaml")
    assert "uid:" in dry
    kubectl("get", "deployment", "dry", code=1)
    for kind in ("clusterrole", "clusterrolebinding", "priorityclass"):
        kubectl("delete", kind, kubectl.namespace)


def test_objects_are_changed_in_every_way(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=DEPLOYMENT)
    assert "AlreadyExists" in kubectl("create", "-f", "-", stdin=DEPLOYMENT, code=1)
    kubectl("replace", "-f", "-", stdin=DEPLOYMENT.replace("replicas: 2", "replicas: 1"))
    assert kubectl.field(".spec.replicas", "deploy", "web") == "1"
    old = kubectl.field(".metadata.uid", "deploy", "web")
    kubectl("replace", "--force", "-f", "-", stdin=DEPLOYMENT)
    assert kubectl.field(".metadata.uid", "deploy", "web") != old
    kubectl("patch", "deploy", "web", "--type=json", "-p", '[{"op":"replace","path":"/spec/replicas","value":3}]')
    kubectl("patch", "deploy", "web", "--type=merge", "-p", '{"metadata":{"annotations":{"a":"b"}}}')
    kubectl("patch", "deploy", "web", "-p", '{"spec":{"template":{"spec":{"containers":[{"name":"web","tty":true}]}}}}')
    assert kubectl.field(".spec.template.spec.containers[*].name", "deploy", "web") == "web side"
    kubectl("patch", "deploy", "web", "--subresource=status", "--type=merge", "-p", '{"status":{"collisionCount":0}}')
    assert kubectl("label", "deploy", "web", "tier=front") == "deployment.apps/web labeled\n"
    assert "already has a value" in kubectl("label", "deploy", "web", "tier=back", code=1)
    kubectl("label", "deploy", "web", "tier=back", "--overwrite")
    assert kubectl("label", "deploy", "web", "tier-") == "deployment.apps/web unlabeled\n"
    assert kubectl("annotate", "deploy", "web", "note=1") == "deployment.apps/web annotated\n"
    kubectl("annotate", "deploy", "web", "note-")
    kubectl("set", "image", "deploy/web", "web=web:9")
    kubectl("set", "env", "deploy/web", "A=1")
    kubectl("set", "resources", "deploy/web", "--limits=cpu=100m")
    kubectl("set", "serviceaccount", "deploy", "web", "default")
    assert "web:9" in kubectl.field(".spec.template.spec.containers[*].image", "deploy", "web")
    kubectl.environment["KUBE_EDITOR"] = "sed -i s/web:9/web:10/"
    assert kubectl("edit", "deploy", "web") == "deployment.apps/web edited\n"
    kubectl.environment["KUBE_EDITOR"] = "true"
    assert "Edit cancelled, no changes made" in kubectl("edit", "deploy", "web")
    assert kubectl("delete", "deploy", "web", "--cascade=foreground", "--timeout=30s").startswith("deployment.apps")


def test_workloads_roll(kubectl: Kubectl) -> None:
    rolled_out(kubectl)
    assert kubectl("scale", "deploy/web", "--replicas=3", "--current-replicas=2") == "deployment.apps/web scaled\n"
    kubectl("set", "image", "deploy/web", "web=web:2")
    kubectl("rollout", "status", "deploy/web", "--timeout=30s")
    assert len(kubectl("rollout", "history", "deploy/web").strip().splitlines()) == 4
    assert "web:1" in kubectl("rollout", "history", "deploy/web", "--revision=1")
    assert kubectl("rollout", "undo", "deploy/web").startswith("deployment.apps/web rolled back\n")
    kubectl("rollout", "status", "deploy/web", "--timeout=30s")
    assert kubectl.field(".spec.template.spec.containers[0].image", "deploy", "web") == "web:1"
    assert kubectl("rollout", "restart", "deploy/web") == "deployment.apps/web restarted\n"
    assert kubectl("rollout", "pause", "deploy/web") == "deployment.apps/web paused\n"
    assert kubectl("rollout", "resume", "deploy/web") == "deployment.apps/web resumed\n"
    rolled_out(kubectl, STATEFULSET, "sts/db")
    kubectl("set", "image", "sts/db", "db=db:2")
    kubectl("rollout", "status", "sts/db", "--timeout=30s")
    assert len(kubectl("rollout", "history", "sts/db").strip().splitlines()) == 4
    kubectl("rollout", "undo", "sts/db")
    assert kubectl.field(".spec.template.spec.containers[0].image", "sts", "db") == "db:1"
    assert kubectl("autoscale", "deploy", "web", "--max=5").endswith("/web autoscaled\n")
    assert "Deployment/web" in kubectl("get", "hpa")


def test_what_is_waited_for_happens(kubectl: Kubectl) -> None:
    kubectl("run", "p", "--image=p:1")
    assert kubectl("wait", "--for=condition=Ready", "pod/p", "--timeout=30s") == "pod/p condition met\n"
    kubectl("wait", "--for=jsonpath={.status.phase}=Running", "pod/p", "--timeout=30s")
    assert "timed out" in kubectl("wait", "--for=condition=Nothing", "pod/p", "--timeout=1s", code=1)
    assert kubectl("delete", "pod", "p", "--now", "--wait=false").startswith('pod "p" deleted')
    kubectl("wait", "--for=delete", "pod/p", "--timeout=30s")
    if kubectl.minor >= 31:
        with kubectl.cluster.running(*kubectl.command("wait", "--for=create", "configmap/late")) as waiting:
            kubectl("create", "configmap", "late")
            waiting.said("configmap/late condition met")
    kubectl("run", "q", "--image=q:1", "--labels=a=b")
    assert "q" in kubectl("delete", "pods", "-l", "a=b", "--force", "--grace-period=0")
    assert "No resources found" in kubectl("get", "pods")


def test_nodes_are_cordoned_drained_and_tainted(kubectl: Kubectl) -> None:
    rolled_out(kubectl)
    node = kubectl.field(".items[0].metadata.name", "nodes")
    assert kubectl("cordon", node) == f"node/{node} cordoned\n"
    assert "SchedulingDisabled" in kubectl("get", "nodes")
    kubectl("create", "pdb", "web", "--selector=app=web", "--min-available=100%")
    kubectl("wait", "--for=jsonpath={.status.expectedPods}=2", "pdb/web", "--timeout=30s")
    refused = kubectl("drain", node, "--pod-selector=app=web", "--timeout=1s", code=1)
    assert "Cannot evict pod as it would violate the pod's disruption budget." in refused
    kubectl("delete", "pdb", "web")
    drained = kubectl("drain", node, "--pod-selector=app=web", "--timeout=30s")
    assert f"node/{node} drained" in drained
    assert kubectl("uncordon", node) == f"node/{node} uncordoned\n"
    assert kubectl("taint", "node", node, "dry=yes:NoSchedule") == f"node/{node} tainted\n"
    assert kubectl("taint", "node", node, "dry-") == f"node/{node} untainted\n"
    kubectl("rollout", "status", "deploy/web", "--timeout=30s")
    assert "Metrics API not available" in kubectl("top", "nodes", code=1)


def test_rights_are_asked_and_given(kubectl: Kubectl) -> None:
    assert kubectl("auth", "can-i", "create", "pods") == "yes\n"
    assert kubectl("auth", "can-i", "create", "pods", "--as=jane", code=1).startswith("no")
    kubectl("create", "role", "reader", "--verb=get,list", "--resource=pods")
    kubectl("create", "rolebinding", "reader", "--role=reader", "--user=jane")
    assert kubectl("auth", "can-i", "list", "pods", "--as=jane") == "yes\n"
    assert "pods" in kubectl("auth", "can-i", "--list", "--as=jane")
    forbidden = kubectl("get", "secrets", "--as=jane", code=1)
    assert 'User "jane" cannot list resource "secrets" in API group ""' in forbidden
    assert "system:masters" in kubectl("auth", "whoami", "-o", "json", "--as=x", "--as-group=system:masters")
    role = kubectl("get", "role", "reader", "-o", "yaml").replace("- list", "- watch")
    assert "reconciled" in kubectl("auth", "reconcile", "-f", "-", stdin=role)
    token = kubectl("create", "token", "default", "--duration=10m").strip()
    as_account = kubectl("--token", token, "auth", "whoami", "-o", "json")
    assert f"system:serviceaccount:{kubectl.namespace}:default" in as_account


def test_a_certificate_is_signed(kubectl: Kubectl) -> None:
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    directory = kubectl.cluster.directory
    name = f"jane-{kubectl.namespace}"
    request = directory / f"{name}.csr"
    kubectl.cluster.run(
        *("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-keyout", str(directory / f"{name}.key"), "-out", str(request), "-subj", "/CN=jane/O=sailors"),
    )
    encoded = kubectl.cluster.run("base64", "-w0", str(request))
    kubectl.apply(
        "apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\n"
        f"metadata: {{name: {name}}}\n"
        f"spec: {{request: {encoded}, signerName: kubernetes.io/kube-apiserver-client, usages: [client auth]}}\n"
    )
    assert "Pending" in kubectl("get", "csr", name)
    assert "approved" in kubectl("certificate", "approve", name)
    encoded = until(lambda: kubectl.field(".status.certificate", "csr", name), "a certificate", 20)
    assert "Approved,Issued" in kubectl("get", "csr", name)
    (directory / f"{name}.crt").write_bytes(base64.b64decode(encoded))
    shown = (f"--client-certificate={directory}/{name}.crt", f"--client-key={directory}/{name}.key")
    who = json.loads(kubectl(*shown, "auth", "whoami", "-o", "json"))["status"]["userInfo"]
    assert (who["username"], who["groups"]) == ("jane", ["sailors", "system:authenticated"])
    assert "Approved" in kubectl("describe", "csr", name)
    kubectl("delete", "csr", name)


def test_events_are_told(kubectl: Kubectl) -> None:
    rolled_out(kubectl)
    assert "ScalingReplicaSet" in kubectl("events")
    assert "Scaled up replica set" in kubectl("events", "--for=deployment/web")
    assert "SuccessfulCreate" in kubectl("get", "events", "--field-selector=involvedObject.kind=ReplicaSet")
    with kubectl.cluster.running(*kubectl.command("events", "-w")) as watch:
        watch.said("ScalingReplicaSet")
        kubectl("scale", "deploy/web", "--replicas=1")
        watch.said("Scaled down replica set")


def test_custom_resources_are_as_good_as_built_in_ones(kubectl: Kubectl) -> None:
    group = f"{kubectl.namespace}.example.org"
    kubectl.apply(DEFINITION.replace("GROUP", group))
    kubectl("wait", "--for=condition=Established", f"crd/boats.{group}", "--timeout=10s")
    boat = f"apiVersion: {group}/v1\nkind: Boat\nmetadata: {{name: ann}}\nspec: {{sails: 2, name: Ann}}\n"
    kubectl.apply(boat)
    assert kubectl.apply(boat).endswith("unchanged\n")
    assert kubectl.apply(boat.replace("name: Ann", "name: Bea")).endswith("configured\n")
    resource = f"boats.{group}"
    assert kubectl("get", resource).splitlines()[0].split() == ["NAME", "SAILS"]
    assert "How many sails it has." in kubectl("explain", f"{resource}.spec.sails")
    kubectl("scale", resource, "ann", "--replicas=4")
    assert kubectl.field(".spec.sails", resource, "ann") == "4"
    kubectl("patch", resource, "ann", "--type=merge", "-p", '{"spec":{"sails":1}}')
    assert "unknown field" in kubectl("apply", "-f", "-", stdin=boat.replace("sails", "masts"), code=1)
    assert "Kind:         Boat" in kubectl("describe", resource, "ann")
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=boat)
    assert kubectl("delete", resource, "ann").startswith(f'boat.{group} "ann" deleted')
    kubectl("delete", "crd", f"boats.{group}")


def test_contexts_are_chosen_without_the_server(kubectl: Kubectl) -> None:
    context = kubectl("config", "current-context").strip()
    assert context in kubectl("config", "get-contexts")
    assert "server: https://" in kubectl("config", "view", "--minify")
    kubectl("config", "set-context", "--current", "--namespace=default")
    kubectl("cluster-info", "dump", "--namespaces", kubectl.namespace, "--output-directory=dumped")
    assert (kubectl.cluster.directory / "dumped" / "nodes.json").exists()
