"""Failures that are made in a whole cluster; each is explained down to its root in at most five lines."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest

from moorage.testing import builders
from moorage.why.chain import LINES_MOST
from tests.why.failing import Failing, live

Make = Callable[[Failing], Awaitable[None]]


class Failure(NamedTuple):
    """What is asked about, the end of the chain ("Kind name says"), and a part of the command."""

    make: Make
    resource: str
    name: str
    root: str
    command: str
    namespace: str


FAILURES: list[Failure] = []


def asked(resource: str, name: str, root: str, command: str = "", namespace: str = "default") -> Callable[[Make], Make]:
    """Note a failure with the answer that is right."""

    def note(make: Make) -> Make:
        FAILURES.append(Failure(make, resource, name, root, command, namespace))
        return make

    return note


def pod(name: str, image: str = builders.IMAGE, container: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """Return a pod whose container and spec have more fields."""
    made = builders.pod(name, "default", image)
    first = {**made["spec"]["containers"][0], **(container or {})}
    return {**made, "spec": {**made["spec"], "containers": [first], **spec}}


def kind(api_version: str, name: str, what: str, namespace: str = "default", **parts: Any) -> dict[str, Any]:
    """Return an object of another kind."""
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": api_version, "kind": what, "metadata": metadata, **parts}


def job(name: str, image: str, **spec: Any) -> dict[str, Any]:
    """Return a Job."""
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "app", "image": image}]}}
    return kind("batch/v1", name, "Job", spec={"template": template, **spec})


def service(name: str, selector: dict[str, str], **port: Any) -> dict[str, Any]:
    """Return a Service with one port."""
    return kind("v1", name, "Service", spec={"selector": selector, "ports": [{"port": 80, **port}]})


def mounting(claim: str) -> dict[str, Any]:
    """Return the volumes of a pod that mounts a claim."""
    return {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]}


@asked("statefulsets.apps", "web", "StorageClass fast does not exist", "create StorageClass fast: kubectl")
async def a_claim_of_a_stateful_set_asks_for_a_class_that_does_not_exist(f: Failing) -> None:
    workload = builders.stateful_set("web", "default", 3, claims=("data",))
    workload["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] = "fast"
    await f.make("statefulsets.apps", workload)


@asked("replicasets.apps", "web", "ResourceQuota compute is used up: pods 1 of 1", "kubectl edit resourcequota compute")
async def a_quota_is_used_up(f: Failing) -> None:
    await f.make("resourcequotas", kind("v1", "compute", "ResourceQuota", spec={"hard": {"pods": "1"}}))
    await f.until("resourcequotas", "compute", "is")
    await f.make("replicasets.apps", builders.replica_set("web", "default", 2))


@asked("deployments.apps", "web", "cannot pull image example.com/absent:1", "set image deployment/web app=IMAGE")
async def a_deployment_is_late_since_its_image_is_absent(f: Failing) -> None:
    workload = builders.deployment("web", "default", 2, "example.com/absent:1")
    await f.make("deployments.apps", workload)
    await f.until("deployments.apps", "web", "beyond its progress deadline")


@asked(
    "namespaces",
    "shop",
    "ConfigMap shop/kept is Terminating until its finalizer example.com/hold",
    "kubectl -n shop patch configmaps kept",
    "",
)
async def a_finalizer_keeps_a_namespace(f: Failing) -> None:
    await f.make("namespaces", builders.namespace("shop"))
    kept = builders.config_map("kept", "shop", {})
    await f.make("configmaps", {**kept, "metadata": {**kept["metadata"], "finalizers": ["example.com/hold"]}})
    await f.delete("namespaces", "shop", "")


@asked(
    "pods",
    "big",
    "is Pending: none of 2 nodes takes it: 1 has too little cpu left, 1 is cordoned",
    "kubectl describe nodes",
)
async def no_node_has_room(f: Failing) -> None:
    await f.patch("nodes", "node-1", {"spec": {"unschedulable": True}}, "")
    await f.make("pods", pod("big", container={"resources": {"requests": {"cpu": "5000"}}}))


@asked("pods", "any", "Node node-1 is cordoned: it takes no new pods", "kubectl uncordon node-1")
async def all_nodes_are_cordoned(f: Failing) -> None:
    for node in ("node-1", "node-2"):
        await f.patch("nodes", node, {"spec": {"unschedulable": True}}, "")
    await f.make("pods", pod("any"))


@asked("pods", "there", "none of 2 nodes takes it: 2 do not match its node selector", "--show-labels")
async def no_node_has_the_label(f: Failing) -> None:
    await f.make("pods", pod("there", nodeSelector={"disk": "ssd"}))


@asked("pods", "slow", "is not ready: Readiness probe failed", "kubectl describe pod slow")
async def a_readiness_probe_fails(f: Failing) -> None:
    probe = {"readinessProbe": {"tcpSocket": {"port": 80}}}
    await f.make("pods", pod("slow", "example.com/unready:1", probe))


@asked("statefulsets.apps", "web", "of the old revision", "kubectl delete pod web-0")
async def a_broken_revision_blocks_its_own_mending(f: Failing) -> None:
    await f.make("statefulsets.apps", builders.stateful_set("web", "default", 2, "example.com/absent:1"))
    await f.until("statefulsets.apps", "web", "cannot pull image")
    mended = [{"name": "app", "image": "example.com/app:2"}]
    await f.patch("statefulsets.apps", "web", {"spec": {"template": {"spec": {"containers": mended}}}})


@asked("persistentvolumeclaims", "data", "Pod user uses it", "kubectl delete pod user")
async def a_claim_is_used_by_a_pod(f: Failing) -> None:
    await f.make("persistentvolumeclaims", builders.claim("data", "default"))
    await f.make("pods", pod("user", **mounting("data")))
    await f.until("pods", "user", "is Running and ready")
    await f.delete("persistentvolumeclaims", "data")


@asked("pods", "stubborn", "is Terminating: its containers have", "--grace-period=1")
async def a_pod_takes_its_grace_period(f: Failing) -> None:
    await f.make("pods", pod("stubborn", "example.com/stubborn:1", terminationGracePeriodSeconds=600))
    await f.until("pods", "stubborn", "is Running and ready")
    await f.delete("pods", "stubborn")


@asked("pods", "held", "is Terminating until its finalizer example.com/hold is removed", "--type=json")
async def a_finalizer_keeps_a_pod(f: Failing) -> None:
    made = pod("held")
    await f.make("pods", {**made, "metadata": {**made["metadata"], "finalizers": ["example.com/hold"]}})
    await f.until("pods", "held", "is Running and ready")
    await f.delete("pods", "held")


@asked("pods", "lost", "Node node-1 is silent", "node-1")
async def a_pod_is_deleted_on_a_silent_node(f: Failing) -> None:
    await f.make("pods", pod("lost", nodeName="node-1"))
    await f.until("pods", "lost", "is Running and ready")
    f.weather.silent.add("system:node:node-1")
    await f.until("nodes", "node-1", "is silent", "")
    await f.delete("pods", "lost")


@asked(
    "services",
    "front",
    "has no endpoints: its selector app=other matches no pod of namespace default, which has 1 pod",
    "get pods --show-labels",
)
async def a_selector_matches_nothing(f: Failing) -> None:
    await f.make("pods", pod("web"))
    await f.make("services", service("front", {"app": "other"}))


@asked(
    "services",
    "front",
    "Pod web restarts again and again: its container app ended with exit code 3",
    "logs web -c app --previous",
)
async def no_pod_of_a_service_is_ready(f: Failing) -> None:
    await f.make("pods", pod("web", "example.com/crash:1"))
    await f.make("services", service("front", {"app": "web"}))


@asked("services", "front", 'its targetPort "http" is no port name of its pods (web)', "kubectl edit service front")
async def a_target_port_has_no_such_name(f: Failing) -> None:
    await f.make("pods", pod("web", container={"ports": [{"name": "web", "containerPort": 80}]}))
    await f.make("services", service("front", {"app": "web"}, targetPort="http"))


@asked("jobs.batch", "once", "is suspended", '"suspend":false')
async def a_job_is_suspended(f: Failing) -> None:
    await f.make("jobs.batch", job("once", "example.com/done:1", suspend=True))


@asked("jobs.batch", "once", "has failed: its container app ended with exit code 3", "kubectl logs once-")
async def a_job_has_failed_too_often(f: Failing) -> None:
    await f.make("jobs.batch", job("once", "example.com/crash:1", backoffLimit=0))
    await f.until("jobs.batch", "once", "has failed (BackoffLimitExceeded)")


@asked("cronjobs.batch", "nightly", "is suspended", '"suspend":false')
async def a_cron_job_is_suspended(f: Failing) -> None:
    spec = {"schedule": "0 0 * * *", "suspend": True, "jobTemplate": {"spec": job("x", "x")["spec"]}}
    await f.make("cronjobs.batch", kind("batch/v1", "nightly", "CronJob", spec=spec))


@asked(
    "horizontalpodautoscalers.autoscaling", "web", "APIService v1beta1.metrics.k8s.io does not exist", "metrics-server"
)
async def an_autoscaler_gets_no_metrics(f: Failing) -> None:
    await f.make("deployments.apps", builders.deployment("web", "default", 1))
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
    }
    spec = {"scaleTargetRef": target, "maxReplicas": 3, "metrics": [metric]}
    await f.make(
        "horizontalpodautoscalers.autoscaling", kind("autoscaling/v2", "web", "HorizontalPodAutoscaler", spec=spec)
    )


@asked("horizontalpodautoscalers.autoscaling", "web", "Deployment web does not exist")
async def an_autoscaler_has_no_target(f: Failing) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    spec = {"scaleTargetRef": target, "maxReplicas": 3}
    await f.make(
        "horizontalpodautoscalers.autoscaling", kind("autoscaling/v2", "web", "HorizontalPodAutoscaler", spec=spec)
    )


@asked(
    "poddisruptionbudgets.policy",
    "web",
    "allows no eviction: 2 pods are healthy, and it wants 2 of 2 to stay",
    "edit pdb",
)
async def a_budget_allows_no_eviction(f: Failing) -> None:
    await f.make("deployments.apps", builders.deployment("web", "default", 2))
    spec = {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}
    await f.make("poddisruptionbudgets.policy", kind("policy/v1", "web", "PodDisruptionBudget", spec=spec))


@asked("persistentvolumeclaims", "data", "waits for its first consumer", "a pod that mounts claim data")
async def a_claim_waits_for_its_first_consumer(f: Failing) -> None:
    parts = {"provisioner": "example.com/late", "volumeBindingMode": "WaitForFirstConsumer"}
    await f.make("storageclasses.storage.k8s.io", kind("storage.k8s.io/v1", "late", "StorageClass", "", **parts))
    made = builders.claim("data", "default")
    await f.make("persistentvolumeclaims", {**made, "spec": {**made["spec"], "storageClassName": "late"}})


@asked("pods", "second", "Node node-1 is cordoned", "kubectl uncordon node-1")
async def the_volume_of_a_pod_is_on_a_node_that_takes_no_pods(f: Failing) -> None:
    await f.make("persistentvolumeclaims", builders.claim("data", "default"))
    await f.make("pods", pod("first", **mounting("data"), nodeSelector={"kubernetes.io/hostname": "node-1"}))
    await f.until("pods", "first", "is Running and ready")
    await f.delete("pods", "first")
    await f.patch("nodes", "node-1", {"spec": {"unschedulable": True}}, "")
    await f.make("pods", pod("second", **mounting("data")))


@asked("replicasets.apps", "web", "ServiceAccount robot does not exist", "kubectl create serviceaccount robot")
async def a_service_account_is_missing(f: Failing) -> None:
    made = builders.replica_set("web", "default", 1)
    made["spec"]["template"]["spec"]["serviceAccountName"] = "robot"
    await f.make("replicasets.apps", made)


@asked("pods", "app", "Secret keys does not exist", "kubectl create secret generic keys")
async def a_secret_of_the_environment_is_missing(f: Failing) -> None:
    await f.make("pods", pod("app", container={"envFrom": [{"secretRef": {"name": "keys"}}]}))


@asked("pods", "app", "ConfigMap settings does not exist", "kubectl create configmap settings")
async def a_config_map_of_a_volume_is_missing(f: Failing) -> None:
    await f.make("pods", pod("app", volumes=[{"name": "data", "configMap": {"name": "settings"}}]))


@asked("pods", "app", "PersistentVolumeClaim data does not exist", "create it: kubectl apply")
async def a_claim_of_a_pod_is_missing(f: Failing) -> None:
    await f.make("pods", pod("app", **mounting("data")))


@asked("deployments.apps", "web", "has 0 of 1 pods updated: its rollout is paused", "rollout resume deployment/web")
async def a_rollout_is_paused(f: Failing) -> None:
    made = builders.deployment("web", "default", 1)
    await f.make("deployments.apps", {**made, "spec": {**made["spec"], "paused": True}})


@asked("daemonsets.apps", "agent", "runs nowhere: none of 2 nodes matches", "--show-labels")
async def a_daemon_set_matches_no_node(f: Failing) -> None:
    template = builders.pod_template({"app": "agent"})
    template["spec"]["nodeSelector"] = {"disk": "ssd"}
    spec = {"selector": {"matchLabels": {"app": "agent"}}, "template": template}
    await f.make("daemonsets.apps", kind("apps/v1", "agent", "DaemonSet", spec=spec))


@asked(
    "statefulsets.apps",
    "web",
    "keeps 1 of 2 pods at an older revision: its partition is 1",
    "kubectl patch statefulset web",
)
async def a_partition_keeps_pods_back(f: Failing) -> None:
    made = builders.stateful_set("web", "default", 2)
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
    await f.make("statefulsets.apps", {**made, "spec": {**made["spec"], "updateStrategy": strategy}})
    await f.until("statefulsets.apps", "web", "has 2 of 2 pods ready: nothing is wrong")
    newer = [{"name": "app", "image": "example.com/app:2"}]
    await f.patch("statefulsets.apps", "web", {"spec": {"template": {"spec": {"containers": newer}}}})


@asked(
    "persistentvolumes",
    "disk",
    "is taken by nobody: it keeps the data of claim default/data",
    "kubectl patch pv disk",
    "",
)
async def a_retained_volume_is_free_for_nobody(f: Failing) -> None:
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": "manual",
        "hostPath": {"path": "/data"},
    }
    await f.make("persistentvolumes", kind("v1", "disk", "PersistentVolume", "", spec=spec))
    made = builders.claim("data", "default")
    await f.make("persistentvolumeclaims", {**made, "spec": {**made["spec"], "storageClassName": "manual"}})
    await f.until("persistentvolumeclaims", "data", "is bound to volume disk")
    await f.delete("persistentvolumeclaims", "data")


@asked(
    "customresourcedefinitions.apiextensions.k8s.io",
    "boats.example.com",
    "is not served: its names are taken",
    "describe crd",
    "",
)
async def the_names_of_a_definition_are_taken(f: Failing) -> None:
    for plural in ("ships", "boats"):
        names = {"plural": plural, "singular": "boat", "kind": "Boat", "listKind": "BoatList"}
        schema = {"openAPIV3Schema": {"type": "object"}}
        version = {"name": "v1", "served": True, "storage": True, "schema": schema}
        spec = {"group": "example.com", "names": names, "scope": "Namespaced", "versions": [version]}
        resource, named = "customresourcedefinitions.apiextensions.k8s.io", f"{plural}.example.com"
        await f.make(resource, kind("apiextensions.k8s.io/v1", named, "CustomResourceDefinition", "", spec=spec))
        await f.until(resource, named, "names are taken" if plural == "boats" else "nothing is wrong", "")


@asked("pods", "gated", "its scheduling gates are removed: example.com/later", "kubectl describe pod gated")
async def a_pod_waits_behind_its_gates(f: Failing) -> None:
    await f.make("pods", pod("gated", schedulingGates=[{"name": "example.com/later"}]))


@asked("pods", "hungry", "ended with exit code 137 (OOMKilled)", "--previous")
async def a_container_takes_too_much_memory(f: Failing) -> None:
    await f.make("pods", pod("hungry", "example.com/oom:1"))


@asked(
    "deployments.apps",
    "web",
    "Namespace default enforces the Pod Security Standard restricted",
    "kubectl label namespace",
)
async def the_pod_security_standard_of_a_namespace_refuses_pods(f: Failing) -> None:
    label = {"pod-security.kubernetes.io/enforce": "restricted"}
    await f.patch("namespaces", "default", {"metadata": {"labels": label}}, "")
    await f.make("deployments.apps", builders.deployment("web", "default", 1))


@asked("ingresses.networking.k8s.io", "site", "Service front does not exist", "kubectl create service clusterip front")
async def an_ingress_leads_to_no_service(f: Failing) -> None:
    spec = {"defaultBackend": {"service": {"name": "front", "port": {"number": 80}}}}
    await f.make("ingresses.networking.k8s.io", kind("networking.k8s.io/v1", "site", "Ingress", spec=spec))


@asked("pods", "web-1", "cannot pull image example.com/absent:1", "set image statefulset/web app=IMAGE")
async def a_pod_is_asked_for_that_waits_for_the_one_before(f: Failing) -> None:
    await f.make("statefulsets.apps", builders.stateful_set("web", "default", 2, "example.com/absent:1"))


@asked(
    "deployments.apps", "web", "ValidatingAdmissionPolicy never denies it", "describe validatingadmissionpolicy never"
)
async def a_policy_denies_pods(f: Failing) -> None:
    group, version = "admissionregistration.k8s.io", "admissionregistration.k8s.io/v1"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    spec = {"matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": "false", "message": "never"}]}
    policy = kind(version, "never", "ValidatingAdmissionPolicy", "", spec=spec)
    await f.make(f"validatingadmissionpolicies.{group}", policy)
    bound = {"policyName": "never", "validationActions": ["Deny"]}
    binding = kind(version, "never", "ValidatingAdmissionPolicyBinding", "", spec=bound)
    await f.make(f"validatingadmissionpolicybindings.{group}", binding)
    await f.make("deployments.apps", builders.deployment("web", "default", 1))


@asked("replicasets.apps", "web", "LimitRange small says so", "kubectl describe limitrange small")
async def a_limit_range_refuses_pods(f: Failing) -> None:
    limits = [{"type": "Container", "max": {"cpu": "1"}}]
    await f.make("limitranges", kind("v1", "small", "LimitRange", spec={"limits": limits}))
    made = builders.replica_set("web", "default", 1)
    made["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "2"}}
    await f.make("replicasets.apps", made)


@asked("replicasets.apps", "web", "PriorityClass urgent does not exist", "kubectl create priorityclass urgent")
async def a_priority_class_is_missing(f: Failing) -> None:
    made = builders.replica_set("web", "default", 1)
    made["spec"]["template"]["spec"]["priorityClassName"] = "urgent"
    await f.make("replicasets.apps", made)


@asked("cronjobs.batch", "never", 'no time meets its schedule "0 0 30 2 *"', "kubectl edit cronjob never")
async def the_schedule_of_a_cron_job_never_comes(f: Failing) -> None:
    spec = {"schedule": "0 0 30 2 *", "jobTemplate": {"spec": job("x", "x")["spec"]}}
    await f.make("cronjobs.batch", kind("batch/v1", "never", "CronJob", spec=spec))


@asked("apiservices.apiregistration.k8s.io", "v1.far.example.com", "Service default/far does not exist", "services", "")
async def an_api_is_served_by_nobody(f: Failing) -> None:
    spec = {"group": "far.example.com", "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 1}
    spec |= {"insecureSkipTLSVerify": True, "service": {"namespace": "default", "name": "far"}}
    resource = "apiservices.apiregistration.k8s.io"
    made = kind("apiregistration.k8s.io/v1", "v1.far.example.com", "APIService", "", spec=spec)
    await f.make(resource, made)


@asked(
    "persistentvolumeclaims", "data", "PersistentVolume disk belongs to claim default/other", "kubectl describe pv disk"
)
async def the_volume_that_a_claim_names_is_taken(f: Failing) -> None:
    reference = {"namespace": "default", "name": "other"}
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "claimRef": reference,
        "storageClassName": "manual",
        "hostPath": {"path": "/data"},
    }
    await f.make("persistentvolumes", kind("v1", "disk", "PersistentVolume", "", spec=spec))
    made = builders.claim("data", "default")
    wanted = {**made["spec"], "storageClassName": "manual", "volumeName": "disk"}
    await f.make("persistentvolumeclaims", {**made, "spec": wanted})


@asked("pods", "typo", "its container app cannot be started: ", "kubectl logs typo -c app --previous")
async def a_command_does_not_exist(f: Failing) -> None:
    await f.make("pods", pod("typo", "example.com/typo:1", {"command": ["nonsense"]}))


@asked("pods", "sick", "is being restarted: Liveness probe failed", "kubectl logs sick --previous")
async def a_liveness_probe_fails(f: Failing) -> None:
    probe = {"livenessProbe": {"exec": {"command": ["true"]}, "failureThreshold": 1, "initialDelaySeconds": 5}}
    await f.make("pods", pod("sick", "example.com/sick:1", probe))


@pytest.mark.parametrize("failure", FAILURES, ids=[each.make.__name__ for each in FAILURES])
def test_the_root_is_told_in_five_lines_when(failure: Failure) -> None:
    async def fail(f: Failing) -> None:
        await failure.make(f)
        answer = await f.until(failure.resource, failure.name, failure.root, failure.namespace)
        lines = answer.lines()
        assert answer.is_wrong
        assert len(lines) <= LINES_MOST, lines
        assert failure.root in lines[-2], lines
        assert lines[-1].startswith("try: "), lines
        assert failure.command in lines[-1], lines

    live(fail)


def test_there_are_thirty_failures_at_least() -> None:
    assert len(FAILURES) >= 30
