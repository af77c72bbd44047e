"""Why a Service or an Ingress leads nowhere: no pods, none ready, no such port."""

from typing import Final

from moorage.controllers.endpoints import has_pods, publishes_unready, target_port
from moorage.objects.endpoint_slices import SLICES, slices_of
from moorage.objects.metadata import Object, Ref, labels_of, name_of, namespace_of
from moorage.objects.pods import is_active, is_ready
from moorage.why.cause import Cause, count, kubectl
from moorage.why.workloads import names
from moorage.why.world import World

#: The label of Services that belong to the cluster, as DNS.
CLUSTER_SERVICE: Final = "kubernetes.io/cluster-service"


def explain(service: Object, world: World) -> Cause | None:
    """Return why a Service has no ready endpoints, or not on every port."""
    namespace, name, spec = namespace_of(service), name_of(service), service.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return None
    if not has_pods(service):
        slices = slices_of(name, world.list(SLICES, namespace))
        if any(each.get("endpoints") for each in slices) or is_of_the_cluster(service):
            return None
        return Cause(
            "has no endpoints: it selects no pods, and nobody wrote endpoints for it",
            kubectl(f"edit service {name}", namespace),
        )
    selector = spec["selector"]
    text = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
    pods = world.list("pods", namespace)
    chosen = [pod for pod in pods if selector.items() <= labels_of(pod).items() and is_active(pod)]
    if not chosen:
        there = f"which has {count(len(pods), 'pod')}" if pods else "which has none"
        says = f"has no endpoints: its selector {text} matches no pod of namespace {namespace}, {there}"
        return Cause(says, kubectl("get pods --show-labels", namespace))
    ready = [pod for pod in chosen if is_ready(pod) or publishes_unready(service)]
    if not ready:
        those = "the only pod that it selects is not" if len(chosen) == 1 else f"none of its {len(chosen)} pods is"
        says = f"has no ready endpoints: {those} ready"
        return Cause(says, kubectl(f"get pods -l {text}", namespace), Ref("pods", namespace, name_of(chosen[0])))
    for port in spec.get("ports") or ():
        if all(target_port(pod, port) is None for pod in ready):
            target = f'its targetPort "{port.get("targetPort")}" is no port name of its pods ({names(ready)})'
            says = f"has no endpoints on port {port.get('port')}: {target}"
            return Cause(says, kubectl(f"edit service {name}", namespace))
    balancer = (service.get("status") or {}).get("loadBalancer") or {}
    if spec.get("type") == "LoadBalancer" and not balancer.get("ingress"):
        return Cause(
            "works inside the cluster, and waits for a load balancer that gives it an address",
            kubectl(f"describe service {name}", namespace),
        )
    return None


def is_of_the_cluster(service: Object) -> bool:
    """Tell whether nodes themselves answer at the address of the Service, so that it needs no endpoints."""
    return not has_pods(service) and labels_of(service).get(CLUSTER_SERVICE) == "true"


def explain_ingress(ingress: Object, world: World) -> Cause | None:
    """Return the first backend of an Ingress that leads nowhere, or that no controller serves it."""
    spec, namespace = ingress.get("spec") or {}, namespace_of(ingress)
    backends = [spec.get("defaultBackend") or {}]
    backends += [
        path.get("backend") or {}
        for rule in spec.get("rules") or ()
        for path in (rule.get("http") or {}).get("paths") or ()
    ]
    for name in dict.fromkeys(str((each.get("service") or {}).get("name") or "") for each in backends):
        ref = Ref("services", namespace, name)
        found = world.get(ref) if name else None
        if name and (found is None or explain(found, world) is not None):
            return Cause(
                f"leads to service {name}",
                holder=ref,
                absent=kubectl(f"create service clusterip {name} --tcp=80", namespace),
            )
    if not ((ingress.get("status") or {}).get("loadBalancer") or {}).get("ingress"):
        return Cause("has no address: no ingress controller serves it", "kubectl get ingressclass")
    return None
