"""Small objects for simulations, benchmarks and tests: what a user would write, and no more."""

from collections.abc import Mapping, Sequence
from typing import Any

#: An image without a behaviour of its own: simulated runtimes start it at once.
IMAGE = "example.com/app:1"

Draft = dict[str, Any]


def namespace(name: str) -> Draft:
    """Return a Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def config_map(name: str, namespace: str, data: Mapping[str, str]) -> Draft:
    """Return a ConfigMap."""
    return _object("v1", "ConfigMap", name, namespace, data=dict(data))


def pod_template(labels: Mapping[str, str], image: str = IMAGE, grace_seconds: int = 30, claim: str = "") -> Draft:
    """Return the template of pods with one container, which mounts a volume if a name is given."""
    container: Draft = {"name": "app", "image": image}
    if claim:
        container["volumeMounts"] = [{"name": claim, "mountPath": "/data"}]
    spec = {"containers": [container], "terminationGracePeriodSeconds": grace_seconds}
    return {"metadata": {"labels": dict(labels)}, "spec": spec}


def pod(name: str, namespace: str, image: str = IMAGE, labels: Mapping[str, str] | None = None) -> Draft:
    """Return a Pod with one container."""
    template = pod_template(labels or {"app": name}, image)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": template["metadata"]["labels"]},
        "spec": template["spec"],
    }


def claim(name: str, namespace: str = "", size: str = "1Gi") -> Draft:
    """Return a PersistentVolumeClaim of the default class, or its template where there is no namespace."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    if not namespace:
        return {"metadata": {"name": name}, "spec": spec}
    return _object("v1", "PersistentVolumeClaim", name, namespace, spec=spec)


def replica_set(name: str, namespace: str, replicas: int, image: str = IMAGE) -> Draft:
    """Return a ReplicaSet."""
    return _object(
        "apps/v1", "ReplicaSet", name, namespace, spec=_workload(name, replicas, pod_template(_by(name), image))
    )


def deployment(name: str, namespace: str, replicas: int, image: str = IMAGE) -> Draft:
    """Return a Deployment."""
    return _object(
        "apps/v1", "Deployment", name, namespace, spec=_workload(name, replicas, pod_template(_by(name), image))
    )


def stateful_set(
    name: str, namespace: str, replicas: int, image: str = IMAGE, *, claims: Sequence[str] = (), policy: str = ""
) -> Draft:
    """Return a StatefulSet with a claim template for each name; policy "" is OrderedReady."""
    template = pod_template(_by(name), image, claim=claims[0] if claims else "")
    spec = {**_workload(name, replicas, template), "serviceName": name}
    if claims:
        spec["volumeClaimTemplates"] = [claim(each) for each in claims]
    if policy:
        spec["podManagementPolicy"] = policy
    return _object("apps/v1", "StatefulSet", name, namespace, spec=spec)


def _by(name: str) -> Draft:
    return {"app": name}


def _workload(name: str, replicas: int, template: Draft) -> Draft:
    return {"replicas": replicas, "selector": {"matchLabels": _by(name)}, "template": template}


def _object(version: str, kind: str, name: str, namespace: str, **parts: Any) -> Draft:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": namespace}, **parts}
