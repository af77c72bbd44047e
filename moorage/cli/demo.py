"""`moorage demo`: lessons that play on a running cluster, beside the reader."""

import asyncio
import sys
from pathlib import Path

import click

from moorage.cli.__main__ import Refused
from moorage.cli.options import cluster_options, directory_of, name_flag, running


@click.group()
def command() -> None:
    """Play a lesson on a running cluster."""


@command.command()
@cluster_options
@click.option("--keep", is_flag=True, help="Leave what the lesson made in the namespace moorage-demo.")
def statefulset(name: str, data_dir: Path | None, keep: bool) -> None:
    """A ReplicaSet's pods are interchangeable; a StatefulSet's pods each have a berth: a name, an order, a volume."""
    from moorage.cli.lesson import Lesson, LessonFailed
    from moorage.cli.stage import LiveStage, PlainStage
    from moorage.client.http import HttpClient
    from moorage.client.kubeconfig import KubeconfigError

    instance = running(name, data_dir)
    if not instance.nodes:
        raise Refused(
            "this lesson needs a node that runs real pods, and the cluster has none.",
            hint=f"Start one with: moorage down{name_flag(name)} && moorage up{name_flag(name)} --nodes 2",
        )
    directory = directory_of(name, data_dir)
    stage = LiveStage() if sys.stdout.isatty() else PlainStage()

    async def play() -> None:
        client = HttpClient.from_kubeconfig(directory / "kubeconfig", agent="moorage-demo")
        try:
            await Lesson(client, stage, directory / "volumes").play(keep=keep)
        finally:
            await client.close()

    try:
        asyncio.run(play())
    except (LessonFailed, KubeconfigError, ConnectionError) as error:
        raise Refused(str(error), hint=f"See what the cluster says with: moorage logs{name_flag(name)}") from error
    except KeyboardInterrupt:
        raise Refused("interrupted.", hint="Remove what is left with: kubectl delete namespace moorage-demo") from None
