"""`moorage version`: what runs here."""

import platform

import click
import orjson

from moorage import KUBERNETES_VERSION, __version__


@click.command()
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="How to print it.")
def command(output: str) -> None:
    """Print the versions of Moorage and of the Kubernetes that it speaks."""
    facts = {"moorage": __version__, "kubernetes": KUBERNETES_VERSION, "python": platform.python_version()}
    if output == "json":
        click.echo(orjson.dumps(facts, option=orjson.OPT_INDENT_2))
        return
    for name, version in facts.items():
        click.echo(f"{name:<12}{version}")
