"""What a real v1.37.2 answered is what a fresh cluster answers, except for what the ratchet knows to fail.

Controllers take their time, so of the cases about behaviour only each third one is replayed here; scripts/ratchet
replays all of them. MOORAGE_GOLDEN=all does so here, too; MOORAGE_GOLDEN=TEXT takes only areas that contain it.
"""

import asyncio
import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from moorage.testing.cluster_process import cluster_process
from moorage.testing.connection import Endpoint
from tests.golden.cases import Case, all_files, area_of, cases_of
from tests.golden.ratchet import CLUSTER, Ratchet, readme_line, repeated, surprises
from tests.golden.replay import replay, report

#: Of cases about behaviour, which come one after another in the files, one in so many is replayed.
SAMPLE = 3

WANTED = os.environ.get("MOORAGE_GOLDEN", "")

AREAS = [area_of(file) for file in all_files()]

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("golden")]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with cluster_process(*CLUSTER) as cluster:
        yield cluster.endpoint


@pytest.fixture(scope="module")
def ratchet() -> Ratchet:
    return Ratchet.read()


def _cases(area: str) -> list[Case]:
    found = next(cases_of(file) for file in all_files() if area_of(file) == area)
    return found[::SAMPLE] if area.startswith("behave-") and WANTED != "all" else found


@pytest.mark.parametrize("area", [area for area in AREAS if WANTED in ("", "all") or WANTED in area])
def test_recorded_answers_are_given(area: str, endpoint: Endpoint, ratchet: Ratchet) -> None:
    cases = {area: _cases(area)}
    outcomes = asyncio.run(replay(endpoint, cases.items(), patience_for=ratchet.patience_for))
    unexpected = surprises(ratchet, outcomes)
    unexpected = surprises(ratchet, repeated(endpoint, cases, unexpected, ratchet)) if unexpected else []
    failed = [report(outcome) for outcome in unexpected if not outcome.passed]
    assert not failed, "\n".join(failed)
    passed = [outcome.name for outcome in unexpected]
    assert not passed, f"these pass now and must leave the ratchet, run scripts/ratchet: {passed}"


def test_the_ratchet_names_only_cases_that_exist(ratchet: Ratchet) -> None:
    known = {(area_of(file), case["name"]) for file in all_files() for case in cases_of(file)}
    listed = {(area, name) for part in (ratchet.failing, ratchet.unsteady) for area in part for name in part[area]}
    assert sorted(listed - known) == []


def test_every_known_difference_has_its_reason(ratchet: Ratchet) -> None:
    listed = {name for part in (ratchet.failing, ratchet.unsteady) for names in part.values() for name in names}
    assert sorted(name for name in listed if not ratchet.reason_for(name)) == []
    assert (
        sorted(pattern for pattern in ratchet.reasons if not any(fnmatchcase(name, pattern) for name in listed)) == []
    )


def test_the_readme_tells_the_count(ratchet: Ratchet) -> None:
    total = sum(len(cases_of(file)) for file in all_files())
    failed = sum(len(names) for part in (ratchet.failing, ratchet.unsteady) for names in part.values())
    line = readme_line(f"{total - failed} passed, {failed} failed")
    assert line in (Path(__file__).resolve().parents[2] / "README.md").read_text()
