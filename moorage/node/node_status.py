"""The Node object and its Lease, from facts about the machine. Pure. Source: the Node page; kubelet (v1.37)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from moorage.objects.metadata import Object, condition_of, format_micro_time, format_time, name_of, parse_time, uid_of

#: How often a node says that it lives, and how long others believe it, in seconds. Source: kubelet's defaults.
LEASE_RENEW_SECONDS, LEASE_SECONDS = 10.0, 40

#: How often a node repeats its status although nothing changed, in seconds. Source: nodeStatusReportFrequency.
STATUS_REPEAT_SECONDS = 300

#: The most pods that a node takes. Source: kubelet's --max-pods.
PODS_MOST = 110


@dataclass(frozen=True, slots=True)
class Machine:
    """What a node tells about the machine that it is on; sizes in bytes.

    is_simulated: there is no machine, so what somebody gave the Node as its capacity is true.
    pod_network: the network of its pods' addresses in CIDR form, "" if others give them.
    """

    hostname: str
    ip: str
    cpus: int
    memory: int
    disk: int
    architecture: str
    kernel: str
    os_image: str
    machine_id: str
    boot_id: str
    runtime: str
    version: str
    pods: int = PODS_MOST
    is_simulated: bool = False
    pod_network: str = ""


def node_object(machine: Machine) -> dict[str, Any]:
    """Return the Node as it registers itself."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": machine.hostname,
            "labels": {
                "kubernetes.io/hostname": machine.hostname,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": machine.architecture,
                "beta.kubernetes.io/os": "linux",
                "beta.kubernetes.io/arch": machine.architecture,
            },
        },
        "spec": with_network(machine, {}),
    }


def with_network(machine: Machine, spec: Object) -> Object:
    """Return the node's spec with the network of its pods, unless it names one already."""
    if not machine.pod_network or spec.get("podCIDR"):
        return spec
    return {**spec, "podCIDR": machine.pod_network, "podCIDRs": [machine.pod_network]}


def node_status(machine: Machine, node: Object, now: datetime) -> dict[str, Any]:
    """Return the node's complete status; resources that others added to it stay."""
    stored = node.get("status") or {}
    amounts = {
        "cpu": str(machine.cpus),
        "memory": f"{machine.memory // 1024}Ki",
        "ephemeral-storage": f"{machine.disk // 1024}Ki",
        "pods": str(machine.pods),
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
    }
    healthy = [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ]
    return {
        **stored,
        **_resources(machine, stored, amounts),
        "conditions": [_condition(node, row, now) for row in healthy],
        "addresses": [
            {"type": "InternalIP", "address": machine.ip},
            {"type": "Hostname", "address": machine.hostname},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": {
            "machineID": machine.machine_id,
            "systemUUID": machine.machine_id,
            "bootID": machine.boot_id,
            "kernelVersion": machine.kernel,
            "osImage": machine.os_image,
            "containerRuntimeVersion": machine.runtime,
            "kubeletVersion": machine.version,
            "kubeProxyVersion": machine.version,
            "operatingSystem": "linux",
            "architecture": machine.architecture,
        },
    }


def _resources(machine: Machine, stored: Object, amounts: Mapping[str, str]) -> dict[str, Any]:
    """Return what the node has: a machine's amounts are measured, a simulated node's are believed. Source: KWOK."""
    capacity, allocatable = stored.get("capacity") or {}, stored.get("allocatable") or {}
    if not machine.is_simulated:
        return {"capacity": {**capacity, **amounts}, "allocatable": {**allocatable, **amounts}}
    return {"capacity": capacity or amounts, "allocatable": allocatable or capacity or amounts, "phase": "Running"}


def is_status_due(machine: Machine, node: Object, now: datetime) -> bool:
    """Tell whether the node must publish its status again: others changed its conditions, or they are old."""
    ready = condition_of(node, "Ready")
    if ready is None or (now - parse_time(ready["lastHeartbeatTime"])).total_seconds() >= STATUS_REPEAT_SECONDS:
        return True
    wanted = node_status(machine, node, now)["conditions"]
    there = {(each["type"], each["status"], each.get("reason")) for each in node["status"]["conditions"]}
    return any((each["type"], each["status"], each["reason"]) not in there for each in wanted)


def _condition(node: Object, row: tuple[str, str, str, str], now: datetime) -> dict[str, Any]:
    kind, status, reason, message = row
    before = condition_of(node, kind)
    same = before is not None and before.get("status") == status
    return {
        "type": kind,
        "status": status,
        "lastHeartbeatTime": format_time(now),
        "lastTransitionTime": before["lastTransitionTime"] if same and before is not None else format_time(now),
        "reason": reason,
        "message": message,
    }


def lease_object(node: Object, now: datetime) -> dict[str, Any]:
    """Return the Lease by which a node says that it lives."""
    name = name_of(node)
    owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid_of(node)}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": "kube-node-lease", "ownerReferences": [owner]},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": format_micro_time(now)},
    }
