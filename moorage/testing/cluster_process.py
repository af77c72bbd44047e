"""A cluster in processes of its own, started and ended by its command line, for tests and benchmarks from outside."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from moorage.aio.clock import Clock, SystemClock
from moorage.testing.connection import Endpoint, endpoint_of


class ClusterNotStarted(Exception):
    """`moorage up` failed; the message is what it said."""


@dataclass(slots=True)
class ClusterProcess:
    """A cluster of the command line, in a directory. `options` are those of `moorage up`."""

    directory: Path
    options: Sequence[str] = ()
    clock: Clock = field(default_factory=SystemClock)

    @property
    def pid(self) -> int:
        """The process that answers; its helpers are its descendants."""
        return int(orjson.loads((self.directory / "instance.json").read_bytes())["pid"])

    @property
    def endpoint(self) -> Endpoint:
        """The API, as its administrator reaches it."""
        return endpoint_of(self.directory / "kubeconfig")

    def up(self) -> float:
        """Start; returns after how many seconds the command said that all is ready. Raises ClusterNotStarted."""
        began = self.clock.monotonic()
        result = self._run("up", *self.options, "--no-set-context")
        if result.returncode:
            raise ClusterNotStarted(f"{result.stdout}{result.stderr}".strip())
        return self.clock.monotonic() - began

    def down(self) -> None:
        """Stop; the state stays in the directory."""
        self._run("down")

    def _run(self, command: str, *options: str) -> "subprocess.CompletedProcess[str]":
        name = ("--name", "outside", "--data-dir", str(self.directory))
        return subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "moorage.cli", command, *name, *options], capture_output=True, text=True, check=False
        )


@contextmanager
def cluster_process(*options: str) -> Iterator[ClusterProcess]:
    """Start a cluster in a new directory; it ends, and its state goes, with the context. Raises ClusterNotStarted."""
    with tempfile.TemporaryDirectory(prefix="moorage-outside-") as directory:
        cluster = ClusterProcess(Path(directory), options)
        cluster.up()
        try:
            yield cluster
        finally:
            cluster.down()
