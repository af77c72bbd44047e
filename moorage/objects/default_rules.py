"""Defaults that depend on other fields: what data/defaults.table can only describe in words.

Each function fills an object in place, after its constants were filled. Objects are as decoding leaves them.
Source: pkg/apis/*/v1/defaults.go of v1.37.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from moorage.objects.quantity import ZERO, parse_quantity, rounded_to_milli

Draft = dict[str, Any]

_HOST: Final = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_REGISTRY: Final = rf"(?:{_HOST}(?:\.{_HOST})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_PART: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DIGEST: Final = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
#: An image reference. Source: distribution/reference, grammar of reference.go.
_reference = re.compile(
    rf"(?:{_REGISTRY}/)?{_PART}(?:/{_PART})*(?::(?P<tag>\w[\w.-]{{0,127}}))?(?P<digest>@{_DIGEST})?", re.ASCII
).fullmatch

#: Longer than any reference can be: 255 for the name, 128 for the tag, and the longest digest.
_REFERENCE_MOST: Final = 1024


def _default_pull_policy(container: Draft) -> None:
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = pull_policy_for(container.get("image") or "")


@lru_cache(1024)
def pull_policy_for(image: str) -> str:
    """Return Always for images that may move (`latest`, or no tag and no digest), IfNotPresent otherwise.

    What is no reference to an image does not move either.
    """
    match = _reference(image) if len(image) < _REFERENCE_MOST else None
    if match is None or (match["tag"] is None and match["digest"] is not None):
        return "IfNotPresent"
    return "Always" if match["tag"] in (None, "latest") else "IfNotPresent"


def _round_resources(owner: Draft) -> None:
    resources = owner.get("resources")
    if resources:
        for name in ("limits", "requests"):
            _round(resources.get(name))


def _round(quantities: Draft | None) -> None:
    for resource, text in (quantities or {}).items():
        rounded = rounded_to_milli(text)
        if rounded is not text:
            quantities[resource] = rounded  # type: ignore[index] # (it is a dict when it has items)


CONTAINER_RULES: Final = (_default_pull_policy, _round_resources)


def _default_service_account(spec: Draft) -> None:
    """Keep the deprecated field equal to the other one."""
    name = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if name:
        spec["serviceAccountName"] = spec["serviceAccount"] = name


def _default_volumes(spec: Draft) -> None:
    for volume in spec.get("volumes") or ():
        if len(volume) == 1:
            volume["emptyDir"] = {}
        image = volume.get("image")
        if image is not None and not image.get("pullPolicy"):
            image["pullPolicy"] = pull_policy_for(image.get("reference") or "")


def _round_pod(spec: Draft) -> None:
    _round_resources(spec)
    _round(spec.get("overhead"))


def _default_host_ports(spec: Draft) -> None:
    if not spec.get("hostNetwork"):
        return
    for name in ("containers", "initContainers"):
        for container in spec.get(name) or ():
            for port in container.get("ports") or ():
                if not port.get("hostPort"):
                    port["hostPort"] = port.get("containerPort", 0)


POD_SPEC_RULES: Final = (_default_service_account, _default_volumes, _round_pod, _default_host_ports)


def _default_pod(pod: Draft) -> None:
    """Fill what only pods get, not pod templates."""
    spec = pod["spec"]
    spec.setdefault("enableServiceLinks", True)
    if spec["terminationGracePeriodSeconds"] < 0:
        spec["terminationGracePeriodSeconds"] = 1
    for name in ("containers", "initContainers"):
        for container in spec.get(name) or ():
            _request_limits(container["resources"])
    _default_pod_resources(spec)
    status = pod.get("status") or {}
    ips = status.get("podIPs") or []
    if status.get("podIP") and (not ips or ips[0].get("ip") != status["podIP"]):
        status["podIPs"] = [{"ip": status["podIP"]}]
    elif ips and not status.get("podIP"):
        status["podIP"] = ips[0].get("ip", "")


def _request_limits(resources: Draft) -> None:
    """Request what is limited and not requested."""
    limits = resources.get("limits")
    if limits:
        resources["requests"] = {**limits, **(resources.get("requests") or {})}


def _default_pod_resources(spec: Draft) -> None:
    """Request for the pod what its containers request together, else what its limits say."""
    resources = spec.get("resources") or {}
    limits = resources.get("limits")
    if not limits:
        return
    requests = dict(resources.get("requests") or {})
    for name, total in _container_requests(spec).items():
        is_shared = name in ("cpu", "memory") or name.startswith("hugepages-")
        if is_shared and name not in requests and (not name.startswith("hugepages-") or name not in limits):
            requests[name] = total
    resources["requests"] = {**limits, **requests}


def _container_requests(spec: Draft) -> dict[str, str]:
    """Return what the containers of a pod request together; init containers that run on their own count as the largest."""
    totals = {}
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        for name in container["resources"].get("requests") or {}:
            totals[name] = ZERO
    for name in totals:
        running = ZERO
        for container in spec.get("containers") or ():
            running += _requested(container, name)
        largest = ZERO
        for container in spec.get("initContainers") or ():
            if container.get("restartPolicy") == "Always":
                running += _requested(container, name)
                largest += _requested(container, name)
            else:
                largest = max(largest, _requested(container, name))
        totals[name] = max(running, largest)
    return {name: str(total) for name, total in totals.items()}


def _requested(container: Draft, name: str) -> Any:
    text = (container["resources"].get("requests") or {}).get(name)
    return parse_quantity(text) if text else ZERO


def _default_deployment(deployment: Draft) -> None:
    strategy = deployment["spec"]["strategy"]
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")


def _default_daemon_set(daemon_set: Draft) -> None:
    strategy = daemon_set["spec"]["updateStrategy"]
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)


def _default_stateful_set(stateful_set: Draft) -> None:
    """Fill the rolling update, unless the client named the type and nothing of it."""
    strategy = stateful_set["spec"]["updateStrategy"]
    was_empty = not strategy.get("type")
    if was_empty:
        strategy["type"] = "RollingUpdate"
    if strategy["type"] == "RollingUpdate" and (was_empty or "rollingUpdate" in strategy):
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("partition", 0)
        rolling.setdefault("maxUnavailable", 1)


def _default_job(job: Draft) -> None:
    spec = job["spec"]
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("backoffLimit", 2147483647 if "backoffLimitPerIndex" in spec else 6)
    spec.setdefault("podReplacementPolicy", "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed")
    _take_labels(job, job["spec"]["template"])


def _take_labels(obj: Draft, template: Draft) -> None:
    """Give an object without labels those of its pod template."""
    labels = template["metadata"].get("labels")
    if labels and not obj["metadata"].get("labels"):
        obj["metadata"]["labels"] = dict(labels)


def _default_replication_controller(controller: Draft) -> None:
    spec = controller["spec"]
    labels = (spec.get("template") or {}).get("metadata", {}).get("labels")
    if labels:
        spec["selector"] = spec.get("selector") or dict(labels)
        _take_labels(controller, spec["template"])


def _default_autoscaler_v1(autoscaler: Draft) -> None:
    autoscaler["spec"].setdefault("targetCPUUtilizationPercentage", 80)


def _default_autoscaler(autoscaler: Draft) -> None:
    spec = autoscaler["spec"]
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = spec.get("behavior")
    if behavior is None:
        return
    up = behavior.setdefault("scaleUp", {})
    down = behavior.setdefault("scaleDown", {})
    for rules in (up, down):
        rules.setdefault("selectPolicy", "Max")
    up.setdefault("stabilizationWindowSeconds", 0)
    half_minute = {"value": 100, "periodSeconds": 15}
    if up.get("policies") is None:
        up["policies"] = [{"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", **half_minute}]
    if down.get("policies") is None:
        down["policies"] = [{"type": "Percent", **half_minute}]


def _default_definition(definition: Draft) -> None:
    spec = definition["spec"]
    names = spec["names"]
    if not names.get("singular"):
        names["singular"] = names["kind"].lower()
    if not names.get("listKind") and names["kind"]:
        names["listKind"] = f"{names['kind']}List"
    status = definition["status"]
    if not status.get("storedVersions"):
        status["storedVersions"] = [each["name"] for each in spec.get("versions") or () if each.get("storage")]


def _default_network_policy(policy: Draft) -> None:
    spec = policy["spec"]
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def _default_binding(binding: Draft) -> None:
    for subject in binding.get("subjects") or ():
        if not subject.get("apiGroup") and subject.get("kind") in ("User", "Group"):
            subject["apiGroup"] = "rbac.authorization.k8s.io"


def _default_claim(claim: Draft) -> None:
    _default_devices(claim["spec"])


def _default_claim_template(template: Draft) -> None:
    _default_devices(template["spec"]["spec"])


def _default_devices(spec: Draft) -> None:
    for request in spec["devices"].get("requests") or ():
        for choice in (request.get("exactly"), *(request.get("firstAvailable") or ())):
            if choice and choice.get("allocationMode") == "ExactCount" and not choice.get("count"):
                choice["count"] = 1


def _default_limit_range(limit_range: Draft) -> None:
    for limit in limit_range["spec"].get("limits") or ():
        if limit.get("type") == "Container":
            defaults = {**(limit.get("max") or {}), **(limit.get("default") or {})}
            requests = {**(limit.get("min") or {}), **defaults, **(limit.get("defaultRequest") or {})}
            limit.update({name: each for name, each in (("default", defaults), ("defaultRequest", requests)) if each})
        for name in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio"):
            _round(limit.get(name))


def _default_namespace(namespace: Draft) -> None:
    metadata = namespace["metadata"]
    if metadata.get("name"):
        metadata["labels"] = {**(metadata.get("labels") or {}), "kubernetes.io/metadata.name": metadata["name"]}


def _default_node(node: Draft) -> None:
    status = node["status"]
    for name in ("capacity", "allocatable"):
        _round(status.get(name))
    if status.get("capacity") and not status.get("allocatable"):
        status["allocatable"] = dict(status["capacity"])


def _default_volume(volume: Draft) -> None:
    _round(volume["spec"].get("capacity"))


def _default_volume_claim(claim: Draft) -> None:
    _round_resources(claim["spec"])
    _round((claim.get("status") or {}).get("capacity"))


def _default_quota(quota: Draft) -> None:
    _round(quota["spec"].get("hard"))
    for name in ("hard", "used"):
        _round(quota["status"].get(name))


def _default_service(service: Draft) -> None:
    spec = service["spec"]
    kind = spec["type"]
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        _default_affinity(spec)
    for port in spec.get("ports") or ():
        if not port.get("targetPort"):
            port["targetPort"] = port.get("port", 0)
    if kind in ("ClusterIP", "NodePort", "LoadBalancer"):
        spec.setdefault("internalTrafficPolicy", "Cluster")
    is_external = kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))
    if is_external and not spec.get("externalTrafficPolicy"):
        spec["externalTrafficPolicy"] = "Cluster"
    if kind == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
        for ingress in service["status"]["loadBalancer"].get("ingress") or ():
            if ingress.get("ip"):
                ingress.setdefault("ipMode", "VIP")


def _default_affinity(spec: Draft) -> None:
    config = spec.get("sessionAffinityConfig") or {}
    client = config.get("clientIP") or {}
    client.setdefault("timeoutSeconds", 10800)
    spec["sessionAffinityConfig"] = {**config, "clientIP": client}


KIND_RULES: Final[dict[str, Callable[[Draft], None]]] = {
    "v1/Pod": _default_pod,
    "v1/Service": _default_service,
    "v1/Namespace": _default_namespace,
    "v1/Node": _default_node,
    "v1/LimitRange": _default_limit_range,
    "v1/ReplicationController": _default_replication_controller,
    "v1/PersistentVolume": _default_volume,
    "v1/PersistentVolumeClaim": _default_volume_claim,
    "v1/ResourceQuota": _default_quota,
    "apps/v1/Deployment": _default_deployment,
    "apps/v1/DaemonSet": _default_daemon_set,
    "apps/v1/StatefulSet": _default_stateful_set,
    "autoscaling/v1/HorizontalPodAutoscaler": _default_autoscaler_v1,
    "autoscaling/v2/HorizontalPodAutoscaler": _default_autoscaler,
    "batch/v1/Job": _default_job,
    "apiextensions.k8s.io/v1/CustomResourceDefinition": _default_definition,
    "networking.k8s.io/v1/NetworkPolicy": _default_network_policy,
    "rbac.authorization.k8s.io/v1/ClusterRoleBinding": _default_binding,
    "rbac.authorization.k8s.io/v1/RoleBinding": _default_binding,
    "resource.k8s.io/v1/ResourceClaim": _default_claim,
    "resource.k8s.io/v1/ResourceClaimTemplate": _default_claim_template,
}
