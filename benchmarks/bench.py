"""Measure every row of budgets.json and print how far it is from its budget, and from the real control plane.

    scripts/bench [--quick] [--only TEXT] [--oracle KUBECONFIG] [-o json]

CPU time of all server processes is the figure to trust; times by the clock wobble with what else the machine does.
With --oracle a real control plane on this machine is measured in the same run, with the same client.
"""

import argparse
import asyncio
import json
import resource
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.load import Server
from benchmarks.machine import family_of, real_control_plane
from benchmarks.rows import ON_SIMULATED, Figures, Row, many_pods, prepare, real_pods, rest
from moorage.testing.cluster_process import ClusterNotStarted, ClusterProcess, cluster_process
from moorage.testing.connection import endpoint_of

BUDGETS = Path(__file__).parent / "budgets.json"

#: Units where more is better.
_RATES = {"pods/s"}

#: What is too little to be measured counts as this.
_LEAST = 1e-3


class Line(NamedTuple):
    """A row of the result; `real` is measured in this run when there is an oracle, else as written down."""

    id: str
    work: str
    unit: str
    measured: float
    budget: float
    real: float

    @property
    def ratio(self) -> float:
        """How much of the budget is used: over 1 it is missed."""
        return self.budget / max(self.measured, _LEAST) if self.unit in _RATES else self.measured / self.budget

    @property
    def gain(self) -> float:
        """How many times better this is than the real control plane."""
        return self.measured / self.real if self.unit in _RATES else self.real / max(self.measured, _LEAST)


def measure_moorage(*, quick: bool, only: str) -> Figures:
    """Measure everything on clusters of our own."""
    figures = measure_alone(quick=quick) if _is_wanted(only, "start", "rest", "idle", "real") else {}
    with cluster_process("--nodes", "0", "--simulated-nodes", "3") as cluster:
        figures |= run_rows(_server(cluster, quick), [row for row in ON_SIMULATED if _is_wanted(only, row.__name__)])
    if not quick and _is_wanted(only, "memory"):
        with cluster_process("--nodes", "0", "--simulated-nodes", "30") as cluster:
            figures |= run_rows(_server(cluster, quick), [many_pods])
    return figures


def measure_alone(*, quick: bool) -> Figures:
    """Measure starts, rest and real pods: a cluster with one real node, which is started several times."""
    firsts, laters, figures = [], [], Figures()
    for attempt in range(1 if quick else 3):
        with tempfile.TemporaryDirectory(prefix="moorage-bench-") as directory:
            cluster = ClusterProcess(Path(directory), ("--nodes", "1"))
            firsts.append(cluster.up())
            try:
                if not attempt:
                    server = _server(cluster, quick)
                    figures = asyncio.run(rest(server)) | run_rows(server, [real_pods])
                cluster.down()
                laters.append(cluster.up())
            finally:
                cluster.down()
    return {"start-first": median(firsts), "start-later": median(laters), **figures}


def run_rows(server: Server, rows: Sequence[Row]) -> Figures:
    """Run measurements one after another; one that cannot be done says why and is left out."""
    figures = Figures()
    if rows:
        _run(prepare(server))
    for row in rows:
        try:
            figures |= _run(row(server))
        except (RuntimeError, TimeoutError, OSError) as error:
            print(f"{row.__name__}: {type(error).__name__}: {error}", file=sys.stderr)
    return figures


def lines_of(figures: Figures, real: Figures) -> list[Line]:
    """Return the rows that were measured, in the order of the budgets."""
    rows = json.loads(BUDGETS.read_text())["rows"]
    return [
        Line(row["id"], row["work"], row["unit"], figures[row["id"]], row["budget"], real.get(row["id"], row["real"]))
        for row in rows
        if row["id"] in figures
    ]


def table(lines: Sequence[Line]) -> str:
    """Return the result as a table."""
    head = f"{'work':42} {'measured':>10} {'budget':>8}  {'unit':14} {'of budget':>9} {'real':>8} {'better':>7}"
    rows = [
        f"{line.work:42} {_short(line.measured):>10} {_short(line.budget):>8}  {line.unit:14} "
        f"{line.ratio:8.2f}{'!' if line.ratio > 1 else ' '} {_short(line.real):>8} {line.gain:6.1f}×"
        for line in lines
    ]
    missed = sum(line.ratio > 1 for line in lines)
    return "\n".join([head, *rows, f"{len(lines) - missed} of {len(lines)} within their budgets"])


def _server(cluster: ClusterProcess, quick: bool) -> Server:
    return Server(cluster.endpoint, partial(family_of, cluster.pid), quick)


def _run(work: Any) -> Any:
    """Run on the quickest loop there is: what the client takes, the server lacks."""
    import uvloop

    return uvloop.run(work)


def _is_wanted(only: str, *names: str) -> bool:
    return not only or any(only in name for name in names)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _allow_many_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="less of everything: under a minute")
    parser.add_argument("--only", default="", metavar="TEXT", help="only measurements whose name contains this")
    parser.add_argument("--oracle", type=Path, metavar="KUBECONFIG", help="measure a real control plane here, too")
    parser.add_argument("-o", dest="output", choices=["table", "json"], default="table")
    arguments = parser.parse_args()
    _allow_many_files()
    try:
        figures = measure_moorage(quick=arguments.quick, only=arguments.only)
    except ClusterNotStarted as error:
        print(error, file=sys.stderr)
        return 2
    real = Figures()
    if arguments.oracle:
        server = Server(endpoint_of(arguments.oracle), real_control_plane, arguments.quick)
        real = run_rows(server, [row for row in ON_SIMULATED if _is_wanted(arguments.only, row.__name__)])
    lines = lines_of(figures, real)
    if arguments.output == "json":
        print(json.dumps([{**line._asdict(), "ratio": line.ratio, "gain": line.gain} for line in lines], indent=1))
    else:
        print(table(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
