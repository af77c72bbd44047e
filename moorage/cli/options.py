"""Options that many commands share, and what they stand for."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from moorage.cli.__main__ import Refused
from moorage.cluster.config import ConfigurationError, state_directory
from moorage.cluster.instance import Instance, find

#: A cluster's name becomes part of node names and of a kubeconfig context.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?")


def _checked_name(_: click.Context, __: click.Parameter, value: str) -> str:
    if not _NAME.fullmatch(value):
        raise click.BadParameter(
            "use up to 42 lower case letters, digits and '-', beginning and ending with a letter or digit"
        )
    return value


def cluster_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --name and --data-dir."""
    command = click.option(
        "--data-dir",
        type=click.Path(path_type=Path, file_okay=False),
        help="Where the cluster's state lives. Default: $XDG_STATE_HOME/moorage/NAME.",
    )(command)
    return click.option(
        "--name", default="default", show_default=True, callback=_checked_name, help="The cluster's name."
    )(command)


def directory_of(name: str, data_dir: Path | None) -> Path:
    """Return the directory of a cluster's state, absolute."""
    return (data_dir or state_directory(name)).absolute()


def running(name: str, data_dir: Path | None) -> Instance:
    """Return the running cluster. Raises Refused when it does not run."""
    try:
        instance = find(directory_of(name, data_dir))
    except ConfigurationError as error:
        raise Refused(str(error)) from error
    if instance is None:
        raise Refused(f'cluster "{name}" does not run.', hint=f"Start it with: moorage up{name_flag(name)}")
    return instance


def name_flag(name: str) -> str:
    """Return the flag that names the cluster in a suggested command."""
    return "" if name == "default" else f" --name {name}"
