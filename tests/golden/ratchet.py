"""The ratchet: which recorded cases are known to fail. It only ever gets shorter.

    scripts/ratchet            replay everything on a fresh cluster and rewrite ratchet.json
    scripts/ratchet --quick    the same, but what is known to fail never waits for long, so what is slow may not leave

ratchet.json: `failing` area -> case names that fail each time; `unsteady` area -> names that fail now and then, whose
outcome proves nothing; `reasons` pattern of case names -> why they fail, kept by hand. A case enters only after a
second run in which it failed again, or (as unsteady) did not.
"""

import asyncio
import json
import math
import re
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from moorage.testing.cluster_process import cluster_process
from moorage.testing.connection import Endpoint, Pool
from tests.golden.cases import Case, all_files, area_of, cases_of
from tests.golden.replay import Outcome, replay, report

RATCHET = Path(__file__).parent / "ratchet.json"

#: The cluster that cases are replayed on: three nodes that make pods ready at once, and nothing on disk to wait for.
CLUSTER = ("--memory", "--nodes", "0", "--simulated-nodes", "3")

#: How long a case that is known to fail waits for what it will hardly see.
IN_VAIN_SECONDS = 1.0

#: Case names by area.
Names = dict[str, list[str]]


@dataclass
class Ratchet:
    """The contents of ratchet.json."""

    failing: Names = field(default_factory=dict)
    unsteady: Names = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path = RATCHET) -> "Ratchet":
        """Return what is written down; nothing is known to fail where there is no file."""
        return cls(**json.loads(path.read_text())) if path.is_file() else cls()

    def write(self, path: Path = RATCHET) -> None:
        """Write it down, one name a line, so that a change reads well."""
        path.write_text(
            json.dumps({"reasons": self.reasons, "unsteady": self.unsteady, "failing": self.failing}, indent=1) + "\n"
        )

    def expects(self, area: str, name: str) -> str:
        """Return what is expected of a case: "passes", "fails" or "either"."""
        if name in self.unsteady.get(area, ()):
            return "either"
        return "fails" if name in self.failing.get(area, ()) else "passes"

    def patience_for(self, area: str, name: str) -> float:
        """Return how long a case may wait for anything, in seconds.

        Not long where it is known to wait in vain, or its outcome proves nothing, nor anywhere as long as nothing is known.
        """
        if self.expects(area, name) != "passes" or not (self.failing or self.unsteady):
            return IN_VAIN_SECONDS
        return math.inf

    def reason_for(self, name: str) -> str:
        """Return why a case fails, "" if nobody has written it down."""
        return next((reason for pattern, reason in self.reasons.items() if fnmatchcase(name, pattern)), "")


class Patient(Ratchet):
    """Gives every case the time that it asks for."""

    def patience_for(self, area: str, name: str) -> float:
        """Return no limit."""
        return math.inf


def surprises(ratchet: Ratchet, outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return the outcomes that the ratchet does not expect."""
    wanted = {"passes": True, "fails": False}
    return [
        outcome
        for outcome in outcomes
        if wanted.get(ratchet.expects(outcome.area, outcome.name), outcome.passed) != outcome.passed
    ]


def repeated(
    endpoint: Endpoint,
    cases: dict[str, Sequence[Case]],
    outcomes: Sequence[Outcome],
    ratchet: Ratchet,
    at_once: int = 1,
) -> list[Outcome]:
    """Replay the cases of these outcomes once more, in peace; return what came of them now."""
    again = {(outcome.area, outcome.name) for outcome in outcomes}
    areas = [(area, [case for case in found if (area, case["name"]) in again]) for area, found in cases.items()]
    return asyncio.run(replay(endpoint, areas, at_once, ratchet.patience_for))


def ratchet_from(known: Ratchet, first: Sequence[Outcome], second: Sequence[Outcome]) -> Ratchet:
    """Return the ratchet after two runs; the second one is of some cases only."""
    made = Ratchet(reasons=known.reasons)
    later = {(outcome.area, outcome.name): outcome.passed for outcome in second}
    for outcome in first:
        passed = {outcome.passed, later.get((outcome.area, outcome.name), outcome.passed)}
        if passed == {True}:
            continue
        names = made.failing if passed == {False} else made.unsteady
        names.setdefault(outcome.area, []).append(outcome.name)
    return made


def is_alive(endpoint: Endpoint) -> bool:
    """Tell whether the server still answers."""
    try:
        return asyncio.run(Pool(endpoint).request("GET", "/readyz")).status == 200
    except OSError:
        return False


def totals(first: Sequence[Outcome], ratchet: Ratchet) -> str:
    """Return how many cases pass and fail; unsteady ones count as failed."""
    failed = sum(len(names) for part in (ratchet.failing, ratchet.unsteady) for names in part.values())
    return f"{len(first) - failed} passed, {failed} failed"


def readme_line(text: str) -> str:
    """Return the line of the README that tells the totals, for "N passed, M failed"."""
    passed, failed = (int(number) for number in re.findall(r"\d+", text))
    share = 100 * passed / max(1, passed + failed)
    return f"Of {passed + failed:,} recorded answers of a real v1.37.2, Moorage gives {passed:,} ({share:.1f} %)."


def main() -> int:
    """Replay everything and rewrite ratchet.json; prints the totals and the line for the README."""
    known = Ratchet.read()
    cases: dict[str, Sequence[Case]] = {area_of(file): cases_of(file) for file in all_files()}
    with cluster_process(*CLUSTER) as cluster:
        endpoint = cluster.endpoint
        began, first = time.monotonic(), []
        for area, found in cases.items():
            outcomes = asyncio.run(replay(endpoint, [(area, found)], patience_for=known.patience_for))
            first += outcomes
            failed = sum(not outcome.passed for outcome in outcomes)
            print(
                f"{time.monotonic() - began:6.1f} s  {area}: {len(outcomes) - failed} passed, {failed} failed",
                flush=True,
            )
        doubtful = [each for each in first if not each.passed] + [
            each for each in surprises(known, first) if each.passed
        ]
        patient = known if "--quick" in sys.argv[1:] else Patient()
        second = repeated(endpoint, cases, doubtful, patient, at_once=4)
    ratchet = ratchet_from(known, first, second)
    ratchet.write()
    for outcome in surprises(known, first):
        if not outcome.passed:
            print(report(outcome))
    text = totals(first, ratchet)
    print(f"{text}\n{readme_line(text)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
