"""Which rule explains which resource. A rule is `(object, world) -> Cause | None`."""

from collections.abc import Callable, Mapping
from typing import Final

from moorage.objects.metadata import Object
from moorage.why import claims, jobs, places, pods, policies, services, stateful, workloads
from moorage.why.cause import Cause
from moorage.why.refusals import HOOKS
from moorage.why.world import World

Rule = Callable[[Object, World], Cause | None]

RULES: Final[Mapping[str, Rule]] = {
    "pods": pods.explain,
    "persistentvolumeclaims": claims.explain,
    "persistentvolumes": claims.explain_volume,
    workloads.DEPLOYMENTS: workloads.explain_deployment,
    workloads.REPLICA_SETS: workloads.explain_replica_set,
    "replicationcontrollers": workloads.explain_replica_set,
    workloads.DAEMON_SETS: workloads.explain_daemon_set,
    stateful.RESOURCE: stateful.explain,
    jobs.JOBS: jobs.explain,
    "cronjobs.batch": jobs.explain_cron_job,
    "services": services.explain,
    "ingresses.networking.k8s.io": services.explain_ingress,
    "resourcequotas": policies.explain_quota,
    "poddisruptionbudgets.policy": policies.explain_budget,
    "horizontalpodautoscalers.autoscaling": policies.explain_autoscaler,
    "nodes": places.explain_node,
    policies.APISERVICES: places.explain_api_service,
    "customresourcedefinitions.apiextensions.k8s.io": places.explain_definition,
    **dict.fromkeys(HOOKS, places.explain_hooks),
}
