"""Whole clusters, lived through in virtual time: what must never happen does not, and all comes to rest.

A failing seed prints what led to it; `moorage simulate --seed N` shows it again. Seeds that once found something stay.
"""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from moorage.testing.faults import CALM
from moorage.testing.simulation import Settings, simulate

#: Every run lives through these.
SEEDS = range(1, 51)

#: Short lives: what the seeds do not find in them, `moorage simulate --count 1000` finds in longer ones.
SETTINGS = Settings(acts=12)


#: Longer lives that once found something: seed -> acts.
FOUND = {
    5: 25,  # a node that was silent for so long that it was taken for dead, and never said that it lives
    148: 25,  # a worker that went on after it had been cancelled, because it had just got what it waited for
    1169: 40,  # a container that was created, but not started, when its node lost touch
}


@pytest.fixture(autouse=True)
def _without_news() -> Iterator[None]:
    """Keep what is simulated to fail out of the logs."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_troubled_cluster_comes_to_rest_and_stays(seed: int) -> None:
    simulate(seed, SETTINGS)


@pytest.mark.parametrize(("seed", "acts"), FOUND.items())
def test_what_a_seed_once_found_stays_mended(seed: int, acts: int) -> None:
    simulate(seed, Settings(acts=acts))


def test_without_faults_all_comes_to_rest_too() -> None:
    report = simulate(1, Settings(acts=25, faults=CALM, restart=0, silence=0, compaction=0))
    assert not any(report.faults.values())


def test_a_seed_gives_the_same_life_in_any_process() -> None:
    script = (
        "import logging; logging.disable(logging.CRITICAL)\n"
        "from moorage.testing.simulation import Settings, simulate\n"
        "print(simulate(3, Settings(acts=12)).digest)"
    )
    digests = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    ]
    assert digests == [simulate(3, SETTINGS).digest] * 2
