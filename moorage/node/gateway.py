"""Reaches inside pods for the API server: finds the pod's node here and asks its runtime (server.gateway.PodGateway)."""

import socket
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path

from moorage.aio.clock import Clock
from moorage.aio.process import Process
from moorage.node.agent import Agent
from moorage.node.containers import log_directory
from moorage.node.logs import Excerpt, attempts_in, read_log
from moorage.node.runtimes.runtime import ContainerState, RuntimeFailure
from moorage.objects.errors import BadRequest, InternalError, NotFound
from moorage.objects.metadata import Object, name_of, uid_of
from moorage.server.gateway import ExecOptions, LogOptions


class LocalGateway:
    """Reaches the pods of the nodes in this process."""

    def __init__(self, agents: Mapping[str, Agent], clock: Clock) -> None:
        self._agents = agents
        self._clock = clock

    async def logs(self, pod: Object, options: LogOptions) -> AsyncIterator[bytes]:
        """Return the log as chunks of whole lines."""
        agent = self._agent(pod)
        directory = Path(log_directory(agent.facts, pod)) / options.container
        files = attempts_in(directory)
        name = name_of(pod)
        if options.previous:
            if len(files) < 2:
                raise BadRequest(f'previous terminated container "{options.container}" in pod "{name}" not found')
            files = files[:-1]
        if not files:
            reason = _waiting_reason(pod, options.container)
            raise BadRequest(f'container "{options.container}" in pod "{name}" is waiting to start: {reason}')
        since = options.since_time
        if options.since_seconds is not None:
            since = self._clock.now() - timedelta(seconds=options.since_seconds)
        excerpt = Excerpt(options.timestamps, options.tail_lines, options.limit_bytes, since)
        follows = None
        if options.follow and not options.previous:
            attempt = int(files[-1].stem)

            def follows() -> bool:
                return agent.runs(uid_of(pod), options.container, attempt)

        return read_log(files[-1], excerpt, follows)

    async def exec(self, pod: Object, options: ExecOptions) -> Process:
        """Run a command in a container of the pod."""
        agent = self._agent(pod)
        container = await self._running(agent, pod, options.container)
        try:
            return await agent.runtime.exec(
                uid_of(pod), container.id, options.command, tty=options.tty, stdin=options.stdin
            )
        except RuntimeFailure as error:
            raise InternalError(f"Internal error occurred: error executing command in container: {error}") from error

    async def attach(self, pod: Object, options: ExecOptions) -> Process:
        """Join the standard streams of a container."""
        agent = self._agent(pod)
        container = await self._running(agent, pod, options.container)
        try:
            return await agent.runtime.attach(uid_of(pod), container.id)
        except RuntimeFailure as error:
            raise InternalError(f"Internal error occurred: error attaching to container: {error}") from error

    async def dial(self, pod: Object, port: int) -> socket.socket:
        """Return a connection to a TCP port inside the pod. Raises OSError."""
        return await self._agent(pod).runtime.dial(uid_of(pod), port)

    def _agent(self, pod: Object) -> Agent:
        node = pod["spec"].get("nodeName") or ""
        agent = self._agents.get(node)
        if agent is None:
            raise NotFound(f'nodes "{node}" does not run pods in this cluster', details={"name": node, "kind": "nodes"})
        return agent

    async def _running(self, agent: Agent, pod: Object, container: str) -> ContainerState:
        sandbox = await agent.runtime.sandbox_state(uid_of(pod))
        states = [each for each in sandbox.containers if each.name == container] if sandbox else []
        newest = max(states, key=lambda each: each.attempt, default=None)
        if newest is None or newest.state != "running":
            raise InternalError(
                f'Internal error occurred: unable to upgrade connection: container not found ("{container}")'
            )
        return newest


def _waiting_reason(pod: Object, container: str) -> str:
    status = pod.get("status") or {}
    for each in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        if each["name"] == container and (waiting := (each.get("state") or {}).get("waiting")):
            return str(waiting.get("reason") or "ContainerCreating")
    return "ContainerCreating"
