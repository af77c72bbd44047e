"""A webhook that runs in a pod, behind a Service, as operators install theirs."""

import json

import pytest

from tests.cluster.webhooks.server import Certificate
from tests.practice.lesson import Lesson

pytestmark = [pytest.mark.real, pytest.mark.cluster]

SERVES = """
import base64, http.server, json, ssl

class Webhook(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked = review["request"]
        answer = {"uid": asked["uid"], "allowed": asked["name"] != "bad", "warnings": ["seen by a pod"]}
        if not answer["allowed"]:
            answer["status"] = {"message": "no bad names", "code": 403}
        elif self.path.startswith("/mutate"):
            patch = [{"op": "add", "path": "/data", "value": {"by": "a pod"}}]
            answer["patch"] = base64.b64encode(json.dumps(patch).encode()).decode()
            answer["patchType"] = "JSONPatch"
        body = json.dumps({**review, "response": answer}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/hook/cert.pem")
server = http.server.ThreadingHTTPServer(("", 8443), Webhook)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


def install(lesson: Lesson, certificate: Certificate) -> None:
    """Run the webhook in a pod and put a Service before it."""
    lesson.kubectl(
        "create", "configmap", "hook", f"--from-file=cert.pem={certificate.file}", f"--from-literal=h.py={SERVES}"
    )
    container = {
        "name": "hook",
        "image": "moorage.local/host",
        "command": ["python3", "/hook/h.py"],
        "volumeMounts": [{"name": "hook", "mountPath": "/hook"}],
        "readinessProbe": {"tcpSocket": {"port": 8443}, "periodSeconds": 1},
    }
    spec = {
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
        "volumes": [{"name": "hook", "configMap": {"name": "hook"}}],
    }
    labels = {"app": "hook"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "hook", "labels": labels}, "spec": spec}
    service = {"selector": labels, "ports": [{"port": 443, "targetPort": 8443}]}
    lesson.apply(json.dumps(pod))
    lesson.apply(json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "hook"}, "spec": service}))
    lesson.ready("app=hook", 1)


def configure(lesson: Lesson, sort: str, path: str, bundle: str) -> None:
    """Have the API ask the webhook about ConfigMaps of team a."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    webhook = {
        "name": "hook.example.com",
        "clientConfig": {"service": {"namespace": "default", "name": "hook", "path": path}, "caBundle": bundle},
        "rules": [rule],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "objectSelector": {"matchLabels": {"team": "a"}},
    }
    kind = f"{sort}WebhookConfiguration"
    written = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": "hook"}}
    lesson.apply(json.dumps({**written, "webhooks": [webhook]}))


def create(lesson: Lesson, name: str, code: int = 0) -> str:
    """Create a ConfigMap of team a and return what is said."""
    metadata = {"name": name, "labels": {"team": "a"}}
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    return lesson.kubectl("create", "-f", "-", stdin=json.dumps(obj), code=code)


def test_a_webhook_in_a_pod_changes_and_refuses(lesson: Lesson) -> None:
    certificate = Certificate(lesson.directory, "hook.default.svc")
    install(lesson, certificate)
    configure(lesson, "Mutating", "/mutate", certificate.bundle)
    configure(lesson, "Validating", "/validate", certificate.bundle)
    lesson.until(lambda: lesson.get("endpointslices", "-l", "kubernetes.io/service-name=hook")["items"], "endpoints")
    assert "Warning: seen by a pod" in create(lesson, "good")
    assert lesson.get("configmap", "good")["data"] == {"by": "a pod"}
    refusal = create(lesson, "bad", code=1)
    assert 'admission webhook "hook.example.com" denied the request: no bad names' in refusal
    lesson.kubectl("delete", "pod", "hook", "--force")
    lesson.until(lambda: 'no endpoints available for service "hook"' in create(lesson, "bad", code=1), "a failed call")
