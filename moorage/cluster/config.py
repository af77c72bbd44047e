"""What a cluster is made of: one frozen configuration, and where its state lives. The only reader of the environment."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import orjson

#: Addresses of Services that are always taken. Source: kubeadm's defaults.
API_SERVICE_ADDRESS = "10.96.0.1"
DNS_SERVICE_ADDRESS = "10.96.0.10"
#: What the API's own Endpoints name while it listens on loopback, which cannot stand there: the first real node's
#: address, whose port leads to the API.
API_NODE_ADDRESS = "172.30.0.1"
CLUSTER_DOMAIN = "cluster.local"


class ConfigurationError(Exception):
    """The configuration makes no sense, or cannot be read; the message says what to do."""


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """One cluster.

    name:            its name; the kubeconfig context is `moorage-NAME`. Default "default".
    directory:       where its state lives; everything of the cluster is below it.
    nodes:           how many nodes run real pods. Default 1: enough for most, and it costs least.
    simulated_nodes: how many nodes only pretend. Default 0.
    memory:          keep objects in memory alone; they are gone after `down`. Default no.
    host:            the address that the API listens on. Default loopback: nobody else can reach it.
    port:            its port; 0 takes the one of the last start, or a free one.
    """

    name: str
    directory: Path
    nodes: int = 1
    simulated_nodes: int = 0
    memory: bool = False
    host: str = "127.0.0.1"
    port: int = 0

    @property
    def context(self) -> str:
        """The name of the cluster's context in a kubeconfig."""
        return f"moorage-{self.name}"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's own kubeconfig."""
        return self.directory / "kubeconfig"

    @property
    def log(self) -> Path:
        """What the cluster's process says."""
        return self.directory / "moorage.log"

    @property
    def node_names(self) -> tuple[str, ...]:
        """The names of the nodes that run real pods."""
        return tuple(f"{self.name}-{index}" for index in range(1, self.nodes + 1))

    @property
    def simulated_node_names(self) -> tuple[str, ...]:
        """The names of the nodes that only pretend."""
        return tuple(f"{self.name}-sim-{index}" for index in range(1, self.simulated_nodes + 1))

    def save(self) -> None:
        """Write the configuration down, so that the next `up` without options makes the same cluster."""
        path = self.directory / "cluster.json"
        temporary = path.with_suffix(".new")
        temporary.write_bytes(orjson.dumps({**asdict(self), "directory": None}, default=str))
        temporary.replace(path)


def state_directory(name: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Return where a cluster of this name lives unless it is told otherwise: $XDG_STATE_HOME/moorage/NAME."""
    home = environment.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "moorage" / name


def kubeconfig_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the kubeconfig that contexts are written to: the first file of $KUBECONFIG, else ~/.kube/config."""
    first = environment.get("KUBECONFIG", "").split(os.pathsep)[0]
    return Path(first) if first else Path.home() / ".kube" / "config"


def saved_config(directory: Path) -> dict[str, Any]:
    """Return the options that a cluster was last started with, empty if it never was. Raises ConfigurationError."""
    path = directory / "cluster.json"
    try:
        saved = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, orjson.JSONDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}. Remove it to start with default options.") from error
    known = {field.name for field in fields(ClusterConfig)} - {"directory"}
    return {key: value for key, value in saved.items() if key in known}


def registries_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where the user says how registries are reached: $XDG_CONFIG_HOME/moorage/registries.yaml."""
    home = environment.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home) / "moorage" / "registries.yaml"
