"""`moorage down`: stop a cluster; its data stays unless told otherwise."""

import os
import select
import time
from pathlib import Path

import click

from moorage.cli.__main__ import Refused
from moorage.cli.options import cluster_options, directory_of, name_flag
from moorage.cluster.config import ClusterConfig, kubeconfig_path
from moorage.cluster.instance import ask_to_end, holder_of

#: How long a cluster may take to stop its pods and finish its writes, in seconds.
STOP_MOST = 60.0

#: After how many seconds the user is told what takes so long.
PATIENCE = 1.0


@click.command()
@cluster_options
@click.option("--delete-data", is_flag=True, help="Remove the cluster's objects, volumes and images as well.")
def command(name: str, data_dir: Path | None, delete_data: bool) -> None:
    """Stop a cluster; `moorage up` brings everything back. With --delete-data nothing is left."""
    directory = directory_of(name, data_dir)
    if pid := holder_of(directory):
        _stop(name, directory, pid)
    elif not directory.exists():
        click.echo(f'Cluster "{name}" does not run and has no data.')
        return
    else:
        _sweep(directory)
        click.echo(f'Cluster "{name}" does not run.')
    if delete_data:
        _delete(name, directory)
    else:
        click.echo(f"Its data stays in {directory}; `moorage up{name_flag(name)}` brings it back.")


def _stop(name: str, directory: Path, pid: int) -> None:
    handle = os.pidfd_open(pid)
    ask_to_end(pid)
    started, told = time.perf_counter(), False
    while holder_of(directory) or not select.select([handle], [], [], 0)[0]:  # it lets go of the lock before it ends
        passed = time.perf_counter() - started
        if passed > PATIENCE and not told:
            click.echo("Giving pods a moment to end …")
            told = True
        if passed > STOP_MOST:
            raise Refused(
                f"process {pid} did not end within {STOP_MOST:g} seconds.",
                hint=f"See what it does with: moorage logs{name_flag(name)}",
            )
        time.sleep(0.02)
    os.close(handle)
    _sweep(directory)
    click.echo(f'Stopped cluster "{name}".')


def _sweep(directory: Path) -> None:
    """End what a killed cluster may have left running."""
    from moorage.node.runtimes.native.sweep import sweep

    sweep(directory / "nodes")


def _delete(name: str, directory: Path) -> None:
    from moorage.client.kubeconfig import remove_context
    from moorage.node.images import trees

    volumes = directory / "volumes"
    for volume in sorted(volumes.glob("[!.]*")):
        click.echo(f"Deleting volume {volume.name}")
    trees.remove(directory)
    remove_context(kubeconfig_path(), ClusterConfig(name, directory).context)
    click.echo(f'Deleted the data of cluster "{name}".')
