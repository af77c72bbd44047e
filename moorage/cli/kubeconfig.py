"""`moorage kubeconfig`: print the administrator's kubeconfig."""

from pathlib import Path

import click

from moorage.cli.options import cluster_options, directory_of, running


@click.command()
@cluster_options
def command(name: str, data_dir: Path | None) -> None:
    """Print the administrator's kubeconfig of a running cluster."""
    running(name, data_dir)
    click.echo((directory_of(name, data_dir) / "kubeconfig").read_text(), nl=False)
