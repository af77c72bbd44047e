"""`moorage image`: load, list and remove the images of a running cluster's nodes."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from moorage.cli.__main__ import Refused
from moorage.cli.options import cluster_options, directory_of, running
from moorage.cluster.control import ControlRefused, ask


@click.group()
def command() -> None:
    """Load, list and remove images for the cluster's nodes."""


@command.command()
@cluster_options
@click.argument("archive", type=click.Path(path_type=Path, allow_dash=True))
def load(name: str, data_dir: Path | None, archive: Path) -> None:
    """Load a docker archive (`docker save`) or an OCI layout: its images answer for their names from now on.

    ARCHIVE is a file, a directory with an OCI layout, or - for standard input.
    """
    if str(archive) != "-":
        _load(name, data_dir, archive.absolute())
        return
    with tempfile.NamedTemporaryFile(prefix="moorage-image-") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
        file.flush()
        _load(name, data_dir, Path(file.name))


def _load(name: str, data_dir: Path | None, archive: Path) -> None:
    if not archive.exists():
        raise Refused(f"{archive} does not exist.")
    for answer in _asked(name, data_dir, {"do": "image-load", "path": str(archive)}):
        click.echo(f"Loaded {answer['reference']}")


@command.command(name="list")
@cluster_options
def list_(name: str, data_dir: Path | None) -> None:
    """List the images that are here."""
    rows = [("IMAGE", "ID", "SIZE")]
    for answer in _asked(name, data_dir, {"do": "image-list"}):
        identity = answer["id"].removeprefix("sha256:")[:12]
        rows += [(each, identity, _size(answer["size"])) for each in answer["references"] or ["<none>"]]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    for row in rows:
        click.echo(f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}")


@command.command()
@cluster_options
@click.argument("reference")
def remove(name: str, data_dir: Path | None, reference: str) -> None:
    """Remove an image; one that a container uses is kept."""
    for _ in _asked(name, data_dir, {"do": "image-remove", "reference": reference}):
        pass
    click.echo(f"Removed {reference}")


def _asked(name: str, data_dir: Path | None, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    running(name, data_dir)
    try:
        yield from ask(directory_of(name, data_dir), request)
    except ControlRefused as error:
        raise Refused(f"{error}") from error
    except OSError as error:
        raise Refused(f"the cluster's process cannot be reached: {error}") from error


def _size(size_bytes: int) -> str:
    size = float(size_bytes)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
