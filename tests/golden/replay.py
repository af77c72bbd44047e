"""Replay recorded cases against a server and print what differs from a real v1.37.2.

    python -m tests.golden.replay --kubeconfig FILE [-k TEXT] [--diff] [AREA or FILE ...]

Cases of an area run side by side, those that touch shared state one after the other. Exit code 0: all equal,
1: something differs, 2: could not run. Behaviour cases need nodes that make pods ready at once: simulated ones.
"""

import argparse
import asyncio
import json
import math
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from moorage.aio.entropy import SystemEntropy
from moorage.testing.connection import Endpoint, Pool, endpoint_of
from tests.golden.cases import Case, all_files, area_of, cases_of, files_named
from tests.golden.comparison import StepDifference, compare
from tests.golden.run import answers_to

#: How many cases of an area run at once, unless told otherwise.
AT_ONCE = 8

#: How many lines of a difference are shown without --diff.
_SHOWN = 5


class Outcome(NamedTuple):
    """What came of one case."""

    area: str
    name: str
    differences: Sequence[StepDifference]

    @property
    def passed(self) -> bool:
        """Tell whether nothing differs."""
        return not self.differences


async def replay(
    endpoint: Endpoint,
    areas: Iterable[tuple[str, Sequence[Case]]],
    at_once: int = AT_ONCE,
    patience_for: Callable[[str, str], float] = lambda area, name: math.inf,
) -> list[Outcome]:
    """Run the cases of each area, area after area, and return their outcomes in the order of the cases.

    patience_for tells by area and name how long a case may wait for anything, in seconds.
    """
    pool, tag = Pool(endpoint), SystemEntropy().suffix()

    async def run(area: str, case: Case) -> Outcome:
        return await _outcome(pool, area, tag, case, patience_for(area, case["name"]))

    try:
        return [outcome for area, cases in areas for outcome in await _replay_area(partial(run, area), cases, at_once)]
    finally:
        pool.close()


async def _replay_area(run: Callable[[Case], Awaitable[Outcome]], cases: Sequence[Case], at_once: int) -> list[Outcome]:
    gate, found = asyncio.Semaphore(at_once), dict[str, Outcome]()

    async def gated(case: Case) -> None:
        async with gate:
            found[case["name"]] = await run(case)

    await asyncio.gather(*(gated(case) for case in cases if not case.get("cluster")))
    for case in cases:
        if case.get("cluster"):
            found[case["name"]] = await run(case)
    return [found[case["name"]] for case in cases]


async def _outcome(pool: Pool, area: str, tag: str, case: Case, patience_seconds: float) -> Outcome:
    try:
        return Outcome(area, case["name"], compare(case, await answers_to(pool, case, tag, patience_seconds)))
    except Exception as error:  # noqa: BLE001 - whatever a server answers is an outcome
        return Outcome(area, case["name"], [StepDifference(-1, "", [f"{type(error).__name__}: {error}"])])


def report(outcome: Outcome, *, whole: bool = False) -> str:
    """Return the lines that say how a case failed."""
    lines = [f"FAIL {outcome.name}"]
    for difference in outcome.differences:
        lines.append(f"  step {difference.step} {difference.what}")
        shown = difference.lines if whole else difference.lines[:_SHOWN]
        lines += [f"    {line}" for line in shown]
        if len(shown) < len(difference.lines):
            lines.append(f"    … {len(difference.lines) - len(shown)} more (--diff)")
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", help="areas (api-list) or recorded files; all areas if none is given")
    parser.add_argument("--kubeconfig", required=True, type=Path)
    parser.add_argument("-k", default="", metavar="TEXT", help="only cases whose name contains this")
    parser.add_argument("-j", default=AT_ONCE, type=int, metavar="N", help="how many cases run at once")
    parser.add_argument("--diff", action="store_true", help="print every difference")
    parser.add_argument("--no-nodes", action="store_true", help="leave out what needs nodes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the outcome of each case to this file")
    return parser.parse_args()


def _plain(outcome: Outcome) -> dict[str, Any]:
    lines = [line for difference in outcome.differences for line in difference.lines]
    return {"area": outcome.area, "name": outcome.name, "ok": outcome.passed, "differences": lines[:50]}


async def _replay_files(arguments: argparse.Namespace) -> list[Outcome]:
    """Replay file after file, so that what fails is printed as soon as it is known."""
    endpoint, outcomes = endpoint_of(arguments.kubeconfig), []
    for file in files_named(arguments.files) if arguments.files else all_files():
        cases = [case for case in cases_of(file, arguments.k) if not (arguments.no_nodes and case.get("nodes"))]
        found = await replay(endpoint, [(area_of(file), cases)], arguments.j)
        for outcome in found:
            if not outcome.passed:
                print(report(outcome, whole=arguments.diff), flush=True)
        outcomes += found
    return outcomes


def main() -> int:
    """Run the command line."""
    arguments = _arguments()
    try:
        outcomes = asyncio.run(_replay_files(arguments))
    except (OSError, KeyError) as error:
        print(f"cannot replay: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        arguments.json.write_text(json.dumps([_plain(outcome) for outcome in outcomes], indent=1))
    failed = sum(not outcome.passed for outcome in outcomes)
    print(f"{len(outcomes) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
