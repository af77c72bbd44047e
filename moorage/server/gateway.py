"""The PodGateway Protocol: how the server reaches inside pods (logs, exec, attach, port-forward).

The cluster gives the server an implementation that finds the pod's node. All verbs raise StatusError.
"""

import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from moorage.aio.process import Process
from moorage.objects.metadata import Object


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Which part of a container's log. None means no limit; `container` "" the only one (or the default one)."""

    container: str = ""
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    since_seconds: int | None = None
    since_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class ExecOptions:
    """A command to run in a container; `stdin` and `tty` as the client asked."""

    container: str
    command: Sequence[str]
    stdin: bool = False
    tty: bool = False


class PodGateway(Protocol):
    """Reaches inside pods, wherever they run."""

    async def logs(self, pod: Object, options: LogOptions) -> AsyncIterator[bytes]:
        """Return the log as chunks of whole lines; it ends with the container unless there is more to follow."""

    async def exec(self, pod: Object, options: ExecOptions) -> Process:
        """Run a command in a container of the pod."""

    async def attach(self, pod: Object, options: ExecOptions) -> Process:
        """Join the standard streams of a container; `options.command` is empty."""

    async def dial(self, pod: Object, port: int) -> socket.socket:
        """Return a non-blocking connection to a TCP port inside the pod."""
