"""Who a process is: a pid alone may have been given to someone else, a pid with its start time and boot may not."""

import json
import os
from functools import cache

#: Stands in the command line of every zygote (and so of every shim, which is a fork).
MARKER = "moorage-zygote"


def group_name_for(directory: str) -> str:
    """Return the name of the control groups of the cluster with this state directory."""
    return "moorage-" + directory.strip("/").replace("/", "-")[-64:]


def start_time_of(pid: int) -> int:
    """Return when the process started, in clock ticks since boot; 0 when there is none (a zombie counts as none)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rsplit(b")", 1)[1].split()
    except (OSError, IndexError):
        return 0
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])


@cache
def _boot() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def write_identity(path: str, pid: int) -> None:
    """Write who `pid` is, atomically."""
    temporary = f"{path}.new"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump({"pid": pid, "started": start_time_of(pid), "boot": _boot()}, file)
    os.replace(temporary, path)


def living_pid(path: str) -> int:
    """Return the pid written at `path` if that very process still lives and is one of ours, else 0."""
    try:
        with open(path, encoding="utf-8") as file:
            known = json.load(file)
        pid = int(known["pid"])
        if known["boot"] != _boot() or start_time_of(pid) != known["started"]:
            return 0
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return pid if MARKER.encode() in file.read().split(b"\0") else 0
    except (OSError, ValueError, KeyError, TypeError):
        return 0
