"""What the agent knows of a pod's sandbox, and the plain data that the shim gets. No processes in here."""

import dataclasses
import hashlib
import json
import re
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moorage.node.images.store import Image
from moorage.node.runtimes.native.credentials import capability_mask
from moorage.node.runtimes.runtime import ContainerConfig, ContainerState, RuntimeFailure, SandboxConfig, SandboxState

if TYPE_CHECKING:
    import asyncio

    from moorage.node.runtimes.native.channel import Channel

_ENDED_UNSEEN = "the container ended with the process that kept it"


class Sandbox:
    """One pod on this node. channel is None once its shim has ended."""

    def __init__(self, pod: dict[str, Any]) -> None:
        self.pod = pod
        self.channel: Channel | None = None
        self.containers: dict[str, ContainerState] = {}
        #: Commands that run beside containers: the number of the question → its exit code to come.
        self.commands: dict[int, asyncio.Future[int]] = {}
        self._ends: dict[str, list[asyncio.Future[int]]] = {}

    @property
    def uid(self) -> str:
        """The pod's uid."""
        return str(self.pod["uid"])

    @property
    def directory(self) -> str:
        """Where its files are."""
        return str(self.pod["directory"])

    def state(self) -> SandboxState:
        """Return what the Protocol shows."""
        return SandboxState(
            self.uid,
            self.pod["name"],
            self.pod["namespace"],
            self.pod["ip"],
            self.channel is not None,
            tuple(self.containers.values()),
        )

    def note(self, state: Mapping[str, Any]) -> None:
        """Take over what the shim or a file says of a container."""
        self.put(ContainerState(**state))

    def put(self, state: ContainerState) -> None:
        """Take over a container's state and tell those who wait for its end."""
        self.containers[state.id] = state
        if state.state == "exited":
            for ended in self._ends.pop(state.id, []):
                if not ended.done():
                    ended.set_result(state.exit_code)

    def watch_end(self, container: str, ended: "asyncio.Future[int]") -> None:
        """Give `ended` the exit code as soon as there is one."""
        self._ends.setdefault(container, []).append(ended)
        self.put(self.containers[container])


def read_json(path: str) -> dict[str, Any] | None:
    """Return the object in a small file, or None when it is not there or not whole."""
    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def read_states(sandbox: Sandbox, now: float) -> None:
    """Take over the containers that only files know of; what was running in one has ended, `now` at the latest."""
    for path in Path(sandbox.directory).glob("containers/*/state.json"):
        state = read_json(str(path))
        if state is not None and state["id"] not in sandbox.containers:
            sandbox.note(state)
    if sandbox.channel is None:
        end_all(sandbox, now)


def end_all(sandbox: Sandbox, now: float) -> None:
    """Note that every container has ended with its shim, and write it down."""
    for state in list(sandbox.containers.values()):
        if state.state != "exited":
            ended = dataclasses.replace(
                state, state="exited", exit_code=137, signal=9, finished_at=now, message=_ENDED_UNSEEN
            )
            sandbox.put(ended)
            path = Path(container_directory(sandbox, state.name, state.attempt)) / "state.json"
            if path.parent.is_dir():
                path.write_text(json.dumps(dataclasses.asdict(ended)))


def container_id_for(uid: str, name: str, attempt: int) -> str:
    """Return the id of an attempt, the same in every agent: 64 hexadecimal digits as the field has them."""
    return hashlib.sha256(f"{uid}/{name}/{attempt}".encode()).hexdigest()


def container_directory(sandbox: Sandbox, name: str, attempt: int) -> str:
    """Return where an attempt's root filesystem and state are."""
    return f"{sandbox.directory}/containers/{name}_{attempt}"


def signal_number(name: str) -> int:
    """Return the number of "SIGTERM", "TERM", "15" or "SIGRTMIN+3"; 15 for a name that is none."""
    plain = name.upper().removeprefix("SIG")
    if plain.isdigit():
        return int(plain)
    base, _, offset = plain.partition("+")
    number = getattr(signal.Signals, f"SIG{base}", signal.SIGTERM)
    return int(number) + (int(offset) if offset.isdigit() else 0)


#: Sysctls that belong to a pod's own namespaces; any other one would change the whole machine.
_POD_SYSCTL = re.compile(r"(net\.(?:[\w-]+\.)*[\w-]+)|kernel\.(?:shm[a-z_]+|msg[a-z_]+|sem)|fs\.mqueue\.[a-z_]+")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def check_sandbox(config: SandboxConfig) -> None:
    """Refuse what would reach beyond the pod. Raises RuntimeFailure("SysctlForbidden", "InvalidSandboxConfig")."""
    if not _PLAIN_NAME.fullmatch(config.uid):
        raise RuntimeFailure(
            "InvalidSandboxConfig", f"the pod's uid {config.uid!r} cannot name a file", temporary=False
        )
    for name in config.sysctls:
        allowed = _POD_SYSCTL.fullmatch(name)
        if allowed is None or (config.host_network and allowed[1]):
            raise RuntimeFailure("SysctlForbidden", f'forbidden sysctl: "{name}" not allowed in pod', temporary=False)


def pod_for(config: SandboxConfig, ip: str, directory: str) -> dict[str, Any]:
    """Return the pod as the shim knows it; the runtime adds mode, gateway and interface."""
    hostname = config.hostname or config.name
    files = {"hostname": f"{hostname}\n", "hosts": _hosts_for(config, ip, hostname)}
    if resolver := _resolver_for(config):
        files["resolv.conf"] = resolver
    return {
        "uid": config.uid,
        "name": config.name,
        "namespace": config.namespace,
        "hostname": hostname,
        "ip": ip,
        "host_network": config.host_network,
        "share_pid": config.share_process_namespace,
        "files": files,
        "sysctls": dict(config.sysctls),
        "directory": directory,
        "log_directory": config.log_directory,
    }


def _hosts_for(config: SandboxConfig, ip: str, hostname: str) -> str:
    if config.hosts_file.startswith("/"):
        return Path(config.hosts_file).read_text()
    if config.hosts_file:
        return config.hosts_file
    lines = ["# Kubernetes-managed hosts file.", "127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"]
    return "\n".join([*lines, f"{ip or '127.0.0.1'}\t{hostname}", ""])


def _resolver_for(config: SandboxConfig) -> str:
    lines = []
    if config.dns_searches:
        lines.append("search " + " ".join(config.dns_searches))
    lines += [f"nameserver {server}" for server in config.dns_servers]
    if config.dns_options:
        lines.append("options " + " ".join(config.dns_options))
    return "\n".join([*lines, ""]) if lines else ""


def spec_for(sandbox: Sandbox, identity: str, config: ContainerConfig, image: Image) -> dict[str, Any]:
    """Return the container as the shim knows it. Raises ValueError when it cannot be run."""
    own = image.config
    argv = command_for(config.command, config.args, own)
    if not argv:
        raise ValueError("no command specified: neither the pod nor the image has one")
    environment = dict(entry.partition("=")[::2] for entry in own.get("Env") or ())
    mounts = [*image.mounts, *config.mounts]
    return {
        "id": identity,
        "name": config.name,
        "attempt": config.attempt,
        "image": config.image,
        "directory": container_directory(sandbox, config.name, config.attempt),
        "layers": list(reversed(image.layers)),
        "argv": argv,
        "env": {**environment, **config.env},
        "cwd": config.working_dir or own.get("WorkingDir") or "/",
        "mounts": [[one.source, one.target, one.read_only] for one in mounts],
        "user": _user_for(config, own.get("User") or ""),
        "groups": list(config.supplemental_groups),
        "read_only": config.read_only_root,
        "privileged": config.privileged,
        "capabilities": capability_mask(
            config.capabilities_add, config.capabilities_drop, privileged=config.privileged
        ),
        "no_new_privileges": config.no_new_privileges,
        "tty": config.tty,
        "stdin": config.stdin,
        "stdin_once": config.stdin_once,
        "pid_target": config.pid_target,
        "memory": config.memory_bytes,
        "cpu": config.cpu_cores,
        "pids": 0,
        "log": f"{sandbox.pod['log_directory']}/{config.name}/{config.attempt}.log",
    }


def command_for(command: Sequence[str], args: Sequence[str], own: Mapping[str, Any]) -> list[str]:
    """Return what is executed: the pod's command replaces entrypoint and command of the image, its args the latter."""
    if command:
        return [*command, *args]
    return [*(own.get("Entrypoint") or ()), *(args or own.get("Cmd") or ())]


def _user_for(config: ContainerConfig, own: str) -> str:
    if config.user is None and config.group is None:
        return own
    user = own.partition(":")[0] if config.user is None else str(config.user)
    return f"{user}:{config.group}" if config.group is not None else user
