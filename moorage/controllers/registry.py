"""The list of all controllers. Built when a process runs them: one that runs none imports none of them."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moorage.controllers.rule import Controller
from moorage.objects.kinds import Resource, resource_of_kind
from moorage.objects.metadata import Object

if TYPE_CHECKING:
    from moorage.controllers.certificate_requests import Signer
    from moorage.controllers.garbage_collector import Collector


@dataclass(frozen=True, slots=True)
class Settings:
    """What controllers must be told.

    authority:    the certificate authority that namespaces publish, as PEM.
    provisioners: the names of the provisioners that are served here.
    resources:    every resource that the API serves, in every version; may grow.
    sign:         makes a token for an account and the Secret that holds it; None: Secrets are not filled in.
    sign_request: makes certificates for those whose requests were approved; None: requests are not signed.
    """

    authority: str
    provisioners: Collection[str]
    resources: Callable[[], Iterable[Resource]]
    sign: Callable[[Object, Object], str] | None = None
    sign_request: "Signer | None" = None


def controllers(settings: Settings) -> tuple[Controller, ...]:
    """Return every controller, in the order in which they are started."""
    from moorage.controllers import (
        admission_policies,
        api_services,
        certificate_requests,
        cluster_role_aggregation,
        cronjob,
        custom_resources,
        daemonset,
        deployment,
        disruption_budgets,
        endpoints,
        endpointslices,
        garbage_collector,
        horizontal_pod_autoscaler,
        ip_addresses,
        job,
        namespaces,
        node_health,
        node_ttl,
        pod_cleanup,
        quotas,
        replicaset,
        service_accounts,
        service_cidrs,
        statefulset,
        taint_eviction,
        token_secrets,
    )
    from moorage.controllers.job import cleanup
    from moorage.controllers.volumes import binder, expansion, protection, provisioner

    def content() -> Sequence[str]:
        return sorted({row.id for row in settings.resources() if namespaces.is_content(row)})

    def countable() -> Sequence[str]:
        return sorted({row.id for row in settings.resources() if quotas.is_countable(row)})

    return (
        service_accounts.ACCOUNT_CONTROLLER,
        service_accounts.certificate_controller(settings.authority),
        *([token_secrets.controller_for(settings.authority, settings.sign)] if settings.sign is not None else ()),
        *([certificate_requests.controller_for(settings.sign_request)] if settings.sign_request is not None else ()),
        statefulset.CONTROLLER,
        replicaset.CONTROLLER,
        replicaset.REPLICATION,
        deployment.CONTROLLER,
        daemonset.DaemonSets().controller(),
        job.Jobs().controller(),
        cronjob.CONTROLLER,
        cleanup.TTL_CONTROLLER,
        cleanup.ORPHAN_CONTROLLER,
        binder.CLAIM_CONTROLLER,
        binder.VOLUME_CONTROLLER,
        *provisioner.controllers_for(settings.provisioners),
        protection.CLAIM_CONTROLLER,
        protection.VOLUME_CONTROLLER,
        expansion.controller_for(settings.provisioners),
        custom_resources.CONTROLLER,
        api_services.CONTROLLER,
        garbage_collector.controller_for(_collector(settings), _collectable(settings)),
        namespaces.controller_for(content),
        service_cidrs.CONTROLLER,
        ip_addresses.ADDRESS_CONTROLLER,
        ip_addresses.SERVICE_CONTROLLER,
        endpoints.CONTROLLER,
        endpointslices.CONTROLLER,
        endpointslices.MIRROR_CONTROLLER,
        node_health.NodeHealth().controller(),
        node_ttl.CONTROLLER,
        taint_eviction.TaintEviction().controller(),
        disruption_budgets.CONTROLLER,
        horizontal_pod_autoscaler.CONTROLLER,
        disruption_budgets.STALE_CONTROLLER,
        quotas.controller_for(countable),
        cluster_role_aggregation.CONTROLLER,
        admission_policies.CONTROLLER,
        pod_cleanup.PodCleanup().controller(),
    )


def controllers_of_new(settings: Settings, resources: Iterable[str]) -> tuple[Controller, ...]:
    """Return the controllers of resources (ids) that came after the others were started."""
    from moorage.controllers import garbage_collector

    ids = sorted(set(resources) & set(_collectable(settings)))
    return (garbage_collector.controller_for(_collector(settings), ids),) if ids else ()


def _collectable(settings: Settings) -> Sequence[str]:
    from moorage.controllers import garbage_collector

    return sorted({row.id for row in settings.resources() if garbage_collector.is_collectable(row)})


def _collector(settings: Settings) -> "Collector":
    from moorage.controllers import garbage_collector

    def resource_of(api_version: str, kind: str) -> Resource | None:
        # Asked for every change of every object with owners: the table of built-in kinds answers without a search.
        return resource_of_kind(api_version, kind) or next(
            (row for row in settings.resources() if (row.api_version, row.kind) == (api_version, kind)), None
        )

    return garbage_collector.Collector(resource_of, lambda: _collectable(settings))
