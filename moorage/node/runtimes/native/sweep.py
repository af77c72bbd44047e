"""Ending what a cluster's native nodes left running. Never by name, never a pid that someone else has got since."""

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from moorage.node.runtimes.native.identity import MARKER, group_name_for, living_pid, start_time_of

#: How long killed processes may take to go, in seconds.
END_SECONDS = 5.0


def sweep(state_directory: Path) -> list[str]:
    """End every shim and zygote of this state directory; returns a line for each that was found alive.

    Containers die with their shim (they asked the kernel for that, and each is the first of its pid namespace).
    """
    directory = state_directory.resolve()
    ended = end_nodes(directory)
    ended += _end([*_written(directory, "host.pid"), *_of_directory(directory)])
    for name in ("host.sock", "host.pid"):
        (directory / name).unlink(missing_ok=True)
    _remove_groups(group_name_for(str(directory)))
    return ended


def end_nodes(directory: Path, name: str = "*") -> list[str]:
    """End every pod's shim and every node's zygote (or one node's), and wait until they are gone."""
    ended = _end(_written(directory, f"nodes/{name}/sandboxes/*/shim.pid"))
    return ended + _end(_written(directory, f"nodes/{name}/zygote.pid"))


def _written(directory: Path, pattern: str) -> list[int]:
    """Return the living processes that identity files name."""
    return [pid for path in directory.glob(pattern) if (pid := living_pid(str(path)))]


def _of_directory(directory: Path) -> Iterator[int]:
    """Return every process whose command line is a zygote's (or a shim's) for this state directory."""
    for path in Path("/proc").glob("[0-9]*"):
        pid = int(path.name)
        if pid != os.getpid() and _is_ours(pid, directory):
            yield pid


def _is_ours(pid: int, directory: Path | None) -> bool:
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        place = arguments.index(MARKER.encode())
    except (OSError, ValueError):
        return False
    return directory is None or arguments[place + 1 : place + 2] == [os.fsencode(directory)]


def _end(pids: Iterable[int]) -> list[str]:
    """Kill and wait. A pidfd stands for one process: what it names cannot become another one between look and kill."""
    waiting, ended = [], []
    for pid in dict.fromkeys(pids):
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            try:
                if _is_ours(pid, None):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    waiting.append((pid, start_time_of(pid)))
                    ended.append(f"ended process {pid}")
            finally:
                os.close(handle)
    until = time.monotonic_ns() + int(END_SECONDS * 1e9)
    while time.monotonic_ns() < until and any(start_time_of(pid) == started != 0 for pid, started in waiting):
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
