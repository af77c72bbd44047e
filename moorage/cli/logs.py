"""`moorage logs`: what the cluster's own process says."""

import subprocess
from pathlib import Path

import click

from moorage.cli.__main__ import Refused
from moorage.cli.options import cluster_options, directory_of


@click.command()
@cluster_options
@click.option("-f", "--follow", is_flag=True, help="Go on printing what comes.")
@click.option("--tail", type=click.IntRange(0), default=None, help="Only the last lines. Default: all, with -f ten.")
def command(name: str, data_dir: Path | None, follow: bool, tail: int | None) -> None:
    """Print what the cluster's own process says."""
    path = directory_of(name, data_dir) / "moorage.log"
    if not path.exists():
        raise Refused(f'cluster "{name}" was never started: there is no {path}.')
    lines = tail if tail is not None else (10 if follow else None)
    start = "+1" if lines is None else str(lines)
    arguments = ["tail", "-n", start, *(["-F"] if follow else []), "--", str(path)]
    try:
        subprocess.run(arguments, check=True)
    except KeyboardInterrupt:
        return
