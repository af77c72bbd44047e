"""Where the clients come from: scripts that fetch them once. What cannot be had is skipped with its reason."""

import functools
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

#: MOORAGE_CLIENTS=all runs the versions and languages that take long to fetch or to build, too.
IS_ALL = os.environ.get("MOORAGE_CLIENTS") == "all"

everything = pytest.mark.skipif(not IS_ALL, reason="runs with MOORAGE_CLIENTS=all")


def kubectl_path(minor: int) -> str:
    """Return a kubectl of v1.MINOR; skips where it cannot be had."""
    return fetched("kubectl", str(minor))


def helm_path(minor: int) -> str:
    """Return the Helm that comes with kubectl v1.MINOR."""
    return str(Path(kubectl_path(minor)).parent.parent / "helm" / "helm")


def python_with(name: str, *requirements: str) -> str:
    """Return the interpreter of a virtual environment that has the named packages; skips where it cannot be made."""
    return fetched("clients", name, *requirements)


def fetched(script: str, *arguments: str) -> str:
    """Return the path that a script of scripts/ prints; skips with what it says when it fails."""
    path, refusal = _fetched(script, *arguments)
    if not path:
        pytest.skip(f"scripts/{script} {' '.join(arguments)}: {refusal}")
    return path


@functools.cache
def _fetched(script: str, *arguments: str) -> tuple[str, str]:
    command = [str(ROOT / "scripts" / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode == 0:
        return done.stdout.splitlines()[-1], ""
    return "", (done.stderr.splitlines() or ["it failed without a word"])[-1]
