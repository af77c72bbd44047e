"""Nodes that somebody posts with KWOK's annotation are simulated from then on, until they are deleted.

So manifests and tests that were written for KWOK's nodes run unchanged: such a Node keeps the name, the labels and the
amounts that it was posted with. Source: KWOK's `--manage-nodes-with-annotation-selector` (v0.8).
"""

import logging
from typing import Final, Protocol

from moorage.aio.tasks import Tasks
from moorage.node.agent import Agent
from moorage.node.runtimes.runtime import RuntimeFailure
from moorage.objects.encoded import Encoded
from moorage.objects.errors import StatusError
from moorage.objects.metadata import annotations_of
from moorage.reconciler.informer import Informers

log = logging.getLogger(__name__)

#: The annotation that says who runs the node, and its value.
ANNOTATION: Final = ("kwok.x-k8s.io/node", "fake")


class Roster(Protocol):
    """Who starts and stops simulated nodes."""

    async def start_simulated(self, name: str) -> Agent:
        """Start a simulated node and hand it its pods."""

    async def retire(self, agent: Agent) -> None:
        """Stop a node whose object is gone."""


class PostedNodes:
    """Follows the Nodes and gives each that asks for it an agent."""

    def __init__(self, informers: Informers, tasks: Tasks, roster: Roster) -> None:
        self._cache = informers.cache("nodes")
        self._tasks = tasks
        self._roster = roster
        #: By the uid of the Node, None until it runs: one that is posted again under its old name is another one.
        self._agents: dict[str, Agent | None] = {}

    async def start(self) -> None:
        """Take the nodes that are there, then those that come."""
        await self._cache.synced()
        self._cache.subscribe(self._changed)
        for item in self._cache.all():
            self._changed(item, None)

    def _changed(self, new: Encoded | None, old: Encoded | None) -> None:
        if new is not None and new.uid not in self._agents and is_posted(new):
            self._agents[new.uid] = None
            self._tasks.start(f"posted-node/{new.name}", self._adopt(new))
        elif new is None and old is not None:
            agent = self._agents.pop(old.uid, None)
            if agent is not None:
                self._tasks.start(f"retire-node/{old.name}", self._roster.retire(agent))

    async def _adopt(self, node: Encoded) -> None:
        try:
            agent = await self._roster.start_simulated(node.name)
        except (RuntimeFailure, StatusError, ConnectionError) as error:
            self._agents.pop(node.uid, None)
            log.warning("node_not_simulated node=%s error=%s", node.name, error)
            return
        if node.uid in self._agents:
            self._agents[node.uid] = agent
        else:
            await self._roster.retire(agent)  # it was deleted meanwhile


def is_posted(node: Encoded) -> bool:
    """Tell whether the Node asks to be simulated."""
    name, value = ANNOTATION
    return name.encode() in node.raw and annotations_of(node.object).get(name) == value
