"""`moorage status`: whether a cluster runs, and what it consists of."""

import sys
from dataclasses import asdict
from pathlib import Path

import click
import orjson

from moorage.cli.options import cluster_options, directory_of, name_flag
from moorage.cluster.instance import find


@click.command()
@cluster_options
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="How to print it.")
def command(name: str, data_dir: Path | None, output: str) -> None:
    """Say whether a cluster runs, and what it consists of. Exit code 1 if it does not run."""
    directory = directory_of(name, data_dir)
    instance = find(directory)
    if output == "json":
        facts = {"name": name, "directory": str(directory), "running": instance is not None}
        click.echo(orjson.dumps({**facts, **(asdict(instance) if instance else {})}, option=orjson.OPT_INDENT_2))
    elif instance is None:
        click.echo(f'Cluster "{name}" does not run. Start it with: moorage up{name_flag(name)}')
    else:
        click.echo(f'Cluster "{name}" runs since {instance.started}.')
        click.echo(f"  API        {instance.url}")
        click.echo(f"  process    {instance.pid}")
        click.echo(f"  nodes      {', '.join(instance.nodes) or 'none'}")
        click.echo(f"  simulated  {instance.simulated_nodes}")
        click.echo(f"  state      {directory}")
    sys.exit(0 if instance is not None else 1)
