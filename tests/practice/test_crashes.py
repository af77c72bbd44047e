"""Whatever is killed at whatever moment: `up` brings the practice to its end, and nothing acknowledged is lost."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.practice.conftest import UNPRIVILEGED, open_lesson
from tests.practice.crashes import Diary, Saboteur, Student, leftovers
from tests.practice.lesson import Lesson

pytestmark = [pytest.mark.real, pytest.mark.cluster]

#: Each seed is one run with several kills. One that found a fault stays.
SEEDS = [int(seed) for seed in os.environ.get("MOORAGE_CRASH_SEEDS", "1 2").split()]
KILLS_MOST = 6


@pytest.fixture(params=[0, UNPRIVILEGED], ids=["as root", "without privileges"])
def crashing(request: pytest.FixtureRequest) -> Iterator[Lesson]:
    if request.param == 0 and os.geteuid() != 0:
        pytest.skip("not root")
    with tempfile.TemporaryDirectory(prefix="moorage-crashes-") as directory:
        yield from open_lesson(Path(directory), request.param)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_practice_comes_to_its_end_through_crashes(crashing: Lesson, seed: int) -> None:
    diary = Diary()
    student, saboteur = Student(crashing, diary), Saboteur(crashing, seed)
    student.start()
    while len(saboteur.kills) < KILLS_MOST and saboteur.wait_for_event(student):
        if saboteur.kill() not in ("shims", "zygotes"):
            crashing.moorage("up")
    student.join(timeout=300)
    if student.failure is not None:
        shown = crashing.kubectl("get", "pods", "-o", "wide")
        raise AssertionError(f"{saboteur.kills}: {student.failure}\n{shown}\n{crashing.log_tail()}")
    assert not student.is_alive(), saboteur.kills
    for selector, count in (("type=web", 3), ("type=db", 3), ("type=web2", 3), ("type=db2", 3)):
        crashing.ready(selector, count)
    diary.check(crashing)
    for claim, names in diary.files.items():
        assert names <= set(files_in(crashing, claim)), (claim, saboteur.kills)
    crashing.moorage("down")
    assert leftovers(crashing.directory / "state") == [], saboteur.kills


def files_in(lesson: Lesson, claim: str) -> list[str]:
    """Return the names of the files in a claim's volume."""
    volume = lesson.get("pv", lesson.get("pvc", claim)["spec"]["volumeName"])
    source = volume["spec"].get("local") or volume["spec"]["hostPath"]
    return [path.name for path in Path(source["path"]).iterdir()]


def test_pods_outlive_the_process_that_runs_the_cluster(crashing: Lesson) -> None:
    crashing.kubectl("run", "steady", "--image=kubetm/app")
    crashing.kubectl("wait", "--for=condition=Ready", "pod/steady", "--timeout=20s")
    before = crashing.get("pod", "steady")["status"]["containerStatuses"]
    os.kill(int((crashing.directory / "state" / "moorage.lock").read_text()), 9)
    crashing.moorage("up")
    crashing.kubectl("exec", "steady", "--", "true")
    assert crashing.get("pod", "steady")["status"]["containerStatuses"] == before
