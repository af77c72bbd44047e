import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.practice.archives import BUSYBOX, docker_archive
from tests.practice.lesson import Lesson

#: An account without privileges: any free number will do.
UNPRIVILEGED = 3001


def open_lesson(directory: Path, user: int, nodes: int = 3) -> Iterator[Lesson]:
    """Yield a cluster that has the practice's images, as root (0) or as somebody else; skips where that cannot be."""
    kubectl = os.environ.get("MOORAGE_KUBECTL") or shutil.which("kubectl")
    if not kubectl:
        pytest.skip("no kubectl: scripts/test fetches one")
    if not BUSYBOX.exists():
        pytest.skip("busybox-static is not installed")
    if user:
        if os.geteuid() != 0:
            pytest.skip("only root can become somebody else")
        if subprocess.run(
            ["setpriv", "--reuid", str(user), "--clear-groups", "unshare", "-U", "true"], check=False
        ).returncode:
            pytest.skip("this machine refuses user namespaces")
        os.chown(directory, user, user)
    lesson = Lesson(directory, kubectl, nodes=nodes, user=user)
    archive = docker_archive(
        directory / "app.tar",
        ["kubetm/app:latest", "kubetm/init:latest"],
        ["sh", "-c", "trap 'exit 0' TERM; sleep 1000000 & wait"],
    )
    lesson.up()
    try:
        lesson.moorage("image", "load", str(archive))
        yield lesson
    finally:
        lesson.moorage("down", "--delete-data")


@pytest.fixture(params=[0, UNPRIVILEGED], ids=["as root", "without privileges"])
def lesson(request: pytest.FixtureRequest) -> Iterator[Lesson]:
    if request.param == 0 and os.geteuid() != 0:
        pytest.skip("not root")
    # Not below pytest's own directory, which nobody else may enter.
    with tempfile.TemporaryDirectory(prefix="moorage-practice-") as directory:
        yield from open_lesson(Path(directory), request.param)
