"""`moorage simulate`: live through random lives of a cluster in virtual time, each decided by a seed."""

import logging
import sys
import time

import click

from moorage.cli.__main__ import Refused


@click.command()
@click.option("--seed", type=int, default=1, show_default=True, help="The first seed.")
@click.option(
    "--count", type=click.IntRange(1), default=1, show_default=True, help="How many seeds, one after another."
)
@click.option(
    "--acts", type=click.IntRange(0), default=25, show_default=True, help="How often the user does something."
)
@click.option("--nodes", type=click.IntRange(1, 100), default=3, show_default=True, help="How many nodes there are.")
@click.option(
    "--calm", is_flag=True, help="Nothing goes wrong: no lost requests, broken watches, crashes, silent nodes."
)
@click.option("--verbose", is_flag=True, help="Print what the user did and what went wrong.")
def command(seed: int, count: int, acts: int, nodes: int, calm: bool, verbose: bool) -> None:
    """Simulate whole clusters: users act, things go wrong, then all must come to rest and stay so.

    The same seed gives the same life. A failure prints what led to it, and how to see it again.
    """
    from moorage.testing.faults import CALM
    from moorage.testing.simulation import Settings, SimulationFailed, simulate

    logging.disable(logging.ERROR)  # what is simulated to fail is not news
    settings = Settings(acts, nodes)
    if calm:
        settings = Settings(acts, nodes, CALM, restart=0, silence=0, compaction=0)
    failed = []
    for each in range(seed, seed + count):
        began = time.perf_counter()
        try:
            report = simulate(each, settings)
        except SimulationFailed as error:
            click.echo(str(error), err=True)
            failed.append(each)
            continue
        took = time.perf_counter() - began
        click.echo(
            f"seed {each}: {report.changes} changes in {report.seconds:.0f} s, simulated in {took:.2f} s, {report.digest}"
        )
        if verbose:
            click.echo("\n".join(report.acts))
            click.echo(", ".join(f"{name}: {times}" for name, times in sorted(report.faults.items()) if times))
    if failed:
        raise Refused(f"{len(failed)} of {count} seeds failed: {', '.join(map(str, failed))}")
    sys.exit(0)
