"""Store, API, controllers and scheduler, wired together: everything of a cluster but its front door and its nodes.

Knows nothing of files, sockets or processes, so that the simulator runs exactly this.
"""

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from moorage.aio.clock import Clock
from moorage.aio.entropy import Entropy
from moorage.aio.tasks import Tasks
from moorage.api.admission.chain import AdmissionChain
from moorage.api.admission.dynamic import Dynamic
from moorage.api.admission.policies.stage import Policies
from moorage.api.admission.webhooks.caller import WebhookCaller
from moorage.api.admission.webhooks.stage import Webhooks
from moorage.api.api import Api
from moorage.api.request import SYSTEM, User
from moorage.cluster.bootstrap import create_missing, namespaces, publish_api, service_network, system_objects
from moorage.cluster.config import API_NODE_ADDRESS
from moorage.cluster.local import LocalClient
from moorage.objects.metadata import Object
from moorage.reconciler.events import Recorder
from moorage.reconciler.informer import Informers
from moorage.reconciler.loop import Reconciler
from moorage.scheduler.loop import Scheduler
from moorage.store.store import Store
from moorage.volumes.driver import Driver

if TYPE_CHECKING:
    from moorage.controllers.certificate_requests import Signer
    from moorage.controllers.registry import Settings

log = logging.getLogger(__name__)


class ControlPlane:
    """A cluster's brain. `open`, then `start`; the tasks end with their owner."""

    def __init__(self, store: Store, clock: Clock, entropy: Entropy, tasks: Tasks) -> None:
        #: Admission webhooks. Nobody calls them before a caller is given.
        self.webhooks = Webhooks(entropy)
        self.api = Api(store, clock, entropy, AdmissionChain(entropy, Dynamic(Policies(), self.webhooks)))
        self.webhooks.converter = self.api.storage.converter
        self.lookup = self.api.lookup
        self.clock = clock
        self.entropy = entropy
        self.tasks = tasks
        self.client = self.client_for("kube-controller-manager")
        self.informers = Informers(self.client, clock, tasks)
        self.recorder = Recorder(self.client, clock)
        self.reconciler: Reconciler | None = None

    def call_webhooks_with(self, caller: WebhookCaller) -> None:
        """Reach webhooks, for admission and for conversion, by this caller from now on."""
        self.webhooks.call_with(caller)
        self.api.storage.converter.caller = caller

    def client_for(self, component: str, user: User | None = None) -> LocalClient:
        """Return a client in the name of a component; its name is the field manager of what it writes."""
        return LocalClient(self.api, user or SYSTEM, component)

    async def open(self, api_port: int, api_address: str = API_NODE_ADDRESS) -> None:
        """Load the state and create what every cluster has. The address is what the API's own Endpoints name."""
        await self.api.load()
        await create_missing(self.client, self.lookup, (*namespaces(), *service_network(self.lookup)))
        await create_missing(self.client, self.lookup, system_objects(api_port))
        await publish_api(self.client, self.lookup, api_address, api_port)

    async def grant(self) -> None:
        """Create the roles, bindings and APIServices that every cluster has. Nobody who is already there needs them."""
        from moorage.api.bootstrap_policy import bootstrap_objects
        from moorage.objects.api_services import RESOURCE, builtin_api_services

        await create_missing(self.client, self.lookup, bootstrap_objects())
        await create_missing(self.client, self.lookup, ((RESOURCE, each) for each in builtin_api_services()))

    def _follow_definitions(self, settings: "Settings") -> None:
        """Start controllers for resources that are defined from now on. Those of a resource that goes just fall silent."""
        from moorage.controllers.registry import controllers_of_new

        started = {row.id for row in self.api.resources.all()}

        def follow() -> None:
            new = {row.id for row in self.api.resources.all()} - started
            later = controllers_of_new(settings, new)
            if later and self.reconciler is not None:
                started.update(new)
                self.tasks.start(f"controllers/{','.join(sorted(new))}", self.reconciler.start(later))

        self.api.resources.changed.subscribe(follow)

    async def start(
        self,
        drivers: Mapping[str, Driver],
        certificate_authority: Callable[[], str],
        sign: Callable[[Object, Object], str] | None = None,
        sign_request: "Signer | None" = None,
    ) -> None:
        """Start controllers and scheduler; returns once their caches are filled.

        sign: makes tokens for Secrets. sign_request: makes certificates of requests.
        """
        from moorage.controllers.registry import Settings, controllers

        self.tasks.keep("events", self.recorder.run)
        self.reconciler = Reconciler(
            self.client, self.informers, self.clock, self.tasks, self.recorder, drivers=drivers
        )
        settings = Settings(certificate_authority(), drivers.keys(), self.api.resources.all, sign, sign_request)
        await self.reconciler.start(controllers(settings))
        self._follow_definitions(settings)
        scheduler = Scheduler(
            self.client_for("kube-scheduler"), self.informers, self.recorder, self.clock, self.entropy, self.tasks
        )
        await scheduler.start()
