"""Control groups of pods and containers: version 1 controllers, version 2 (ours or delegated), or none.

A Group is a set of directories (one a controller in v1, one in v2). Where limits cannot be had the group has no
directory and everything here does nothing: `Hierarchy.kind` says so, and the node says it to its user.
"""

import contextlib
import os
import time
from collections.abc import Mapping
from typing import NamedTuple

ROOT = "/sys/fs/cgroup"
V1_CONTROLLERS = ("memory", "cpu", "pids")
#: The length of a CPU period in microseconds; Kubernetes uses the kernel's default.
PERIOD = 100_000
#: How long the kernel may take to let an emptied group go, in seconds.
REMOVAL_SECONDS = 2.0


class Hierarchy(NamedTuple):
    """Where groups of one cluster may be made. kind: "v1", "v2" or "none"; roots: controller → directory."""

    kind: str
    roots: Mapping[str, str]


class Limits(NamedTuple):
    """Bytes, cores and processes; 0 means none."""

    memory_bytes: int = 0
    cpu_cores: float = 0.0
    pids: int = 0


class Group(NamedTuple):
    """One control group: controller → directory ("" is the controller's name in v2)."""

    kind: str
    directories: Mapping[str, str]


NO_GROUP = Group("none", {})


def find_hierarchy(name: str) -> Hierarchy:
    """Find by trying where groups can be made, and make the cluster's own directory `name` there."""
    if os.path.exists(f"{ROOT}/cgroup.controllers"):
        return _find_v2(name)
    roots = {}
    for controller in V1_CONTROLLERS:
        directory = f"{ROOT}/{controller}/{name}"
        with contextlib.suppress(OSError):
            os.makedirs(directory, exist_ok=True)
            roots[controller] = directory
    return Hierarchy("v1" if roots else "none", roots)


def _find_v2(name: str) -> Hierarchy:
    candidates = [ROOT]
    with contextlib.suppress(OSError), open("/proc/self/cgroup", encoding="ascii") as file:
        own = next(line[3:].strip() for line in file if line.startswith("0::"))
        candidates.append(ROOT + own.rstrip("/"))
    for parent in candidates:
        directory = f"{parent}/{name}"
        try:
            os.makedirs(directory, exist_ok=True)
            if parent != ROOT:
                _write(f"{directory}/cgroup.procs", "0")  # no internal processes: leave the parent to be divided
                directory = f"{parent}/{name}-pods"
                os.makedirs(directory, exist_ok=True)
            _divide(parent)
            _divide(directory)
        except OSError:
            with contextlib.suppress(OSError):
                os.rmdir(directory)
            continue
        return Hierarchy("v2", {"": directory})
    return Hierarchy("none", {})


def _divide(directory: str) -> None:
    with open(f"{directory}/cgroup.controllers", encoding="ascii") as file:
        have = file.read().split()
    _write(f"{directory}/cgroup.subtree_control", " ".join(f"+{c}" for c in V1_CONTROLLERS if c in have))


def _write(path: str, value: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(value)


def make_group(hierarchy: Hierarchy, path: str, limits: Limits) -> Group:
    """Make the group `pod/container` with its limits. Raises OSError."""
    directories = {}
    for controller, root in hierarchy.roots.items():
        directory = f"{root}/{path}"
        os.makedirs(directory, exist_ok=True)
        directories[controller] = directory
    group = Group(hierarchy.kind, directories)
    if hierarchy.kind == "v2":
        _divide(os.path.dirname(directories[""]))
        _limit_v2(directories[""], limits)
    elif hierarchy.kind == "v1":
        _limit_v1(directories, limits)
    return group


def _limit_v1(directories: Mapping[str, str], limits: Limits) -> None:
    wanted = (
        ("memory", "memory.limit_in_bytes", limits.memory_bytes),
        ("cpu", "cpu.cfs_quota_us", max(1000, int(limits.cpu_cores * PERIOD)) if limits.cpu_cores else 0),
        ("pids", "pids.max", limits.pids),
    )
    for controller, file, value in wanted:
        if value and controller in directories:
            _write(f"{directories[controller]}/{file}", str(value))


def _limit_v2(directory: str, limits: Limits) -> None:
    wanted = {
        "memory.max": limits.memory_bytes,
        "memory.oom.group": 1 if limits.memory_bytes else 0,
        "cpu.max": f"{max(1000, int(limits.cpu_cores * PERIOD))} {PERIOD}" if limits.cpu_cores else 0,
        "pids.max": limits.pids,
    }
    for file, value in wanted.items():
        if value and os.path.exists(f"{directory}/{file}"):
            _write(f"{directory}/{file}", str(value))
    if limits.memory_bytes and os.path.exists(f"{directory}/memory.swap.max"):
        _write(f"{directory}/memory.swap.max", "0")


def open_entrances(group: Group) -> list[int]:
    """Return descriptors through which a process puts itself into the group, by writing "0". Raises OSError.

    In version 1 that is `tasks`: a thread that moves itself alone takes no lock of the whole machine, which for
    `cgroup.procs` means waiting for a grace period (10-20 ms). Ours have one thread.
    """
    file = "tasks" if group.kind == "v1" else "cgroup.procs"
    return [os.open(f"{directory}/{file}", os.O_WRONLY | os.O_CLOEXEC) for directory in group.directories.values()]


def processes(group: Group) -> list[int]:
    """Return the pids in the group, as this process's pid namespace sees them."""
    for directory in group.directories.values():
        with contextlib.suppress(OSError), open(f"{directory}/cgroup.procs", encoding="ascii") as file:
            return [int(line) for line in file if line.strip() != "0"]
    return []


def was_out_of_memory(group: Group) -> bool:
    """Tell whether the kernel killed something in the group for want of memory."""
    directory = group.directories.get("memory") or group.directories.get("")
    if directory is None:
        return False
    file = "memory.oom_control" if group.kind == "v1" else "memory.events"
    with contextlib.suppress(OSError), open(f"{directory}/{file}", encoding="ascii") as lines:
        return any(line.startswith("oom_kill ") and line.split()[1] != "0" for line in lines)
    return False


def remove(directories: Mapping[str, str]) -> None:
    """Remove emptied groups, waiting a moment for the kernel to notice that they are empty."""
    until = time.monotonic_ns() + int(REMOVAL_SECONDS * 1e9)
    for directory in directories.values():
        while True:
            try:
                os.rmdir(directory)
            except FileNotFoundError:
                break
            except OSError:
                if time.monotonic_ns() > until:
                    break
                time.sleep(0.001)
            else:
                break
