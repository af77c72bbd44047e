"""APIServices of the groups that the server serves itself. Pure.

Source: pkg/controlplane/apiserver/aggregator.go, kube-aggregator/pkg/controllers/autoregister (v1.37).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

RESOURCE: Final = "apiservices.apiregistration.k8s.io"

#: Says who keeps an APIService: the server at its start ("onstart"), or the controller of definitions ("true").
MANAGED_LABEL: Final = "kube-aggregator.kubernetes.io/automanaged"
ON_START, ALWAYS = "onstart", "true"

#: Group version -> priority of the group, and of the version in it. The aggregator's own group has no APIService.
PRIORITIES: Final[Mapping[str, tuple[int, int]]] = {
    "v1": (18000, 1),
    "apps/v1": (17800, 15),
    "events.k8s.io/v1": (17750, 15),
    "authentication.k8s.io/v1": (17700, 15),
    "authorization.k8s.io/v1": (17600, 15),
    "autoscaling/v2": (17500, 30),
    "autoscaling/v1": (17500, 15),
    "batch/v1": (17400, 15),
    "certificates.k8s.io/v1": (17300, 15),
    "networking.k8s.io/v1": (17200, 15),
    "policy/v1": (17100, 15),
    "rbac.authorization.k8s.io/v1": (17000, 15),
    "storage.k8s.io/v1": (16800, 15),
    "admissionregistration.k8s.io/v1": (16700, 15),
    "apiextensions.k8s.io/v1": (16700, 15),
    "scheduling.k8s.io/v1": (16600, 15),
    "coordination.k8s.io/v1": (16500, 15),
    "node.k8s.io/v1": (16300, 15),
    "discovery.k8s.io/v1": (16200, 15),
    "resource.k8s.io/v1": (16200, 21),
    "flowcontrol.apiserver.k8s.io/v1": (16100, 21),
    "storagemigration.k8s.io/v1": (15800, 15),
}

#: The priorities of groups that definitions make.
CUSTOM_PRIORITY: Final = (1000, 100)


def api_service(group: str, version: str, managed: str, priority: tuple[int, int]) -> dict[str, Any]:
    """Return the APIService of a group version that is served here."""
    spec = {"group": group, "version": version, "groupPriorityMinimum": priority[0], "versionPriority": priority[1]}
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"{version}.{group}", "labels": {MANAGED_LABEL: managed}},
        "spec": {key: value for key, value in spec.items() if value},
    }


def builtin_api_services() -> Iterator[dict[str, Any]]:
    """Yield the APIServices that every cluster has."""
    for api_version, priority in PRIORITIES.items():
        group, _, version = api_version.rpartition("/")
        yield api_service(group, version, ON_START, priority)
