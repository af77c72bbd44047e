"""Which process runs a cluster: a lock on its directory, and what others may know about it.

The lock is the kernel's (flock), so it cannot outlive its process, however that ended.
"""

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

_LOCK, _FACTS = "moorage.lock", "instance.json"


class AlreadyRunning(Exception):
    """Another process runs this cluster."""


@dataclass(frozen=True, slots=True)
class Instance:
    """What a running cluster tells about itself. `started` is an RFC 3339 time; `nodes` are names of real nodes."""

    pid: int
    url: str
    port: int
    started: str
    version: str
    nodes: tuple[str, ...] = ()
    simulated_nodes: int = 0

    def publish(self, directory: Path) -> None:
        """Write it where `find` looks."""
        path = directory / _FACTS
        temporary = path.with_suffix(".new")
        temporary.write_bytes(orjson.dumps(asdict(self)))
        temporary.replace(path)


@contextmanager
def hold(directory: Path) -> Iterator[None]:
    """Hold the cluster's lock. Raises AlreadyRunning, OSError."""
    descriptor = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunning(f"another process runs the cluster in {directory}") from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def holder_of(directory: Path) -> int:
    """Return the process that holds the cluster's lock, 0 if nobody does."""
    try:
        descriptor = os.open(directory / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(descriptor, 32, 0).decode(errors="replace")
        return int(text) if text.isdigit() else 0
    finally:
        os.close(descriptor)
    return 0


def find(directory: Path) -> Instance | None:
    """Return what the running cluster in this directory tells about itself, None if none runs (or it is not up yet)."""
    pid = holder_of(directory)
    facts = last_facts(directory)
    if not pid or facts.get("pid") != pid:
        return None
    return Instance(**{**facts, "nodes": tuple(facts.get("nodes", ()))})


def last_facts(directory: Path) -> dict[str, Any]:
    """Return what the last process that ran this cluster told, empty if there was none."""
    try:
        facts: dict[str, Any] = orjson.loads((directory / _FACTS).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return facts


def ask_to_end(pid: int) -> None:
    """Ask a cluster's process to end in order."""
    os.kill(pid, signal.SIGTERM)
