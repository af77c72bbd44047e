"""What processes cost, read from /proc: CPU time and memory of all processes of a server together."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")

#: The processes of a server at this moment.
Processes = Callable[[], Sequence[int]]

#: What a real control plane consists of, as the kernel cuts the names off.
_REAL = {"etcd", "kube-apiserver", "kube-controller", "kube-scheduler", "kwok"}


def family_of(pid: int) -> Sequence[int]:
    """Return a process and all of its descendants."""
    children: dict[int, list[int]] = {}
    for each in _all_pids():
        if stat := _stat(each):
            children.setdefault(int(stat[1]), []).append(each)
    family = [pid]
    for member in family:
        family += children.get(member, [])
    return family


def real_control_plane() -> Sequence[int]:
    """Return the processes of a real control plane on this machine."""
    return [pid for pid in _all_pids() if _text(pid, "comm").strip() in _REAL]


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the user and system time of processes: the larger of what their clocks and the kernel's ticks say.

    The clocks count nanoseconds of all threads, those that ended too. Ticks are hundredths of a second, and miss whoever
    runs in between; they are what is left where a clock cannot be read.
    """
    return sum(max(_clock_seconds(pid), _tick_seconds(pid)) for pid in pids)


def _clock_seconds(pid: int) -> float:
    """Return what the CPU clock of another process shows, 0 if it is gone. Source: clock_getcpuclockid(3)."""
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return 0.0


def _tick_seconds(pid: int) -> float:
    stat = _stat(pid)
    return (int(stat[11]) + int(stat[12])) / _TICKS if stat else 0.0


def memory_mb(pids: Iterable[int]) -> float:
    """Return the proportional set size of processes in MB: shared pages count once."""
    kib = 0
    for pid in pids:
        for line in _text(pid, "smaps_rollup").splitlines():
            if line.startswith("Pss:"):
                kib += int(line.split()[1])
    return kib * 1024 / 1e6


def _all_pids() -> list[int]:
    return [int(name) for name in _entries(Path("/proc")) if name.isdigit()]


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat after the name: state, parent, …; empty if the process is gone."""
    return _text(pid, "stat").rpartition(")")[2].split()


def _entries(path: Path) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []


def _text(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:
        return ""
