"""`moorage up`: start a cluster in the background and return when it is ready."""

import json
import os
import select
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from moorage.cli.__main__ import Refused
from moorage.cli.options import cluster_options, directory_of, name_flag
from moorage.cluster.config import ClusterConfig, ConfigurationError, kubeconfig_path, saved_config
from moorage.cluster.instance import find, holder_of


@click.command()
@cluster_options
@click.option("--nodes", type=click.IntRange(0, 100), help="How many nodes run real pods. Default: as last time, or 1.")
@click.option("--simulated-nodes", type=click.IntRange(0, 10000), help="How many nodes only pretend to run pods.")
@click.option("--memory", is_flag=True, default=None, help="Keep objects in memory alone: they are gone after `down`.")
@click.option("--host", help="The address that the API listens on. Default: 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65535), help="Its port. Default: as last time, or a free one.")
@click.option("--foreground", is_flag=True, help="Stay in the foreground until interrupted.")
@click.option("--wait", default=60.0, show_default=True, help="How many seconds to wait until the cluster is ready.")
@click.option(
    "--set-context/--no-set-context", default=True, help="Add a context to the kubeconfig and make it current."
)
def command(name: str, data_dir: Path | None, foreground: bool, wait: float, set_context: bool, **options: Any) -> None:
    """Start a cluster in the background; return when the API and all nodes are ready."""
    began = time.perf_counter()  # what the user waits for
    config = _config(name, directory_of(name, data_dir), options)
    instance = find(config.directory)
    if instance is not None:
        click.echo(f'Cluster "{name}" already runs: {instance.url} (process {instance.pid}).')
        return
    _prepare(config)
    click.echo(f'Starting cluster "{name}" …')
    teller = _Teller(config, began, foreground=foreground, set_context=set_context)
    if foreground:
        from moorage.cluster.process import run

        sys.exit(run(config, report=teller.hear))
    process, reports = _spawn(config)
    if set_context:
        _get_ready_for_context()
    _follow(config, process, reports, wait, teller)


def _config(name: str, directory: Path, options: dict[str, Any]) -> ClusterConfig:
    try:
        saved = saved_config(directory)
    except ConfigurationError as error:
        raise Refused(str(error)) from error
    given = {key: value for key, value in options.items() if value is not None}
    return replace(ClusterConfig(name, directory), **{**saved, "name": name, **given})


def _prepare(config: ClusterConfig) -> None:
    try:
        config.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        config.save()
    except OSError as error:
        raise Refused(
            f"the state directory {config.directory} cannot be written: {error.strerror}.",
            hint="Choose another one with --data-dir.",
        ) from error
    if pid := holder_of(config.directory):
        raise Refused(f"process {pid} is starting or stopping this cluster.", hint="Wait for it, then try again.")


def _spawn(config: ClusterConfig) -> "tuple[subprocess.Popen[bytes], int]":
    """Start the cluster's process; returns it and the descriptor of its reports."""
    reader, writer = os.pipe()
    with config.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "moorage.cluster", str(config.directory), str(writer)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[writer],
            start_new_session=True,
            cwd="/",
        )
    os.close(writer)
    return process, reader


class _Teller:
    """Tells the user what a starting cluster reports: with ticks on a terminal, in plain lines elsewhere."""

    def __init__(self, config: ClusterConfig, began: float, *, foreground: bool, set_context: bool) -> None:
        self._config = config
        self._set_context = set_context
        self._foreground = foreground
        self.began = began
        self.is_ready = False
        self._tick = click.style(" ✓ ", fg="green") if sys.stdout.isatty() else " - "

    def hear(self, report: dict[str, Any]) -> None:
        """Tell what is reported. Raises Refused with what went wrong."""
        if "failed" in report:
            raise Refused(report["failed"], hint=report.get("hint", ""))
        if "step" in report:
            click.echo(f"{self._tick}{report['step']}")
        if report.get("ready"):
            self.is_ready = True
            if self._set_context:
                _set_context(self._config)
            self._say_what_next()

    def _say_what_next(self) -> None:
        name = name_flag(self._config.name)
        click.echo(f"Ready in {time.perf_counter() - self.began:.2f} s. Next:")
        if not self._set_context:
            click.echo(f"  export KUBECONFIG={self._config.kubeconfig}")
        click.echo("  kubectl get nodes")
        click.echo(f"  moorage demo statefulset{name}")
        click.echo("  Ctrl-C to stop" if self._foreground else f"  moorage down{name}")


def _follow(
    config: ClusterConfig, process: "subprocess.Popen[bytes]", reports: int, wait: float, teller: _Teller
) -> None:
    """Pass on what the process reports until it is ready. Raises Refused if it does not come to that."""
    buffer = b""
    while not teller.is_ready:
        left = wait - (time.perf_counter() - teller.began)
        ready, _, _ = select.select([reports], [], [], max(0.0, left))
        if not ready:
            process.terminate()
            raise Refused(f"the cluster was not ready within {wait:g} seconds.", hint=f"What it said: {config.log}")
        chunk = os.read(reports, 65536)
        if not chunk:
            process.wait()
            raise Refused("the cluster's process ended before it was ready.", hint=f"What it said: {config.log}")
        *lines, buffer = (buffer + chunk).split(b"\n")
        for line in lines:
            report = json.loads(line)
            if "failed" in report:
                process.wait()
            teller.hear(report)
    os.close(reports)


def _get_ready_for_context() -> None:
    """Import what changes kubeconfigs while the cluster starts, not after it."""
    import yaml  # noqa: F401

    import moorage.client.kubeconfig  # noqa: F401


def _set_context(config: ClusterConfig) -> None:
    from moorage.client.kubeconfig import KubeconfigError, merge_file

    path = kubeconfig_path()
    try:
        merge_file(path, config.kubeconfig)
    except (KubeconfigError, OSError) as error:
        raise Refused(
            f"the cluster runs, but {path} could not be changed: {error}",
            hint=f"Use its own kubeconfig: export KUBECONFIG={config.kubeconfig}",
        ) from error
    click.echo(f'Context "{config.context}" is current in {path}.')
