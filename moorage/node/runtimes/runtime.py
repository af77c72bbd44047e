"""The Runtime Protocol: CRI's verbs and nouns in Python. tests/contracts/runtime.py is the suite that each one passes.

Every verb may be repeated; "already done" is success. Ids are made by the caller's configuration, so that a restarted
agent finds what it started: a sandbox is identified by the pod's uid, a container by (pod uid, name, attempt).
Source of the nouns: k8s.io/cri-api runtime/v1 (v0.37).
"""

import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from moorage.aio.process import Process


class RuntimeFailure(Exception):
    """The runtime could not do it. `reason` is the word a pod's status shows; `temporary` tells whether to try again."""

    def __init__(self, reason: str, message: str, *, temporary: bool = True) -> None:
        super().__init__(message)
        self.reason = reason
        self.temporary = temporary


@dataclass(frozen=True, slots=True)
class Mount:
    """A directory or file of the host that appears in a container."""

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """What all containers of a pod share.

    log_directory holds `<container>/<attempt>.log` in CRI format. `ip` is "" for a pod on the host's network.
    Limits: memory and pids of 0 mean none. labels: the pod's own, as CRI passes them on.
    """

    uid: str
    name: str
    namespace: str
    hostname: str
    log_directory: str
    ip: str = ""
    host_network: bool = False
    share_process_namespace: bool = False
    dns_servers: Sequence[str] = ()
    dns_searches: Sequence[str] = ()
    dns_options: Sequence[str] = ()
    hosts_file: str = ""
    sysctls: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ContainerConfig:
    """One attempt at running a container. `image` is the id that image_status or pull_image gave.

    command replaces the image's entrypoint, args its command; empty means the image's own. pid_target: the container whose
    processes this one sees, "" for none. cpu in cores, memory in
    bytes; 0 means no limit.
    """

    name: str
    attempt: int
    image: str
    command: Sequence[str] = ()
    args: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    working_dir: str = ""
    mounts: Sequence[Mount] = ()
    user: int | None = None
    group: int | None = None
    supplemental_groups: Sequence[int] = ()
    read_only_root: bool = False
    privileged: bool = False
    capabilities_add: Sequence[str] = ()
    capabilities_drop: Sequence[str] = ()
    no_new_privileges: bool = False
    tty: bool = False
    stdin: bool = False
    stdin_once: bool = False
    pid_target: str = ""
    memory_bytes: int = 0
    cpu_cores: float = 0.0


@dataclass(frozen=True, slots=True)
class ContainerState:
    """What the runtime knows of one attempt. state: created, running or exited; times are seconds since the epoch."""

    name: str
    attempt: int
    id: str
    state: str
    image: str = ""
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int = 0
    signal: int = 0
    oom_killed: bool = False
    message: str = ""


@dataclass(frozen=True, slots=True)
class SandboxState:
    """What the runtime knows of one pod."""

    uid: str
    name: str
    namespace: str
    ip: str
    ready: bool
    containers: tuple[ContainerState, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageStatus:
    """An image that is here. id is the digest of its configuration; entrypoint, command, env, user and the rest are its own."""

    id: str
    reference: str
    digest: str = ""
    size_bytes: int = 0
    user: str = ""
    references: tuple[str, ...] = ()


class Runtime(Protocol):
    """Runs sandboxes and containers on one node."""

    #: Shown as the node's containerRuntimeVersion: "native://0.1".
    version: str

    async def start(self) -> None:
        """Get ready and take over what a former agent left running. Raises RuntimeFailure with what to do."""

    async def close(self) -> None:
        """Let go; what runs goes on running."""

    async def list_sandboxes(self) -> Sequence[SandboxState]:
        """Return every sandbox with its containers, also those a former agent started."""

    async def sandbox_state(self, uid: str) -> SandboxState | None:
        """Return one sandbox with its containers, None if there is none."""

    async def run_sandbox(self, config: SandboxConfig) -> SandboxState:
        """Make the pod's namespaces and its address."""

    async def stop_sandbox(self, uid: str) -> None:
        """End all of its containers at once and free its address and mounts."""

    async def remove_sandbox(self, uid: str) -> None:
        """Forget the stopped sandbox and remove its files (not its volumes, not its logs)."""

    async def create_container(self, uid: str, config: ContainerConfig) -> str:
        """Prepare the root filesystem; returns the container's id."""

    async def start_container(self, uid: str, container: str) -> None:
        """Start it. Raises RuntimeFailure("StartError" or "RunContainerError") when the command cannot be executed."""

    async def stop_container(self, uid: str, container: str, grace_seconds: float, stop_signal: str = "") -> None:
        """Send the signal ("": the image's own, else SIGTERM), wait up to grace_seconds for the end, then kill."""

    async def remove_container(self, uid: str, container: str) -> None:
        """Remove an exited container's files (not its logs)."""

    async def exec(self, uid: str, container: str, command: Sequence[str], *, tty: bool, stdin: bool) -> Process:
        """Run a command beside the container's own. Raises RuntimeFailure when it cannot be executed."""

    async def attach(self, uid: str, container: str) -> Process:
        """Join the container's own standard streams."""

    async def dial(self, uid: str, port: int) -> socket.socket:
        """Return a connection to a TCP port inside the pod, non-blocking. Raises OSError."""

    def events(self) -> AsyncIterator[str]:
        """Yield the uid of each sandbox in which something ended, as it happens."""

    async def image_status(self, reference: str) -> ImageStatus | None:
        """Return the image if it is here."""

    async def pull_image(self, reference: str, credentials: Mapping[str, tuple[str, str]] | None = None) -> ImageStatus:
        """Fetch the image. credentials: registry → (user, password), from the pod's imagePullSecrets.

        Raises RuntimeFailure("ErrImagePull", "InvalidImageName", "RegistryUnavailable", …).
        """

    async def list_images(self) -> Sequence[ImageStatus]:
        """Return every image that is here."""

    async def remove_image(self, reference: str) -> None:
        """Remove the image; layers that no other image uses go too."""
