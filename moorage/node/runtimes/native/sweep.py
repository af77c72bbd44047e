"""Ending what a cluster's native nodes left running. Never by name, never a pid that someone else has got since."""

import contextlib
import os
import signal
import time
from pathlib import Path

from moorage.node.runtimes.native.identity import living_pid

#: How long killed processes may take to go, in seconds.
END_SECONDS = 5.0


def sweep(state_directory: Path) -> list[str]:
    """End every shim and zygote of this state directory; returns a line for each that was found alive.

    Containers die with their shim (they asked the kernel for that, and each is the first of its pid namespace).
    """
    directory = state_directory.resolve()
    ended = end_pods(directory)
    ended += _end(directory, "nodes/*/zygote.pid") + _end(directory, "host.pid")
    for name in ("host.sock", "host.pid"):
        (directory / name).unlink(missing_ok=True)
    _remove_groups("moorage-" + str(directory).strip("/").replace("/", "-")[-64:])
    return ended


def end_pods(directory: Path) -> list[str]:
    """End every pod's shim and wait until it is gone."""
    return _end(directory, "nodes/*/sandboxes/*/shim.pid")


def _end(directory: Path, pattern: str) -> list[str]:
    ended = []
    paths = [str(path) for path in directory.glob(pattern)]
    for path in paths:
        if pid := living_pid(path):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                ended.append(f"ended process {pid} of {path}")
    until = time.monotonic_ns() + int(END_SECONDS * 1e9)
    while any(living_pid(path) for path in paths) and time.monotonic_ns() < until:
        time.sleep(0.002)
    return ended


def _remove_groups(name: str) -> None:
    """Remove the cluster's control groups and end what may be left in them."""
    roots = [Path("/sys/fs/cgroup") / controller / name for controller in ("memory", "cpu", "pids")]
    roots += [Path("/sys/fs/cgroup") / name]
    until = time.monotonic_ns() + int(END_SECONDS * 1e9)
    for root in (one for one in roots if one.is_dir()):
        for group in [*sorted(root.rglob("*/"), key=lambda path: -len(path.parts)), root]:
            _remove_group(group, until)


def _remove_group(group: Path, until: int) -> None:
    while True:
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic_ns() > until:
                return
            with contextlib.suppress(OSError):
                for line in (group / "cgroup.procs").read_text().split():
                    os.kill(int(line), signal.SIGKILL)
            time.sleep(0.002)
        else:
            return
